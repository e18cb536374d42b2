//! What was found, for people and for programs.

use std::fmt;

use serde_json::json;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// A server would not start, or could not do its work.
    Fail,
}

impl Grade {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do about it, where there is something to do.
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            subject,
            grade: Grade::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// It works, and could be better.
    pub fn warn(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            grade: Grade::Warn,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// It does not work.
    pub fn fail(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            grade: Grade::Fail,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            grade,
            found,
            advice,
        } = self;
        writeln!(f, "{:<5}{subject:<18}{found}", grade.name())?;
        match advice {
            Some(advice) => writeln!(f, "{:<23}-> {advice}", ""),
            None => Ok(()),
        }
    }
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which it was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// One more.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// How bad the worst is.
    pub fn grade(&self) -> Grade {
        let grades = self.findings.iter().map(|finding| finding.grade);
        grades.max().unwrap_or(Grade::Ok)
    }

    /// The same as a JSON document.
    pub fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "subject": finding.subject,
                    "grade": finding.grade.name(),
                    "found": finding.found,
                    "advice": finding.advice,
                })
            })
            .collect();
        json!({"grade": self.grade().name(), "findings": findings}).to_string()
    }

    fn count(&self, grade: Grade) -> usize {
        let grades = self.findings.iter().map(|finding| finding.grade);
        grades.filter(|is| *is == grade).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            finding.fmt(f)?;
        }
        writeln!(
            f,
            "{} ok, {} warn, {} fail",
            self.count(Grade::Ok),
            self.count(Grade::Warn),
            self.count(Grade::Fail)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_bad_as_the_worst_of_it() {
        let mut report = Report::default();
        assert_eq!(report.grade(), Grade::Ok);
        report.add(Finding::ok("clock", "it goes"));
        report.add(Finding::warn("memory", "little", "buy more"));
        assert_eq!(report.grade(), Grade::Warn);
        report.add(Finding::fail("worker", "none", "build it"));
        assert_eq!(report.grade(), Grade::Fail);
        let shown = report.to_string();
        assert!(shown.contains("warn memory            little\n"), "{shown}");
        assert!(shown.contains("-> build it\n"), "{shown}");
        assert!(shown.ends_with("1 ok, 1 warn, 1 fail\n"), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(read["grade"], "fail");
        assert_eq!(read["findings"][1]["advice"], "buy more");
        assert!(read["findings"][0]["advice"].is_null());
    }
}
