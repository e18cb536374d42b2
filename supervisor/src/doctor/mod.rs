//! Whether a server with this configuration could run here, and what to do about it.
//!
//! Each part looks at one side of the machine and says what it found; none stops another. Nothing is
//! changed but files of the doctor's own, which it removes again.

mod machine;
mod places;
mod programs;
mod reach;
mod report;
mod together;

pub use self::report::{Finding, Grade, Report};

use crate::config::{Config, Machine};

/// Looks at everything.
pub async fn examine(config: &Config, machine: &Machine) -> Report {
    let mut report = Report::default();
    for note in &config.notes {
        report.add(Finding::warn(
            "configuration",
            note.to_string(),
            "see mcp-v8 --help",
        ));
    }
    report.extend(programs::sandbox(config));
    report.extend(machine::limits(config));
    report.extend(machine::clock().await);
    report.extend(places::kept(config, machine));
    report.extend(places::noted(config));
    report.extend(reach::certificate(config));
    report.extend(reach::callers(config).await);
    report.extend(reach::traces(config));
    report.extend(reach::policies(config).await);
    report.extend(reach::bucket(config).await);
    report.extend(together::nodes(config).await);
    report.extend(programs::versions());
    report.extend(programs::execution(config).await);
    report
}
