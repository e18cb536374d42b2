//! Asks the policies about one request, and says what each says.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mcp_v8::fetch::options::FetchOptions;
use mcp_v8::policy::{Policy, PolicyError, check};
use mcp_v8::telemetry::LogOptions;

use super::runtime;
use crate::{EXIT_CONFIGURATION, complain, start_log};

/// Why no policy can be asked.
#[derive(Debug, thiserror::Error)]
enum NoCheck {
    #[error("{path} cannot be read: {problem}", path = .path.display())]
    Unreadable {
        path: PathBuf,
        problem: std::io::Error,
    },
    #[error("{path} is not a request: {problem}", path = .path.display())]
    Input {
        path: PathBuf,
        problem: check::InputError,
    },
    #[error("{0}")]
    Policy(#[from] PolicyError),
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Asks the policies about one request, and says what each says.
pub(crate) fn check_policy(fetch: FetchOptions, input: &Path, log: LogOptions) -> ExitCode {
    let _log = start_log(log, None);
    match checked(fetch, input) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            complain(&format!("mcp-v8: {problem}\n"));
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

/// Whether the request is allowed.
fn checked(fetch: FetchOptions, path: &Path) -> Result<bool, NoCheck> {
    let text = request_text(path).map_err(|problem| NoCheck::Unreadable {
        path: path.to_owned(),
        problem,
    })?;
    let asked = check::read(&text).map_err(|problem| NoCheck::Input {
        path: path.to_owned(),
        problem,
    })?;
    let verdicts = runtime::run(async {
        let policy = Policy::open(fetch.policy).await?;
        Ok::<_, PolicyError>(policy.verdicts(&asked).await)
    })??;
    let told = check::Told {
        asked: &asked,
        verdicts: &verdicts,
        allow_private: fetch.allow_private,
    };
    let _nobody_reads = write!(std::io::stdout(), "{told}");
    Ok(told.is_allowed())
}

fn request_text(path: &Path) -> std::io::Result<Vec<u8>> {
    let most = check::INPUT_BYTES_MAX as u64 + 1;
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(most)
            .read_to_end(&mut text)?;
    }
    if text.len() > check::INPUT_BYTES_MAX {
        let problem = format!("it is larger than {} bytes", check::INPUT_BYTES_MAX);
        return Err(std::io::Error::other(problem));
    }
    Ok(text)
}
