//! Over directories that look like control groups.

use super::*;

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there")
}

/// What the kernel puts into a new group.
fn group(path: &Path) {
    fs::create_dir_all(path).expect("a temporary directory");
    for (name, text) in [
        ("cgroup.type", "domain\n"),
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.procs", ""),
        ("cgroup.subtree_control", ""),
        ("cgroup.kill", ""),
        ("cpu.weight", "100"),
        ("memory.max", "max"),
        ("memory.oom.group", "0"),
        ("memory.swap.max", "max"),
        (
            "memory.events",
            "low 0\noom 0\noom_kill 0\noom_group_kill 0\n",
        ),
        ("pids.max", "max"),
    ] {
        fs::write(path.join(name), text).expect("a temporary file");
    }
}

fn marked(path: &Path) -> Facts {
    let place = Place {
        path: "/x.service".to_owned(),
        directory: path.to_owned(),
    };
    Facts {
        is_marked: true,
        ..facts_of(place, path.to_owned())
    }
}

#[test]
fn a_group_is_divided_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let base = directory.path();
    group(base);
    group(&base.join(SUPERVISOR));
    group(&base.join(WORKERS));
    group(&base.join(WORKERS).join("7"));
    let (tree, left) = Tree::open(&marked(base)).expect("it may be");
    let own = std::process::id().to_string();
    assert_eq!(read(&base.join("supervisor/cgroup.procs")), own);
    for divided in [base, &base.join(WORKERS)] {
        let control = read(&divided.join("cgroup.subtree_control"));
        assert_eq!(control, "+memory +pids +cpu");
    }
    assert_eq!(read(&base.join("workers/cpu.weight")), "25");
    assert_eq!(left, [Leaf(base.join("workers/7"))]);
    tree.close();
    assert_eq!(
        read(&base.join("cgroup.subtree_control")),
        "-memory -pids -cpu"
    );
    assert_eq!(read(&base.join("cgroup.procs")), own);
}

#[test]
fn a_group_that_refuses_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let base = directory.path();
    group(base);
    // The kernel would make its files; here there are none.
    let why = Tree::open(&marked(base))
        .expect_err("it cannot be")
        .to_string();
    assert!(
        why.contains("supervisor/cgroup.procs cannot be divided up"),
        "{why}"
    );
    assert!(!base.join(SUPERVISOR).exists(), "nothing is left");
    fs::write(base.join("cgroup.procs"), "1\n").expect("a temporary file");
    let why = Tree::open(&marked(base))
        .expect_err("it is shared")
        .to_string();
    assert!(why.contains("1 other processes"), "{why}");
}

#[test]
fn a_leaf_is_furnished_entered_and_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("1");
    group(&path);
    let leaf = Leaf(path.clone());
    leaf.furnish().expect("all files are there");
    assert_eq!(read(&path.join("pids.max")), "1");
    assert_eq!(read(&path.join("memory.oom.group")), "1");
    assert_eq!(read(&path.join("memory.swap.max")), "0");
    leaf.enter(42).expect("a file");
    assert_eq!(read(&path.join("cgroup.procs")), "42");
    assert!(!leaf.was_out_of_memory());
    let events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 1\n";
    fs::write(path.join("memory.events"), events).expect("a file");
    assert!(leaf.was_out_of_memory());
    fs::remove_file(path.join("memory.swap.max")).expect("a file");
    leaf.furnish().expect("swap need not be counted");
    fs::remove_file(path.join("pids.max")).expect("a file");
    assert!(leaf.furnish().is_err());
}

#[test]
fn only_kills_count() {
    assert_eq!(oom_kills("oom 5\noom_kill 2\noom_group_kill 9\n"), 2);
    for nothing in [
        "",
        "oom 5\n",
        "oom_kill\n",
        "oom_kill x\n",
        "oom_group_kill 1\n",
    ] {
        assert_eq!(oom_kills(nothing), 0, "{nothing}");
    }
}
