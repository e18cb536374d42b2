//! What `mcp-v8 gc` says: a table of what goes, and why the rest stays.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::app::{Collected, GarbageReport, HeapCount, HeapUser, Neighbours, Reason};

/// A report, as an operator reads it.
#[derive(Debug)]
pub struct Told<'a> {
    /// What became of the collection.
    pub report: &'a GarbageReport,
    /// Whether nothing was removed, only looked for.
    pub is_dry_run: bool,
    /// When.
    pub now: Timestamp,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        if !report.collected.is_empty() {
            self.table(f)?;
        }
        let went = count(&report.collected);
        let verb = if self.is_dry_run { "would go" } else { "went" };
        write!(f, "{} {verb}", heaps(went))?;
        let mut before = ": ";
        for reason in [
            Reason::Age,
            Reason::Size,
            Reason::Orphan,
            Reason::Interrupted,
        ] {
            let number = report.collected.iter().filter(|one| one.reason == reason);
            let number = number.count();
            if number > 0 {
                write!(f, "{before}{number} {}", word(reason))?;
                before = ", ";
            }
        }
        writeln!(f, ".")?;
        self.kept(f)?;
        neighbours(f, &report.neighbours)
    }
}

impl Told<'_> {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collected = &self.report.collected;
        let width = collected
            .iter()
            .map(|one| tenant(one).chars().count())
            .max()
            .unwrap_or_default()
            .max("TENANT".len());
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 5]| {
            let [heap, tenant, size, age, why] = cells;
            writeln!(
                f,
                "{heap:<64}  {tenant:<width$}  {size:>9}  {age:>9}  {why}"
            )
        };
        row(f, ["HEAP", "TENANT", "SIZE", "AGE", "WHY"])?;
        for one in collected {
            let age = one.last_used_at.map_or_else(
                || "unknown".to_owned(),
                |at| age(self.now.duration_since(at).unsigned_abs()),
            );
            row(
                f,
                [
                    &one.heap.to_string(),
                    &tenant(one),
                    &size(one.stored_bytes),
                    &age,
                    word(one.reason),
                ],
            )?;
        }
        Ok(())
    }

    fn kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let census = &self.report.census;
        let went = |reason: Reason| matches!(reason, Reason::Age | Reason::Size);
        let mut known = census.all;
        let mut waiting = census.unneeded;
        if self.is_dry_run {
            // They are counted, and would not be.
            for one in self.report.collected.iter().filter(|one| went(one.reason)) {
                for count in [&mut known, &mut waiting] {
                    count.heaps = count.heaps.saturating_sub(1);
                    count.bytes = count.bytes.saturating_sub(one.stored_bytes);
                }
            }
        }
        let verb = if self.is_dry_run {
            "would stay"
        } else {
            "stay"
        };
        writeln!(
            f,
            "{} {verb}. What needs them (one may be needed by several):",
            heaps(known)
        )?;
        for (what, count) in [
            ("sessions", census.by_sessions),
            ("tags", census.by_tags),
            ("executions that have not ended", census.by_executions),
            ("nothing, and they have not expired", waiting),
        ] {
            writeln!(f, "  {what:<36}{}", heaps(count))?;
        }
        Ok(())
    }
}

fn neighbours(f: &mut fmt::Formatter<'_>, neighbours: &Neighbours) -> fmt::Result {
    match neighbours {
        Neighbours::Nobody => Ok(()),
        Neighbours::Unknown => writeln!(
            f,
            "Nothing goes: the place of the heaps cannot say whether other session databases use it.\n\
             If none does, use --sole-database."
        ),
        Neighbours::Some(others) => {
            writeln!(
                f,
                "Nothing goes: other session databases use the same heaps."
            )?;
            for other in others {
                let seen_at = Timestamp::try_from(other.seen_at).unwrap_or(Timestamp::UNIX_EPOCH);
                writeln!(f, "  {} (last seen {seen_at:.0})", other.about)?;
            }
            if others.iter().any(HeapUser::is_of_cluster) {
                writeln!(
                    f,
                    "Some are part of a cluster, which collects by itself. Where that is gone for good,\n\
                     remove what it has left in the folder users/ of the place:"
                )?;
                for other in others.iter().filter(|other| other.is_of_cluster()) {
                    writeln!(f, "  {}.user", other.id)?;
                }
                return Ok(());
            }
            writeln!(f, "If they are gone for good, use --sole-database.")
        }
    }
}

fn count(collected: &[Collected]) -> HeapCount {
    HeapCount {
        heaps: collected.len() as u64,
        bytes: collected.iter().map(|one| one.stored_bytes).sum(),
    }
}

fn heaps(count: HeapCount) -> String {
    let noun = if count.heaps == 1 { "heap" } else { "heaps" };
    format!("{} {noun} ({})", count.heaps, size(count.bytes))
}

fn tenant(one: &Collected) -> String {
    one.tenant
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Age => "by age",
        Reason::Size => "by size",
        Reason::Orphan => "orphaned",
        Reason::Interrupted => "left over",
    }
}

fn size(bytes: u64) -> String {
    const STEP: u64 = 1 << 10;
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..STEP => format!("{bytes} B"),
        STEP..0x10_0000 => format!("{} kB", tenths(STEP)),
        0x10_0000..0x4000_0000 => format!("{} MB", tenths(STEP * STEP)),
        _ => format!("{} GB", tenths(STEP * STEP * STEP)),
    }
}

fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::app::{HeapCensus, HeapId, HeapUser, Tenant};

    fn report(neighbours: Neighbours) -> GarbageReport {
        let of = |heaps, bytes| HeapCount { heaps, bytes };
        let one = |bytes, hours: i64, reason| Collected {
            heap: HeapId::from_bytes([0xab; 32]),
            tenant: (reason != Reason::Orphan).then(Tenant::local),
            stored_bytes: bytes,
            last_used_at: Timestamp::from_second(1_000_000 - hours * 3600).ok(),
            reason,
        };
        GarbageReport {
            collected: vec![
                one(100, 1, Reason::Age),
                one(1536, 30, Reason::Size),
                one(3 << 20, 50, Reason::Orphan),
            ],
            neighbours,
            census: HeapCensus {
                all: of(5, 10_000),
                by_sessions: of(2, 2000),
                by_tags: of(1, 1000),
                by_executions: of(0, 0),
                unneeded: of(3, 7000),
            },
        }
    }

    #[test]
    fn a_report_says_what_goes_and_what_keeps_the_rest() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let told = |report: &GarbageReport, is_dry_run| {
            let text = Told {
                report,
                is_dry_run,
                now,
            };
            text.to_string()
        };
        let heap = "ab".repeat(32);
        let alone = report(Neighbours::Nobody);
        assert_eq!(
            told(&alone, true),
            format!(
                "HEAP{}  TENANT        SIZE        AGE  WHY\n\
                 {heap}  local        100 B     60 min  by age\n\
                 {heap}  local       1.5 kB       30 h  by size\n\
                 {heap}  unknown     3.0 MB     2 days  orphaned\n\
                 3 heaps (3.0 MB) would go: 1 by age, 1 by size, 1 orphaned.\n\
                 3 heaps (8.1 kB) would stay. What needs them (one may be needed by several):\n  \
                 sessions                            2 heaps (1.9 kB)\n  \
                 tags                                1 heap (1000 B)\n  \
                 executions that have not ended      0 heaps (0 B)\n  \
                 nothing, and they have not expired  1 heap (5.2 kB)\n",
                " ".repeat(60)
            )
        );
        assert!(told(&alone, false).contains("went: 1 by age"));
        assert!(told(&alone, false).contains("5 heaps (9.7 kB) stay."));
        let other = HeapUser {
            id: "x".to_owned(),
            about: "/srv/data on b".to_owned(),
            seen_at: SystemTime::UNIX_EPOCH,
        };
        let text = told(&report(Neighbours::Some(vec![other])), true);
        let words = "  /srv/data on b (last seen 1970-01-01T00:00:00Z)\nIf they are gone";
        assert!(text.contains(words), "{text}");
        assert!(told(&report(Neighbours::Unknown), true).contains("--sole-database"));
    }
}
