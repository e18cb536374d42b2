//! What is written about the command line, out of the command line itself: completions for shells, and
//! pages of the manual.

use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;

use super::fault::{Fault, Faults};
use super::{Command as Told, cli};

/// The section of the manual for programs that users call.
const SECTION: &str = "1";

/// What is to be written.
#[derive(Debug)]
pub(super) enum Paper {
    /// What a shell completes by.
    Completions(Shell),
    /// The page about a command, by its words; none are the server.
    Page(Vec<String>),
    /// The commands that have a page.
    Contents,
}

/// Writes it.
///
/// # Errors
/// When there is no such page.
pub(super) fn write(paper: &Paper) -> Result<Told, Faults> {
    let mut command = cli::command().mut_args(hinted);
    let mut text = Vec::new();
    match paper {
        Paper::Completions(Shell::Bash) => return Ok(Told::Show(for_bash(command))),
        Paper::Completions(shell) => {
            let name = command.get_name().to_owned();
            clap_complete::generate(*shell, &mut command, name, &mut text);
        }
        Paper::Page(words) => {
            // Gives each command its full name, and the flags that all have.
            let mut command = command.disable_help_subcommand(true);
            command.build();
            let wanted = find(&command, words).ok_or_else(|| unknown(&command, words))?;
            text = page(wanted.clone());
        }
        Paper::Contents => text = listed(&command, "").into_bytes(),
    }
    Ok(Told::Show(String::from_utf8_lossy(&text).into_owned()))
}

/// What bash completes by. The generator takes a dash in the program's name for the mark between a command and
/// one within it, and would find no command in its own list: so it gets a name without, which is then put
/// right where bash is told whom this is for.
fn for_bash(mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let stand_in = name.replace('-', "_");
    let mut text = Vec::new();
    clap_complete::generate(Shell::Bash, &mut command, stand_in.as_str(), &mut text);
    let text = String::from_utf8_lossy(&text);
    text.replace(
        &format!("-o default {stand_in}\n"),
        &format!("-o default {name}\n"),
    )
}

/// Tells a shell which values are paths.
fn hinted(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(|names| names.first());
    let hint = match name.map(|name| name.as_str()) {
        Some("FILE") => ValueHint::FilePath,
        Some("DIR") => ValueHint::DirPath,
        _ => return arg,
    };
    arg.value_hint(hint)
}

/// A command within another, by its words.
fn find<'a>(command: &'a Command, words: &[String]) -> Option<&'a Command> {
    words.iter().try_fold(command, |command, word| {
        command
            .get_subcommands()
            .find(|inner| inner.get_name() == word)
    })
}

fn unknown(command: &Command, words: &[String]) -> Faults {
    let known = listed(command, "");
    Faults(vec![Fault::NoPage {
        given: words.join(" "),
        known: known.trim().replace('\n', ", "),
    }])
}

/// The words of a command and of all within it, one a line.
fn listed(command: &Command, words: &str) -> String {
    let inner = command.get_subcommands().map(|inner| {
        let words = format!("{words} {}", inner.get_name());
        listed(inner, words.trim_start())
    });
    format!("{words}\n{}", inner.collect::<String>())
}

/// The page about a command.
fn page(mut command: Command) -> Vec<u8> {
    let notes = command.get_after_help().map(ToString::to_string);
    // They have lines and columns of their own, which would be filled to paragraphs.
    command = command.after_help(None::<&str>);
    let manual = format!("mcp-v8 {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).section(SECTION).manual(manual);
    let mut text = Vec::new();
    // Memory takes whatever is written.
    let _written = man.render(&mut text);
    if let Some(notes) = notes {
        text.extend(b".SH NOTES\n.nf\n");
        for line in notes.lines() {
            text.extend(as_it_is(line).into_bytes());
        }
        text.extend(b".fi\n");
    }
    text
}

/// A line that is to be shown as it is.
fn as_it_is(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    // A dot or quote at its beginning would be a command.
    format!("\\&{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(paper: &Paper) -> String {
        match write(paper) {
            Ok(Told::Show(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn flags() -> Vec<String> {
        let command = cli::command();
        let flags = command.get_arguments().filter_map(Arg::get_long);
        flags.map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_flag_is_completed_in_every_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = written(&Paper::Completions(shell));
            for flag in flags() {
                assert!(text.contains(&flag), "{shell} does not know {flag}");
            }
        }
    }

    #[test]
    fn every_flag_is_in_the_manual_and_every_command_has_a_page() {
        let server = written(&Paper::Page(Vec::new()));
        for flag in flags() {
            let flag = flag.replace('-', "\\-");
            assert!(server.contains(&flag), "{flag} is not in:\n{server}");
        }
        let contents = written(&Paper::Contents);
        assert!(contents.starts_with('\n'), "{contents}");
        for words in ["gc", "policy check"] {
            assert!(contents.lines().any(|line| line == words), "{contents}");
        }
        for line in contents.lines() {
            let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
            let name = ["mcp-v8"].into_iter().chain(line.split_whitespace());
            let name = name.collect::<Vec<_>>().join("-");
            let page = written(&Paper::Page(words)).replace("\\-", "-");
            assert!(page.contains(&format!(".TH {name} 1")), "{name}:\n{page}");
        }
    }

    #[test]
    fn a_page_that_is_not_there_is_a_fault_that_names_those_that_are() {
        let Err(faults) = write(&Paper::Page(vec!["policy".to_owned(), "gc".to_owned()])) else {
            panic!("it is not there");
        };
        let text = faults.to_string();
        assert!(text.contains("\"policy gc\""), "{text}");
        assert!(text.contains("policy check"), "{text}");
    }

    #[test]
    fn a_line_is_no_command_of_the_typesetter() {
        assert_eq!(as_it_is(".SH a\\b -c"), "\\&.SH a\\eb \\-c\n");
    }
}
