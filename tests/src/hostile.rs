//! How tests tell the program `hostile_worker` what to do.

/// Behind the worker's own path: the file with its steps.
pub const STEPS_SUFFIX: &str = ".steps";

/// Behind the worker's own path: the file with its steps as a fork server.
pub const FORK_SERVER_STEPS_SUFFIX: &str = ".zygote-steps";

/// Behind the worker's own path and before a name: a file that it makes when it comes to that step,
/// with its process id.
pub const MARK_INFIX: &str = ".mark-";

/// Behind the worker's own path and before a name: a file for which it waits at that step.
pub const LEAVE_INFIX: &str = ".leave-";

/// Behind the worker's own path and before its process id: what was said to the real worker that it
/// stands before.
pub const RECORD_TO_INFIX: &str = ".said-to-";

/// The same of what that worker said.
pub const RECORD_FROM_INFIX: &str = ".said-by-";

/// The beginning of a script that tells the step `obey` how to go on.
pub const SCRIPT_PREFIX: &str = "hostile:";

/// The worker that performs the steps that its script names.
pub const OBEY: &str = "hello obey";

/// A fork server that does what it should.
pub const SERVE: &str = "hello serve";

/// A script that makes an obeying worker perform these steps.
pub fn script(steps: &str) -> String {
    format!("{SCRIPT_PREFIX}{steps}")
}
