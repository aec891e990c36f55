//! `[data]`: how tables are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::classifier::are_labels;

use super::{ConfigError, require};

/// `[data]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// The column with the text. Over the network it is that of the evaluation files; each site
    /// names its own.
    pub text: String,
    /// The column with the label, likewise.
    pub label: String,
    /// The column that names the group (a patient, an author), for the unit `group`. Over the
    /// network, each site names its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Texts in that column that are ids exactly as written, though they look like a missing value
    /// ("Null" is a surname) or like another id. Over the network, each site lists its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub real_ids: Vec<String>,
    /// The label set, in the order of the model's outputs. A simulation may leave it out and takes
    /// the sorted union of its files' labels. Over the network it is needed, since sites must not
    /// reveal theirs.
    pub labels: Vec<String>,
    /// Normalise white space and drop empty and duplicate rows, at the sites and in evaluation
    /// files.
    pub clean: bool,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            text: "text".into(),
            label: "label".into(),
            group: None,
            real_ids: Vec::new(),
            labels: Vec::new(),
            clean: true,
        }
    }
}

impl DataSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            self.labels.is_empty() || are_labels(&self.labels),
            "data.labels",
            "must be at least two different labels (or left out, in a simulation)",
        )
    }
}
