//! What became of each layer.

use std::fmt;

use mcp_v8_protocol::message::Confinement;

use super::plan::Mode;

/// One thing that the jail consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Only the listed descriptors are open, and every signal has its default action.
    Descriptors,
    /// It is the first to be killed when the machine is out of memory.
    OomVictim,
    /// A session keyring of its own.
    Keyring,
    /// An unprivileged user that nobody else is.
    User,
    /// No privilege over anything outside.
    UserNamespace,
    /// It sees no other process.
    PidNamespace,
    /// An empty root directory that cannot be written.
    MountNamespace,
    /// No network device.
    NetworkNamespace,
    /// No System V or POSIX message queue, semaphore or memory of others.
    IpcNamespace,
    /// No host name.
    UtsNamespace,
    /// No view of control groups.
    CgroupNamespace,
    /// No capability, now or later.
    Capabilities,
    /// No program can give it privileges.
    NoNewPrivileges,
    /// No speculation on indirect branches trained by others.
    Speculation,
    /// Others of the same user cannot look inside, and nothing is dumped.
    NotDumpable,
    /// It dies when its parent does.
    DiesWithParent,
    /// The kernel's resource limits.
    Limits,
    /// A Landlock domain of its own that allows nothing.
    Landlock,
    /// Memory that was once writable never becomes executable.
    ExecutableMemory,
    /// The system call filters.
    Seccomp,
    /// What must fail was tried, and failed.
    SelfCheck,
}

/// When a layer may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Never.
    Always,
    /// When Landlock is on, or all four namespaces that have this need are; or with best effort.
    Wall,
    /// Any time: it is said, and that is all.
    Extra,
}

impl Layer {
    /// All of them, in the order in which they are applied.
    pub const ALL: [Self; 21] = [
        Self::Descriptors,
        Self::OomVictim,
        Self::Keyring,
        Self::User,
        Self::UserNamespace,
        Self::PidNamespace,
        Self::MountNamespace,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Speculation,
        Self::NotDumpable,
        Self::DiesWithParent,
        Self::Limits,
        Self::Landlock,
        Self::ExecutableMemory,
        Self::Seccomp,
        Self::SelfCheck,
    ];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::OomVictim => "oom victim",
            Self::Keyring => "keyring",
            Self::User => "user",
            Self::UserNamespace => "user namespace",
            Self::PidNamespace => "pid namespace",
            Self::MountNamespace => "mount namespace",
            Self::NetworkNamespace => "network namespace",
            Self::IpcNamespace => "ipc namespace",
            Self::UtsNamespace => "uts namespace",
            Self::CgroupNamespace => "cgroup namespace",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no new privileges",
            Self::Speculation => "speculation",
            Self::NotDumpable => "not dumpable",
            Self::DiesWithParent => "dies with parent",
            Self::Limits => "limits",
            Self::Landlock => "landlock",
            Self::ExecutableMemory => "executable memory",
            Self::Seccomp => "seccomp",
            Self::SelfCheck => "self-check",
        }
    }

    /// When it may be missing.
    pub const fn need(self) -> Need {
        match self {
            Self::Descriptors
            | Self::Capabilities
            | Self::NoNewPrivileges
            | Self::NotDumpable
            | Self::DiesWithParent
            | Self::Limits
            | Self::Seccomp
            | Self::SelfCheck => Need::Always,
            Self::UserNamespace
            | Self::PidNamespace
            | Self::MountNamespace
            | Self::NetworkNamespace
            | Self::Landlock => Need::Wall,
            Self::OomVictim
            | Self::Keyring
            | Self::User
            | Self::IpcNamespace
            | Self::UtsNamespace
            | Self::CgroupNamespace
            | Self::Speculation
            | Self::ExecutableMemory => Need::Extra,
        }
    }
}

/// Whether a layer is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is; what exactly.
    On(String),
    /// It is not; why.
    Off(String),
}

impl State {
    /// On, with what `done` says, or off, with the error.
    pub(super) fn of(done: Result<impl Into<String>, impl fmt::Display>) -> Self {
        match done {
            Ok(detail) => Self::On(detail.into()),
            Err(error) => Self::Off(error.to_string()),
        }
    }
}

/// The state of every layer that was looked at. A layer that nobody looked at is off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    states: Vec<(Layer, State)>,
}

impl Report {
    /// Notes a state; a later note about the same layer replaces an earlier one.
    pub fn note(&mut self, layer: Layer, state: State) {
        self.states.retain(|(noted, _)| *noted != layer);
        self.states.push((layer, state));
    }

    /// The state of a layer.
    pub fn state(&self, layer: Layer) -> Option<&State> {
        self.states
            .iter()
            .find_map(|(noted, state)| (*noted == layer).then_some(state))
    }

    /// Whether a layer is on.
    pub fn is_on(&self, layer: Layer) -> bool {
        matches!(self.state(layer), Some(State::On(_)))
    }

    /// What is missing for `mode`; pure. `without` are layers that are yet to come.
    ///
    /// # Errors
    /// [`Missing`] names the layers and why each is off.
    pub fn judge(&self, mode: Mode, yet_to_come: &[Layer]) -> Result<(), Missing> {
        let off = |layer: &Layer| !self.is_on(*layer) && !yet_to_come.contains(layer);
        let walls = || Layer::ALL.into_iter().filter(|l| l.need() == Need::Wall);
        let is_walled = self.is_on(Layer::Landlock)
            || walls()
                .filter(|l| *l != Layer::Landlock)
                .all(|l| self.is_on(l));
        let mut missing: Vec<Layer> = Layer::ALL
            .into_iter()
            .filter(|layer| layer.need() == Need::Always && off(layer))
            .collect();
        if !is_walled && mode == Mode::Required {
            missing.extend(walls().filter(off));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let texts = missing.iter().map(|layer| match self.state(*layer) {
            Some(State::Off(why)) => format!("{} ({why})", layer.name()),
            Some(State::On(_)) | None => layer.name().to_owned(),
        });
        Err(Missing {
            layers: texts.collect::<Vec<_>>().join(", "),
            is_wall: missing.iter().all(|layer| layer.need() == Need::Wall),
        })
    }

    /// What the supervisor is told.
    pub fn confinement(&self) -> Confinement {
        Confinement {
            seccomp: self.is_on(Layer::Seccomp),
            landlock: self.is_on(Layer::Landlock),
            user_namespace: self.is_on(Layer::UserNamespace),
            pid_namespace: self.is_on(Layer::PidNamespace),
            mount_namespace: self.is_on(Layer::MountNamespace),
            network_namespace: self.is_on(Layer::NetworkNamespace),
            own_user: self.is_on(Layer::User),
            checked: self.is_on(Layer::SelfCheck),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in Layer::ALL {
            let need = match layer.need() {
                Need::Always => "required",
                Need::Wall => "one wall",
                Need::Extra => "extra",
            };
            let (word, detail) = match self.state(layer) {
                Some(State::On(detail)) => ("on", detail.as_str()),
                Some(State::Off(why)) => ("off", why.as_str()),
                None => ("off", "it was not reached"),
            };
            writeln!(f, "{:<18} {need:<9} {word:<4} {detail}", layer.name())?;
        }
        Ok(())
    }
}

/// Layers without which a worker does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine does not offer what the jail needs: {layers}{}", hint(*.is_wall))]
pub struct Missing {
    layers: String,
    is_wall: bool,
}

fn hint(is_wall: bool) -> &'static str {
    if is_wall {
        "; one wall is needed, Landlock (Linux 5.13, in the kernel's list of security modules) or \
         namespaces with --worker-start zygote; --sandbox best-effort runs without one"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(off: &[Layer]) -> Report {
        let mut report = Report::default();
        for layer in Layer::ALL {
            let state = if off.contains(&layer) {
                State::Off("removed".to_owned())
            } else {
                State::On(String::new())
            };
            report.note(layer, state);
        }
        report
    }

    #[test]
    fn each_layer_removed_in_turn_is_refused_when_it_is_required() {
        for layer in Layer::ALL {
            let is_required = layer.need() == Need::Always;
            for mode in [Mode::Required, Mode::BestEffort] {
                let verdict = with(&[layer]).judge(mode, &[]);
                assert_eq!(verdict.is_err(), is_required, "{layer:?} {mode:?}");
            }
        }
    }

    #[test]
    fn one_wall_is_enough_and_none_is_refused_unless_best_effort() {
        let namespaces = [
            Layer::UserNamespace,
            Layer::PidNamespace,
            Layer::MountNamespace,
            Layer::NetworkNamespace,
        ];
        assert_eq!(with(&namespaces).judge(Mode::Required, &[]), Ok(()));
        for namespace in namespaces {
            let report = with(&[Layer::Landlock, namespace]);
            let missing = report.judge(Mode::Required, &[]).expect_err("no wall");
            let text = missing.to_string();
            assert!(text.contains("landlock (removed)"), "{text}");
            assert!(text.contains("--sandbox best-effort"), "{text}");
            assert_eq!(report.judge(Mode::BestEffort, &[]), Ok(()));
        }
        assert_eq!(
            Report::default().judge(Mode::BestEffort, &Layer::ALL),
            Ok(())
        );
    }
}
