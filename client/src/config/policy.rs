//! `[policy]`: a site's rules, and where ledger and key are.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use umbel_proto::settings;

use crate::policy::SitePolicy;

/// `[policy]`: the rules, and where ledger and key are.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct PolicySection {
    /// Where this site records what was spent.
    pub ledger: PathBuf,
    /// The key with which this site signs what it was told and did; made where there is none.
    pub signing_key: PathBuf,
    /// The ledger's name for this data. It has no default: a name that came from the file would
    /// begin at 0 when the file is renamed.
    pub data_set: String,
    /// The rules.
    pub rules: SitePolicy,
}

/// The keys of `[policy]` that aren't rules.
#[derive(Deserialize, JsonSchema)]
struct PolicyFiles {
    /// Where this site records what was spent.
    #[serde(default = "ledger")]
    ledger: PathBuf,
    /// The key with which this site signs what it was told and did. It is made if there is none,
    /// only its owner can read it, and its public half is beside it as `.pub`.
    #[serde(default = "signing_key")]
    signing_key: PathBuf,
    /// This data's name in the ledger; needed. Keep it when the file changes. A name that is new
    /// to a ledger with others is refused unless the client is started with `--new-data-set`.
    data_set: Option<String>,
}

fn ledger() -> PathBuf {
    "ledger.jsonl".into()
}
fn signing_key() -> PathBuf {
    "site.key".into()
}

/// Serde's own flattening would pass over unknown keys, and a mistyped rule must never be
/// passed over: so the keys that aren't rules are taken out, and the rest are the rules.
impl TryFrom<toml::Table> for PolicySection {
    type Error = String;

    fn try_from(mut section: toml::Table) -> Result<Self, String> {
        let mut files = toml::Table::new();
        for key in ["ledger", "signing_key", "data_set"] {
            if let Some(value) = section.remove(key) {
                files.insert(key.to_owned(), value);
            }
        }
        let known = super::settings();
        let told =
            |e: toml::de::Error| format!("[policy]: {}", settings::explained(e.message(), &known));
        let files: PolicyFiles = files.try_into().map_err(told)?;
        let data_set = files.data_set.ok_or(
            "policy.data_set is missing: give this site's data a name, under which all that is \
             spent on it adds up in the ledger. Keep the name when the file changes; a ledger that \
             was begun without one has the table's file name",
        )?;
        Ok(Self {
            ledger: files.ledger,
            signing_key: files.signing_key,
            data_set,
            rules: section.try_into().map_err(told)?,
        })
    }
}

impl JsonSchema for PolicySection {
    fn schema_name() -> Cow<'static, str> {
        "PolicySection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut whole = SitePolicy::json_schema(generator);
        let files = PolicyFiles::json_schema(generator);
        let keys = files.get("properties").and_then(|keys| keys.as_object());
        if let Some(all) = whole
            .get_mut("properties")
            .and_then(|all| all.as_object_mut())
        {
            all.extend(keys.cloned().unwrap_or_default());
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientConfig;

    fn read(policy: &str) -> Result<ClientConfig, toml::de::Error> {
        let head =
            "name = \"a\"\ncoordinator = \"https://localhost:1\"\n[data]\npath = \"t.csv\"\n";
        toml::from_str(&format!(
            "{head}[policy]\ndata_set = \"visits\"\nepsilon = 1.0\ndelta = 1e-5\n{policy}"
        ))
    }

    #[test]
    fn a_mistyped_rule_is_refused_rather_than_passed_over() {
        let error = read("allow_centra_noise = false").expect_err("an unknown key");
        let error = error.to_string();
        assert!(error.contains("allow_centra_noise"), "{error}");
        assert!(
            error.contains("did you mean `allow_central_noise`?"),
            "{error}"
        );
    }

    #[test]
    fn rules_and_ledger_are_read_from_one_section() {
        let config = read("ledger = \"mine.jsonl\"\nallow_central_noise = false").expect("sound");
        assert_eq!(config.policy.ledger, PathBuf::from("mine.jsonl"));
        assert!(!config.policy.rules.allow_central_noise);
        assert_eq!(config.policy.data_set, "visits");
        assert_eq!(config.policy.rules.least_noise_multiplier.get(), 0.3);
    }

    #[test]
    fn a_least_noise_that_is_no_number_is_refused() {
        for wrong in ["-0.1", "nan", "inf"] {
            let error = read(&format!("least_noise_multiplier = {wrong}")).expect_err(wrong);
            assert!(
                error.to_string().contains("least_noise_multiplier"),
                "{error}"
            );
        }
    }

    #[test]
    fn data_without_a_name_are_refused() {
        let unnamed = "name = \"a\"\ncoordinator = \"https://localhost:1\"\n[data]\npath = \
                       \"t.csv\"\n[policy]\nepsilon = 1.0\ndelta = 1e-5\n";
        let error = toml::from_str::<ClientConfig>(unnamed).expect_err("no name");
        assert!(error.to_string().contains("policy.data_set"), "{error}");
    }
}
