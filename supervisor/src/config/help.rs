//! What the help says of each flag, and which flags the help of each errand lists.

use clap::{Arg, Command};

use super::defaults::shown;
use super::errand::{Shown, is_of_errands};
use super::setting::{CONFIG_VARIABLE, Setting};

/// The flag that names the configuration file.
const CONFIG_FILE: &str = "config";

/// The command with the default and the variable of each flag in its help. They are written here
/// and not by clap, which would read the variables itself and mix up the order of the sources.
pub(super) fn told(mut command: Command) -> Command {
    for setting in Setting::ALL {
        let note = format!(
            "[default: {}] [env: {}]",
            shown(setting),
            setting.variable()
        );
        let is_global = is_of_errands(setting);
        command = command.mut_arg(setting.name().replace('-', "_"), |arg| {
            noted(arg, &note).global(is_global)
        });
    }
    let command = command.mut_arg(CONFIG_FILE, |arg| {
        noted(arg, &format!("[default: none] [env: {CONFIG_VARIABLE}]")).global(true)
    });
    let all = command.get_arguments().filter(|arg| arg.is_global_set());
    let all: Vec<Arg> = all.cloned().collect();
    showing_their_own(command, "", &all)
}

/// Errands take whatever any of them takes. The help of each shows what counts for it: it gets each flag by
/// itself, before clap gives it all of them.
fn showing_their_own(command: Command, words: &str, all: &[Arg]) -> Command {
    command.mut_subcommands(|errand| {
        let words = format!("{words} {}", errand.get_name());
        let words = words.trim_start();
        let shown = Shown::by(words);
        let is_shown = |arg: &Arg| {
            let name = arg.get_long().unwrap_or_default();
            match Setting::from_name(name) {
                Some(setting) => (shown.is_shown)(setting),
                None => shown.reads_file,
            }
        };
        let flags = all.iter().map(|arg| arg.clone().hide(!is_shown(arg)));
        showing_their_own(errand, words, all).args(flags.collect::<Vec<_>>())
    })
}

fn noted(arg: Arg, note: &str) -> Arg {
    let short = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let long = arg.get_long_help().map(ToString::to_string);
    let arg = arg.help(format!("{short} {note}"));
    match long {
        Some(long) => arg.long_help(format!("{long}\n\n{note}")),
        None => arg.long_help(format!("{short}\n\n{note}")),
    }
}
