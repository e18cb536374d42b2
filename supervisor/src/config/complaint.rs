//! What is wrong with a command line, in few words.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};

/// Where an argument that means nothing stands.
pub(super) fn unknown(error: &clap::Error, arguments: &[OsString]) -> Option<usize> {
    let name = (error.kind() == ErrorKind::UnknownArgument)
        .then(|| error.get(ContextKind::InvalidArg))
        .flatten()?
        .to_string();
    let with_value = format!("{name}=");
    arguments
        .iter()
        .skip(1)
        .position(|argument| {
            let argument = argument.to_string_lossy();
            argument == name || argument.starts_with(&with_value)
        })
        .map(|position| position + 1)
}

/// What is wrong with the command line, in one line.
pub(super) fn complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let problem = first.strip_prefix("error: ").unwrap_or(first);
    // What it is stands on the lines below.
    if problem.ends_with(':') {
        let below = lines.map(str::trim).take_while(|line| !line.is_empty());
        return format!("{problem} {}", below.collect::<Vec<_>>().join(", "));
    }
    match error.get(ContextKind::SuggestedArg) {
        Some(similar) => format!("{problem}; did you mean {similar}?"),
        None => problem.to_owned(),
    }
}
