//! Where requests go: names that lie, and connections that are kept.

use std::net::IpAddr;

use super::client::{World, get};
use super::servers::{answering, ok, redirect};

fn public_only() -> World {
    World::with(|network| network.allow_private = false)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let server = answering(|_| ok("", b"")).await;
    let world = public_only();
    let mut worker = world.worker();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "localhost",
        "looks-public.test",
    ] {
        let why = worker
            .fetch(get(server.url_of(host, "/")))
            .await
            .unwrap_err();
        assert!(
            why.contains("private or special addresses"),
            "{host}: {why}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_permit_for_one_host_is_not_one_for_where_it_redirects() {
    let inner = answering(|_| ok("", b"secret")).await;
    let to = inner.url_of("inner.test", "/");
    let outer = answering(move |_| redirect(302, &to)).await;
    let world = public_only();
    world.book().private = vec!["outer.test"];
    let mut worker = world.worker();
    let request = get(outer.url_of("outer.test", "/"));
    let why = worker.fetch(request).await.unwrap_err();
    assert!(
        why.contains("inner.test") && why.contains("special"),
        "{why}"
    );
    assert_eq!(inner.connections(), 0);
    let metadata = answering(|_| redirect(302, "http://169.254.169.254/latest")).await;
    let request = get(metadata.url_of("outer.test", "/"));
    let why = worker.fetch(request).await.unwrap_err();
    assert!(
        why.contains("169.254.169.254") && why.contains("special"),
        "{why}"
    );
}

#[tokio::test]
async fn what_is_connected_to_is_what_was_looked_at() {
    let server = answering(|_| ok("connection: close\r\n", b"")).await;
    let world = World::new();
    let nowhere = vec![ip("127.0.0.77")];
    let answers = vec![vec![ip("127.0.0.1")], nowhere.clone(), nowhere];
    world
        .names
        .answers
        .lock()
        .unwrap()
        .insert("moves.test", answers);
    let mut worker = world.worker();
    let url = server.url_of("moves.test", "/");
    worker.fetch(get(url.as_str())).await.unwrap();
    assert_eq!(world.names.lookups.lock().unwrap().len(), 1);
    let why = worker.fetch(get(url)).await.unwrap_err();
    assert!(why.contains("refused"), "{why}");
    assert_eq!(world.names.lookups.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn every_answer_is_judged_again() {
    let server = answering(|_| ok("connection: close\r\n", b"")).await;
    let world = public_only();
    let special = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1"];
    let answers = special.map(|address| vec![ip(address)]).to_vec();
    world
        .names
        .answers
        .lock()
        .unwrap()
        .insert("moves.test", answers);
    let mut worker = world.worker();
    for _ in special {
        let why = worker
            .fetch(get(server.url_of("moves.test", "/")))
            .await
            .unwrap_err();
        assert!(why.contains("special"), "{why}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn of_a_name_with_both_only_public_addresses_are_tried() {
    let server = answering(|_| ok("", b"")).await;
    let wait = std::time::Duration::from_millis(500);
    let world = World::with(|network| {
        network.allow_private = false;
        network.bounds.connect_wait = wait;
    });
    // Nobody answers at the public one, if it is reached at all.
    let answers = vec![vec![ip("127.0.0.1"), ip("192.0.1.1"), ip("::1")]];
    world
        .names
        .answers
        .lock()
        .unwrap()
        .insert("both.test", answers);
    let request = get(server.url_of("both.test", "/"));
    let why = world.worker().fetch(request).await.unwrap_err();
    assert!(!why.contains("special"), "{why}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_without_addresses_and_a_closed_port_are_told_apart() {
    let closed = answering(|_| ok("", b"")).await;
    let world = World::new();
    world
        .names
        .answers
        .lock()
        .unwrap()
        .insert("none.test", Vec::new());
    let mut worker = world.worker();
    let why = worker.fetch(get("http://none.test/")).await.unwrap_err();
    assert_eq!(
        why,
        "fetch: none.test: DNS does not know the name, or does not answer"
    );
    let elsewhere = format!("http://127.0.0.99:{}/", closed.address.port());
    let why = worker.fetch(get(elsewhere)).await.unwrap_err();
    assert!(why.ends_with("the connection was refused"), "{why}");
}

#[tokio::test]
async fn a_kept_connection_serves_only_its_tenant_and_only_with_the_same_leave() {
    let server = answering(|_| ok("", b"")).await;
    let world = public_only();
    world.book().private = vec!["inner.test"];
    let url = server.url_of("inner.test", "/");
    let mut first = world.worker_of("first");
    for _ in 0..3 {
        first.fetch(get(url.as_str())).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    world
        .worker_of("first")
        .fetch(get(url.as_str()))
        .await
        .unwrap();
    assert_eq!(server.connections(), 1);
    world
        .worker_of("second")
        .fetch(get(url.as_str()))
        .await
        .unwrap();
    assert_eq!(server.connections(), 2);
    // The leave is taken back, and the connection that is there is of no use.
    world.book().private.clear();
    let why = first.fetch(get(url)).await.unwrap_err();
    assert!(why.contains("special"), "{why}");
    assert_eq!(server.connections(), 2);
}
