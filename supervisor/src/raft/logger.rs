//! What the raft crate says, into the log of this program.

use slog::{Drain, KV, Key, Level, Logger, OwnedKVList, Record, Serializer};

/// A logger whose lines go to `tracing`. Whole messages, which it would write at its debug level, are
/// left out when this program is built: they hold scripts.
pub fn logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, of_logger: &OwnedKVList) -> Result<(), slog::Never> {
        if !is_wanted(record.level()) {
            return Ok(());
        }
        let mut pairs = Pairs(String::new());
        // A value that cannot be written is left out: a log line is no reason to fail.
        let _ = record.kv().serialize(record, &mut pairs);
        let _ = of_logger.serialize(record, &mut pairs);
        let (text, pairs) = (record.msg(), pairs.0);
        match record.level() {
            Level::Critical | Level::Error => tracing::error!("raft: {text}{pairs}"),
            Level::Warning => tracing::warn!("raft: {text}{pairs}"),
            // Who leads is told by the node, in fewer words.
            Level::Info => tracing::debug!("raft: {text}{pairs}"),
            Level::Debug | Level::Trace => {}
        }
        Ok(())
    }
}

fn is_wanted(level: Level) -> bool {
    match level {
        Level::Critical | Level::Error => tracing::enabled!(tracing::Level::ERROR),
        Level::Warning => tracing::enabled!(tracing::Level::WARN),
        Level::Info => tracing::enabled!(tracing::Level::DEBUG),
        Level::Debug | Level::Trace => false,
    }
}

/// Keys and values, as text.
struct Pairs(String);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        use std::fmt::Write as _;
        write!(self.0, " {key}={value}").map_err(slog::Error::Fmt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_text() {
        let mut pairs = Pairs(String::new());
        pairs
            .emit_arguments("term", &format_args!("{}", 3))
            .unwrap();
        pairs
            .emit_arguments("to", &format_args!("{:?}", [1]))
            .unwrap();
        assert_eq!(pairs.0, " term=3 to=[1]");
        slog::info!(logger(), "a line"; "term" => 3);
    }
}
