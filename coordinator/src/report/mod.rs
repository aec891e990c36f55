//! The report of a run: one HTML file that needs nothing else, for people.
//!
//! Its first lines say plainly what is protected from whom and what is not
//! ([`Statement`]); then come results, curves, who took part, the parameters and how to
//! check it all. It holds no script and loads nothing, and every word that comes from a
//! configuration is escaped.

mod about;
mod by_task;
mod certificate_page;
pub mod comparison;
mod curves;
mod curves_chart;
mod figures;
mod html;
mod judging;
mod layout;
mod level;
mod page;
mod protection;
pub mod run_report;
mod run_summary;
mod sections;
mod strength;
mod strength_section;
pub(crate) mod summarise;
mod svg;
mod tiles;
mod trade_off_chart;
mod trust;
mod verification;
mod virtual_section;
mod virtual_settings;

use std::io;
use std::path::{Path, PathBuf};

use umbel_privacy::certificate::Certificate;

pub use level::Level;
pub use protection::Statement;
pub use run_summary::{
    About, AbsenceSummary, Ancestor, Base, ClientSummary, CurvePoint, Ending, NamedScores,
    PrivacySummary, PromiseSummary, Results, RunSummary, Traffic, TrainingSummary, VirtualLine,
};
pub use strength::{Basis, Strength};

/// A report that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}: {source}; is there space, and may you write there?", path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

/// The report as an HTML document.
pub fn render(run: &RunSummary) -> String {
    page::document(run)
}

/// A run's certificate as an HTML document, for people.
pub fn render_certificate(certificate: &Certificate, run: &RunSummary) -> String {
    certificate_page::document(certificate, run)
}

/// Writes the report to a file.
///
/// # Errors
/// [`ReportError`] where the file can't be written.
pub fn write(run: &RunSummary, path: &Path) -> Result<(), ReportError> {
    std::fs::write(path, render(run)).map_err(|source| ReportError {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod level_tests;
#[cfg(test)]
mod report_tests;
