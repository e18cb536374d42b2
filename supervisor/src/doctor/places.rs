//! Where things are kept: whether it can be written, by whom it can be read, how full and how fast it is,
//! and what lies there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use super::report::Finding;
use crate::app::{HeapPlace, State, inspect_database};
use crate::config::{Config, Machine};
use crate::key_file::{self, KeyUse};
use crate::limits::DISK_FREE_BYTES_MIN;

/// Less free space than this is worth a word.
const FREE_BYTES_WANTED: u64 = 1 << 30;

/// A sync that takes longer than this slows executions down.
const SYNC_WANTED: Duration = Duration::from_millis(50);

/// The places of this configuration.
pub(super) fn kept(config: &Config, machine: &Machine) -> Vec<Finding> {
    match &config.executions.state {
        State::Stateless => directory("temporary files", &std::env::temp_dir(), Privacy::Shared),
        State::Stateful {
            sessions, heaps, ..
        } => {
            let private = Privacy::Of(machine.user_id);
            let mut findings = directory("sessions", sessions, private);
            findings.push(database(sessions));
            match &heaps.place {
                HeapPlace::Directory(path) => findings.extend(directory("heaps", path, private)),
                HeapPlace::S3 {
                    cache: Some(cache), ..
                } => {
                    let copies = directory("copies of heaps", &cache.directory, private);
                    findings.extend(copies);
                }
                HeapPlace::S3 { cache: None, .. } => {}
            }
            findings.push(key("heap key", KeyUse::Heaps, &heaps.key_file));
            findings
        }
    }
}

/// Where the audit log is, if there is one.
pub(super) fn noted(config: &Config) -> Vec<Finding> {
    let Some(audit) = &config.audit else {
        return Vec::new();
    };
    let parent = match audit.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut findings = directory("audit log", parent, Privacy::Shared);
    findings.push(key("audit key", KeyUse::Audit, &audit.key_file));
    findings
}

/// Who may look into a directory.
#[derive(Debug, Clone, Copy)]
enum Privacy {
    /// Everybody.
    Shared,
    /// Its owner, who is this user.
    Of(u32),
}

fn directory(subject: &'static str, path: &Path, privacy: Privacy) -> Vec<Finding> {
    let shown = path.display();
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![absent(subject, path)];
        }
        Err(error) => {
            let found = format!("{shown} cannot be looked at: {error}");
            return vec![Finding::fail(subject, found, "let the server's user in")];
        }
    };
    if !about.is_dir() {
        let found = format!("{shown} is not a directory");
        return vec![Finding::fail(subject, found, "name another one")];
    }
    let took = match sync(path) {
        Ok(took) => took,
        Err(error) => {
            let found = format!("{shown} cannot be written: {error}");
            let advice = "give it to the server's user, or make room";
            return vec![Finding::fail(subject, found, advice)];
        }
    };
    let mut findings = vec![Finding::ok(subject, format!("{shown} can be written"))];
    if let Privacy::Of(user) = privacy
        && (about.mode() & 0o077 != 0 || about.uid() != user)
    {
        findings.push(Finding::warn(
            subject,
            format!(
                "{shown} is of user {} with mode {:o}: others may get at it",
                about.uid(),
                about.mode() & 0o777
            ),
            format!("chmod 700 {shown}, and give it to the server's user"),
        ));
    }
    findings.push(room(subject, path));
    findings.push(pace(subject, took));
    findings
}

fn absent(subject: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    let parent = path
        .ancestors()
        .skip(1)
        .find(|above| above.as_os_str().is_empty() || above.exists());
    let parent = match parent {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    match sync(&parent) {
        Ok(_) => Finding::ok(
            subject,
            format!("{shown} is not there yet; it will be made"),
        ),
        Err(error) => Finding::fail(
            subject,
            format!("{shown} is not there, and cannot be made: {error}"),
            "make it, and give it to the server's user",
        ),
    }
}

/// Writes a file and has it on the disk; how long that took.
fn sync(directory: &Path) -> io::Result<Duration> {
    let mut file = tempfile::Builder::new()
        .prefix(".mcp-v8-doctor-")
        .tempfile_in(directory)?;
    file.write_all(&[0; 4096])?;
    let began = Instant::now();
    file.as_file().sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(began.elapsed())
}

#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "these are of other widths on other machines"
)]
fn room(subject: &'static str, path: &Path) -> Finding {
    let free = statvfs(path).map(|found| {
        u64::from(found.blocks_available()).saturating_mul(found.fragment_size().into())
    });
    let Ok(free) = free else {
        return Finding::warn(subject, "how much is free cannot be read", "none");
    };
    let found = format!("{} MiB are free", free >> 20);
    let advice = "make room, or lower what is retained";
    if free < DISK_FREE_BYTES_MIN {
        Finding::fail(subject, found, advice)
    } else if free < FREE_BYTES_WANTED {
        Finding::warn(subject, found, advice)
    } else {
        Finding::ok(subject, found)
    }
}

fn pace(subject: &'static str, took: Duration) -> Finding {
    let found = format!(
        "4 KiB are on the disk after {:.1} ms",
        took.as_secs_f64() * 1e3
    );
    if took > SYNC_WANTED {
        return Finding::warn(
            subject,
            found,
            "use a faster disk: each end of an execution waits",
        );
    }
    Finding::ok(subject, found)
}

fn database(sessions: &Path) -> Finding {
    let subject = "database";
    match inspect_database(sessions) {
        Ok(None) => Finding::ok(subject, "there is none yet; it will be made"),
        Ok(Some(found)) if found.format == found.newest => {
            Finding::ok(subject, format!("it opens; its format is {}", found.format))
        }
        Ok(Some(found)) => Finding::ok(
            subject,
            format!(
                "it opens; its format is {}, and becomes {} when the server starts",
                found.format, found.newest
            ),
        ),
        Err(error) => Finding::fail(
            subject,
            error.to_string(),
            "use the program that wrote it, or another --session-db-path",
        ),
    }
}

/// A secret key, as the start would see it.
fn key(subject: &'static str, is_for: KeyUse, path: &Path) -> Finding {
    let shown = path.display();
    match key_file::look(is_for, path) {
        Ok(true) => Finding::ok(subject, format!("{shown} is there, and private")),
        Ok(false) => Finding::ok(
            subject,
            format!("{shown} is not there yet; it will be made"),
        ),
        Err(error) => {
            let advice = "give the server a key that nobody else could have read or written";
            Finding::fail(subject, error.to_string(), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::report::Grade;
    use super::*;

    #[test]
    fn a_place_that_is_open_to_others_is_told_and_nothing_is_left_in_it() {
        let place = tempfile::tempdir().unwrap();
        let user = nix::unistd::geteuid().as_raw();
        let worst = |findings: Vec<Finding>| findings.iter().map(|found| found.grade).max();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.path(), open).unwrap();
        let found = directory("sessions", place.path(), Privacy::Of(user));
        assert!(found.iter().any(|found| found.found.contains("mode 755")));
        assert!(worst(found) >= Some(Grade::Warn));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(
            worst(directory("sessions", &file, Privacy::Shared)),
            Some(Grade::Fail)
        );
    }

    #[test]
    fn a_key_is_what_the_start_takes_it_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.key");
        let grade = || key("audit key", KeyUse::Audit, &path).grade;
        assert_eq!(grade(), Grade::Ok);
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let good = "0123456789abcdef".repeat(4);
        for (text, mode, expected) in [
            ("no key", 0o600, Grade::Fail),
            (good.as_str(), 0o644, Grade::Fail),
            (good.as_str(), 0o620, Grade::Fail),
            (good.as_str(), 0o600, Grade::Ok),
        ] {
            write(text, mode);
            assert_eq!(grade(), expected, "{mode:o}");
            assert_eq!(
                grade() == Grade::Ok,
                key_file::load_or_make(KeyUse::Audit, &path).is_ok()
            );
        }
        let told = key("audit key", KeyUse::Audit, &path).found;
        assert!(!told.contains(&good), "{told}");
    }
}
