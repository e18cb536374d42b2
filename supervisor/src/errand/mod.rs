//! What the program does instead of serving, when it is told to.

mod ask_node;
mod check_config;
mod check_policy;
mod check_sandbox;
mod doctor;
mod garbage;
mod new_token;
mod runtime;
mod verify_audit;

pub(crate) use ask_node::ask_node;
pub(crate) use check_config::check_config;
pub(crate) use check_policy::check_policy;
pub(crate) use check_sandbox::check_sandbox;
pub(crate) use doctor::doctor;
pub(crate) use garbage::collect;
pub(crate) use new_token::new_token;
pub(crate) use verify_audit::verify_audit;
