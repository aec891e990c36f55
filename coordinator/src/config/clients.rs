//! Who takes part: `[[clients]]`, one after the other, or `[clients]`, one table that a simulation
//! divides among them.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::ops::Bound::{Excluded, Included};
use std::ops::Deref;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::{bounded, schema};

use super::{ConfigError, require};

/// `[[clients]]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSection {
    /// The client's name.
    pub name: ClientId,
    /// Its table. Needed in a simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// SHA-256 of its certificate (DER), in lower-case hexadecimal. Needed with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub fingerprint: Option<BlobDigest>,
}

bounded! {
    /// How alike the clients of a split are: the larger, the more.
    Alpha(f64): "alpha", Excluded(0.0), Included(1e6);
}

/// How a table is split among clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Rows are dealt at random, as many to each client.
    Iid,
    /// Each client has as many rows, and its own shares of the labels.
    Dirichlet,
    /// Rows are dealt at random, and clients differ in how many they get.
    Quantity,
}

/// `[clients]`: one table, in place of `[[clients]]`, which `umbel simulate` divides among many
/// clients. Say by which column, or how it is to be split. How many clients there are counts as
/// public.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DividedTable {
    /// The table: CSV, JSON, Parquet, Arrow, an Excel workbook, or a folder of such files.
    pub from: PathBuf,
    /// The column by which rows are divided: one client for each value. With the unit `client`,
    /// all rows of one value are what is hidden together. Either this or `split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How rows are split: `iid` deals them at random; `dirichlet` gives each client its own
    /// shares of the labels, drawn by `alpha` around those of the whole table (Hsu et al. 2019);
    /// `quantity` lets clients differ in how many rows they have. With the unit `group`, groups are
    /// dealt whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// How many clients a split makes. Each gets at least one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<NonZero<u32>>,
    /// For `dirichlet` and `quantity`: how alike clients are. 0.1 makes them very different, 100
    /// nearly the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Alpha>,
    /// Of the split's own randomness: the same seed makes the same split, whatever `run.seed` is.
    #[serde(default)]
    pub seed: u64,
}

/// The clients of a run.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Those that are known: all that are listed, or that a table was divided among.
    named: Vec<ClientSection>,
    divided: Option<DividedTable>,
}

impl Clients {
    /// What is to be divided among clients, if they aren't listed.
    pub fn divided(&self) -> Option<&DividedTable> {
        self.divided.as_ref()
    }

    /// The same, among clients of these names.
    #[must_use]
    pub fn named(&self, names: impl IntoIterator<Item = ClientId>) -> Self {
        let client = |name| ClientSection {
            name,
            data: None,
            fingerprint: None,
        };
        Self {
            named: names.into_iter().map(client).collect(),
            divided: self.divided.clone(),
        }
    }

    /// Whether there is still a table to divide.
    pub(super) fn is_undivided(&self) -> bool {
        self.divided.is_some() && self.named.is_empty()
    }

    /// The tables' paths.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let listed = self.named.iter_mut().filter_map(|c| c.data.as_mut());
        listed.chain(self.divided.as_mut().map(|divided| &mut divided.from))
    }
}

impl Deref for Clients {
    type Target = [ClientSection];

    fn deref(&self) -> &[ClientSection] {
        &self.named
    }
}

impl<'a> IntoIterator for &'a Clients {
    type Item = &'a ClientSection;
    type IntoIter = std::slice::Iter<'a, ClientSection>;

    fn into_iter(self) -> Self::IntoIter {
        self.named.iter()
    }
}

impl Serialize for Clients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.divided {
            Some(divided) => divided.serialize(serializer),
            None => self.named.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Clients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrSection)
    }
}

/// Reads either form by its own rules, so that an error names the key and the line.
struct ListOrSection;

impl<'de> Visitor<'de> for ListOrSection {
    type Value = Clients;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[[clients]], each with a name, or [clients] with `from`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Clients, A::Error> {
        Ok(Clients {
            named: Deserialize::deserialize(SeqAccessDeserializer::new(list))?,
            divided: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, section: A) -> Result<Clients, A::Error> {
        let divided = Deserialize::deserialize(MapAccessDeserializer::new(section))?;
        Ok(Clients {
            named: Vec::new(),
            divided: Some(divided),
        })
    }
}

impl JsonSchema for Clients {
    fn schema_name() -> Cow<'static, str> {
        "Clients".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let listed = generator.subschema_for::<Vec<ClientSection>>();
        let divided = generator.subschema_for::<DividedTable>();
        schemars::json_schema!({ "anyOf": [listed, divided] })
    }
}

impl DividedTable {
    /// Checks that its keys go together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            self.by.is_some() != self.split.is_some(),
            "clients",
            "say how `clients.from` is divided: either by = \"a column\", which makes a client of \
             each value, or split = \"iid\", \"dirichlet\" or \"quantity\" with clients = N",
        )?;
        require(
            self.split.is_some() == self.clients.is_some(),
            "clients.clients",
            "goes with clients.split, which makes so many clients; clients.by makes one of each \
             value",
        )?;
        let takes_alpha = matches!(self.split, Some(Split::Dirichlet | Split::Quantity));
        require(
            takes_alpha == self.alpha.is_some(),
            "clients.alpha",
            "goes with split = \"dirichlet\" or \"quantity\", and they need it: 0.1 makes clients \
             very different, 100 nearly the same",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Only {
        clients: Clients,
    }

    fn read(text: &str) -> Result<Clients, String> {
        let read = toml::from_str::<Only>(text).map_err(|e| e.to_string())?;
        if let Some(divided) = read.clients.divided() {
            divided.check().map_err(|e| e.to_string())?;
        }
        Ok(read.clients)
    }

    #[test]
    fn clients_are_listed_or_made_of_one_table() {
        let listed = read("[[clients]]\nname = \"a\"\n[[clients]]\nname = \"b\"").expect("a list");
        assert_eq!(listed.len(), 2);
        let by = read("[clients]\nfrom = \"t.csv\"\nby = \"user\"").expect("a column");
        assert!(by.is_empty() && by.is_undivided());
        let split = "[clients]\nfrom = \"t\"\nsplit = \"dirichlet\"\nclients = 9\nalpha = 0.1";
        let split = read(split).expect("a split");
        let named = split.named(["x".parse().expect("a name")]);
        assert!(named.len() == 1 && !named.is_undivided());
    }

    #[test]
    fn an_error_names_the_key() {
        let error = |text: &str| read(text).expect_err("refused");
        assert!(error("[[clients]]\nnome = \"a\"").contains("nome"));
        assert!(error("[clients]\nfrom = \"t\"\nbi = \"u\"").contains("bi"));
        assert!(error("clients = 3").contains("[clients] with `from`"));
    }

    #[test]
    fn keys_that_dont_go_together_are_refused() {
        for (keys, named) in [
            ("", "either by ="),
            ("by = \"u\"\nsplit = \"iid\"\nclients = 2", "either by ="),
            ("by = \"u\"\nclients = 2", "clients.clients"),
            ("split = \"iid\"", "clients.clients"),
            ("split = \"iid\"\nclients = 2\nalpha = 1.0", "clients.alpha"),
            ("split = \"quantity\"\nclients = 2", "clients.alpha"),
            ("split = \"iid\"\nclients = 0", "clients"),
            ("split = \"quantity\"\nclients = 2\nalpha = 0.0", "alpha"),
        ] {
            let text = format!("[clients]\nfrom = \"t.csv\"\n{keys}");
            let error = read(&text).expect_err(keys);
            assert!(error.contains(named), "{keys}: {error}");
        }
    }
}
