//! Nodes in one process, over real files and a network in memory: they elect, die, come back, join, and
//! agree.

mod fate;
mod world;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, future};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::timeout;

use self::world::{World, member};
use super::files::Beginning;
use super::{ClusterControl, Role, Standing, Status};
use crate::limits::REQUESTS_PENDING_MAX;
use crate::metrics::{Answered, Build, Exposition, Figures, Leads, SnapshotWork};
use crate::raft::command::{Command, Outcome, Retag, TagChange};
use crate::raft::core::{Failure, Stop};
use crate::raft::request::{Ask, MemberChange, Refusal};
use crate::store::Replicate as _;

fn adopt(heap: u8) -> Command {
    Command::Adopt {
        tenant: "t".to_owned(),
        heap: [heap; 32],
        stored_bytes: 1,
        at_us: 1,
    }
}

fn tag(heap: u8, value: usize) -> Command {
    Command::Retag(Box::new(Retag {
        tenant: "t".to_owned(),
        heap: [heap; 32],
        change: TagChange::Replace(vec![("v".to_owned(), value.to_string())]),
        at_us: 2,
    }))
}

fn value(world: &World, at: usize, heap: u8) -> Option<String> {
    let heap = crate::heaps::HeapId::from_bytes([heap; 32]);
    let tags = world.wait(world.store(at).heap_tags("t".parse().unwrap(), heap));
    let tags = tags.unwrap()?;
    let found = tags.iter().find(|(key, _)| *key == "v");
    found.map(|(_, value)| value.to_owned())
}

#[test]
fn every_node_makes_changes_that_every_node_shows() {
    let world = World::new(3, 1000);
    world.leader();
    for at in 0..3_u8 {
        assert_eq!(world.propose(at.into(), &adopt(at)), Outcome::Done);
        assert_eq!(world.propose(at.into(), &tag(at, at.into())), Outcome::Done);
        // Whoever has the answer reads what it wrote, and so does whoever asks for what is certain.
        let expected = Some(at.to_string());
        assert_eq!(value(&world, at.into(), at), expected);
        for other in 0..3 {
            world.barrier(other);
            assert_eq!(value(&world, other, at), expected);
        }
    }
    assert_eq!(world.propose(1, &tag(9, 1)), Outcome::Missing);
    world.agree();
    let status = world.handle(world.leader()).status();
    assert_eq!(
        (status.role, status.standing),
        (Role::Leader, Standing::Works)
    );
    assert_eq!(status.members.present.len(), 3);
    assert_eq!(world.slots[0].told.lock().unwrap().present.len(), 3);
}

#[test]
fn a_request_is_done_once_however_often_it_is_asked() {
    let world = World::new(3, 1000);
    world.leader();
    world.propose(0, &adopt(1));
    let bytes = crate::raft::command::encode(&tag(1, 7)).unwrap();
    let request = world.handle(0).request(Ask::Command(bytes.into())).unwrap();
    for at in [0, 1, 2, 0] {
        let answer = world.wait(world.handle(at).ask(request.clone()));
        assert_eq!(answer, Ok(Outcome::Done), "node {at}");
        if at == 0 {
            world.propose(0, &tag(1, 8));
        }
    }
    world.barrier(0);
    assert_eq!(value(&world, 0, 1), Some("8".to_owned()));
    let malformed = Ask::Command(bytes::Bytes::from_static(&[99, 1]));
    let request = world.handle(1).request(malformed).unwrap();
    assert_eq!(
        world.wait(world.handle(1).ask(request)),
        Err(Failure::Refused(Refusal::Malformed))
    );
}

#[test]
fn all_nodes_hide_places_in_lists_by_one_key() {
    let mut world = World::new(3, 1000);
    world.leader();
    let key = |world: &World, at: usize| {
        let store = world.store(at);
        store.replicate_by(Arc::new(world.handle(at)));
        world.wait(store.cursor_key()).unwrap()
    };
    // Each database proposes another one.
    let first = key(&world, 1);
    for at in 0..3 {
        assert_eq!(key(&world, at), first, "node {at}");
    }
    world.kill(2);
    world.restart(2);
    world.barrier(2);
    assert_eq!(key(&world, 2), first);
    world.agree();
}

#[test]
fn nodes_die_and_come_back_with_all_that_was_answered() {
    let mut world = World::new(3, 1000);
    world.leader();
    world.propose(0, &adopt(1));
    for round in 0..3 {
        let leader = world.leader();
        world.propose(leader, &tag(1, 10 * round));
        world.kill(leader);
        let other = world.running()[0];
        world.propose(other, &tag(1, 10 * round + 1));
        world.restart(leader);
        world.barrier(leader);
        assert_eq!(value(&world, leader, 1), Some((10 * round + 1).to_string()));
    }
    // All at once.
    for at in 0..3 {
        world.kill(at);
    }
    for at in 0..3 {
        world.restart(at);
    }
    world.barrier(1);
    assert_eq!(value(&world, 1, 1), Some("21".to_owned()));
    world.agree();
}

#[test]
fn a_node_that_lags_behind_the_log_gets_a_snapshot() {
    let mut world = World::new(3, 8);
    let leader = world.leader();
    world.propose(leader, &adopt(1));
    let late = (leader + 1) % 3;
    world.kill(late);
    let behind = world.handle(leader).status().last;
    let mut written = 0;
    let is_short = |world: &World| {
        let mut running = world.running().into_iter();
        running.all(|at| world.handle(at).status().base > behind)
    };
    while !is_short(&world) {
        written += 1;
        assert!(written < 2000, "the log becomes no shorter");
        world.propose(leader, &tag(1, written));
    }
    world.restart(late);
    world.barrier(late);
    assert_eq!(value(&world, late, 1), Some(written.to_string()));
    assert!(
        world.handle(late).status().base > behind,
        "it has no such log"
    );
    world.agree();
    // It goes on from there after its death, too.
    world.kill(late);
    world.restart(late);
    world.agree();
}

#[test]
fn a_node_catches_up_with_as_many_small_entries_as_go_into_a_message() {
    let mut world = World::new(3, 100_000);
    let leader = world.leader();
    let late = (leader + 1) % 3;
    world.kill(late);
    let handle = world.handle(leader);
    let small = Command::Touch {
        tenant: "t".to_owned(),
        heap: [7; 32],
        at_us: 1,
    };
    for _ in 0..12 {
        let many = (0..1000).map(|_| handle.propose(&small));
        let made = world.wait(future::join_all(many));
        assert!(made.iter().all(|answer| *answer == Ok(Outcome::Missing)));
    }
    world.restart(late);
    world.agree();
    assert_eq!(world.handle(late).status().base, 1, "it needs no snapshot");
}

#[test]
fn a_node_joins_votes_and_leaves() {
    let mut world = World::new(1, 1000);
    world.propose(0, &adopt(1));
    let cluster = world.slots[0].me.cluster;
    let new = world.add(cluster, member(7));
    world.begin(new, Beginning::Later);
    let join = MemberChange::Join(world.slots[new].member.clone());
    let joined = world.wait(world.handle(0).change_members(join.clone()));
    assert_eq!(joined, Ok(Outcome::Done));
    let id = world.slots[new].me.id;
    world.until(0, |now| now.conf.get_voters().contains(&id.get()));
    world.propose(new, &tag(1, 5));
    assert_eq!(value(&world, new, 1), Some("5".to_owned()));
    world.agree();
    // A second time it is there.
    assert_eq!(
        world.wait(world.handle(new).change_members(join)),
        Ok(Outcome::Done)
    );

    let left = world.wait(world.handle(0).change(MemberChange::Remove(id)));
    assert_eq!(left, Ok(()));
    let is_over = |now: &Status| now.standing == Standing::Stopped(Some(Stop::Removed));
    world.until(new, is_over);
    let stopped = world.wait(world.handle(new).propose(&adopt(2)));
    assert_eq!(stopped, Err(Failure::Stopped));
    assert!(world.slots[0].told.lock().unwrap().was_removed(id));
    world.propose(0, &tag(1, 6));
}

#[test]
fn whoever_looks_after_a_node_sees_how_it_stands_and_changes_the_members_through_it() {
    let mut world = World::new(3, 1000);
    let leader = world.leader();
    let follower = (leader + 1) % 3;
    world.propose(follower, &adopt(1));
    world.agree();
    for at in 0..3 {
        let control: &dyn ClusterControl = &world.handle(at);
        let status = control.status();
        let role = if at == leader { "Leader" } else { "Follower" };
        assert_eq!(status.role.name(), role);
        assert_eq!(status.leader, Some(world.slots[leader].me.id));
        assert!(status.term >= 1 && status.commit_index >= status.last_applied);
        // The first entry is the one that all begin behind.
        assert_eq!(status.log_length, world.handle(at).status().last - 1);
    }
    let unknown = MemberChange::Remove(member(9).id);
    let refused = world.wait(world.handle(follower).change(unknown));
    assert_eq!(refused, Err(Failure::Refused(Refusal::Unknown)));
    let dead = (leader + 2) % 3;
    world.kill(dead);
    let remove = |at: usize| MemberChange::Remove(member(at).id);
    let left = world.wait(world.handle(leader).change(remove(dead)));
    assert_eq!(left, Ok(()));
    assert_eq!(world.handle(leader).status().members.present.len(), 2);
}

#[test]
fn what_a_node_does_is_counted() {
    let mut world = World::new(3, 20);
    let leader = world.leader();
    world.propose(leader, &adopt(1));
    let late = (leader + 1) % 3;
    world.kill(late);
    for written in 0..100 {
        world.propose(leader, &tag(1, written));
    }
    world.restart(late);
    world.agree();
    let figures = world.handle(leader).figures().node.clone();
    let shown = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap();
    let status = world.handle(leader).status();
    world.wait(async {
        // They are counted before the thread waits for more.
        while shown(&figures.applied) < status.applied {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!((figures.leads.get(), figures.disk_full.get()), (1, 0));
    assert_eq!(shown(&figures.term), status.term);
    assert!(shown(&figures.log_entries) < 100 && shown(&figures.log_bytes) > 0);
    assert!(figures.leader_changes.of(Leads::Me).get() >= 1);
    assert!(figures.changes.of(Answered::Done).get() >= 101);
    assert!(figures.reads.of(Answered::Done).get() >= 1);
    assert!(figures.snapshots.of(SnapshotWork::Made).get() >= 1);
    let late = world.handle(late).figures().node.clone();
    assert_eq!(late.leads.get(), 0);
    assert!(late.snapshots.of(SnapshotWork::Installed).get() >= 1);
    let mut shown = Figures::default();
    shown.cluster.node = figures;
    let build = Build {
        v8: String::new(),
        protocol: String::new(),
        sqlite: String::new(),
    };
    let text = Exposition::new(&shown, &build).text().unwrap();
    for name in ["log_commit", "apply"] {
        let count = format!("mcp_v8_cluster_{name}_seconds_count ");
        let count = text.lines().find_map(|line| line.strip_prefix(&count));
        assert!(count.unwrap().parse::<u64>().unwrap() >= 100, "{name}");
    }
}

#[test]
fn a_node_that_stops_gives_its_leadership_away_first() {
    let mut world = World::new(3, 1000);
    let leader = world.leader();
    world.wait(world.handle(leader).hand_over());
    let next = world.handle(leader).leader();
    assert!(next.is_some() && next != Some(world.slots[leader].me.id));
    world.kill(leader);
    world.leader();
    world.agree();
}

#[test]
fn what_must_not_be_lost_waits_out_a_node_that_has_too_much_to_do() {
    let mut world = World::new(3, 1000);
    world.leader();
    world.kill(0);
    world.kill(1);
    // Nobody decides, and more wait than may.
    let (patient, flood) = (world.handle(2), world.handle(2));
    let one = adopt(9);
    let flood = (0..2 * REQUESTS_PENDING_MAX).map(|_| {
        let (flood, one) = (flood.clone(), one.clone());
        let mut asked = Box::pin(async move { flood.propose(&one).await });
        match (&mut asked).now_or_never() {
            Some(answer) => future::ready(answer).boxed(),
            None => asked.boxed(),
        }
    });
    let flood: Vec<_> = flood.collect();
    let changes = world.runtime.spawn(future::join_all(flood));
    let kept = world.runtime.spawn(async move {
        let patience = Duration::from_secs(60);
        patient.replicate_within(adopt(1), patience).await
    });
    world.restart(0);
    assert_eq!(world.wait(kept).unwrap(), Ok(Outcome::Done));
    let refused = world.wait(changes).unwrap();
    let is_refused = |answer: &&Result<_, _>| **answer == Err(Failure::Overloaded);
    assert!(refused.iter().filter(is_refused).count() >= 100);
    assert!(refused.contains(&Ok(Outcome::Done)));
    world.agree();
}

#[test]
fn the_last_of_three_goes_on_alone_and_others_join_it() {
    let mut world = World::new(3, 1000);
    let leader = world.leader();
    world.propose(leader, &adopt(1));
    world.propose(leader, &tag(1, 1));
    let last = (leader + 1) % 3;
    world.barrier(last);
    for at in 0..3 {
        world.kill(at);
    }
    let old = world.slots[last].me.cluster;
    world.go_on_alone(last);
    let cluster = world.slots[last].me.cluster;
    assert_ne!(cluster, old);
    world.barrier(last);
    assert_eq!(value(&world, last, 1), Some("1".to_owned()));
    world.propose(last, &tag(1, 2));
    // One that was not lost after all finds nobody.
    world.restart(leader);
    let soon = Duration::from_secs(1);
    let handle = world.handle(leader);
    let write = world
        .runtime
        .block_on(async { timeout(soon, handle.propose(&adopt(2))).await });
    assert!(!matches!(write, Ok(Ok(_))));
    world.kill(leader);

    let new = world.add(cluster, member(7));
    world.begin(new, Beginning::Later);
    let join = MemberChange::Join(world.slots[new].member.clone());
    assert_eq!(world.wait(world.handle(last).change(join)), Ok(()));
    let id = world.slots[new].me.id;
    world.until(last, |now| now.conf.get_voters().contains(&id.get()));
    world.propose(new, &tag(1, 3));
    world.agree();
    world.kill(last);
    world.restart(last);
    world.agree();
}

#[test]
fn alone_of_three_nothing_is_certain() {
    let mut world = World::new(3, 1000);
    world.leader();
    world.kill(0);
    world.kill(1);
    let handle = world.handle(2);
    // Waiting for all of the patience would only take long.
    let soon = Duration::from_secs(1);
    let read = world
        .runtime
        .block_on(async { timeout(soon, handle.read_barrier()).await });
    assert!(!matches!(read, Ok(Ok(()))));
    let write = world
        .runtime
        .block_on(async { timeout(soon, handle.propose(&adopt(1))).await });
    assert!(!matches!(write, Ok(Ok(_))));
    world.restart(0);
    world.leader();
    assert_eq!(world.propose(2, &adopt(2)), Outcome::Done);
}
