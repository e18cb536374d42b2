//! Who uses the servers: fifteen that are honest, and five that are not.

use std::process::Command;
use std::time::Duration;

use e2e::home::program;

/// Honest tenants.
const HONEST: usize = 15;
/// What hostile tenants are let have of what is counted by the hour, as a part of what they would take in
/// the time of the soak. So each of them meets its quota before the end.
const PART: f64 = 0.6;

/// What a tenant is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    /// Does what a client does, at a constant rate.
    Honest,
    /// Submits as much as it can.
    Flood,
    /// Computes without end, and takes memory without end.
    Bombs,
    /// Prints without end, and keeps large heaps.
    Talk,
    /// Opens streams and does not read them, and leaves requests half open.
    Streams,
    /// Tries bad tokens and other tenants' ids, and asks what never answers.
    Intruder,
}

impl Character {
    const HOSTILE: [Self; 5] = [
        Self::Flood,
        Self::Bombs,
        Self::Talk,
        Self::Streams,
        Self::Intruder,
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Flood => "flood",
            Self::Bombs => "bombs",
            Self::Talk => "talk",
            Self::Streams => "streams",
            Self::Intruder => "intruder",
        }
    }
}

/// What a tenant may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) concurrent: u64,
    pub(crate) queued: u64,
    pub(crate) executions_per_minute: u64,
    pub(crate) cpu_seconds_per_hour: u64,
    pub(crate) fetches_per_minute: u64,
    pub(crate) output_mb_per_hour: u64,
    pub(crate) stored_heap_mb: u64,
    pub(crate) heap_memory_max_mb: u64,
    pub(crate) execution_timeout_secs: u64,
}

impl Limits {
    /// More than an honest tenant needs.
    const AMPLE: Self = Self {
        concurrent: 4,
        queued: 16,
        executions_per_minute: 600,
        cpu_seconds_per_hour: 36_000,
        fetches_per_minute: 600,
        output_mb_per_hour: 1024,
        stored_heap_mb: 256,
        heap_memory_max_mb: 16,
        execution_timeout_secs: 60,
    };

    /// What a hostile one is let have, in a soak of this length.
    fn tight(length: Duration) -> Self {
        Self {
            concurrent: 1,
            queued: 8,
            executions_per_minute: 60,
            cpu_seconds_per_hour: part(length, 0.15).max(5),
            fetches_per_minute: 10,
            output_mb_per_hour: part(length, 0.1).max(2),
            stored_heap_mb: 2,
            heap_memory_max_mb: 8,
            execution_timeout_secs: 2,
        }
    }

    fn toml(&self) -> String {
        format!(
            "{{ concurrent = {}, queued = {}, executions_per_minute = {}, cpu_seconds_per_hour = {}, \
             fetches_per_minute = {}, output_mb_per_hour = {}, stored_heap_mb = {}, \
             heap_memory_max_mb = {}, execution_timeout_secs = {} }}",
            self.concurrent,
            self.queued,
            self.executions_per_minute,
            self.cpu_seconds_per_hour,
            self.fetches_per_minute,
            self.output_mb_per_hour,
            self.stored_heap_mb,
            self.heap_memory_max_mb,
            self.execution_timeout_secs
        )
    }
}

/// A part of what comes to so much a second.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a soak takes minutes or hours"
)]
fn part(length: Duration, a_second: f64) -> u64 {
    (length.as_secs_f64() * a_second * PART) as u64
}

/// A tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) character: Character,
    pub(crate) limits: Limits,
    /// What stands in the file of tokens.
    entry: String,
}

impl Tenant {
    fn new(name: String, character: Character, limits: Limits) -> Self {
        let (token, entry) = new_token(&name, &[]);
        Self {
            name,
            token,
            character,
            limits,
            entry,
        }
    }

    /// Whether it is honest.
    pub(crate) fn is_honest(&self) -> bool {
        self.character == Character::Honest
    }
}

/// All of them, and who looks at the figures.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) tenants: Vec<Tenant>,
    /// The token of an operator, who is of the first of them.
    pub(crate) operator: String,
    /// The file of tokens.
    pub(crate) file: String,
}

impl Crowd {
    /// For a soak of this length.
    pub(crate) fn gather(length: Duration) -> Self {
        let honest = (1..=HONEST)
            .map(|n| Tenant::new(format!("honest-{n:02}"), Character::Honest, Limits::AMPLE));
        let hostile = Character::HOSTILE.into_iter().map(|character| {
            let name = format!("hostile-{}", character.name());
            Tenant::new(name, character, Limits::tight(length))
        });
        let tenants: Vec<Tenant> = honest.chain(hostile).collect();
        let (operator, entry) = new_token(&tenants[0].name, &["--operator"]);
        let mut file = entry;
        for tenant in &tenants {
            let limits = tenant.limits.toml();
            file.push_str(&format!("{}limits = {limits}\n", tenant.entry));
        }
        Self {
            tenants,
            operator,
            file,
        }
    }
}

/// A token as the program makes it, and its entry for the file.
fn new_token(tenant: &str, arguments: &[&str]) -> (String, String) {
    let made = Command::new(program("mcp-v8"))
        .args(["token", "new", "--tenant", tenant])
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program can be executed");
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    let token = told.lines().find(|line| line.starts_with("mcpv8_"));
    let entry = told.find("[[tokens]]").map(|at| told[at..].to_owned());
    match (token, entry) {
        (Some(token), Some(entry)) => (token.to_owned(), entry),
        (_, _) => panic!("no token was made: {made:?}"),
    }
}
