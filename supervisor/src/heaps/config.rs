//! Where heaps are kept, and what proves that they are ours.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::PathBuf;

/// Where heaps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapPlace {
    /// In this directory, which is made when missing (0700).
    Directory(PathBuf),
    /// In an S3 bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// What the environment says about AWS.
        variables: AwsVariables,
        /// A local copy of what was used last.
        cache: Option<CachePlace>,
    },
}

/// A local copy of what was used last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlace {
    /// Where. It is made when missing (0700).
    pub directory: PathBuf,
    /// How much it may hold, in bytes.
    pub bytes_max: u64,
}

/// How heaps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapsConfig {
    /// Where.
    pub place: HeapPlace,
    /// The file with the key that heaps are sealed with. It is made (0600) when it is missing.
    pub key_file: PathBuf,
}

/// What the environment says about AWS, in the variables that all its clients know: where S3 is
/// (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, `AWS_CA_BUNDLE`...), and who we are there.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AwsVariables(BTreeMap<String, String>);

impl AwsVariables {
    /// Those of this process.
    pub fn of_process() -> Self {
        let is_ours = |name: &str| name.starts_with("AWS_") || name == "HOME";
        env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| is_ours(name))
            .collect()
    }

    /// The value of a variable; an empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for AwsVariables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let own = |(name, value): (N, V)| (name.into(), value.into());
        Self(variables.into_iter().map(own).collect())
    }
}

/// The names alone: among the values are secrets.
impl fmt::Debug for AwsVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
