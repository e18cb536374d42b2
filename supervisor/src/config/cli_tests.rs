//! The command line: its flags, its ranges, and its help.

use clap::Arg;

use super::super::errand::is_of_errands;
use super::*;
use crate::limits;

#[test]
fn every_setting_is_a_flag_and_every_flag_a_setting() {
    let command = command();
    command.clone().debug_assert();
    let mut flags: Vec<&str> = command
        .get_arguments()
        .filter_map(Arg::get_long)
        .filter(|flag| {
            !["help", "version", "config", "check-config", "check-sandbox"].contains(flag)
        })
        .collect();
    let mut names = Setting::ALL.map(Setting::name).to_vec();
    flags.sort_unstable();
    names.sort_unstable();
    assert_eq!(flags, names);
}

/// The flags in the help of an errand.
fn shown(words: &[&str]) -> Vec<String> {
    let arguments = [&["mcp-v8"], words, &["--help"]].concat();
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    let Err(help) = read(&arguments, &mut Vec::new()) else {
        panic!("no help about {words:?}");
    };
    // What is said about them is indented otherwise.
    let lines = help.lines().map(|line| line.replace("  -h, ", "      "));
    let flags = lines.filter_map(|line| Some(line.strip_prefix("      --")?.to_owned()));
    let mut names: Vec<String> = flags
        .filter_map(|flag| flag.split([' ', '[', '=']).next().map(ToOwned::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn the_help_of_each_errand_lists_what_counts_for_it() {
    for (words, expected) in [
        (
            &["gc"][..],
            &[
                "cache-dir",
                "cache-max-mb",
                "config",
                "directory-path",
                "dry-run",
                "heap-key-file",
                "heap-retention-hours",
                "heap-retention-mb",
                "help",
                "log-level",
                "s3-bucket",
                "session-db-path",
                "sole-database",
            ][..],
        ),
        (
            &["policy", "check"],
            &[
                "config",
                "fetch-allow-private",
                "help",
                "input",
                "log-level",
                "opa-fetch-policy",
                "opa-url",
                "policy-dir",
            ],
        ),
        (
            &["audit", "verify"],
            &["audit-key-file", "audit-log", "config", "help"],
        ),
        (&["token", "new"], &["help", "operator", "tenant"]),
        (&["policy"], &["help"]),
        (&["completions"], &["help"]),
        (&["man"], &["help", "list"]),
    ] {
        assert_eq!(shown(words), expected, "{words:?}");
    }
    let of_the_doctor = shown(&["doctor"]);
    for setting in Setting::ALL.into_iter().filter(|s| is_of_errands(*s)) {
        let is_there = of_the_doctor.iter().any(|name| name == setting.name());
        assert!(is_there, "{setting}: {of_the_doctor:?}");
    }
}

#[test]
fn the_ranges_of_the_help_are_those_that_are_kept() {
    let help = command().render_long_help().to_string();
    for range in [
        format!("(1 to {})", crate::config::RETENTION_HOURS_MAX),
        format!("(1 to {})", crate::config::RETENTION_COUNT_MAX),
        format!("(1 to {})", crate::config::RETENTION_MB_MAX),
        format!(
            "({} to {})",
            limits::HEAP_MEMORY_MB_SERVER_MIN,
            limits::HEAP_MEMORY_MB_MAX
        ),
        format!(
            "({} to {})",
            limits::EXECUTION_TIMEOUT_SECS_MIN,
            limits::EXECUTION_TIMEOUT_SECS_MAX
        ),
        format!("(1 to {})", limits::CONCURRENT_EXECUTIONS_MAX),
        format!("(0 to {})", crate::config::QUEUED_EXECUTIONS_MAX),
        format!("(0 to {})", crate::config::SHUTDOWN_GRACE_SECS_MAX),
        format!("(0 to {})", crate::config::OPA_CACHE_MS_MAX),
        format!("(0 to {}; 0 for", u16::MAX),
    ] {
        assert!(help.contains(&range), "{range} is not in the help:\n{help}");
    }
}
