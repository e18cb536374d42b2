//! Names that clients made up.

use std::borrow::Cow;

use crate::limits;

/// A name that somebody made up, so short that it can be shown back.
pub fn clip(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(limits::SHOWN_CHARS_MAX) {
        None => name.into(),
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()).into(),
    }
}
