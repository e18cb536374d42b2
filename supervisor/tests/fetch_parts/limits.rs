//! How much and how many.

use mcp_v8::limits::FETCH_REQUESTS_MAX;
use mcp_v8_protocol::fetch::RequestBody;
use mcp_v8_protocol::limits::EXCHANGES_OPEN_MAX;

use super::client::{World, get, post};
use super::servers::{answering, listen, ok, redirect};

#[tokio::test]
async fn ten_thousand_requests_end_at_the_limit() {
    let server = answering(|_| ok("", b"x")).await;
    let world = World::new();
    let mut worker = world.worker();
    for number in 0..10_000 {
        let answer = worker.fetch(get(server.url("/"))).await;
        match number < FETCH_REQUESTS_MAX {
            true => assert_eq!(answer.unwrap().1, b"x"),
            false => {
                let why = answer.unwrap_err();
                assert_eq!(why, "fetch: one execution makes no more than 1000 requests");
            }
        }
    }
    assert_eq!(server.connections(), 1);
    // Another execution has its own.
    world.worker().fetch(get(server.url("/"))).await.unwrap();
}

#[tokio::test]
async fn a_tenant_and_all_of_them_have_so_many_under_way() {
    let server = listen(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::bounded(|bounds| {
        bounds.open_per_tenant = 3;
        bounds.open = 5;
    });
    let mut first = world.worker_of("first");
    for _ in 0..3 {
        first.open(get(server.url("/")));
    }
    // Each has its place once it connects.
    while server.connections() < 3 {
        tokio::task::yield_now().await;
    }
    let refused = world
        .worker_of("first")
        .fetch(get(server.url("/")))
        .await
        .unwrap_err();
    assert!(refused.contains("no more than 3 requests"), "{refused}");
    let mut second = world.worker_of("second");
    for _ in 0..2 {
        second.open(get(server.url("/")));
    }
    while server.connections() < 5 {
        tokio::task::yield_now().await;
    }
    let refused = world
        .worker_of("third")
        .fetch(get(server.url("/")))
        .await
        .unwrap_err();
    assert!(refused.contains("no more than 5 requests"), "{refused}");
    // The places of those who go are free again.
    drop(first);
    let fast = answering(|_| ok("", b"")).await;
    let mut third = world.worker_of("third");
    while third.fetch(get(fast.url("/"))).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn idle_connections_give_way_to_new_ones() {
    let world = World::bounded(|bounds| bounds.connections = 3);
    let mut worker = world.worker();
    for _ in 0..12 {
        let server = answering(|_| ok("", b"")).await;
        worker.fetch(get(server.url("/"))).await.unwrap();
    }
}

#[tokio::test]
async fn an_execution_sends_and_receives_so_many_bytes() {
    let server = answering(|_| ok("", &[0; 700])).await;
    let world = World::bounded(|bounds| {
        bounds.response_bytes = 1000;
        bounds.request_bytes = 1000;
    });
    let mut worker = world.worker();
    worker.fetch(get(server.url("/"))).await.unwrap();
    let why = worker.fetch(get(server.url("/"))).await.unwrap_err();
    assert!(why.contains("receives no more than 1000 bytes"), "{why}");
    let mut worker = world.worker();
    let why = worker
        .fetch(post(server.url("/"), RequestBody::Whole(vec![0; 1001])))
        .await
        .unwrap_err();
    assert!(why.contains("sends no more than 1000 bytes"), "{why}");
    let stream = post(server.url("/"), RequestBody::Stream { length: None });
    let why = world.worker().upload(stream, vec![vec![0; 600]; 2]).await;
    // The server answers before it has read the body, and may be first.
    if let Err(why) = why {
        assert!(why.contains("sends no more than 1000 bytes"), "{why}");
    }
}

#[tokio::test]
async fn each_hop_of_a_redirect_counts_as_a_request() {
    let server = answering(|_| redirect(302, "/again")).await;
    let world = World::bounded(|bounds| bounds.requests = 5);
    let why = world.failure(server.url("/")).await;
    assert!(why.contains("no more than 5 requests"), "{why}");
    assert_eq!(world.book().asked.len(), 5);
}

#[tokio::test]
async fn as_many_exchanges_run_at_once_as_may_be_open() {
    let server = answering(|_| ok("", b"x")).await;
    let world = World::new();
    let mut worker = world.worker();
    for _ in 0..EXCHANGES_OPEN_MAX {
        worker.open(get(server.url("/")));
    }
    let mut heads = 0;
    while heads < EXCHANGES_OPEN_MAX {
        match worker.hear().await.step {
            mcp_v8_protocol::fetch::ReplyStep::Opened(_) => heads += 1,
            other => panic!("{other:?}"),
        }
    }
}
