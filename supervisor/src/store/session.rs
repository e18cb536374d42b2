//! What a session is called.

use std::fmt;
use std::str::FromStr;

use crate::limits::SESSION_NAME_CHARS_MAX;

/// The name of a session: a label that callers choose, under which the heaps of their executions
/// are listed one after another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName(String);

impl SessionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the name of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a session is named by 1 to {SESSION_NAME_CHARS_MAX} printable characters (no line breaks, no \
     control characters)"
)]
pub struct MalformedSessionName;

impl FromStr for SessionName {
    type Err = MalformedSessionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Never counts further than it has to.
        let chars = text.chars().take(SESSION_NAME_CHARS_MAX + 1).count();
        if (1..=SESSION_NAME_CHARS_MAX).contains(&chars) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedSessionName)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_in_characters_and_printable() {
        let long = "ü".repeat(SESSION_NAME_CHARS_MAX);
        for good in ["a", "a b/ü, 日本", " ", &long] {
            assert_eq!(good.parse::<SessionName>().unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{7f}", "\u{85}", "\0", &format!("{long}x")] {
            assert_eq!(bad.parse::<SessionName>(), Err(MalformedSessionName));
        }
    }
}
