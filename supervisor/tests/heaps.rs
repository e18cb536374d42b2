//! Heaps in a directory.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::heap_places::{
    DirectoryPlace, Place, build, config, conformance, name, snapshot, tenant,
};
use mcp_v8::heaps::{Damage, HeapError, HeapId, Heaps, HeapsOpenError, KeyError};

/// Tells a test that it is the server in another process, and on which directory.
const DIRECTORY: &str = "HEAPS_TEST_DIRECTORY";
const FIRST: &str = "HEAPS_TEST_FIRST";

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_does_what_every_place_does() {
    conformance::check(&DirectoryPlace::new()).await;
}

#[tokio::test]
async fn what_this_program_makes_is_private() {
    let place = DirectoryPlace::new();
    let stored = place.heaps().put(&tenant("alice"), vec![1]).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let blob = place.path_of(&name(&tenant("alice"), stored.id));
    assert_eq!(mode(&place.path()), 0o700);
    assert_eq!(mode(blob.parent().unwrap()), 0o700);
    assert_eq!(mode(&blob), 0o600);
    assert_eq!(mode(&place.config().key_file), 0o600);
}

#[tokio::test]
async fn what_is_in_use_does_not_look_old() {
    let place = DirectoryPlace::new();
    let heaps = place.heaps();
    heaps.put(&tenant("alice"), vec![1]).await.unwrap();
    let month_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 60 * 60);
    let files = [place.config().key_file, place.path_of(".lock")];
    for file in &files {
        fs::File::open(file)
            .unwrap()
            .set_modified(month_ago)
            .unwrap();
    }
    heaps.sweep().await.unwrap();
    for file in &files {
        let modified = fs::metadata(file).unwrap().modified().unwrap();
        assert!(
            modified.elapsed().unwrap() < Duration::from_secs(60),
            "{file:?}"
        );
    }
}

#[tokio::test]
async fn a_heap_in_memory_is_given_without_the_disk() {
    let place = DirectoryPlace::new();
    let (heaps, alice) = (place.heaps(), tenant("alice"));
    let put = heaps.put(&alice, snapshot(1, 1000)).await.unwrap().id;
    let fetched = place.heaps();
    fetched.fetch(&alice, put).await.unwrap();
    fs::write(place.path_of(&name(&alice, put)), "damaged").unwrap();
    for server in [&heaps, &fetched] {
        assert!(server.fetch(&alice, put).await.is_ok());
    }
    let error = place.heaps().fetch(&alice, put).await.unwrap_err();
    let why = Damage::Alien;
    assert_eq!(error, HeapError::Damaged { id: put, why });
}

#[tokio::test]
async fn a_heap_that_is_too_large_is_refused() {
    let place = DirectoryPlace::new();
    let bytes = vec![0; mcp_v8::limits::HEAP_BYTES_MAX + 1];
    let (id, length) = (HeapId::of(&bytes), bytes.len() as u64);
    let error = place
        .heaps()
        .put(&tenant("alice"), bytes)
        .await
        .unwrap_err();
    assert_eq!(error, HeapError::TooLarge { id, bytes: length });
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Heaps::open(config(&file.join("heaps")), build()).unwrap_err();
    assert!(matches!(error, HeapsOpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("file/heaps"), "{error}");
    let mut key_is_bad = config(directory.path());
    key_is_bad.key_file = file;
    let error = Heaps::open(key_is_bad, build()).unwrap_err();
    let is_about_the_key = matches!(
        error,
        HeapsOpenError::Key(KeyError::Public { .. } | KeyError::Malformed { .. })
    );
    assert!(is_about_the_key, "{error}");
}

/// The heap of this number that the processes put.
fn heap(number: u64) -> Vec<u8> {
    snapshot(number, 30_000)
}

/// What a child does: it puts heaps until it is killed, and says each number once it is durable.
fn put_for_ever(directory: &Path) {
    let first: u64 = env::var(FIRST)
        .expect("it is set with the directory")
        .parse()
        .expect("a number");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let heaps = Heaps::open(config(directory), build()).expect("it is sound");
        for number in first.. {
            heaps
                .put(&tenant("alice"), heap(number))
                .await
                .expect("the disk works");
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nput {number}").expect("somebody listens");
        }
    });
}

/// Starts this test program as another server.
fn other_server(test: &str, directory: &Path, first: u64) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", &format!("heaps::{test}"), "--nocapture"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, out)
}

/// The numbers that were said to be durable.
fn numbers(out: impl std::io::BufRead) -> impl Iterator<Item = u64> {
    out.lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("put ")?.parse().ok())
}

#[test]
fn what_a_killed_server_said_is_durable_is_there() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return put_for_ever(&PathBuf::from(directory));
    }
    let place = DirectoryPlace::new();
    let mut first = 0;
    let mut said = Vec::new();
    for round in 0..12 {
        let test = "what_a_killed_server_said_is_durable_is_there";
        let (mut child, out) = other_server(test, &place.path(), first);
        let mut out = out;
        // It has begun to put.
        let mut line = String::new();
        while !line.starts_with("put ") {
            line.clear();
            assert_ne!(
                out.read_line(&mut line).unwrap(),
                0,
                "it puts until it is killed"
            );
        }
        said.push(line["put ".len()..].trim().parse().unwrap());
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(numbers(out));
        // The heap that it was at is put again by the next.
        first = said.last().unwrap() + 1;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let heaps = place.heaps();
        for number in said {
            let bytes = heap(number);
            let fetched = heaps.fetch(&tenant("alice"), HeapId::of(&bytes)).await;
            assert!(*fetched.unwrap() == *bytes, "{number}");
        }
        let mut listing = heaps.list();
        let fresh = place.heaps();
        while let Some(listed) = listing.next().await.unwrap() {
            fresh.fetch(&tenant("alice"), listed.id).await.unwrap();
        }
    });
}

#[test]
fn servers_on_one_directory_put_the_same_heaps_at_once() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return put_for_ever(&PathBuf::from(directory));
    }
    let place = DirectoryPlace::new();
    let test = "servers_on_one_directory_put_the_same_heaps_at_once";
    let (children, outs): (Vec<_>, Vec<_>) =
        (0..3).map(|_| other_server(test, &place.path(), 0)).unzip();
    let began = Instant::now();
    let counts: Vec<u64> = outs
        .into_iter()
        .zip(children)
        .map(|(out, mut child)| {
            let count = numbers(out).take(50).count() as u64;
            child.kill().unwrap();
            child.wait().unwrap();
            count
        })
        .collect();
    assert_eq!(counts, [50; 3], "after {:?}", began.elapsed());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let heaps = place.heaps();
        for number in 0..50 {
            let bytes = heap(number);
            let fetched = heaps.fetch(&tenant("alice"), HeapId::of(&bytes)).await;
            assert!(*fetched.unwrap() == *bytes, "{number}");
        }
    });
}
