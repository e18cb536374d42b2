//! The floor of one execution: fork a process that holds a whole warm runtime, evaluate `1 + 1`, exit,
//! reap. No jail, no conversation, no pool. `scripts/bench` measures it beside the fork server.
//!
//! It does that as often as its argument says (without evaluating anything when `idle` follows), and writes a line for each: microseconds from the fork
//! to the reaped end, and microseconds of CPU time of child and parent together.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};
use mcp_v8_worker::zygote::inherit;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// What it evaluates, and what must come of it.
const SOURCE: &str = "1 + 1";
const RESULT: &str = "2";

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 32,
    snapshot_bytes: 0,
};

/// Nobody listens.
struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        end(false)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 1,
    };
    let is_idle = std::env::args().nth(2).is_some_and(|how| how == "idle");
    let mut realm = Realm::for_run();
    inherit::everything(&File::open("/proc/self/smaps")?)?;
    let mut output = std::io::stdout().lock();
    for _ in 0..count {
        let cpu = cpu()?;
        let begin = Instant::now();
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Child if is_idle => end(true),
            ForkResult::Child => evaluate(&mut realm),
            ForkResult::Parent { child } => {
                let status = waitpid(child, None)?;
                if !matches!(status, WaitStatus::Exited(_, 0)) {
                    return Err(format!("a child ended badly: {status:?}").into());
                }
            }
        }
        let wall = begin.elapsed();
        let cpu = self::cpu()?.saturating_sub(cpu);
        writeln!(output, "{} {}", wall.as_micros(), cpu.as_micros())?;
    }
    Ok(())
}

fn evaluate(realm: &mut Realm) -> ! {
    let outcome = realm.run(SOURCE, &LIMITS, Box::new(Silent));
    end(matches!(outcome, Outcome::Completed { result, .. } if result == RESULT))
}

fn end(is_good: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(!is_good)) }
}

/// CPU time of this process and of its children that are reaped.
fn cpu() -> nix::Result<Duration> {
    let of = |usage: &Usage| usage.user_time() + usage.system_time();
    let own = getrusage(UsageWho::RUSAGE_SELF)?;
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = (of(&own) + of(&children)).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}
