//! What a snapshot depends on beside its own bytes.

use std::env::consts::ARCH;
use std::fmt;

/// The longest text in a [`BuildId`], in bytes.
pub const BUILD_TEXT_BYTES_MAX: usize = 128;

/// How much of a fingerprint people are shown.
const FINGERPRINT_DIGITS_SHOWN: usize = 12;

/// What made a snapshot, all of which must be the same where it is loaded: V8 ends the process when it
/// is given another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BuildId {
    v8: String,
    fingerprint: String,
    architecture: String,
}

impl BuildId {
    /// The build of a worker on this machine: its V8's version, and a text that is another for each
    /// base heap and each set of flags.
    ///
    /// # Errors
    /// [`MalformedBuildId`].
    pub fn new(v8: &str, fingerprint: &str) -> Result<Self, MalformedBuildId> {
        Self::with_architecture(v8, fingerprint, ARCH)
    }

    /// The same for another machine.
    ///
    /// # Errors
    /// [`MalformedBuildId`].
    pub fn with_architecture(
        v8: &str,
        fingerprint: &str,
        architecture: &str,
    ) -> Result<Self, MalformedBuildId> {
        let fits = |text: &str| {
            (1..=BUILD_TEXT_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !(fits(v8) && fits(fingerprint) && fits(architecture)) {
            return Err(MalformedBuildId);
        }
        Ok(Self {
            v8: v8.to_owned(),
            fingerprint: fingerprint.to_owned(),
            architecture: architecture.to_owned(),
        })
    }

    /// V8's version.
    pub fn v8(&self) -> &str {
        &self.v8
    }

    /// The text that stands for the worker's base heap and flags.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The processor's architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }
}

/// For people: the fingerprint is cut.
impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.fingerprint.len().min(FINGERPRINT_DIGITS_SHOWN);
        write!(
            f,
            "V8 {} on {}, worker build {}",
            self.v8,
            self.architecture,
            &self.fingerprint[..shown]
        )
    }
}

/// A text that cannot stand for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "V8's version, a worker's fingerprint and an architecture are 1 to {BUILD_TEXT_BYTES_MAX} \
     printable ASCII characters without blanks"
)]
pub struct MalformedBuildId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_told_apart_and_bounded() {
        let build = BuildId::new("15.0.1", "abc").unwrap();
        assert_eq!(
            build.to_string(),
            format!("V8 15.0.1 on {ARCH}, worker build abc")
        );
        assert_ne!(build, BuildId::new("15.0.1", "abd").unwrap());
        let long = "x".repeat(BUILD_TEXT_BYTES_MAX + 1);
        for bad in ["", "a b", "a\n", "ü", &long] {
            assert_eq!(BuildId::new(bad, "abc"), Err(MalformedBuildId));
            assert_eq!(BuildId::new("15", bad), Err(MalformedBuildId));
        }
    }
}
