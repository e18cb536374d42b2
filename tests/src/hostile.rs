//! How tests tell the program `hostile_worker` what to do.

/// Behind the worker's own path: the file with its steps.
pub const STEPS_SUFFIX: &str = ".steps";

/// The beginning of a script that tells the step `obey` how to go on.
pub const SCRIPT_PREFIX: &str = "hostile:";

/// A script that makes an obeying worker perform these steps.
pub fn script(steps: &str) -> String {
    format!("{SCRIPT_PREFIX}{steps}")
}
