//! Who asked for a table, and by what the columns of theirs are named: an error recommends what
//! there is in this command.

use serde::{Deserialize, Serialize};

/// Where a table's columns and options were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// In a configuration: keys of `[data]`.
    #[default]
    Configuration,
    /// On the command line of `umbel evaluate`.
    Evaluate,
    /// On the command line of `umbel predict`.
    Predict,
}

/// Something that can be said of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The column of texts.
    Text,
    /// The column of second texts.
    TextPair,
    /// The column of labels.
    Label,
    /// What stands between the labels of a text.
    LabelSeparator,
    /// The column of groups.
    Group,
    /// The column by which a simulation divides a table among clients.
    Client,
    /// Ids as they are written.
    RealIds,
    /// The file's format.
    Format,
    /// What stands between its columns.
    Delimiter,
    /// Its encoding.
    Encoding,
    /// The sheet of a workbook.
    Sheet,
}

impl Asked {
    /// How to say something of a table here: `under data.text`, `with --text`.
    pub(super) fn by(self, setting: Setting) -> String {
        match self {
            Self::Configuration => format!("under {}", self.key(setting)),
            Self::Evaluate | Self::Predict => format!("with {}", self.key(setting)),
        }
    }

    /// The key or option by itself: `data.text`, `--text`.
    pub(super) fn key(self, setting: Setting) -> &'static str {
        match (self, setting) {
            (Self::Configuration, Setting::Text) => "data.text",
            (Self::Configuration, Setting::TextPair) => "data.text_pair",
            (Self::Configuration, Setting::Label) => "data.label",
            (Self::Configuration, Setting::LabelSeparator) => "data.label_separator",
            (Self::Configuration, Setting::Format) => "data.format",
            (Self::Configuration, Setting::Delimiter) => "data.delimiter",
            (Self::Configuration, Setting::Encoding) => "data.encoding",
            (Self::Configuration, Setting::Sheet) => "data.sheet",
            // Only training has groups.
            (_, Setting::Group) => "data.group",
            (_, Setting::Client) => "clients.by",
            (_, Setting::RealIds) => "data.real_ids",
            // `--text` is a text to classify there.
            (Self::Predict, Setting::Text) => "--column",
            (Self::Predict, Setting::TextPair) => "--column-pair",
            (_, Setting::TextPair) => "--text-pair",
            (_, Setting::Text) => "--text",
            (_, Setting::Label) => "--label",
            (_, Setting::LabelSeparator) => "--label-separator",
            (_, Setting::Format) => "--format",
            (_, Setting::Delimiter) => "--delimiter",
            (_, Setting::Encoding) => "--encoding",
            (_, Setting::Sheet) => "--sheet",
        }
    }
}
