//! End-to-end tests over the real binaries.
//!
//! * [`cluster`]: real nodes on this machine, what lies between them, and what must hold of them.
//! * [`endurance`]: servers over hostile workers, and what they have to withstand.
//! * [`flat`]: whether a server that has worked for long holds more than before.
//! * [`home`]: where a server of a test lives.
//! * [`hostile`]: how the program `hostile_worker` is told what to do.
//! * [`processes`]: what `/proc` says of processes.
//! * [`search`]: looks for a text in what a server leaves behind.
//! * [`server`]: the real server on standard input and output, in raw JSON-RPC.
//! * [`specs`]: script specifications, read from `tests/specs`.
//! * [`web`]: a server of the web, for scripts that make requests.
//! * [`worker`]: one conversation with the worker program.
//! * [`zygote`]: the fork server, asked for workers as the supervisor does.

pub mod cluster;
pub mod endurance;
pub mod flat;
pub mod home;
pub mod hostile;
pub mod http;
pub mod processes;
pub mod search;
pub mod server;
pub mod specs;
pub mod web;
pub mod worker;
pub mod zygote;
