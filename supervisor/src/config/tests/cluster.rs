//! The cluster.

use super::*;
use crate::cluster::{Begin, ClusterConfig, Trust};

pub(super) const NODE: [&str; 2] = ["--http-port=80", "--cluster-port=4000"];

/// A value of each setting, as text and in the file.
pub(super) const VALUES: [(&str, &str, &str); 17] = [
    ("cluster-port", "4001", "4001"),
    ("cluster-bind-host", "::1", "\"::1\""),
    ("node-id", "n2", "\"n2\""),
    ("advertise-addr", "x:4000", "\"x:4000\""),
    ("peers", "b@b:1,c:1", "[\"b@b:1\", \"c:1\"]"),
    ("join", "b:1", "\"b:1\""),
    ("join-as-learner", "true", "true"),
    ("force-new-cluster", "true", "true"),
    ("heartbeat-interval", "120", "120"),
    ("election-timeout-min", "320", "320"),
    ("election-timeout-max", "700", "700"),
    ("cluster-tls-cert", "/x/cert", "\"/x/cert\""),
    ("cluster-tls-key", "/x/key", "\"/x/key\""),
    ("cluster-tls-ca", "/x/ca", "\"/x/ca\""),
    ("cluster-secret-file", "/x/secret", "\"/x/secret\""),
    ("cluster-insecure", "true", "true"),
    ("cluster-status-public", "true", "true"),
];

/// What has to be said with it.
pub(super) fn needed(setting: Setting) -> &'static [&'static str] {
    const HTTP: &str = "--http-port=80";
    const PORT: &str = "--cluster-port=4000";
    const CERT: &str = "--cluster-tls-cert=/y";
    const KEY: &str = "--cluster-tls-key=/y";
    const CA: &str = "--cluster-tls-ca=/y";
    match setting {
        Setting::ClusterPort => &[HTTP],
        Setting::JoinAsLearner => &[HTTP, PORT, "--join=b:1"],
        Setting::ClusterTlsCert => &[HTTP, PORT, KEY, CA],
        Setting::ClusterTlsKey => &[HTTP, PORT, CERT, CA],
        Setting::ClusterTlsCa => &[HTTP, PORT, CERT, KEY],
        Setting::ClusterInsecure => &[HTTP, PORT, "--cluster-bind-host=0.0.0.0"],
        _ => &[HTTP, PORT],
    }
}

fn cluster(more: &[&str]) -> ClusterConfig {
    config(&[&NODE, more].concat(), &[])
        .executions
        .node
        .unwrap()
        .cluster
}

fn faults_of(more: &[&str]) -> String {
    faults(&[&NODE, more].concat(), &[])
}

#[test]
fn a_node_is_alone_and_hears_this_machine_unless_more_is_said() {
    assert!(config(&["--http-port=80"], &[]).executions.node.is_none());
    let node = cluster(&[]);
    assert_eq!(node.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(node.advertise.to_string(), "node1:4000");
    assert_eq!((node.begin, node.trust), (Begin::Alone, Trust::Nobody));
    let times = node.times;
    let times = [times.heartbeat, times.election_min, times.election_max];
    assert_eq!(times.map(|time| time.as_millis()), [100, 300, 500]);
    let node = cluster(&["--node-id=a", "--peers=b@x:1, y:2"]);
    assert_eq!(node.advertise.to_string(), "a:4000");
    match node.begin {
        Begin::With(listed) => {
            let shown: Vec<String> = listed.iter().map(ToString::to_string).collect();
            assert_eq!(shown, ["b@x:1", "y:2"]);
        }
        other => panic!("{other:?}"),
    }
    let node = cluster(&["--join=x:1", "--join-as-learner"]);
    assert!(matches!(
        node.begin,
        Begin::Join {
            as_learner: true,
            ..
        }
    ));
}

#[test]
fn a_cluster_is_served_over_http() {
    let text = faults(&["--cluster-port=4000"], &[]);
    assert!(text.contains("--cluster-port needs --http-port"), "{text}");
    assert!(
        config(&["--cluster-port=4000", "--sse-port=1"], &[])
            .executions
            .node
            .is_some()
    );
    let text = faults(&["--cluster-port=4000", "--sse-port=4000"], &[]);
    assert!(
        text.contains("--cluster-port and --sse-port exclude"),
        "{text}"
    );
    let text = faults(&["--cluster-port=0", "--http-port=80"], &[]);
    assert!(text.contains("allowed: 1 to 65535"), "{text}");
    let text = faults(
        &["--http-port=80", "--node-id=a", "--force-new-cluster"],
        &[],
    );
    for flag in ["--node-id", "--force-new-cluster"] {
        assert!(
            text.contains(&format!("{flag} needs --cluster-port")),
            "{text}"
        );
    }
}

#[test]
fn nobody_is_a_node_by_chance() {
    let text = faults_of(&["--cluster-bind-host=0.0.0.0"]);
    assert!(
        text.contains("whoever can reach 0.0.0.0 could be a node"),
        "{text}"
    );
    assert!(text.contains("--cluster-insecure"), "{text}");
    let open = ["--cluster-bind-host=0.0.0.0", "--cluster-insecure"];
    let notes = config(&[&NODE[..], &open].concat(), &[]).notes;
    assert!(matches!(notes[..], [Note::OpenCluster { .. }]), "{notes:?}");
    let secret = ["--cluster-bind-host=::", "--cluster-secret-file=/s"];
    let notes = config(&[&NODE[..], &secret].concat(), &[]).notes;
    assert!(
        matches!(notes[..], [Note::ReadablePeers { .. }]),
        "{notes:?}"
    );
    let tls = [
        "--cluster-bind-host=::",
        "--cluster-tls-cert=/c",
        "--cluster-tls-key=/k",
        "--cluster-tls-ca=/a",
    ];
    let found = config(&[&NODE[..], &tls].concat(), &[]);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    assert!(matches!(
        found.executions.node.unwrap().cluster.trust,
        Trust::Tls { .. }
    ));
    for missing in 1..4 {
        let mut some = tls.to_vec();
        some.remove(missing);
        let text = faults_of(&some);
        assert!(text.contains("are of use together only"), "{text}");
    }
    let text = faults_of(
        &[
            &tls[..],
            &["--cluster-secret-file=/s", "--cluster-insecure"],
        ]
        .concat(),
    );
    for pair in [
        "--cluster-tls-cert and --cluster-secret-file exclude",
        "--cluster-insecure and --cluster-tls-cert exclude",
        "--cluster-insecure and --cluster-secret-file exclude",
    ] {
        assert!(text.contains(pair), "{pair} is not in {text}");
    }
}

#[test]
fn peers_are_others_and_each_is_named_once() {
    for (peers, problem) in [
        ("node1@b:1", "node1@b:1 is this one"),
        ("b@node1:4000", "b@node1:4000 is this one"),
        ("b@b:1,b@c:1", "b@c:1 comes again"),
        ("b@b:1,c@b:1", "c@b:1 comes again"),
        ("b:1,c@b:1", "c@b:1 comes again"),
        ("b", "nodes separated by commas"),
        ("B@b:1", "nodes separated by commas"),
        ("", "nodes separated by commas"),
    ] {
        let text = faults_of(&[&format!("--peers={peers}")]);
        assert!(text.contains(problem), "{peers}: {text}");
    }
    let many: Vec<String> = (0..64).map(|number| format!("h{number}:1")).collect();
    let text = faults_of(&[&format!("--peers={}", many.join(","))]);
    assert!(text.contains("a list of 63 nodes at most"), "{text}");
    let text = faults_of(&["--peers=b:1", "--join=c:1"]);
    assert!(text.contains("--peers and --join exclude"), "{text}");
    let text = faults_of(&["--join-as-learner"]);
    assert!(text.contains("--join-as-learner needs --join"), "{text}");
    let text = faults_of(&["--join=node1:4000"]);
    assert!(text.contains("the address of another node"), "{text}");
    for (flag, problem) in [
        ("--node-id=Node1", "a node's name has 1 to 128"),
        ("--advertise-addr=host", "an address is host:port"),
        ("--join=http://x:1", "an address is host:port"),
    ] {
        let text = faults_of(&[flag]);
        assert!(text.contains(problem), "{text}");
    }
}

#[test]
fn a_leader_can_show_in_time_that_it_lives() {
    for times in [
        &["--heartbeat-interval=200"][..],
        &["--election-timeout-max=300"],
        &["--election-timeout-min=500"],
    ] {
        assert!(faults_of(times).contains("do not fit"), "{times:?}");
    }
    let text = faults_of(&["--heartbeat-interval=9"]);
    assert!(text.contains("allowed: 10 to 60000 milliseconds"), "{text}");
    let nervous = [&NODE[..], &["--heartbeat-interval=149"]].concat();
    let notes = config(&nervous, &[]).notes;
    assert!(matches!(notes[..], [Note::Nervous { .. }]), "{notes:?}");
    let slow = [
        "--heartbeat-interval=200",
        "--election-timeout-min=1000",
        "--election-timeout-max=2000",
    ];
    assert_eq!(cluster(&slow).times.election_max.as_millis(), 2000);
}

#[test]
fn a_node_keeps_its_log_beside_sessions_or_where_they_would_be() {
    let directory = |more: &[&str]| {
        let config = config(&[&NODE, more].concat(), &[]);
        config.executions.node.unwrap().directory
    };
    assert_eq!(directory(&["--session-db-path=/s"]), Path::new("/s"));
    let stateless = ["--stateless", "--session-db-path=/s"];
    assert_eq!(directory(&stateless), Path::new("/s"));
    assert_eq!(directory(&["--stateless"]), directory(&[]));
    let alone = faults(&stateless, &[]);
    assert!(alone.contains("--session-db-path"), "{alone}");
}
