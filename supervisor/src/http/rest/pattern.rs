//! What the texts of arguments look like, beyond their lengths: for the description of the API. The
//! arguments themselves are held against the types that they become.

use crate::api::EntryField;
use crate::limits;

/// Characters that neither names nor keys have.
const CONTROLS: &str = r"\u0000-\u001f\u007f-\u009f";

/// The pattern of the texts that an argument of an operation may be, in the regular expressions of
/// ECMA-262; `None` where any text will do.
pub(super) fn of(operation: &str, argument: &str) -> Option<String> {
    match (operation, argument) {
        (_, "execution_id") => Some(uuid()),
        ("run_js", "heap") => Some("^(latest|[0-9a-f]{64})$".to_owned()),
        (_, "heap") => Some("^[0-9a-f]{64}$".to_owned()),
        (_, "session") => Some(format!("^[^{CONTROLS}]+$")),
        ("list_executions", "cursor") => Some(cursor('e')),
        ("list_sessions", "cursor") => Some(cursor('s')),
        ("query_heaps_by_tags", "cursor") => Some(cursor('h')),
        (_, "fields") => Some(fields()),
        (_, "keys") => Some(format!(r"^\s*{key}\s*(,\s*{key}\s*)*$", key = key())),
        _ => None,
    }
}

/// The pattern of the key of a tag.
pub(super) fn of_tag_key() -> String {
    format!("^{}$", key())
}

fn uuid() -> String {
    "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$".to_owned()
}

fn cursor(list: char) -> String {
    format!("^{list}1-[0-7]?[0-9a-f]{{1,15}}$")
}

fn fields() -> String {
    let names = EntryField::ALL.map(EntryField::name).join("|");
    format!(r"^\s*({names})\s*(,\s*({names})\s*)*$")
}

fn key() -> String {
    let within = limits::TAG_KEY_CHARS_MAX - 2;
    format!(r"[^\s,{CONTROLS}]([^,{CONTROLS}]{{0,{within}}}[^\s,{CONTROLS}])?")
}
