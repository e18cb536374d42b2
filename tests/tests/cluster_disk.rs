//! A node whose disk is full, while clients use the cluster.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::cluster::traffic::{Crowd, Traffic, WORK};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::json;

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

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("fill")).expect("there is room for a name");
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

#[test]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
fn a_node_whose_disk_is_full_holds_nobody_up_and_comes_back() {
    let mut cluster = Cluster::prepare(&Setup::default());
    let Some(disk) = SmallDisk::mount(&cluster.node("b").home.path("data")) else {
        eprintln!("skipped: a disk that is small cannot be mounted here");
        return;
    };
    for name in cluster.names() {
        cluster.node_mut(&name).start();
    }
    cluster.await_ready();
    let traffic = Traffic::start(&cluster, Crowd::default());
    traffic.await_work(&cluster.names(), WORK);
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
    if !cluster.node_mut("b").has_ended() {
        let body = json!({"code": "1", "session": "full"});
        let is_refused = || {
            let answer = client.try_send("POST", "/api/exec", &body);
            answer.is_ok_and(|answer| answer.error_code() == "cluster_unavailable")
        };
        assert!(processes::within(PATIENCE, is_refused));
        let alive = client.try_get("/healthz");
        assert!(alive.is_ok_and(|answer| answer.status == 200));
        let known = client.try_get("/api/sessions?consistency=local");
        assert!(
            known.as_ref().is_ok_and(|answer| answer.status == 200),
            "{known:?}"
        );
    }
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
