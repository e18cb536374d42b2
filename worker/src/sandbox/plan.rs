//! What is to be done, from what is asked and what the machine offers. Pure.

use super::probe::Offer;
use crate::tier::EngineTier;

/// How much must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Mode {
    /// Everything that is always required, and Landlock or namespaces.
    #[default]
    Required,
    /// Everything that is always required; the rest where the machine has it.
    BestEffort,
}

impl Mode {
    /// The name, as the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
        }
    }
}

/// Which process is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Way {
    /// A worker that was executed: it enters everything itself.
    Exec,
    /// A fork server and its workers: what can be shared is entered once, by the server.
    #[default]
    Zygote,
}

/// What the operator asked for, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How much must hold.
    pub mode: Mode,
    /// Whether code is made at run time.
    pub tier: EngineTier,
    /// Which process is confined.
    pub way: Way,
}

/// Which namespaces are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// In a user namespace, which needs no privilege where the system allows it. When it does not, a
    /// privileged process tries directly.
    Own {
        /// Whether the process can do without a user namespace.
        is_privileged: bool,
    },
    /// None: why.
    Leave(&'static str),
}

/// What is to be done. The same plan serves a fork server and all its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How much must hold.
    pub mode: Mode,
    /// Which process is confined.
    pub way: Way,
    /// Whether to become a user that nobody else is.
    pub change_user: bool,
    /// Which namespaces are tried.
    pub namespaces: Namespaces,
    /// Whether a Landlock domain is tried; its absence is found by effect.
    pub landlock: bool,
    /// Whether memory may become executable.
    pub executable_memory: bool,
}

impl Plan {
    /// Decides.
    pub fn new(asked: Asked, offer: &Offer) -> Self {
        let privileges = offer.privileges;
        Self {
            mode: asked.mode,
            way: asked.way,
            // Without CAP_KILL the supervisor could not end a process of another user.
            change_user: privileges.is_root
                && privileges.can_change_user
                && privileges.can_kill_others,
            namespaces: if offer.threads == 1 {
                Namespaces::Own {
                    is_privileged: privileges.can_administrate,
                }
            } else {
                Namespaces::Leave("the process has more than one thread")
            },
            landlock: offer.landlock_abi > 0,
            executable_memory: asked.tier.needs_executable_memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::Privileges;
    use super::*;

    const ASKED: Asked = Asked {
        mode: Mode::Required,
        tier: EngineTier::Jit,
        way: Way::Exec,
    };

    fn offer(privileges: Privileges) -> Offer {
        Offer {
            privileges,
            landlock_abi: 7,
            threads: 1,
        }
    }

    #[test]
    fn only_a_root_that_can_be_killed_again_changes_its_user() {
        let root = Privileges {
            is_root: true,
            can_change_user: true,
            can_kill_others: true,
            can_administrate: true,
        };
        assert!(Plan::new(ASKED, &offer(root)).change_user);
        for less in [
            Privileges {
                can_change_user: false,
                ..root
            },
            Privileges {
                can_kill_others: false,
                ..root
            },
            Privileges {
                is_root: false,
                ..root
            },
            Privileges::default(),
        ] {
            assert!(!Plan::new(ASKED, &offer(less)).change_user, "{less:?}");
        }
    }

    #[test]
    fn what_is_not_offered_is_not_tried() {
        let plan = Plan::new(ASKED, &offer(Privileges::default()));
        assert!(plan.landlock && plan.executable_memory);
        assert_eq!(
            plan.namespaces,
            Namespaces::Own {
                is_privileged: false
            }
        );
        let poor = Offer {
            landlock_abi: 0,
            threads: 3,
            ..offer(Privileges::default())
        };
        let jitless = Asked {
            tier: EngineTier::Jitless,
            ..ASKED
        };
        let plan = Plan::new(jitless, &poor);
        assert!(!plan.landlock && !plan.executable_memory);
        assert!(matches!(plan.namespaces, Namespaces::Leave(_)));
    }
}
