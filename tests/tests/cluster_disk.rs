//! A node whose disk is full, or can only be read, while clients use the cluster.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::cluster::traffic::{Crowd, Traffic, WORK};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::json;

/// How a node refuses that cannot write: by its log or by its session database, whichever fails first.
const REFUSALS: [&str; 2] = ["cluster_unavailable", "store_unavailable"];

/// A disk of 64 MiB.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("a directory in our own");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"])
            .arg(at)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then(|| Self(at.to_owned()))
    }

    /// Takes all the room that is left, also what has come free since it was taken before.
    fn fill(&self) {
        let mut options = fs::OpenOptions::new();
        let opened = options.create(true).append(true).open(self.0.join("fill"));
        let mut file = opened.expect("there is room for a name");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _busy = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// What a disk with a file system has that can break, in bytes.
const FRAIL_DISK_BYTES: u64 = 128 << 20;

/// A disk that the system can find broken, while files on it are open: nothing is written from then on.
struct FrailDisk {
    image: PathBuf,
    at: PathBuf,
}

impl FrailDisk {
    /// `None` where nobody may make one.
    fn mount(image: PathBuf, at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("a directory in our own");
        let file = fs::File::create(&image).expect("a file in our own directory");
        file.set_len(FRAIL_DISK_BYTES).expect("it is sparse");
        let disk = Self {
            image,
            at: at.to_owned(),
        };
        let is_made = ran(Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&disk.image))
            == Some(0);
        (is_made && disk.attach()).then_some(disk)
    }

    fn attach(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,errors=remount-ro"]);
        let is_mounted = ran(mount.arg(&self.image).arg(&self.at)) == Some(0);
        let private = fs::Permissions::from_mode(0o700);
        is_mounted && fs::set_permissions(&self.at, private).is_ok()
    }

    /// The system does as if it had found an error: what is not written yet never will be.
    fn fail(&self) {
        let mut remount = Command::new("mount");
        remount.args(["-o", "remount,abort"]).arg(&self.at);
        assert_eq!(ran(&mut remount), Some(0));
        let written = fs::write(self.at.join("probe"), "");
        let why = written.expect_err("it can only be read").kind();
        assert_eq!(why, ErrorKind::ReadOnlyFilesystem);
    }

    /// What is there is looked through, and it can be written again.
    fn mend(&self) {
        assert_eq!(ran(Command::new("umount").arg(&self.at)), Some(0));
        let looked = ran(Command::new("e2fsck").args(["-f", "-p"]).arg(&self.image));
        // 1: there was something to mend.
        assert!(matches!(looked, Some(0 | 1)), "{looked:?}");
        assert!(self.attach());
    }
}

impl Drop for FrailDisk {
    fn drop(&mut self) {
        ran(Command::new("umount").arg("--lazy").arg(&self.at));
    }
}

/// Starts all nodes, and has clients get on with each.
fn begin(cluster: &mut Cluster) -> Traffic {
    for name in cluster.names() {
        cluster.node_mut(&name).start();
    }
    cluster.await_ready();
    let traffic = Traffic::start(cluster, Crowd::default());
    traffic.await_work(&cluster.names(), WORK);
    traffic
}

/// How a command has ended; `None` where there is none.
fn ran(command: &mut Command) -> Option<i32> {
    command.output().ok()?.status.code()
}

#[test]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
fn a_node_whose_disk_can_only_be_read_stops_and_comes_back_with_it() {
    let mut cluster = Cluster::prepare(&Setup::default());
    let home = &cluster.node("b").home;
    let Some(disk) = FrailDisk::mount(home.path("disk"), &home.path("data")) else {
        eprintln!("skipped: a disk with a file system that breaks cannot be had here");
        return;
    };
    let traffic = begin(&mut cluster);
    disk.fail();
    // What it would promise it could not keep.
    let has_ended = processes::within(PATIENCE, || cluster.node_mut("b").has_ended());
    assert!(has_ended, "{}", cluster.node("b").log());
    assert!(!cluster.node_mut("b").await_end().success());
    traffic.await_work(&cluster.others("b"), WORK);
    // A service manager starts it again, which changes nothing.
    cluster.node_mut("b").start();
    assert!(!cluster.node_mut("b").await_end().success());
    traffic.await_work(&cluster.others("b"), WORK);
    disk.mend();
    cluster.node_mut("b").start();
    cluster.await_ready();
    traffic.await_work(&cluster.names(), WORK);
    traffic.finish(&cluster);
    cluster.finish();
    drop(disk);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
fn a_node_whose_disk_is_full_holds_nobody_up_and_comes_back() {
    let mut cluster = Cluster::prepare(&Setup::default());
    let Some(disk) = SmallDisk::mount(&cluster.node("b").home.path("data")) else {
        eprintln!("skipped: a disk that is small cannot be mounted here");
        return;
    };
    let traffic = begin(&mut cluster);
    disk.fill();
    let client = cluster.client("b");
    let is_unready = || {
        let answer = client.try_get("/readyz");
        !answer.is_ok_and(|answer| answer.status == 200)
    };
    assert!(
        processes::within(PATIENCE, is_unready),
        "{:?}",
        client.try_get("/readyz")
    );
    // Neither the log nor the session database can be written: nothing is accepted, and who asks is told so.
    // It may also end, at any time from now on.
    let body = json!({"code": "1", "session": "full"});
    let mut seen = None;
    let is_told_or_has_ended = || {
        disk.fill();
        let refused = client.try_send("POST", "/api/exec", &body);
        let alive = client.try_get("/healthz");
        let known = client.try_get("/api/sessions?consistency=local");
        let is_told = refused
            .as_ref()
            .is_ok_and(|answer| REFUSALS.contains(&answer.error_code().as_str()))
            && [&alive, &known]
                .iter()
                .all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200));
        seen = Some((refused, alive, known));
        is_told || cluster.node_mut("b").has_ended()
    };
    assert!(
        processes::within(PATIENCE, is_told_or_has_ended),
        "{seen:?}\n{}",
        cluster.node("b").log()
    );
    traffic.await_work(&cluster.others("b"), 3 * WORK);
    disk.make_room();
    if cluster.node_mut("b").has_ended() {
        cluster.node_mut("b").await_end();
        cluster.node_mut("b").start();
    }
    cluster.await_ready();
    traffic.await_work(&cluster.names(), WORK);
    traffic.finish(&cluster);
    cluster.finish();
    drop(disk);
}
