use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use super::*;
use crate::heaps::HeapId;
use crate::tenant::Tenant;

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The system says no.
    Refusal(Errno),
    /// A write gets through by half before it says no. Other steps are refused.
    Half(Errno),
    /// The process is killed: nothing is done any more, not even cleaning up.
    Death,
    /// The process is killed in the middle of a write.
    DeathInWrite,
}

const FAULTS: [Fault; 7] = [
    Fault::Refusal(Errno::ENOSPC),
    Fault::Refusal(Errno::EIO),
    Fault::Refusal(Errno::EACCES),
    Fault::Half(Errno::ENOSPC),
    Fault::Half(Errno::EDQUOT),
    Fault::Death,
    Fault::DeathInWrite,
];

/// The disk, until a step of one's choice.
#[derive(Debug)]
struct Failing {
    fault: Fault,
    steps_left: AtomicUsize,
    is_dead: AtomicBool,
}

impl Failing {
    fn step(&self) -> Result<(), Errno> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(Errno::EIO);
        }
        let left = self.steps_left.load(Ordering::Relaxed);
        self.steps_left
            .store(left.wrapping_sub(1), Ordering::Relaxed);
        match self.fault {
            _ if left != 0 => Ok(()),
            Fault::Refusal(error) | Fault::Half(error) => Err(error),
            Fault::Death | Fault::DeathInWrite => {
                self.is_dead.store(true, Ordering::Relaxed);
                Err(Errno::EIO)
            }
        }
    }
}

impl Files for Failing {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Disk.make_directory(path)
    }
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        Disk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        Disk.open(path)
    }
    fn read(&self, file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.step()?;
        Disk.read(file, bytes_max)
    }
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let was_dead = self.is_dead.load(Ordering::Relaxed);
        self.step().inspect_err(|_| {
            if matches!(self.fault, Fault::Half(_) | Fault::DeathInWrite) && !was_dead {
                Disk.write(file, &bytes[..bytes.len() / 2]).unwrap();
            }
        })?;
        Disk.write(file, bytes)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        Disk.sync(file)
    }
    fn touch(&self, file: &File) -> io::Result<()> {
        self.step()?;
        Disk.touch(file)
    }
    fn about(&self, file: &File) -> io::Result<Metadata> {
        self.step()?;
        Disk.about(file)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Disk.remove(path)
    }
    fn lock(&self, path: &Path, which: u32) -> io::Result<File> {
        self.step()?;
        Disk.lock(path, which)
    }
}

/// Opens a directory whose step of that number, counted from the opening, fails.
fn failing(path: &Path, fault: Fault, step: usize) -> Directory<Failing> {
    let files = Failing {
        fault,
        steps_left: AtomicUsize::new(usize::MAX),
        is_dead: AtomicBool::new(false),
    };
    let directory = Directory::open_with(path, files).unwrap();
    directory.0.files.steps_left.store(step, Ordering::Relaxed);
    directory
}

fn has_failed(directory: &Directory<Failing>) -> bool {
    directory.0.files.steps_left.load(Ordering::Relaxed) > usize::MAX / 2
}

fn name() -> BlobName {
    BlobName::new(&Tenant::local(), HeapId::of(b"a heap"))
}

fn blob_path(directory: &Path) -> PathBuf {
    directory.join(name().to_string())
}

fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(blob_path(directory).parent().unwrap()) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| *path != blob_path(directory)).collect()
}

/// What lies under the name before the put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Damaged,
    Equal,
}

#[tokio::test]
async fn no_failing_step_of_a_put_leaves_half_a_blob_or_loses_one() {
    let blob = Bytes::from(vec![7; 100_000]);
    for before in [Before::Nothing, Before::Damaged, Before::Equal] {
        let old = match before {
            Before::Nothing => None,
            Before::Damaged => Some(blob.slice(..500)),
            Before::Equal => Some(blob.clone()),
        };
        for fault in FAULTS {
            for step in 0.. {
                let place = tempfile::tempdir().unwrap();
                let sound = Directory::open(place.path()).unwrap();
                if let Some(old) = &old {
                    sound.put(name(), old.clone()).await.unwrap();
                }
                let directory = failing(place.path(), fault, step);
                let put = directory.put(name(), blob.clone()).await;
                let case = format!("{before:?}, {fault:?} at step {step}: {put:?}");
                let found = sound.get(name()).await.unwrap();
                if put.is_ok() {
                    assert_eq!(found.as_ref(), Some(&blob), "{case}");
                } else {
                    assert!(matches!(put, Err(BlobError::Unavailable(_))), "{case}");
                    assert!(found == old || found.as_ref() == Some(&blob), "{case}");
                }
                if !matches!(fault, Fault::Death | Fault::DeathInWrite) {
                    assert_eq!(
                        leftovers(place.path()),
                        [""; 0].map(PathBuf::from),
                        "{case}"
                    );
                }
                // It works again as soon as the disk does.
                sound.put(name(), blob.clone()).await.unwrap();
                assert_eq!(sound.get(name()).await.unwrap().as_ref(), Some(&blob));
                if !has_failed(&directory) {
                    assert!(put.is_ok() && step >= 5, "{case}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_killed_put_leaves_is_swept_once_it_is_old() {
    let place = tempfile::tempdir().unwrap();
    let sound = Directory::open(place.path()).unwrap();
    let blob = Bytes::from_static(b"whole");
    let mut killed = 0;
    for step in 0..12 {
        let directory = failing(place.path(), Fault::DeathInWrite, step);
        killed += usize::from(directory.put(name(), blob.clone()).await.is_err());
        let _ = fs::remove_file(blob_path(place.path()));
    }
    let left = leftovers(place.path());
    assert!(killed > left.len() && !left.is_empty(), "{killed} {left:?}");
    sound.put(name(), blob.clone()).await.unwrap();
    sound.sweep().await.unwrap();
    assert_eq!(leftovers(place.path()).len(), left.len(), "they are young");
    let old = SystemTime::now() - HEAP_LEFTOVER_AGE_MIN - Duration::from_secs(1);
    for path in left.iter().chain([&blob_path(place.path())]) {
        File::open(path).unwrap().set_modified(old).unwrap();
    }
    let (found, mut listed) = mpsc::channel(10);
    sound.list(found).await.unwrap();
    assert_eq!(listed.recv().await.unwrap().name, name());
    assert_eq!(listed.recv().await, None, "leftovers are not listed");
    sound.sweep().await.unwrap();
    assert_eq!(leftovers(place.path()).len(), 0);
    assert_eq!(sound.get(name()).await.unwrap(), Some(blob));
}

#[tokio::test]
async fn what_fails_is_said_and_not_taken_for_nothing() {
    let blob = Bytes::from_static(b"whole");
    for error in [Errno::EIO, Errno::EACCES] {
        for step in 0.. {
            let place = tempfile::tempdir().unwrap();
            let sound = Directory::open(place.path()).unwrap();
            sound.put(name(), blob.clone()).await.unwrap();
            let directory = failing(place.path(), Fault::Refusal(error), step);
            let got = directory.get(name()).await;
            let file = blob_path(place.path()).display().to_string();
            match got {
                Ok(found) => assert_eq!(found, Some(blob.clone())),
                Err(said) => assert!(said.to_string().starts_with(&file), "{said}"),
            }
            let directory_2 = failing(place.path(), Fault::Refusal(error), step);
            let deleted = directory_2.delete(name(), SystemTime::now()).await;
            let left = sound.get(name()).await.unwrap();
            assert_eq!(left.is_none(), deleted.is_ok(), "{deleted:?}");
            let (get_failed, delete_failed) = (has_failed(&directory), has_failed(&directory_2));
            if !get_failed && !delete_failed {
                assert!(step >= 2);
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_equal_blob_is_touched_and_not_written_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path()).unwrap();
    let blob = Bytes::from_static(b"whole");
    let old = SystemTime::now() - Duration::from_secs(100);
    directory.put(name(), blob.clone()).await.unwrap();
    let path = blob_path(place.path());
    let inode = fs::metadata(&path).unwrap().ino();
    File::open(&path).unwrap().set_modified(old).unwrap();
    // Seen as it was, it may go; but it is put again before.
    directory.put(name(), blob.clone()).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert!(fs::metadata(&path).unwrap().modified().unwrap() > old);
    assert!(!directory.delete(name(), old).await.unwrap());
    assert_eq!(directory.get(name()).await.unwrap(), Some(blob.clone()));

    fs::write(&path, b"whole?").unwrap();
    directory.put(name(), blob.clone()).await.unwrap();
    assert_eq!(directory.get(name()).await.unwrap(), Some(blob));
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    assert!(directory.delete(name(), SystemTime::now()).await.unwrap());
    assert!(directory.delete(name(), SystemTime::now()).await.unwrap());
    assert_eq!(directory.get(name()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_durable_is_synced_once_and_what_was_found_is_synced_first() {
    let place = tempfile::tempdir().unwrap();
    let blob = Bytes::from_static(b"whole");
    Directory::open(place.path())
        .unwrap()
        .put(name(), blob.clone())
        .await
        .unwrap();
    let steps = async |directory: &Directory<Failing>| {
        let files = &directory.0.files;
        files.steps_left.store(1000, Ordering::Relaxed);
        directory.put(name(), blob.clone()).await.unwrap();
        1000 - files.steps_left.load(Ordering::Relaxed)
    };
    let directory = failing(place.path(), Fault::Death, 1000);
    let found = steps(&directory).await;
    let known = steps(&directory).await;
    // The folder's directory (open, sync), the blob (sync), and its directory (open, sync).
    assert_eq!(found - known, 5);
    // Another file under the name is another matter.
    let path = blob_path(place.path());
    fs::remove_file(&path).unwrap();
    fs::write(place.path().join("other"), &blob).unwrap();
    fs::rename(place.path().join("other"), &path).unwrap();
    assert_eq!(steps(&directory).await - known, 3);
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path()).unwrap();
    directory.put(name(), Bytes::new()).await.unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(blob_path(place.path()))
        .unwrap();
    file.set_len(SEALED_HEAP_BYTES_MAX as u64 + 1).unwrap();
    assert_eq!(directory.get(name()).await, Err(BlobError::Oversized));
    directory
        .put(name(), Bytes::from_static(b"x"))
        .await
        .unwrap();
    assert_eq!(directory.get(name()).await.unwrap().unwrap(), "x");
}
