//! The cluster.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::fault::Fault;
use super::http::{address, list};
use super::raw::Said;
use super::resolve::{Resolver, malformed, number, switch, text};
use super::setting::Setting;
use super::{BIND_HOST_DEFAULT, Machine, Note};
use crate::app::State;
use crate::cluster::{Address, Begin, ClusterConfig, Listed, NodeConfig, NodeName, Times, Trust};
use crate::http::TlsFiles;
use crate::limits::{CLUSTER_MEMBERS_MAX, CLUSTER_MS_MAX, CLUSTER_MS_MIN};

const CLUSTER: &str = "Cluster";

/// What a node is called when nobody says.
pub(super) const NODE_ID_DEFAULT: &str = "node1";
/// From one sign of life of a leader to the next, in milliseconds, when nobody says.
pub(super) const HEARTBEAT_INTERVAL_DEFAULT: u64 = 100;
/// The shortest time without one, in milliseconds, when nobody says.
pub(super) const ELECTION_TIMEOUT_MIN_DEFAULT: u64 = 300;
/// The longest.
pub(super) const ELECTION_TIMEOUT_MAX_DEFAULT: u64 = 500;

/// What means nothing without a cluster.
const NEEDS_CLUSTER: [Setting; 15] = [
    Setting::ClusterBindHost,
    Setting::NodeId,
    Setting::AdvertiseAddr,
    Setting::Peers,
    Setting::Join,
    Setting::JoinAsLearner,
    Setting::HeartbeatInterval,
    Setting::ElectionTimeoutMin,
    Setting::ElectionTimeoutMax,
    Setting::ClusterTlsCert,
    Setting::ClusterTlsKey,
    Setting::ClusterTlsCa,
    Setting::ClusterSecretFile,
    Setting::ClusterInsecure,
    Setting::ClusterStatusPublic,
];

/// The flags.
#[derive(Debug, Args)]
pub(super) struct ClusterFlags {
    /// Take part in a cluster, and hear other nodes on this port (1 to 65535).
    ///
    /// Needs --http-port or --sse-port.
    #[arg(long, value_name = "PORT", help_heading = CLUSTER)]
    cluster_port: Option<OsString>,

    /// The IP address to hear other nodes on; 0.0.0.0 or :: for all of this machine.
    ///
    /// Any that other machines can reach needs --cluster-tls-cert or --cluster-secret-file, or else
    /// --cluster-insecure.
    #[arg(long, value_name = "ADDRESS", help_heading = CLUSTER)]
    cluster_bind_host: Option<OsString>,

    /// What this node is called; each has a name of its own.
    #[arg(long, value_name = "NAME", help_heading = CLUSTER)]
    node_id: Option<OsString>,

    /// Where other nodes reach this one, as host:port.
    #[arg(long, value_name = "ADDRESS", help_heading = CLUSTER)]
    advertise_addr: Option<OsString>,

    /// The other first members of a new cluster, separated by commas, as name@host:port or host:port.
    ///
    /// Each of them lists all others. The cluster begins when all have answered; where it has begun
    /// already, this node joins it. It has no effect on a node that has been in a cluster. Excludes
    /// --join.
    #[arg(long, value_name = "NODES", help_heading = CLUSTER)]
    peers: Option<OsString>,

    /// Join the cluster that the node at this address is in, as host:port.
    ///
    /// It has no effect on a node that has been in a cluster. Excludes --peers.
    #[arg(long, value_name = "ADDRESS", help_heading = CLUSTER)]
    join: Option<OsString>,

    /// Join without a vote: this node has all that the others have, and decides nothing. Needs --join.
    #[arg(long, value_name = "BOOL", help_heading = CLUSTER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    join_as_learner: Option<OsString>,

    /// Go on alone, with what is on this node's disk, when most members are lost for good.
    ///
    /// What only the others had is lost. None of them may ever be started again with its disk. Say so
    /// once, and leave it out at the next start.
    #[arg(long, value_name = "BOOL", help_heading = CLUSTER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    force_new_cluster: Option<OsString>,

    /// How often a leader shows that it lives, in milliseconds (10 to 60000).
    #[arg(long, value_name = "MS", help_heading = CLUSTER)]
    heartbeat_interval: Option<OsString>,

    /// Without a sign of life for so long another node stands for election, in milliseconds (10 to
    /// 60000).
    ///
    /// Each draws a time between this and --election-timeout-max. It is at least twice
    /// --heartbeat-interval, better three times; on disks and networks that others use too,
    /// 200, 1000 and 2000 are good values for the three.
    #[arg(long, value_name = "MS", help_heading = CLUSTER)]
    election_timeout_min: Option<OsString>,

    /// The longest such time, in milliseconds (10 to 60000).
    #[arg(long, value_name = "MS", help_heading = CLUSTER)]
    election_timeout_max: Option<OsString>,

    /// The file with this node's certificate and those above it (PEM): nodes then speak TLS, and show
    /// each other who they are.
    ///
    /// It names the node (--node-id) among its DNS names. It is read again when it changes. Needs
    /// --cluster-tls-key and --cluster-tls-ca.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    cluster_tls_cert: Option<OsString>,

    /// The file with the private key of that certificate (PEM). Needs --cluster-tls-cert.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    cluster_tls_key: Option<OsString>,

    /// The file with the authorities that sign certificates of nodes, and of nobody else (PEM). Needs
    /// --cluster-tls-cert.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    cluster_tls_ca: Option<OsString>,

    /// The file with a secret that all nodes have, instead of certificates: 64 hexadecimal digits.
    ///
    /// It shows who is a node. It hides nothing: what nodes say can be read on the way.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    cluster_secret_file: Option<OsString>,

    /// Let whoever can reach the port be a node, also from other machines.
    ///
    /// Whoever is one can read and change everything that the cluster keeps.
    #[arg(long, value_name = "BOOL", help_heading = CLUSTER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    cluster_insecure: Option<OsString>,

    /// Let anybody who can reach the port ask how the cluster stands (GET /raft/status).
    #[arg(long, value_name = "BOOL", help_heading = CLUSTER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    cluster_status_public: Option<OsString>,
}

impl ClusterFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 17] {
        [
            (Setting::ClusterPort, self.cluster_port),
            (Setting::ClusterBindHost, self.cluster_bind_host),
            (Setting::NodeId, self.node_id),
            (Setting::AdvertiseAddr, self.advertise_addr),
            (Setting::Peers, self.peers),
            (Setting::Join, self.join),
            (Setting::JoinAsLearner, self.join_as_learner),
            (Setting::ForceNewCluster, self.force_new_cluster),
            (Setting::HeartbeatInterval, self.heartbeat_interval),
            (Setting::ElectionTimeoutMin, self.election_timeout_min),
            (Setting::ElectionTimeoutMax, self.election_timeout_max),
            (Setting::ClusterTlsCert, self.cluster_tls_cert),
            (Setting::ClusterTlsKey, self.cluster_tls_key),
            (Setting::ClusterTlsCa, self.cluster_tls_ca),
            (Setting::ClusterSecretFile, self.cluster_secret_file),
            (Setting::ClusterInsecure, self.cluster_insecure),
            (Setting::ClusterStatusPublic, self.cluster_status_public),
        ]
    }
}

impl Resolver<'_> {
    /// The node that a server is which keeps this.
    pub(super) fn node(
        &mut self,
        state: &State,
        machine: &Machine,
        notes: &mut Vec<Note>,
    ) -> Option<NodeConfig> {
        let cluster = self.cluster(notes)?;
        let directory = match state {
            State::Stateful { sessions, .. } => sessions.clone(),
            // Ends of executions are shared all the same.
            State::Stateless => self
                .path(Setting::SessionDbPath)
                .unwrap_or_else(|| self.default_directory(Setting::SessionDbPath, machine, notes)),
        };
        Some(NodeConfig { cluster, directory })
    }

    fn cluster(&mut self, notes: &mut Vec<Note>) -> Option<ClusterConfig> {
        // Everything is read, so that everything that is wrong is reported.
        let port = self.value(Setting::ClusterPort, None, |said| {
            let port = number(said, 1..=u64::from(u16::MAX), "")?;
            u16::try_from(port)
                .map(Some)
                .map_err(|_| malformed(said, "a port"))
        });
        let host = self.value(Setting::ClusterBindHost, BIND_HOST_DEFAULT, address);
        let name = self.value(Setting::NodeId, default_name(), |said| {
            parsed(said).map(Some)
        });
        let advertise = self.value(Setting::AdvertiseAddr, None, |said| parsed(said).map(Some));
        let times = self.times(notes);
        let trust = self.trust();
        let is_open = self.value(Setting::ClusterInsecure, false, switch);
        let is_status_public = self.value(Setting::ClusterStatusPublic, false, switch);
        let forces_new = self.value(Setting::ForceNewCluster, false, switch);
        for setting in NEEDS_CLUSTER.into_iter().chain([Setting::ForceNewCluster]) {
            self.need(setting, Setting::ClusterPort, "it is about the cluster");
        }
        let advertise =
            advertise.or_else(|| Some(Address::of(name.as_ref()?, port.unwrap_or_default())));
        let begin = self.begin(name.as_ref(), advertise.as_ref());
        self.serves_over_http(port);
        if let Some(origin) = self.origin(Setting::ClusterBindHost)
            && !host.is_loopback()
        {
            match &trust {
                Trust::Tls { .. } => {}
                Trust::Secret(_) => notes.push(Note::ReadablePeers { host }),
                Trust::Nobody if is_open => notes.push(Note::OpenCluster { host }),
                Trust::Nobody => self.faults.push(Fault::ExposedCluster { origin, host }),
            }
        }
        Some(ClusterConfig {
            listen: SocketAddr::new(host, port?),
            name: name?,
            advertise: advertise?,
            begin,
            forces_new,
            times,
            trust,
            is_status_public,
        })
    }

    fn begin(&mut self, name: Option<&NodeName>, own: Option<&Address>) -> Begin {
        let peers = self.value(Setting::Peers, Vec::new(), |said| {
            let expected = "nodes separated by commas, as name@host:port or host:port";
            let listed: Vec<Listed> = list(said, expected)?;
            check(said, &listed, name, own)?;
            Ok(listed)
        });
        let seed = self.value(Setting::Join, None, |said| parsed(said).map(Some));
        let as_learner = self.value(Setting::JoinAsLearner, false, switch);
        self.need(
            Setting::JoinAsLearner,
            Setting::Join,
            "the first members of a cluster all vote",
        );
        self.conflict(
            Setting::Peers,
            Setting::Join,
            "a node makes a new cluster with others, or joins one",
        );
        if let Some(seed) = seed {
            if Some(&seed) == own {
                self.pointless(Setting::Join, "the address of another node");
            }
            return Begin::Join { seed, as_learner };
        }
        if peers.is_empty() {
            Begin::Alone
        } else {
            Begin::With(peers)
        }
    }

    fn times(&mut self, notes: &mut Vec<Note>) -> Times {
        let ms = CLUSTER_MS_MIN..=CLUSTER_MS_MAX;
        let unit = " milliseconds";
        let heartbeat = self.number(
            Setting::HeartbeatInterval,
            ms.clone(),
            unit,
            HEARTBEAT_INTERVAL_DEFAULT,
        );
        let least = self.number(
            Setting::ElectionTimeoutMin,
            ms.clone(),
            unit,
            ELECTION_TIMEOUT_MIN_DEFAULT,
        );
        let most = self.number(
            Setting::ElectionTimeoutMax,
            ms,
            unit,
            ELECTION_TIMEOUT_MAX_DEFAULT,
        );
        if least < 2 * heartbeat || most <= least {
            let times = [heartbeat, least, most];
            self.faults.push(Fault::Impatient { times });
        } else if least < 3 * heartbeat {
            notes.push(Note::Nervous { heartbeat, least });
        }
        let [heartbeat, election_min, election_max] =
            [heartbeat, least, most].map(Duration::from_millis);
        Times {
            heartbeat,
            election_min,
            election_max,
        }
    }

    fn trust(&mut self) -> Trust {
        let certificate = self.path(Setting::ClusterTlsCert);
        let key = self.path(Setting::ClusterTlsKey);
        let authorities = self.path(Setting::ClusterTlsCa);
        let secret = self.path(Setting::ClusterSecretFile);
        let parts = [
            Setting::ClusterTlsCert,
            Setting::ClusterTlsKey,
            Setting::ClusterTlsCa,
        ];
        let reason = "certificate, key and authorities are of use together only";
        for setting in parts {
            for needed in parts {
                self.need(setting, needed, reason);
            }
        }
        self.conflict(
            Setting::ClusterTlsCert,
            Setting::ClusterSecretFile,
            "nodes know each other by certificates or by a secret",
        );
        for way in [Setting::ClusterTlsCert, Setting::ClusterSecretFile] {
            self.conflict(
                Setting::ClusterInsecure,
                way,
                "where nodes are known, nobody else is let in",
            );
        }
        match (certificate, key, authorities, secret) {
            (Some(certificate), Some(key), Some(authorities), _) => Trust::Tls {
                own: TlsFiles { certificate, key },
                authorities,
            },
            (_, _, _, Some(secret)) => Trust::Secret(secret),
            _ => Trust::Nobody,
        }
    }

    /// Whoever is in a cluster serves its clients over HTTP, on another port.
    fn serves_over_http(&mut self, port: Option<u16>) {
        let Some(port) = port else {
            return;
        };
        let ports = [Setting::HttpPort, Setting::SsePort];
        if ports.iter().all(|port| self.origin(*port).is_none()) {
            self.need(
                Setting::ClusterPort,
                Setting::HttpPort,
                "a node of a cluster serves clients over HTTP (--http-port or --sse-port)",
            );
        }
        for setting in ports {
            let said = self.raw.get(setting);
            let other = said.and_then(|said| number(said, 0..=u64::from(u16::MAX), "").ok());
            if other == Some(u64::from(port)) {
                self.conflict(
                    Setting::ClusterPort,
                    setting,
                    "clients and nodes need a port each",
                );
            }
        }
    }

    /// A value that is well-formed and cannot be meant.
    fn pointless(&mut self, setting: Setting, expected: &str) {
        if let Some(said) = self.raw.get(setting) {
            self.faults.push(malformed(said, expected));
        }
    }
}

fn default_name() -> Option<NodeName> {
    NODE_ID_DEFAULT.parse().ok()
}

/// A text that is read by its own type, which says what it takes.
fn parsed<T: FromStr>(said: &Said) -> Result<T, Fault>
where
    T::Err: std::fmt::Display,
{
    let text = text(said, "a text")?;
    let value = text.trim().parse::<T>();
    value.map_err(|error| malformed(said, format!("right: {error}")))
}

/// Whether these can make a cluster with this node.
fn check(
    said: &Said,
    listed: &[Listed],
    name: Option<&NodeName>,
    own: Option<&Address>,
) -> Result<(), Fault> {
    let most = CLUSTER_MEMBERS_MAX - 1;
    if listed.len() > most {
        return Err(malformed(said, format!("a list of {most} nodes at most")));
    }
    for (position, one) in listed.iter().enumerate() {
        let is_own = own == Some(&one.address) || (name.is_some() && one.name.as_ref() == name);
        if is_own {
            let expected = format!("a list of other nodes: {one} is this one");
            return Err(malformed(said, expected));
        }
        let before = listed.get(..position).unwrap_or_default();
        let is_again = |other: &Listed| {
            other.address == one.address || (one.name.is_some() && other.name == one.name)
        };
        if before.iter().any(is_again) {
            let expected = format!("a list that names each node once: {one} comes again");
            return Err(malformed(said, expected));
        }
    }
    Ok(())
}
