//! Worker processes: started, heard and ended here, and nowhere else.
//!
//! ```text
//! Spawner ─exec──▶ Spawned ─hello─▶ Ready ─start─▶ Running ─Finished, death, kill─▶ end ─▶ Exit
//!                     └────────────────┴──────────────┴── into_process ──▶ Process ──┘
//! ```
//!
//! A spawner executes a worker when one is asked for, or hands out one that a fork server has forked
//! and that has waited for it. Of the modules, `pool` and `keeper` have such workers ready, `zygote`
//! and `control` talk to the fork server, `appetite` decides how many are kept, `shop` is where
//! processes are started, `cgroup` gives each worker a control group where it can, and `strangers` reaps what
//! others have left. `link` hears what a worker says, and `letter` is what is said to it, on its way.
//!
//! Each step consumes the one before: a worker is used once, and the compiler sees to it. Dropping
//! any of them kills the process and has it reaped.
//!
//! A worker gets descriptors 0 to 4 and nothing else: 0 and 1 are `/dev/null`, 2 is a pipe that is
//! read after its death, 3 carries frames to it and 4 carries frames from it. Where heaps are kept it
//! also gets a window for them (`window`), and where the operator has preloaded WebAssembly modules a file
//! of them (`modules`); it maps both and closes them before it is confined.

mod appetite;
mod cgroup;
mod control;
mod exit;
mod jail;
mod keeper;
mod kin;
mod launch;
mod letter;
mod link;
mod modules;
mod pool;
mod proc;
mod process;
mod shop;
mod spawn;
mod strangers;
mod turnover;
mod usage;
mod vitals;
mod window;
mod zygote;

pub use cgroup::{ControlGroups, control_groups};
pub use exit::{Death, Exit, ExitStatus};
pub(crate) use exit::{printable_tail, telling_line};
pub use jail::{EngineTier, Jail, SandboxMode};
pub use launch::{Engine, Errand, LaunchError, Ready, Running, Spawned, Word};
pub use link::{Ear, LinkError};
pub use modules::{ModuleFile, WasmModule};
pub use process::{Origin, Process};
pub use spawn::{Begun, SpawnError, Spawner, SpawnerConfig, Spawning, WorkerStart};
pub use turnover::Turnover;
pub use usage::Used;
pub use vitals::Vitals;
