//! What a check found: one list for people and for machines, and the exit code that follows.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::exit_code::ExitKind;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Good,
    /// A run can begin, but somebody should look at it.
    Warning,
    /// A run can't begin like this.
    Bad,
    /// It wasn't looked at.
    Open,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Open => "open",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// How it stands.
    pub outcome: Outcome,
    /// What there is to say, in a sentence.
    pub detail: String,
    /// Its numbers, for machines.
    #[serde(flatten)]
    pub numbers: Map<String, Value>,
}

impl Finding {
    fn new(name: &'static str, outcome: Outcome, detail: impl ToString) -> Self {
        Self {
            name,
            outcome,
            detail: detail.to_string(),
            numbers: Map::new(),
        }
    }

    /// One that is as it should be.
    pub fn good(name: &'static str, detail: impl ToString) -> Self {
        Self::new(name, Outcome::Good, detail)
    }

    /// One that somebody should look at.
    pub fn warning(name: &'static str, detail: impl ToString) -> Self {
        Self::new(name, Outcome::Warning, detail)
    }

    /// One that wasn't looked at, and why.
    pub fn open(name: &'static str, detail: impl ToString) -> Self {
        Self::new(name, Outcome::Open, detail)
    }

    /// The same with a number, or whatever else a machine may want to know.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Serialize) -> Self {
        // What can't be written as JSON is no number that anybody could use.
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.numbers.insert(key.to_owned(), value);
        self
    }
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    all: Vec<Finding>,
    /// What the first bad one means.
    failed: Option<ExitKind>,
}

impl Findings {
    /// Notes a finding that keeps no run from beginning.
    pub fn note(&mut self, finding: Finding) {
        self.all.push(finding);
    }

    /// Notes what keeps a run from beginning, and the exit code with which it would end.
    pub fn fail(&mut self, name: &'static str, kind: ExitKind, reason: impl ToString) {
        self.failed.get_or_insert(kind);
        self.all.push(Finding::new(name, Outcome::Bad, reason));
    }

    /// All findings.
    pub fn all(&self) -> &[Finding] {
        &self.all
    }

    /// Whether a run could begin.
    pub fn are_good(&self) -> bool {
        self.failed.is_none()
    }

    /// The exit code: that of the first thing that is bad.
    pub fn exit_kind(&self) -> ExitKind {
        self.failed.unwrap_or(ExitKind::Success)
    }

    /// One object: `ready`, `exit_code` and `checks`, each with `name`, `outcome`, `detail` and its
    /// numbers.
    pub fn as_json(&self) -> Value {
        json!({
            "ready": self.are_good(),
            "exit_code": self.exit_kind().code(),
            "checks": self.all,
        })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.all {
            let detail = finding.detail.replace('\n', "\n                      ");
            writeln!(f, "{:<13} {:<7} {detail}", finding.name, finding.outcome)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_finding_gives_the_exit_code() {
        let mut findings = Findings::default();
        findings.note(Finding::good("table", "read").with("rows", 12));
        findings.note(Finding::warning("certificate", "ends soon"));
        assert_eq!(findings.exit_kind(), ExitKind::Success);
        findings.fail("ledger", ExitKind::Ledger, "damaged");
        findings.fail("network", ExitKind::Network, "away");
        assert_eq!(findings.exit_kind(), ExitKind::Ledger);
        let json = findings.as_json();
        assert_eq!(json["ready"], false);
        assert_eq!(json["exit_code"], 8);
        assert_eq!(json["checks"][0]["rows"], 12);
        assert_eq!(json["checks"][2]["outcome"], "bad");
        let text = findings.to_string();
        assert!(text.starts_with("table         good    read\n"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
