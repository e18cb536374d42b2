//! Policies in a directory: Rego, evaluated here, and read again when it changes.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Answer, Silence};
use crate::limits;
use crate::quota::{Crowd, Sharing};
use crate::tenant::Tenant;
use crate::upstream::AskError;

/// The package that says which requests may be made.
const PACKAGE: &str = "data.mcp.fetch";
/// The rule that must be true.
pub(super) const ALLOW: &str = "data.mcp.fetch.allow";
/// The rule that opens private addresses, where there is one.
const ALLOW_PRIVATE: &str = "data.mcp.fetch.allow_private";
const DATA_NAME: &str = "data.json";
const SUFFIX: &str = ".rego";
const TEST_SUFFIX: &str = "_test.rego";

/// A request that policies are tried with before they count.
const TRIAL: &str = r#"{"operation":"fetch","url":"https://host.invalid/","method":"GET","headers":{},
"url_parsed":{"scheme":"https","host":"host.invalid","port":443,"path":"/","query":""},
"tenant":"local","session":null}"#;

/// Why the policies of a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegoError {
    /// A file or the directory cannot be read.
    #[error("{path} cannot be read: {problem}", path = path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// There are more files than are read.
    #[error("there are more than {max} policies in {path}", path = path.display(), max = limits::POLICY_FILES_MAX)]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// A policy is not Rego, or the policies do not go together. The text names file, line and column.
    #[error("the policies in {path} do not load: {problem}", path = path.display())]
    Rego {
        /// The directory.
        path: PathBuf,
        /// Where, and why.
        problem: String,
    },
    /// The data beside the policies cannot be used.
    #[error("{path} is not a JSON object: {problem}", path = path.display())]
    Data {
        /// Which file.
        path: PathBuf,
        /// Where, and why.
        problem: String,
    },
    /// Nothing in the directory says whether a request may be made.
    #[error(
        "no policy in {path} has the rule allow in the package mcp.fetch; policies are files *.rego in \
         the directory itself, without *_test.rego", path = path.display()
    )]
    NoRule {
        /// The directory.
        path: PathBuf,
    },
    /// Reading ended without an end.
    #[error("the policies in {path} could not be read to their end", path = path.display())]
    Aborted {
        /// The directory.
        path: PathBuf,
    },
}

/// The policies of a directory.
#[derive(Debug)]
pub(super) struct Rego {
    directory: PathBuf,
    current: Arc<Current>,
    turns: Crowd,
}

/// Those in use.
#[derive(Debug)]
struct Current(Mutex<Loaded>);

/// Policies that have been read and tried.
#[derive(Debug, Clone)]
struct Loaded {
    engine: Engine,
    has_private_rule: bool,
}

/// What tells one state of the files from another.
type Seen = Vec<(PathBuf, u64, i64, i64, u64)>;

impl Rego {
    /// Reads the policies, and from then on whenever they change, as long as this is in use.
    pub(super) async fn open(directory: PathBuf) -> Result<Self, RegoError> {
        let (loaded, seen) = read(directory.clone()).await?;
        let current = Arc::new(Current(Mutex::new(loaded)));
        tokio::spawn(renew(directory.clone(), Arc::downgrade(&current), seen));
        Ok(Self {
            directory,
            current,
            turns: Crowd::new(limits::REGO_EVALUATIONS_MAX, Sharing::Tenants),
        })
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> &Crowd {
        &self.turns
    }

    pub(super) fn name(&self) -> String {
        format!("the policies in {}", self.directory.display())
    }

    /// Evaluates for a document, on a thread where it may take its time. A place is taken until it has
    /// ended, also when nobody waits for it any more.
    pub(super) async fn ask(&self, tenant: &Tenant, document: &str) -> Result<Answer, Silence> {
        let time = limits::POLICY_ANSWER_TIMEOUT;
        let late = || Silence::Upstream(AskError::Late(time));
        let asked = async {
            let turn = self.turns.turn(tenant).await.ok_or_else(late)?;
            let loaded = self.current.get();
            let document = document.to_owned();
            let evaluated = spawn_blocking(move || {
                let answer = evaluate(loaded, &document);
                drop(turn);
                answer
            });
            let aborted = |_| Silence::Failed("its evaluation was aborted".to_owned());
            evaluated.await.map_err(aborted)?
        };
        timeout(time, asked).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Current {
    fn get(&self) -> Loaded {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, loaded: Loaded) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
    }
}

fn evaluate(loaded: Loaded, document: &str) -> Result<Answer, Silence> {
    let Loaded {
        mut engine,
        has_private_rule,
    } = loaded;
    let failed = |error: &dyn ToString| Silence::Failed(error.to_string().trim().to_owned());
    engine
        .set_input_json(document)
        .map_err(|error| failed(&error))?;
    let mut is_true = |rule: &str| {
        let value = engine.eval_rule(rule.to_owned());
        value
            .map(|value| value == Value::from(true))
            .map_err(|error| failed(&error))
    };
    let allow = is_true(ALLOW)?;
    Ok(Answer {
        allow,
        allow_private: allow && has_private_rule && is_true(ALLOW_PRIVATE)?,
    })
}

/// Reads the files again whenever they change, until nobody uses them. Those that do not load leave
/// what was read before.
async fn renew(directory: PathBuf, current: Weak<Current>, mut seen: Seen) {
    let mut ticks = interval(limits::POLICY_LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if current.strong_count() == 0 {
            return;
        }
        let place = directory.clone();
        let Ok(Ok(found)) = spawn_blocking(move || look(&place)).await else {
            continue;
        };
        if found == seen {
            continue;
        }
        seen = found;
        match read(directory.clone()).await {
            Ok((loaded, found)) => {
                seen = found;
                let Some(current) = current.upgrade() else {
                    return;
                };
                current.set(loaded);
                tracing::info!(
                    "the policies in {} have changed and are in use",
                    directory.display()
                );
            }
            Err(error) => tracing::warn!("{error}; the policies that were read before stay in use"),
        }
    }
}

async fn read(directory: PathBuf) -> Result<(Loaded, Seen), RegoError> {
    let path = directory.clone();
    let reading = spawn_blocking(move || {
        // What changes while it is read is read again.
        let seen = look(&directory)?;
        Ok((load(&directory, &seen)?, seen))
    });
    reading
        .await
        .unwrap_or_else(|_| Err(RegoError::Aborted { path }))
}

/// The files as they stand, in the order of their names.
fn look(directory: &Path) -> Result<Seen, RegoError> {
    let unreadable = |path: &Path, problem| RegoError::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let entries = directory.read_dir();
    let mut seen = Seen::new();
    for entry in entries.map_err(|problem| unreadable(directory, problem))? {
        let path = entry
            .map_err(|problem| unreadable(directory, problem))?
            .path();
        if !is_policy(&path) && path.file_name() != Some(DATA_NAME.as_ref()) {
            continue;
        }
        let found = path
            .metadata()
            .map_err(|problem| unreadable(&path, problem))?;
        if found.is_file() {
            seen.push(mark(path, &found));
        }
        if seen.len() > limits::POLICY_FILES_MAX {
            let path = directory.to_owned();
            return Err(RegoError::TooMany { path });
        }
    }
    seen.sort();
    Ok(seen)
}

/// Whether a file is Rego that counts. Hidden ones are what editors leave.
fn is_policy(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| {
        name.ends_with(SUFFIX) && !name.ends_with(TEST_SUFFIX) && !name.starts_with('.')
    })
}

fn mark(path: PathBuf, found: &Metadata) -> (PathBuf, u64, i64, i64, u64) {
    (
        path,
        found.ino(),
        found.mtime(),
        found.mtime_nsec(),
        found.len(),
    )
}

fn load(directory: &Path, files: &Seen) -> Result<Loaded, RegoError> {
    let path = || directory.to_owned();
    let broken = |error: &dyn ToString| RegoError::Rego {
        path: path(),
        problem: error.to_string().trim().to_owned(),
    };
    let mut engine = Engine::new();
    // As in OPA: what a built-in function cannot do is undefined.
    engine.set_strict_builtin_errors(false);
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: limits::REGO_EVALUATION_TIME_MAX,
        check_interval: limits::REGO_STEPS_PER_LOOK,
    });
    let mut has_rule = false;
    let mut has_private_rule = false;
    for (file, ..) in files {
        if !is_policy(file) {
            engine = with_data(engine, file)?;
            continue;
        }
        let name = file.display().to_string();
        let text = text(file, limits::POLICY_FILE_BYTES_MAX)?;
        let package = engine.add_policy(name.clone(), text);
        if package.map_err(|error| broken(&error))? != PACKAGE {
            continue;
        }
        let declares = |rule| {
            let found = engine.has_declared_rule_rooted_at(&name, rule);
            found.map_err(|error| broken(&error))
        };
        has_rule |= declares("allow")?;
        has_private_rule |= declares("allow_private")?;
    }
    if !has_rule {
        return Err(RegoError::NoRule { path: path() });
    }
    one_default_each(&mut engine).map_err(|problem| broken(&problem))?;
    let trial = engine.set_input_json(TRIAL);
    trial.map_err(|error| broken(&error))?;
    let tried = engine.eval_rule(ALLOW.to_owned());
    tried.map_err(|error| broken(&error))?;
    Ok(Loaded {
        engine,
        has_private_rule,
    })
}

/// That no rule has two defaults, which the evaluator lets pass and OPA does not: which one counts
/// would depend on the names of files.
fn one_default_each(engine: &mut Engine) -> Result<(), String> {
    let mut seen = HashSet::new();
    for module in engine.get_modules() {
        let package = module.package.refr.span().text();
        for rule in &module.policy {
            let Some(named) = rule.span().text().strip_prefix("default") else {
                continue;
            };
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let name: String = named.trim().chars().take_while(|c| is_name(*c)).collect();
            let place = rule.span();
            if !seen.insert((package.to_owned(), name.clone())) {
                let file = place.source.get_path();
                return Err(format!("{file}:{}: {name} has two defaults", place.line));
            }
        }
    }
    Ok(())
}

fn with_data(mut engine: Engine, file: &Path) -> Result<Engine, RegoError> {
    let text = text(file, limits::POLICY_DATA_BYTES_MAX)?;
    let added = engine.add_data_json(&text);
    added.map_err(|error| RegoError::Data {
        path: file.to_owned(),
        problem: error.to_string().trim().to_owned(),
    })?;
    Ok(engine)
}

fn text(path: &Path, bytes_max: usize) -> Result<String, RegoError> {
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(bytes_max as u64 + 1).read_to_string(&mut text)?;
        if text.len() > bytes_max {
            let problem = format!("it is larger than {bytes_max} bytes");
            return Err(io::Error::other(problem));
        }
        Ok(text)
    };
    read().map_err(|problem| RegoError::Unreadable {
        path: path.to_owned(),
        problem,
    })
}
