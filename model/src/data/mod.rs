//! Labelled texts, from a file at a site to the rows of each privacy unit.
//!
//! ```text
//! file ─ read_table ─▶ Table ─ clean ─▶ Table ─ LabelledTexts::from_table ─▶ LabelledTexts
//!                                                           ▲                     │
//!                                                        LabelSet          rows_by_record,
//!                                                                          rows_by_group
//! ```
//!
//! Nothing here leaves the site: neither counts nor error messages, which may quote rows.

mod clean;
mod columns;
mod csv;
mod dataset;
mod error;
mod group_ids;
mod id_folding;
mod id_wording;
mod jsonl;
mod no_id;
mod parquet;
mod read;
mod rfc4180;
mod schema;
mod table;
mod wording;

pub use clean::{CleaningReport, clean};
pub use dataset::LabelledTexts;
pub use error::{DataError, Place};
pub use group_ids::GroupColumn;
pub use id_wording::{IdSpelling, RowNumbers};
pub use read::read_table;
pub use schema::{LabelSet, TableSchema};
pub use table::{Row, Table};
