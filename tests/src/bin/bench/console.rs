//! Console output on its way through: from a script, through the pipe, to a server that keeps 16 MiB of it
//! and drops the rest, beside as many bytes in as many pieces from one thread to another. That is no floor where
//! lines are short: it depends on who wakes whom, and a server that is busy reads several lines at once.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Instant;

use e2e::home::Home;
use e2e::server::Server;
use serde_json::{Value, json};

use crate::server::start_stateless;
use crate::statistics::{ratio, rounded};
use crate::target::Target;

/// How often each kind of output is measured; what counts is the median.
const ROUNDS: usize = 5;
/// A megabyte, as rates have it.
const MB: f64 = 1e6;
/// What has to come through of output whose lines are long, in MB a second.
const LONG_MB_PER_SEC: f64 = 200.0;
/// What is kept of the output of an execution, in bytes.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// What the pipe's reader takes at once.
const READ_BYTES: usize = 64 << 10;

/// Output of one kind.
struct Output {
    lines: usize,
    /// Of each line, its end counted.
    line_bytes: usize,
}

impl Output {
    const LONG: Self = Self {
        lines: 3200,
        line_bytes: 64 << 10,
    };
    /// All of it is kept.
    const KEPT: Self = Self {
        lines: 240,
        line_bytes: 64 << 10,
    };
    const SHORT: Self = Self {
        lines: 500_000,
        line_bytes: 16,
    };

    const fn bytes(&self) -> usize {
        self.lines * self.line_bytes
    }

    /// What came through while the script printed, in MB a second. The pipe is short, so the script is done when
    /// almost all has been read.
    fn printed(&self, server: &mut Server) -> f64 {
        let code = format!(
            "const line = 'x'.repeat({});\n\
             const begin = performance.now();\n\
             for (let n = 0; n < {}; n++) console.log(line);\n\
             performance.now() - begin",
            self.line_bytes - 1,
            self.lines
        );
        let seen = server.run_with(&code, json!({"execution_timeout_secs": 60}));
        let time = seen["result"].as_str().and_then(|time| time.parse().ok());
        let time: f64 = time.unwrap_or_else(|| panic!("{seen}"));
        self.assert_kept(&seen);
        self.bytes() as f64 / MB / (time / 1000.0)
    }

    /// What there is room for is kept; more than that is dropped, line by line, and said to be.
    fn assert_kept(&self, seen: &Value) {
        let kept = seen["output_bytes"].as_u64();
        let kept = kept.and_then(|bytes| usize::try_from(bytes).ok());
        let is_truncated = self.bytes() > KEPT_BYTES_MAX;
        let most = self.bytes().min(KEPT_BYTES_MAX);
        let least = if is_truncated {
            most - self.line_bytes
        } else {
            most
        };
        assert!(
            kept.is_some_and(|kept| (least..=most).contains(&kept)),
            "{seen}"
        );
        assert_eq!(seen["output_truncated"], is_truncated, "{seen}");
    }

    /// The same bytes, a write for each line.
    fn piped(&self) -> f64 {
        let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
        let line = vec![b'x'; self.line_bytes];
        let begin = Instant::now();
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..self.lines {
                    writer.write_all(&line).expect("somebody reads");
                }
            });
            let mut piece = vec![0; READ_BYTES];
            while reader.read(&mut piece).expect("it can be read") > 0 {}
        });
        self.bytes() as f64 / MB / begin.elapsed().as_secs_f64()
    }

    fn measure(&self, server: &mut Server) -> Rates {
        let mut rounds: [(f64, f64); ROUNDS] =
            std::array::from_fn(|_| (self.printed(server), self.piped()));
        let mut median = |of: fn(&(f64, f64)) -> f64| {
            rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&rounds[ROUNDS / 2])
        };
        Rates {
            printed: median(|round| round.0),
            piped: median(|round| round.1),
        }
    }
}

/// MB a second.
struct Rates {
    printed: f64,
    piped: f64,
}

impl Rates {
    fn json(&self) -> Value {
        json!({
            "mb_per_sec": rounded(self.printed),
            "beside": {
                "what": "as many writes of as many bytes from a thread to another, by a pipe",
                "mb_per_sec": rounded(self.piped),
            },
            "times_that": ratio(self.printed, self.piped),
        })
    }
}

/// Measures it all.
pub(crate) fn measure() -> (Value, Vec<Target>) {
    let home = Home::new();
    let mut server = start_stateless(&home, &[]);
    let long = Output::LONG.measure(&mut server);
    let kept = Output::KEPT.measure(&mut server);
    let short = Output::SHORT.measure(&mut server);
    server.finish();
    let target = Target::at_least(
        "console output that comes through, in lines of 64 KiB, in MB a second",
        rounded(long.printed),
        LONG_MB_PER_SEC,
    )
    // Not beside the pipe, whose rate differs by three from run to run.
    .varying(2.0);
    let report = json!({
        "lines_of_64_kib": long.json(),
        "lines_of_64_kib_all_kept": kept.json(),
        "lines_of_16_bytes": short.json(),
    });
    (report, vec![target])
}
