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
//!
//! A file is known by its content, not by its name:
//!
//! ```text
//! file ─ content ─┬─ parquet ──────────────────────────────────┐
//!                 ├─ arrow ────────────────────────────────────┤
//!                 ├─ xlsx ─────────────────────────────────────┤
//!                 └─ compression ─ encoding ─┬─ csv ───────────┼─ cells ─▶ rows
//!                                            └─ json ──────────┘
//! ```

mod arrow;
mod asked;
mod cells;
mod class_names;
mod clean;
mod column_type;
mod columns;
mod compression;
mod content;
mod csv;
mod dataset;
mod encoding;
mod error;
mod group_ids;
mod id_folding;
mod id_wording;
mod json;
mod label_form;
mod label_lookup;
mod labels;
mod list_text;
mod no_id;
mod options;
mod parquet;
mod part_names;
mod parts;
mod place;
mod read;
mod room;
mod row_label;
mod saved_dataset;
mod schema;
mod several_labels;
mod table;
mod target_error;
mod unknown_label;
mod wording;
mod xlsx;

pub use asked::{Asked, Setting};
pub use clean::{CleaningReport, clean};
pub use content::Unread;
pub use dataset::LabelledTexts;
pub use error::{DataError, Place};
pub use group_ids::GroupColumn;
pub use id_wording::{IdSpelling, RowNumbers};
pub use label_form::tidy as tidy_label;
pub use labels::{LabelSet, read_labels};
pub use options::{Delimiter, Separator, TableFormat, TableOptions, TextEncoding};
pub use part_names::Parts;
pub use read::{read_table, read_texts};
pub use row_label::RowLabel;
pub use schema::{LabelsPerRow, TableSchema};
pub use table::{Row, Table};
pub use target_error::TargetError;
pub use unknown_label::UnknownLabel;
