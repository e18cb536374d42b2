//! Copies that are counted, and made again.

use std::fs;
use std::time::Instant;

use crate::cluster::stand_tests::*;
use crate::cluster::{Outbox as _, Trust};
use crate::heaps::{BuildId, Elsewhere, HeapAt, HeapError, HeapId, TenantFolder};
use crate::limits::{
    HEAP_ABSENCE_GRACE, HEAP_NEXT_PEER_PAUSE, HEAP_PIECE_BYTES, HEAP_RECOUNT_LENGTH,
};

use super::hostile_tests::{Hall, Scene, always, lie};
use super::tests::{Shop, alice, all, build, configs, noise, open, put};
use super::words::{Said, Told};

/// The places of these shops that have a heap.
fn holders(shops: &[Shop], id: HeapId) -> Vec<usize> {
    let has = |at: &usize| shops[*at].has(&alice(), id);
    (0..shops.len()).filter(has).collect()
}

async fn elsewhere(shop: &Shop, id: HeapId) -> Elsewhere {
    shop.heaps.elsewhere(&[HeapAt::new(&alice(), id)]).await[0]
}

#[tokio::test]
async fn what_is_on_one_node_alone_is_seen_and_copied_again() {
    let shops = open(&configs(vec![Trust::Nobody; 3]));
    for content in [noise(300), noise(2 * HEAP_PIECE_BYTES + 7)] {
        let id = put(&shops[0], &content).await;
        let other = holders(&shops, id)[1];
        assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Found);
        fs::remove_file(shops[other].file(&alice(), id)).unwrap();
        assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Nowhere);
        let before = shops[0].heaps.figures().recopied.get();
        // It was copied a moment ago, and that counts for nothing now.
        let bytes = shops[0].heaps.copy_again(&alice(), id).await.unwrap();
        assert_eq!(bytes, content.len() as u64);
        assert_eq!(shops[0].heaps.figures().recopied.get(), before + 1);
        assert_eq!(holders(&shops, id), [0, other]);
        let copy = shops[other].reopened().fetch(&alice(), id).await.unwrap();
        assert!(*copy == content[..]);
        assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Found);
    }
}

#[tokio::test]
async fn many_are_asked_about_at_once_and_each_is_told_apart() {
    let shops = open(&configs(vec![Trust::Nobody; 3]));
    let known = put(&shops[0], b"known").await;
    let number = 2 * HEAP_RECOUNT_LENGTH + 3;
    let mut heaps: Vec<HeapAt> = (0..number)
        .map(|number| HeapAt::new(&alice(), HeapId::of(&number.to_le_bytes())))
        .collect();
    let bob = "bob".parse().unwrap();
    heaps[0] = HeapAt::new(&bob, known);
    for at in [7, HEAP_RECOUNT_LENGTH, number - 1] {
        heaps[at] = HeapAt::new(&alice(), known);
    }
    let found = shops[0].heaps.elsewhere(&heaps).await;
    let found: Vec<usize> = (0..number)
        .filter(|at| found[*at] == Elsewhere::Found)
        .collect();
    assert_eq!(found, [7, HEAP_RECOUNT_LENGTH, number - 1]);
    let here = shops[0].heaps.which(&heaps).await.unwrap();
    assert_eq!(here.iter().filter(|is| **is).count(), 3);
}

#[tokio::test]
async fn what_a_silent_node_may_have_is_not_copied_again_before_it_was_silent_for_long() {
    let mut shops = open(&configs(vec![Trust::Nobody; 3]));
    let id = put(&shops[0], b"on two").await;
    let other = holders(&shops, id)[1];
    let alone = put(&shops[other], b"on another").await;
    let lost = shops.remove(other);
    lost.stand.close().await;
    assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Unknown);
    tokio::time::pause();
    tokio::time::advance(HEAP_ABSENCE_GRACE / 2).await;
    tokio::time::resume();
    assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Unknown);
    tokio::time::pause();
    tokio::time::advance(HEAP_ABSENCE_GRACE / 2).await;
    tokio::time::resume();
    assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Nowhere);
    // Who has answered says what it has all the same.
    let known = holders(&shops, alone).first().copied();
    if known == Some(1) {
        assert_eq!(elsewhere(&shops[0], alone).await, Elsewhere::Found);
    }
    shops[0].heaps.copy_again(&alice(), id).await.unwrap();
    assert_eq!(holders(&shops, id), [0, 1]);
}

#[tokio::test]
async fn what_a_node_had_that_was_removed_is_copied_again_at_once() {
    let mut shops = open(&configs(vec![Trust::Nobody; 3]));
    let id = put(&shops[0], b"on two").await;
    let other = holders(&shops, id)[1];
    let lost = shops.remove(other);
    lost.stand.close().await;
    let left: Vec<_> = shops
        .iter()
        .map(|shop| shop.stand.endpoint.me().clone())
        .collect();
    shops[0].stand.transport.members(&members(&left));
    assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Nowhere);
    shops[0].heaps.copy_again(&alice(), id).await.unwrap();
    assert_eq!(holders(&shops, id), [0, 1]);
    // Where nobody is left, nobody takes it.
    shops[0].stand.transport.members(&members(&left[..1]));
    assert_eq!(elsewhere(&shops[0], id).await, Elsewhere::Nowhere);
    let error = shops[0].heaps.copy_again(&alice(), id).await.unwrap_err();
    assert!(matches!(error, HeapError::NotCopied { .. }), "{error:?}");
}

#[tokio::test]
async fn what_another_build_has_made_is_copied_again_and_what_is_damaged_is_not() {
    let configs = configs(vec![Trust::Nobody; 3]);
    let newer = BuildId::new("15.1.3", "f00d").unwrap();
    let shop = |at: usize, build| Shop::open(&configs[at], all(&configs), build);
    let shops = [shop(0, build()), shop(1, newer.clone()), shop(2, newer)];
    let id = put(&shops[0], b"made by the old build").await;
    let other = holders(&shops, id)[1];
    fs::remove_file(shops[0].file(&alice(), id)).unwrap();
    assert_eq!(elsewhere(&shops[other], id).await, Elsewhere::Nowhere);
    shops[other].heaps.copy_again(&alice(), id).await.unwrap();
    assert_eq!(holders(&shops, id).len(), 2);
    fs::remove_file(shops[other].file(&alice(), id)).unwrap();
    let fetched = shops[0].reopened().fetch(&alice(), id).await.unwrap();
    assert_eq!(*fetched, *b"made by the old build");
    let file = shops[0].file(&alice(), id);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = shops[0].heaps.copy_again(&alice(), id).await.unwrap_err();
    assert!(matches!(error, HeapError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn who_says_nothing_is_waited_for_once_and_asked_after_the_others_from_then_on() {
    let scene = Scene::new(lie(|_| None)).await;
    let began = Instant::now();
    let mut put = Vec::new();
    for _ in 0..30 {
        put.push(scene.a.heaps.put(&alice(), noise(100)).await.unwrap().id);
    }
    assert!(put.iter().all(|id| scene.c.has(&alice(), *id)));
    // About every second one would have been brought to the silent one first.
    assert!(
        began.elapsed() < 6 * HEAP_NEXT_PEER_PAUSE,
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let heaps = scene.a.reopened();
    for id in put {
        fs::remove_file(scene.a.file(&alice(), id)).unwrap();
        heaps.fetch(&alice(), id).await.unwrap();
    }
    assert!(
        began.elapsed() < 6 * HEAP_NEXT_PEER_PAUSE,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_question_about_too_many_is_refused_and_what_is_no_answer_is_none() {
    let mut hall = Hall::new();
    let put = hall.b.heaps.put(&alice(), noise(100)).await.unwrap();
    let place = |id: HeapId| {
        let folder = TenantFolder::of(&alice());
        (*folder.as_bytes(), *id.as_bytes())
    };
    let other = ([7; 16], *put.id.as_bytes());
    let places = vec![place(put.id), place(HeapId::of(b"other")), other];
    let told = hall.say(&Said::Which(places)).await;
    assert_eq!(told, Ok(Told::Has(vec![true, false, false])));
    let many = vec![place(put.id); HEAP_RECOUNT_LENGTH + 1];
    assert_eq!(hall.say(&Said::Which(many)).await, Err(400));
    hall.is_unharmed().await;
    // Whatever a liar says of what it has: what it does not say well may be there.
    for (what, expected) in [
        (always(Told::Has(vec![true; 2])), Elsewhere::Unknown),
        (always(Told::Has(Vec::new())), Elsewhere::Unknown),
        (always(Told::Kept), Elsewhere::Unknown),
        (lie(|_| Some(vec![1, 255])), Elsewhere::Unknown),
        (always(Told::Has(vec![false])), Elsewhere::Nowhere),
    ] {
        let scene = Scene::new(what).await;
        let heap = HeapAt::new(&alice(), HeapId::of(b"some"));
        assert_eq!(scene.a.heaps.elsewhere(&[heap]).await, [expected]);
    }
}
