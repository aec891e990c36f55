//! What a table says of a row's label or labels.

use std::hash::Hash;

/// The label, or the value, that a row has; or its labels, where a row may have any number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowLabel {
    /// Of a table with one label, or one value, a row. Blank only where the text is blank, too.
    One(String),
    /// Of a table with any number of labels a row: sorted, each once, none blank; none at all for a
    /// row that has none.
    Several(Vec<String>),
}

impl RowLabel {
    /// These labels, sorted and each once.
    pub fn several(mut labels: Vec<String>) -> Self {
        labels.sort_unstable();
        labels.dedup();
        Self::Several(labels)
    }

    /// All labels that the row has.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }

    /// The same with something done to each label.
    pub(super) fn map(&self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::One(name) => Self::One(change(name)),
            Self::Several(names) => Self::several(names.iter().map(|name| change(name)).collect()),
        }
    }

    /// Bytes of its labels.
    pub(super) fn bytes(&self) -> usize {
        let names = self.names().iter();
        names.map(|name| name.len() + size_of::<String>()).sum()
    }
}

impl From<&str> for RowLabel {
    fn from(name: &str) -> Self {
        Self::One(name.to_owned())
    }
}

impl PartialEq<&str> for RowLabel {
    fn eq(&self, name: &&str) -> bool {
        matches!(self, Self::One(own) if own == name)
    }
}
