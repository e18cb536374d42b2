//! Whether V8 takes the WebAssembly modules that an operator preloads: tried before the server starts, each
//! in a jailed worker of its own that is executed for it, with a script that asks for the module.
//!
//! What such a worker says is only shown to the operator. That a module is refused at start is a comfort:
//! one that passes is still operator's code in a jail, whatever it does to V8.

use std::path::Path;
use std::time::Duration;

use mcp_v8_protocol::message::{
    ExecutionLimits, Failure, FailureKind, Finished, Grants, HeapUse, Start,
};
use mcp_v8_protocol::modules::MODULE_PREFIX;
use tokio::time::timeout;

use super::probe::{ProbeError, ready};
use crate::limits;
use crate::workers::{Ear, Jail, ModuleFile, Running, Spawner, WasmModule, Word, printable_tail};

/// Why workers do not get the modules.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// There is no memory for the file.
    #[error("WebAssembly modules cannot be put into a file in memory: {0}")]
    File(std::io::Error),
    /// No worker can be started.
    #[error(transparent)]
    Worker(#[from] ProbeError),
    /// Some are no good.
    #[error("WebAssembly modules cannot be used:{}", listed(.0))]
    Refused(Vec<Refusal>),
}

/// A module that is no good.
#[derive(Debug, thiserror::Error)]
#[error("{name} ({place}): {why}")]
pub struct Refusal {
    /// What it is called.
    name: String,
    /// Where it was found.
    place: String,
    /// Why.
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(
        "V8 refuses it ({0}); build it again for WebAssembly as browsers have it, or leave it out"
    )]
    Invalid(String),
    #[error(
        "to compile it takes more memory than an execution has with {} MB; use a smaller one, or leave \
         it out",
        limits::HEAP_MEMORY_MB_MAX
    )]
    TooLarge,
    #[error("it took more than {} s to compile; use a smaller one, or leave it out",
            limits::WASM_CHECK_WAIT_MAX.as_secs())]
    Slow,
    #[error("the worker that tried it ended without a word; leave it out")]
    Crash,
}

fn listed(refusals: &[Refusal]) -> String {
    let lines = refusals.iter().map(|refusal| format!("\n  - {refusal}"));
    lines.collect()
}

/// What is needed to try modules.
#[derive(Debug)]
pub struct ModuleCheck<'a> {
    /// The worker's program.
    pub program: &'a Path,
    /// Its jail and engine.
    pub jail: Jail,
    /// All modules.
    pub modules: &'a ModuleFile,
    /// How long a worker may take to say Hello.
    pub hello_timeout: Duration,
}

impl ModuleCheck<'_> {
    /// Tries them one after the other.
    ///
    /// # Errors
    /// [`ModulesError`], which names all that are refused.
    pub async fn run(&self, modules: &[WasmModule]) -> Result<(), ModulesError> {
        if modules.is_empty() {
            return Ok(());
        }
        let spawner = Spawner::for_check(self.program, self.jail, self.modules.clone());
        let spawner = spawner.map_err(ModulesError::File)?;
        let checked = self.check(&spawner, modules).await;
        spawner.shut_down().await;
        match checked? {
            refused if refused.is_empty() => Ok(()),
            refused => Err(ModulesError::Refused(refused)),
        }
    }

    async fn check(
        &self,
        spawner: &Spawner,
        modules: &[WasmModule],
    ) -> Result<Vec<Refusal>, ProbeError> {
        let mut refused = Vec::new();
        for WasmModule { name, place, .. } in modules {
            if let Some(why) = self.refusal(spawner, name).await? {
                refused.push(Refusal {
                    name: name.clone(),
                    place: place.clone(),
                    why,
                });
            }
        }
        Ok(refused)
    }

    async fn refusal(&self, spawner: &Spawner, name: &str) -> Result<Option<Why>, ProbeError> {
        let worker = ready(spawner, self.hello_timeout).await?;
        let (why, process) = match worker.start(order(name), None).await {
            Ok(mut running) => {
                let heard = timeout(limits::WASM_CHECK_WAIT_MAX, last_word(&mut running)).await;
                let (process, _errand) = running.into_process();
                (heard.unwrap_or(Some(Why::Slow)), process)
            }
            Err((process, _broke)) => (Some(Why::Crash), process),
        };
        process.kill();
        process.reap(limits::EXIT_GRACE).await;
        Ok(why)
    }
}

/// A script that has the module compiled, with as much memory as any execution can have.
fn order(name: &str) -> Start {
    let bytes = limits::HEAP_MEMORY_MB_MAX << 20;
    Start {
        // (A name is an identifier.)
        source: format!("try {{ {MODULE_PREFIX}{name}; '' }} catch (error) {{ error.message }}"),
        limits: ExecutionLimits {
            heap_bytes: bytes,
            buffer_bytes: bytes,
            cpu_seconds: u32::try_from(limits::WASM_CHECK_WAIT_MAX.as_secs()).unwrap_or(u32::MAX),
            snapshot_bytes: 0,
        },
        heap: HeapUse::Discard,
        grants: Grants::default(),
    }
}

async fn last_word(worker: &mut Running) -> Option<Why> {
    loop {
        match worker.next(Ear::Open).await {
            Ok(Word::Finished(Finished::Completed(done))) if done.result.text.is_empty() => {
                return None;
            }
            Ok(Word::Finished(Finished::Completed(done))) => {
                return Some(Why::Invalid(plain(&done.result.text)));
            }
            Ok(Word::Finished(Finished::Failed(Failure {
                kind: FailureKind::Memory,
                ..
            }))) => return Some(Why::TooLarge),
            Ok(Word::Finished(Finished::Failed(failure))) => {
                return Some(Why::Invalid(plain(&failure.error.text)));
            }
            Ok(Word::Console(_) | Word::Room) => {}
            Ok(Word::Fetch(_) | Word::Saved { .. } | Word::Unsaved { .. } | Word::Gone)
            | Err(_) => return Some(Why::Crash),
        }
    }
}

/// V8's words without the function that said them, in one line.
fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line
        .split_once("(): ")
        .map_or(line, |(_function, rest)| rest);
    printable_tail(line.as_bytes(), limits::WASM_REFUSAL_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_v8_are_shown_in_one_line() {
        let said = "WasmModuleObject::Compile(): expected magic word @+0\nmore";
        assert_eq!(plain(said), "expected magic word @+0");
        assert_eq!(plain("\u{1b}[31mred"), "\u{fffd}[31mred");
    }

    #[test]
    fn all_that_are_refused_are_listed() {
        let refusal = |name: &str, why| Refusal {
            name: name.to_owned(),
            place: format!("/{name}.wasm"),
            why,
        };
        let invalid = Why::Invalid("no".to_owned());
        let error = ModulesError::Refused(vec![refusal("a", invalid), refusal("b", Why::Crash)]);
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("  - a (/a.wasm): V8 refuses it (no); "),
            "{text}"
        );
        assert!(
            lines[2].starts_with("  - b (/b.wasm): the worker"),
            "{text}"
        );
    }
}
