//! Heaps in S3: at two servers that are not ours, and with harm done on the way to them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::time::{Duration, Instant};

use crate::heap_places::{Place, build, conformance, name, snapshot, tenant};
use crate::s3_servers::proxy::{Fault, Proxy, encrypted};
use crate::s3_servers::{Moto, S3Place, S3s, Server as _};
use mcp_v8::heaps::{Damage, Doing, HeapError, HeapId, Heaps, HeapsOpenError, reach};
use mcp_v8::limits;
use mcp_v8::tenant::Tenant;

/// A place at s3s-fs, with the proxy on the way.
async fn harmed() -> (S3Place<S3s>, Proxy) {
    let server = S3s::start().await;
    let proxy = Proxy::start(server.address()).await;
    let place = S3Place::new(server).with("AWS_ENDPOINT_URL", &proxy.url());
    (place, proxy)
}

fn alice() -> Tenant {
    tenant("alice")
}

/// That something failed for this reason, and that the text names the heap.
fn assert_unavailable<T: std::fmt::Debug>(failed: Result<T, HeapError>, doing: Doing, said: &str) {
    let error = failed.unwrap_err();
    let HeapError::Unavailable { doing: what, why } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*what, doing, "{why}");
    assert!(why.contains(said), "{why}");
    if let Doing::Keeping(id) | Doing::Fetching(id) = doing {
        assert!(error.to_string().contains(&id.to_string()), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_tried_with_something_that_is_gone_afterwards() {
    let server = S3s::start().await;
    let place = S3Place::new(server);
    reach(&place.config().place).await.unwrap();
    let kept = |path: &std::path::Path| fs::read_dir(path).unwrap().count();
    let bucket = place.server.path("");
    let files = fs::read_dir(&bucket).unwrap().flatten();
    let left: Vec<_> = files
        .filter(|file| !file.path().is_dir() || kept(&file.path()) > 0)
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let elsewhere = place.with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let refused = reach(&elsewhere.config().place).await.unwrap_err();
    assert!(
        matches!(refused, HeapsOpenError::Unreachable { .. }),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_does_what_every_place_does() {
    conformance::check(&S3Place::new(Moto::start().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_behind_a_cache_does_what_every_place_does() {
    conformance::check(&S3Place::new(Moto::start().await).cached()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_does_what_every_place_does() {
    conformance::check(&S3Place::new(S3s::start().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_behind_a_cache_does_what_every_place_does() {
    conformance::check(&S3Place::new(S3s::start().await).cached()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_than_one_page_are_listed() {
    let place = S3Place::new(Moto::start().await);
    for number in 0..1005_u32 {
        let id = HeapId::of(&number.to_le_bytes());
        place.write(&name(&alice(), id), b"x").await;
    }
    place.write("not-a-folder/x.heap", b"x").await;
    let mut listing = place.heaps().list();
    let mut count = 0;
    while let Some(heap) = listing.next().await.unwrap() {
        assert_eq!(heap.stored_bytes, 1);
        count += 1;
    }
    assert_eq!(count, 1005);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_is_exchanged_at_sts() {
    let moto = Moto::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "a.web.token").unwrap();
    let place = S3Place::new(moto)
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap())
        .with("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/heaps");
    let id = place.heaps().put(&alice(), vec![1, 2, 3]).await.unwrap().id;
    let fetched = place.heaps().fetch(&alice(), id).await.unwrap();
    assert_eq!(*fetched, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_passes_is_not_noticed() {
    let (place, proxy) = harmed().await;
    let heaps = place.heaps();
    for (number, fault) in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Cut,
        Fault::Reset,
        Fault::ResetAfterwards,
        Fault::WrongRequest,
        Fault::Garbage,
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = snapshot(number as u64, 200_000);
        proxy.plan(&[fault, fault, fault]);
        let id = heaps.put(&alice(), bytes.clone()).await;
        let id = id.unwrap_or_else(|error| panic!("{fault:?}: {error}")).id;
        // Half of a head is as good as none, and an answer without a body as good as a whole one.
        assert!(
            matches!(proxy.requests(), 4) || fault == Fault::Cut,
            "{fault:?}"
        );

        proxy.plan(&[fault, fault, fault]);
        let fetched = place.heaps().fetch(&alice(), id).await;
        assert!(*fetched.unwrap() == *bytes, "{fault:?}");
        let is_about_puts = fault == Fault::WrongRequest;
        assert_eq!(
            proxy.requests(),
            if is_about_puts { 1 } else { 4 },
            "{fault:?}"
        );
    }
    proxy.plan(&[Fault::Status(500), Fault::Reset, Fault::Html]);
    let mut listing = heaps.list();
    let mut count = 0;
    while listing.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_stays_is_said() {
    let (place, proxy) = harmed().await;
    let heaps = place.heaps();
    let kept = heaps.put(&alice(), b"kept".to_vec()).await.unwrap().id;
    let bytes = snapshot(1, 200_000);
    let id = HeapId::of(&bytes);
    for (fault, said, requests) in [
        (Fault::Status(500), "status 500", limits::S3_ATTEMPTS_MAX),
        (Fault::Status(503), "status 503", limits::S3_ATTEMPTS_MAX),
        (Fault::Reset, "", limits::S3_ATTEMPTS_MAX),
        (Fault::ResetAfterwards, "", limits::S3_ATTEMPTS_MAX),
        (Fault::Garbage, "", limits::S3_ATTEMPTS_MAX),
        (Fault::Status(403), "status 403", 1),
        (Fault::Status(301), "status 301", 1),
        // Nothing there, says something that is not S3.
        (Fault::Status(404), "status 404", 1),
    ] {
        proxy.always(fault);
        let put = heaps.put(&alice(), bytes.clone()).await;
        assert_unavailable(put, Doing::Keeping(id), said);
        assert_eq!(proxy.requests(), requests as usize, "{fault:?}");
        proxy.always(fault);
        let fetched = place.heaps().fetch(&alice(), kept).await;
        assert_unavailable(fetched, Doing::Fetching(kept), said);
        assert_eq!(proxy.requests(), requests as usize, "{fault:?}");
        let listed = heaps.list().next().await;
        assert_unavailable(listed, Doing::Listing, said);
    }
    proxy.always(Fault::Html);
    assert_unavailable(heaps.list().next().await, Doing::Listing, "makes no sense");
    let put = heaps.put(&alice(), bytes.clone()).await;
    assert_unavailable(put, Doing::Keeping(id), "makes no sense");
    proxy.always(Fault::Yes);
    assert_unavailable(
        heaps.list().next().await,
        Doing::Listing,
        "not that of an S3",
    );
    let put = heaps.put(&alice(), bytes.clone()).await;
    assert_unavailable(put, Doing::Keeping(id), "not that of an S3");
    proxy.always(Fault::Cut);
    let fetched = place.heaps().fetch(&alice(), kept).await;
    assert_unavailable(fetched, Doing::Fetching(kept), "broke off");
    proxy.always(Fault::WrongRequest);
    let put = heaps.put(&alice(), bytes.clone()).await;
    assert_unavailable(put, Doing::Keeping(id), "BadDigest");
    // What failed is not in memory either.
    proxy.always(Fault::Status(500));
    let fetched = heaps.fetch(&alice(), HeapId::of(&snapshot(2, 10))).await;
    assert!(matches!(fetched, Err(HeapError::Unavailable { .. })));
    // And it is as if nothing had been once the harm ends.
    proxy.always(Fault::None);
    heaps.put(&alice(), bytes.clone()).await.unwrap();
    assert!(*place.heaps().fetch(&alice(), id).await.unwrap() == *bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_given() {
    let (place, proxy) = harmed().await;
    let bytes = snapshot(1, 200_000);
    let id = place.heaps().put(&alice(), bytes.clone()).await.unwrap().id;
    // One look more shows that they were only wrong on their way.
    proxy.plan(&[Fault::WrongAnswer]);
    let fetched = place.heaps().fetch(&alice(), id).await.unwrap();
    assert!(*fetched == *bytes);
    assert_eq!(proxy.requests(), 2);
    proxy.always(Fault::WrongAnswer);
    let error = place.heaps().fetch(&alice(), id).await.unwrap_err();
    let why = Damage::Seal;
    assert_eq!(error, HeapError::Damaged { id, why });
    assert_eq!(proxy.requests(), 2);
    proxy.always(Fault::Html);
    let error = place.heaps().fetch(&alice(), id).await.unwrap_err();
    let why = Damage::Alien;
    assert_eq!(error, HeapError::Damaged { id, why });
}

#[tokio::test(flavor = "multi_thread")]
async fn slowness_ends() {
    tokio::join!(is_waited_out(Fault::Silence), is_waited_out(Fault::Stop));
}

async fn is_waited_out(fault: Fault) {
    let (place, proxy) = harmed().await;
    let heaps = place.heaps();
    let bytes = snapshot(1, 200_000);
    let id = heaps.put(&alice(), bytes.clone()).await.unwrap().id;
    proxy.plan(&[fault]);
    assert!(*place.heaps().fetch(&alice(), id).await.unwrap() == *bytes);
    assert_eq!(proxy.requests(), 2);

    let tries = limits::S3_ATTEMPTS_MAX;
    let longest = tries * (limits::S3_ANSWER_TIMEOUT + limits::S3_RETRY_PAUSE_MAX);
    let slow = Duration::from_secs(2);
    proxy.always(fault);
    let began = Instant::now();
    let (fetched, put) = tokio::join!(async { place.heaps().fetch(&alice(), id).await }, async {
        heaps.put(&alice(), bytes.clone()).await
    },);
    assert_unavailable(fetched, Doing::Fetching(id), "no answer within 5 s");
    // An answer to a put has no body that could stop.
    if fault == Fault::Silence {
        assert_unavailable(put, Doing::Keeping(id), "no answer within 5 s");
    }
    assert!(began.elapsed() < longest + slow, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said() {
    let server = S3s::start().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let place = S3Place::new(server).with("AWS_ENDPOINT_URL", &url);
    let id = HeapId::of(b"x");
    let put = place.heaps().put(&alice(), b"x".to_vec()).await;
    assert_unavailable(put, Doing::Keeping(id), "Connection refused");
    let fetched = place.heaps().fetch(&alice(), id).await;
    assert_unavailable(fetched, Doing::Fetching(id), "Connection refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_s3_refuses_is_said() {
    let id = HeapId::of(b"x");
    let put = async |place: S3Place<S3s>| place.heaps().put(&alice(), b"x".to_vec()).await;
    let place = S3Place::new(S3s::start().await).with("AWS_SECRET_ACCESS_KEY", "another");
    assert_unavailable(
        put(place).await,
        Doing::Keeping(id),
        "SignatureDoesNotMatch",
    );
    let place = S3Place::new(S3s::start().await)
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_EC2_METADATA_DISABLED", "true");
    assert_unavailable(
        put(place).await,
        Doing::Keeping(id),
        "no credentials are set",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_not_an_unknown_heap() {
    let id = HeapId::of(b"x");
    let place = S3Place::new(Moto::start().await);
    place.server.remove_bucket().await;
    let put = place.heaps().put(&alice(), b"x".to_vec()).await;
    assert_unavailable(put, Doing::Keeping(id), "NoSuchBucket");
    let fetched = place.heaps().fetch(&alice(), id).await;
    assert_unavailable(fetched, Doing::Fetching(id), "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_larger_than_any_heap_is_not_read() {
    let place = S3Place::new(S3s::start().await);
    let id = HeapId::of(b"x");
    let name = name(&alice(), id);
    place.write(&name, b"").await;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.server.path(&name))
        .unwrap();
    file.set_len(limits::SEALED_HEAP_BYTES_MAX as u64 + 1)
        .unwrap();
    let error = place.heaps().fetch(&alice(), id).await.unwrap_err();
    let why = Damage::Long;
    assert_eq!(error, HeapError::Damaged { id, why });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_outlives_s3_and_restarts() {
    let (place, proxy) = harmed().await;
    let place = place.cached();
    let bytes = snapshot(1, 200_000);
    let id = place.heaps().put(&alice(), bytes.clone()).await.unwrap().id;
    proxy.always(Fault::Status(500));
    assert!(*place.heaps().fetch(&alice(), id).await.unwrap() == *bytes);
    assert_eq!(proxy.requests(), 0);
    // Nothing is kept that is not in S3.
    let other = HeapId::of(b"other");
    let put = place.heaps().put(&alice(), b"other".to_vec()).await;
    assert_unavailable(put, Doing::Keeping(other), "status 500");
    assert!(!place.cache().join(name(&alice(), other)).exists());
    let fetched = place.heaps().fetch(&alice(), other).await;
    assert_unavailable(fetched, Doing::Fetching(other), "status 500");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_is_mended_from_s3() {
    let (place, proxy) = harmed().await;
    let place = place.cached();
    let bytes = snapshot(1, 200_000);
    let id = place.heaps().put(&alice(), bytes.clone()).await.unwrap().id;
    let cached = place.cache().join(name(&alice(), id));
    let whole = fs::read(&cached).unwrap();
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    let older = snapshot(2, 100);
    for bad in [&flipped, &whole[..500], &[], older.as_slice()] {
        fs::write(&cached, bad).unwrap();
        proxy.plan(&[]);
        assert!(*place.heaps().fetch(&alice(), id).await.unwrap() == *bytes);
        assert_eq!(proxy.requests(), 1);
        assert_eq!(fs::read(&cached).unwrap(), whole);
    }
    // Damage on the way is not kept.
    fs::remove_file(&cached).unwrap();
    proxy.plan(&[Fault::WrongAnswer]);
    assert!(*place.heaps().fetch(&alice(), id).await.unwrap() == *bytes);
    assert_eq!(fs::read(&cached).unwrap(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_asked_over_tls() {
    let server = S3s::start().await;
    let place = S3Place::new(server);
    let certificate = place.home().join("ca.pem");
    let address = encrypted(place.server.address(), &certificate).await;
    let url = format!("https://localhost:{}", address.port());
    let place = place.with("AWS_ENDPOINT_URL_S3", &url);
    let id = HeapId::of(b"x");
    // Nobody vouches for it; a machine without authorities says so at once.
    match Heaps::open(place.config(), build()) {
        Ok(heaps) => {
            let put = heaps.put(&alice(), b"x".to_vec()).await;
            assert_unavailable(put, Doing::Keeping(id), "certificate");
        }
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
    let place = place.with("AWS_CA_BUNDLE", certificate.to_str().unwrap());
    place.heaps().put(&alice(), b"x".to_vec()).await.unwrap();
    assert_eq!(*place.heaps().fetch(&alice(), id).await.unwrap(), *b"x");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let place = S3Place::new(S3s::start().await);
    let refused = |place: &S3Place<S3s>, said: &str| {
        let error = Heaps::open(place.config(), build()).unwrap_err();
        assert!(matches!(error, HeapsOpenError::S3(_)), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    };
    let place = place.with("AWS_ENDPOINT_URL", "minio:9000");
    refused(&place, "AWS_ENDPOINT_URL is \"minio:9000\"");
    let place = place.with("AWS_ENDPOINT_URL", "");
    refused(&place, "AWS_REGION");
    let place = place
        .with("AWS_REGION", "eu-west-1")
        .with("AWS_CA_BUNDLE", "/nowhere");
    refused(&place, "AWS_CA_BUNDLE=\"/nowhere\"");
}
