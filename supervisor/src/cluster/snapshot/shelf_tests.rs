//! Snapshots that arrive, whole and otherwise.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::cluster::sample_tests::{made, manifest_of};

fn id(number: u64) -> RaftId {
    RaftId::from_u64(number).unwrap()
}

/// A directory, and a snapshot that was made elsewhere.
struct Scene {
    home: tempfile::TempDir,
    of: Manifest,
    content: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let made = made(home.path(), 7, 0);
        Self {
            of: made.manifest,
            content: fs::read(made.path).unwrap(),
            home,
        }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("in")
    }

    fn shelf(&self) -> Shelf {
        Shelf::open(self.directory()).unwrap()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_has_its_name_when_all_of_it_has_come() {
    let scene = Scene::new();
    let (of, all) = (scene.of, scene.of.bytes);
    let (first, rest) = scene.content.split_at(4);
    let shelf = scene.shelf();
    assert!(matches!(
        shelf.add(id(1), (of.sha256, 0), b"x"),
        Err(ShelfError::Unknown)
    ));
    assert_eq!(shelf.offer(id(1), of).unwrap(), 0);
    assert_eq!(shelf.add(id(1), (of.sha256, 0), first).unwrap(), 4);
    for (from, offset, problem) in [(1, 0, "byte"), (1, 5, "byte"), (2, 4, "not offered")] {
        let refused = shelf.add(id(from), (of.sha256, offset), b"x").unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    let long = shelf.add(id(1), (of.sha256, 4), &vec![0; scene.content.len() - 3]);
    assert!(matches!(long, Err(ShelfError::Elsewhere(4))));
    assert!(matches!(
        shelf.finish(id(1), of),
        Err(ShelfError::Elsewhere(4))
    ));
    // After a restart it goes on where it was, also from another sender.
    let shelf = scene.shelf();
    assert_eq!(shelf.offer(id(2), of).unwrap(), 4);
    assert_eq!(shelf.add(id(2), (of.sha256, 4), rest).unwrap(), all);
    let file = shelf.finish(id(2), of).unwrap();
    assert_eq!(fs::read(&file).unwrap(), scene.content);
    assert_eq!(shelf.offer(id(1), of).unwrap(), all, "it is there");
    assert_eq!(shelf.finish(id(1), of).unwrap(), file);
    assert_eq!(names(&scene.directory()), [arrived_name(&of)]);
}

/// Brings bytes that are announced so, and gives what is said of them.
fn refused(scene: &Scene, of: Manifest, content: &[u8]) -> String {
    let shelf = scene.shelf();
    shelf.offer(id(1), of).unwrap();
    shelf.add(id(1), (of.sha256, 0), content).unwrap();
    let refused = shelf.finish(id(1), of).unwrap_err();
    assert!(matches!(refused, ShelfError::Damaged(_)), "{refused}");
    assert!(names(&scene.directory()).is_empty());
    assert!(matches!(shelf.finish(id(1), of), Err(ShelfError::Unknown)));
    refused.to_string()
}

#[test]
fn what_is_not_what_was_announced_goes() {
    let scene = Scene::new();
    let mut other = scene.content.clone();
    other[5000] ^= 1;
    assert!(refused(&scene, scene.of, &other).contains("content"));
    // It is what was announced, and no snapshot; or one of another time.
    let text = b"I am no database".repeat(600);
    refused(&scene, manifest_of(&text), &text);
    let mut elsewhere = scene.of;
    elsewhere.at.index += 1;
    assert!(refused(&scene, elsewhere, &scene.content).contains("position"));
    let mut damaged = scene.content.clone();
    damaged[8192..].fill(0xee);
    refused(
        &scene,
        Manifest {
            at: scene.of.at,
            ..manifest_of(&damaged)
        },
        &damaged,
    );
}

#[test]
fn the_place_that_they_take_is_bounded_and_what_is_not_the_shelfs_stays() {
    let scene = Scene::new();
    let shelf = scene.shelf();
    let own = [scene.of.file_name(), ".tmp123".to_owned()];
    for name in &own {
        fs::write(scene.directory().join(name), "the node's").unwrap();
    }
    for number in 0_u8..6 {
        let made = made(scene.home.path(), 10 + u64::from(number), 0);
        let content = fs::read(&made.path).unwrap();
        shelf.offer(id(1), made.manifest).unwrap();
        shelf
            .add(id(1), (made.manifest.sha256, 0), &content)
            .unwrap();
        if number % 2 == 0 {
            shelf.finish(id(1), made.manifest).unwrap();
        }
        let found = names(&scene.directory());
        assert!(found.len() <= SNAPSHOTS_KEPT + 1 + own.len());
        assert!(own.iter().all(|name| found.contains(name)));
    }
    let of: [u8; 32] = Sha256::digest(b"").into();
    assert!(matches!(
        shelf.add(id(1), (of, 0), b"x"),
        Err(ShelfError::Unknown)
    ));
}

#[test]
fn what_may_not_be_on_the_disk_comes_again() {
    let scene = Scene::new();
    let (of, shelf) = (scene.of, scene.shelf());
    shelf.offer(id(1), of).unwrap();
    shelf.add(id(1), (of.sha256, 0), &scene.content).unwrap();
    let part = scene.directory().join(part_name(&of));
    keep_if(&part, Ok(())).unwrap();
    assert_eq!(shelf.offer(id(1), of).unwrap(), of.bytes);
    let failed = io::Error::from(nix::errno::Errno::EIO);
    let refused = keep_if(&part, Err(failed)).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::errno::Errno::EIO as i32));
    assert_eq!(shelf.offer(id(1), of).unwrap(), 0);
    assert_eq!(names(&scene.directory()), [""; 0]);
}
