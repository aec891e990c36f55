//! `[data]`: how tables are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::classifier::are_labels;

use super::{ConfigError, require};

/// `[data]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Column with the text.
    pub text: String,
    /// Column with the label.
    pub label: String,
    /// Column that names the group (a patient, an author), for the unit `group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Texts in that column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id. Over the network, sites list
    /// their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub real_ids: Vec<String>,
    /// The label set, in order. A simulation may leave it out and take the union of its
    /// files; over the network it must be given, since sites must not reveal theirs.
    pub labels: Vec<String>,
    /// Normalise white space and drop empty and duplicate rows before training.
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
