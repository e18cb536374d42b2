//! What is kept between executions, and where: which settings go together and which do not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::Fault;
use super::raw::{Given, Said};
use super::resolve::{Resolver, malformed, switch};
use super::setting::Setting;
use super::{
    BYTES_PER_MB, DIRECTORY_PATH_DEFAULT, HEAP_KEY_NAME, Machine, Note, RETENTION_HOURS_MAX,
    RETENTION_MB_MAX, SECS_PER_HOUR, SESSION_DB_PATH_DEFAULT,
};
use crate::app::{AwsVariables, CachePlace, HeapPlace, HeapRetention, HeapsConfig, State};
use crate::limits;

/// What means nothing to a server that keeps nothing.
pub(super) const NEEDS_STATE: [Setting; 8] = [
    Setting::DirectoryPath,
    Setting::S3Bucket,
    Setting::CacheDir,
    Setting::CacheMaxMb,
    Setting::HeapKeyFile,
    Setting::HeapRetentionHours,
    Setting::HeapRetentionMb,
    Setting::SessionDbPath,
];

/// The longest name of a bucket, in bytes: some stores allow more than S3's 63.
const BUCKET_BYTES_MAX: usize = 255;

impl Resolver<'_> {
    pub(super) fn state(&mut self, machine: &Machine, notes: &mut Vec<Note>) -> State {
        // Everything is read, so that everything that is wrong is reported.
        let stateless = self.value(Setting::Stateless, false, switch);
        let sessions = self.path(Setting::SessionDbPath);
        let directory = self.path(Setting::DirectoryPath);
        let bucket = self.value(Setting::S3Bucket, None, |said| bucket(said).map(Some));
        let cache = self.cache();
        let key_file = self.path(Setting::HeapKeyFile);
        let retention = self.heap_retention();
        if stateless {
            let is_node = self.raw.get(Setting::ClusterPort).is_some();
            for setting in NEEDS_STATE {
                // A node keeps its log there, whatever executions leave.
                if setting == Setting::SessionDbPath && is_node {
                    continue;
                }
                self.conflict(
                    Setting::Stateless,
                    setting,
                    "a stateless server keeps no heaps and no sessions; give one of them",
                );
            }
            return State::Stateless;
        }
        self.conflict(
            Setting::S3Bucket,
            Setting::DirectoryPath,
            "heaps are kept in one place; give one of them",
        );
        self.need(
            Setting::CacheDir,
            Setting::S3Bucket,
            "it holds copies of heaps in a bucket",
        );
        self.need(
            Setting::CacheMaxMb,
            Setting::CacheDir,
            "it bounds what is held there",
        );
        let sessions = sessions
            .unwrap_or_else(|| self.default_directory(Setting::SessionDbPath, machine, notes));
        let (place, beside) = match bucket {
            Some(bucket) => (
                HeapPlace::S3 {
                    bucket,
                    variables: AwsVariables::of_process(),
                    cache,
                },
                sessions.clone(),
            ),
            None => {
                let directory = directory.unwrap_or_else(|| {
                    // Where a bucket was meant, its name is what has to be mended.
                    if self.raw.get(Setting::S3Bucket).is_some() {
                        return PathBuf::from(DIRECTORY_PATH_DEFAULT);
                    }
                    self.default_directory(Setting::DirectoryPath, machine, notes)
                });
                (HeapPlace::Directory(directory.clone()), directory)
            }
        };
        let key_file = key_file.unwrap_or_else(|| beside.join(HEAP_KEY_NAME));
        State::Stateful {
            sessions,
            heaps: HeapsConfig { place, key_file },
            retention,
        }
    }

    fn cache(&mut self) -> Option<CachePlace> {
        let mb = self.number(
            Setting::CacheMaxMb,
            1..=RETENTION_MB_MAX,
            " MB",
            limits::HEAP_CACHE_BYTES_DEFAULT / BYTES_PER_MB,
        );
        let directory = self.path(Setting::CacheDir)?;
        Some(CachePlace {
            directory,
            bytes_max: mb * BYTES_PER_MB,
        })
    }

    fn heap_retention(&mut self) -> HeapRetention {
        let default = HeapRetention::default();
        let hours = self.number(
            Setting::HeapRetentionHours,
            1..=RETENTION_HOURS_MAX,
            " hours",
            default.age_max.as_secs() / SECS_PER_HOUR,
        );
        let mb = self.number(
            Setting::HeapRetentionMb,
            1..=RETENTION_MB_MAX,
            " MB",
            default.bytes_max / BYTES_PER_MB,
        );
        HeapRetention {
            age_max: Duration::from_secs(hours * SECS_PER_HOUR),
            bytes_max: mb * BYTES_PER_MB,
        }
    }

    /// The default under /tmp, unless somebody else was there first.
    pub(super) fn default_directory(
        &mut self,
        setting: Setting,
        machine: &Machine,
        notes: &mut Vec<Note>,
    ) -> PathBuf {
        let (default, what) = if setting == Setting::DirectoryPath {
            (DIRECTORY_PATH_DEFAULT, "heaps")
        } else {
            (SESSION_DB_PATH_DEFAULT, "executions")
        };
        let foreign = |path: &Path| (machine.owner)(path).filter(|&id| id != machine.user_id);
        let shared = PathBuf::from(default);
        let Some(owner) = foreign(&shared) else {
            return shared;
        };
        let own = PathBuf::from(format!("{default}-{}", machine.user_id));
        match foreign(&own) {
            Some(owner) => self.faults.push(Fault::ForeignDirectory {
                path: own.clone(),
                owner,
                setting,
            }),
            None => notes.push(Note::DefaultTaken {
                what,
                taken: shared,
                owner,
                used: own.clone(),
            }),
        }
        own
    }
}

/// The name of a bucket. It becomes a part of host names and of paths.
fn bucket(said: &Said) -> Result<String, Fault> {
    let name = match &said.given {
        Given::Text(text) => text.to_str(),
        Given::Texts(_) => None,
        Given::Toml(value) => value.as_str(),
    };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    name.filter(|name| (1..=BUCKET_BYTES_MAX).contains(&name.len()))
        .filter(|name| name.bytes().all(is_part) && name.starts_with(|c: char| c != '.'))
        .map(str::to_owned)
        .ok_or_else(|| {
            malformed(
                said,
                "the name of a bucket (letters, digits, dots and dashes)",
            )
        })
}
