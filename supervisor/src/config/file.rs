//! What the configuration file says.

use std::path::Path;
use std::sync::Arc;

use super::fault::Fault;
use super::raw::{Given, Origin, Raw, Said};
use super::setting::Setting;

/// The largest configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Reads the file. Whatever is wrong with it goes to `faults`; the rest counts.
pub(super) fn read(path: &Path, origin: &'static str, faults: &mut Vec<Fault>) -> Raw {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(Fault::Unreadable {
                origin,
                path: path.to_owned(),
                problem: error.to_string(),
            });
            return Raw::default();
        }
    };
    parse(path, &text, faults)
}

fn text(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let length = file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    if length as u64 > CONFIG_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "it is larger than {CONFIG_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

/// Where it is wrong, and why. What stands there is not shown: it may be a secret.
fn place_and_reason(text: &str, error: &toml::de::Error) -> String {
    let reason = error.message();
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return reason.to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.lines().last().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {reason}")
}

fn parse(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Raw {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            faults.push(Fault::Syntax {
                path: path.to_owned(),
                problem: place_and_reason(text, &error),
            });
            return Raw::default();
        }
    };
    let shared: Arc<Path> = path.into();
    let mut raw = Raw::default();
    for (key, value) in table {
        match Setting::from_name(&key) {
            Some(setting) => raw.say(
                setting,
                Said {
                    given: Given::Toml(value),
                    origin: Origin::File {
                        path: shared.clone(),
                        setting,
                    },
                },
            ),
            None => faults.push(Fault::UnknownKey {
                path: path.to_owned(),
                key,
                valid: Setting::ALL.map(Setting::name).join(", "),
            }),
        }
    }
    raw
}
