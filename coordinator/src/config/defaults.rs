//! Settings by rule: what a configuration that says how many units there are (`privacy.units`)
//! needn't say.
//!
//! All of it follows from public numbers. Where units are protected and sites send gradients:
//!
//! - delta is 1 / (100 N) of N units;
//! - a round draws 4096 of them, or a 64th where that is more, or all where there are fewer: more
//!   units a round lower the noise in the mean as long as the sampling rate is small. Where the head
//!   alone is trained, it draws all: their states are computed once for all rounds, and nothing gives
//!   a mean less noise for an epsilon;
//! - there are 80 rounds;
//! - adapters of rank 8 on all layers are trained: far fewer numbers than the layers have, so that less
//!   noise goes into the model. Beside them word embeddings are, where their table has at most five
//!   million numbers: a small model can't learn without them what a larger one knows, and a large
//!   table takes noise and traffic;
//! - where texts have one label each, a head alone begins at the labels' names, and so does one beside
//!   adapters where there are more than two. Adapters learn through the head, and with many labels
//!   one that begins at random takes longer to hand on anything; word embeddings take whole steps then;
//! - a unit is clipped to 0.5, and the last layer's gradient is multiplied by 0.15 before, unless there
//!   is no other. Where texts have one label each, it is clipped by its residual, so that training ends
//!   where the loss is least;
//! - Adam's steps rise over a twentieth of the rounds and fall to 0 at the last. Nearly all that
//!   Adam divides by is noise, so its steps are as long whatever sigma, batch and norm are, and
//!   noise moves a parameter by about the learning rate times the root of the rounds. The learning
//!   rate keeps that product: 0.054, or 0.13 for adapters and biases, which are fewer and begin at
//!   nothing, or 0.54 for a head alone, whose steps move nothing that others go by;
//! - what is released is an average that keeps 0.9.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{ConfigError, refuse};

/// Keys without a default of their own that a rule can set, by the section's type.
const BY_RULE: [(&str, &[&str]); 5] = [
    ("", &["training", "server"]),
    ("RunSection", &["rounds"]),
    ("PrivacySection", &["unit"]),
    ("TrainingSection", &["method"]),
    ("ServerSection", &["optimiser", "learning_rate"]),
];

const ROUNDS: i64 = 80;
/// The largest table of word embeddings that is trained, in numbers.
const WORD_TABLE: usize = 5_000_000;
/// The scale of word embeddings with two labels.
const WORD_SCALE: f64 = 0.5;
/// And with more.
const WORD_SCALE_OF_MANY_LABELS: f64 = 1.0;
const BATCH: f64 = 4096.0;
const LEAST_SHARE: f64 = 1.0 / 64.0;
const CLIPPING_NORM: f64 = 0.5;
const HEAD_SCALE: f64 = 0.15;
const AVERAGE: f64 = 0.9;
/// The learning rate times the root of the rounds, where whole layers are trained.
const WHOLE_LAYERS: f64 = 0.054;
/// The same for adapters and biases.
const FEW_PARAMETERS: f64 = 0.13;
/// The same for a head alone.
const HEAD_ALONE: f64 = 0.54;

/// Sets what isn't given, and tells whether it set anything. Without `privacy.units`, and where it
/// has no rule (clients as units, sums of deltas), it leaves the table alone. `words` tells how many
/// numbers the word embeddings of a base model are, if there is one; it is asked only where the rule needs it.
pub(super) fn fill(
    table: &mut Table,
    words: impl Fn(&str) -> Option<usize>,
) -> Result<bool, ConfigError> {
    let before = table.clone();
    let Some(units) = number(table, "privacy", "units") else {
        return Ok(false);
    };
    if !(units >= 1.0 && units.is_finite()) {
        return Err(refuse("privacy.units", "must be at least 1"));
    }
    let is = |section, key, word| text(&before, section, key) == Some(word);
    if is("privacy", "unit", "client") || is("training", "method", "deltas") {
        return Ok(false);
    }
    give(table, "model", "train", "lora")?;
    if !has(&before, "model", "train") {
        let words = text(&before, "model", "base").and_then(words);
        let few = words.is_some_and(|numbers| numbers <= WORD_TABLE);
        let scale = match has_many_classes(&before) {
            true => WORD_SCALE_OF_MANY_LABELS,
            false => WORD_SCALE,
        };
        give_adapters_everywhere(table, few.then_some(scale))?;
    }
    let head_alone = is("model", "train", "head");
    let drawn = match head_alone {
        true => units,
        false => BATCH.max(units * LEAST_SHARE).min(units),
    };
    let rate = match number(table, "training", "expected_batch") {
        Some(batch) => (batch / units).min(1.0),
        None => drawn / units,
    };
    give(table, "privacy", "unit", "record")?;
    give(table, "privacy", "delta", 0.01 / units)?;
    give(table, "privacy", "clipping_norm", CLIPPING_NORM)?;
    give(table, "privacy", "sampling_rate", rate)?;
    let rate = number(table, "privacy", "sampling_rate").unwrap_or(rate);
    give(table, "training", "method", "gradients")?;
    give(table, "training", "expected_batch", rate * units)?;
    let one_label = has_one_label(&before);
    let adapters = text(table, "model", "train") == Some("lora");
    if head_alone && one_label || adapters && has_many_classes(&before) {
        give(table, "model", "head_start", "label-names")?;
    }
    if !head_alone {
        give(table, "model", "head_scale", HEAD_SCALE)?;
        if one_label && !has(&before, "privacy", "adaptive_clipping") {
            give(table, "privacy", "clipping", "residual")?;
        }
    }
    give(table, "run", "rounds", ROUNDS)?;
    if !has(table, "server", "optimiser") {
        give(table, "server", "optimiser", "adam")?;
    }
    if is_adam(table) {
        fill_steps(table)?;
    }
    Ok(*table != before)
}

/// Lets a configuration's schema leave out what is set by rule.
pub(super) fn relax(schema: &mut schemars::Schema) {
    let Some(root) = schema.as_object_mut() else {
        return;
    };
    for (section, keys) in BY_RULE {
        let required = match section {
            "" => root.get_mut("required"),
            name => root
                .get_mut("$defs")
                .and_then(|all| all.get_mut(name)?.get_mut("required")),
        };
        if let Some(Json::Array(required)) = required {
            required.retain(|key| key.as_str().is_none_or(|key| !keys.contains(&key)));
        }
    }
}

fn is_adam(table: &Table) -> bool {
    text(table, "server", "optimiser") == Some("adam")
}

/// The steps of Adam.
fn fill_steps(table: &mut Table) -> Result<(), ConfigError> {
    let rounds = number(table, "run", "rounds").unwrap_or(ROUNDS as f64);
    let reach = match text(table, "model", "train") {
        Some("full" | "encoder") => WHOLE_LAYERS,
        Some("head") => HEAD_ALONE,
        _ => FEW_PARAMETERS,
    };
    give(
        table,
        "server",
        "learning_rate",
        reach / rounds.max(1.0).sqrt(),
    )?;
    let warmup = (rounds / 20.0).floor().clamp(0.0, 1e6);
    give(table, "server", "warmup_rounds", warmup as i64)?;
    give(table, "server", "decay", "linear")?;
    give(table, "server", "average", AVERAGE)
}

/// Adapters on all layers, unless it is said where, and word embeddings at a scale, if at any.
fn give_adapters_everywhere(table: &mut Table, words: Option<f64>) -> Result<(), ConfigError> {
    give(table, "model", "lora", Table::new())?;
    let lora = table
        .get_mut("model")
        .and_then(|model| model.get_mut("lora"));
    let lora = lora.and_then(Value::as_table_mut);
    let lora = lora.ok_or_else(|| refuse("model.lora", "must be a section of keys"))?;
    lora.entry("targets").or_insert_with(|| vec!["all"].into());
    if let Some(scale) = words {
        lora.entry("words").or_insert_with(|| scale.into());
    }
    Ok(())
}

/// Whether each text has one label.
fn has_one_label(table: &Table) -> bool {
    matches!(text(table, "task", "kind"), None | Some("single-label"))
}

/// Whether each text has one of more than two labels that are named.
fn has_many_classes(table: &Table) -> bool {
    let labels = table.get("data").and_then(|data| data.get("labels"));
    has_one_label(table)
        && labels
            .and_then(Value::as_array)
            .is_some_and(|named| named.len() > 2)
}

fn has(table: &Table, section: &str, key: &str) -> bool {
    table
        .get(section)
        .is_some_and(|place| place.get(key).is_some())
}

fn number(table: &Table, section: &str, key: &str) -> Option<f64> {
    let value = table.get(section)?.get(key)?;
    value.as_float().or(value.as_integer().map(|n| n as f64))
}

fn text<'a>(table: &'a Table, section: &str, key: &str) -> Option<&'a str> {
    table.get(section)?.get(key)?.as_str()
}

/// Sets a key, unless it is given. A section that is none is left to whoever reads the table.
fn give(
    table: &mut Table,
    section: &str,
    key: &str,
    value: impl Into<Value>,
) -> Result<(), ConfigError> {
    let place = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let place = place
        .as_table_mut()
        .ok_or_else(|| refuse(section, "must be a section of keys"))?;
    place.entry(key).or_insert_with(|| value.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use umbel_proto::method::ClippingRule;

    use super::*;
    use crate::config::{HeadStart, RunConfig};

    const LEAST: &str = "
[run]
name = 'least'
[model]
base = 'bert'
[data]
labels = ['bad', 'good']
[privacy]
epsilon = 8.0
units = 15500
[[clients]]
name = 'oslo'
";

    fn filled(text: &str) -> Table {
        filled_for(text, None)
    }

    fn filled_for(text: &str, words: Option<usize>) -> Table {
        let mut table: Table = toml::from_str(text).expect("TOML");
        fill(&mut table, |_| words).expect("it can be filled");
        table
    }

    fn config(text: &str) -> RunConfig {
        let config: RunConfig = filled(text).try_into().expect("a configuration");
        config.check().expect("a sound one");
        config
    }

    #[test]
    fn data_model_and_epsilon_are_enough() {
        let config = config(LEAST);
        let rate = config.privacy.sampling_rate.get();
        assert_eq!(rate, 4096.0 / 15500.0);
        let batch = config.training.expected_batch.expect("one").get();
        assert!((batch - 4096.0).abs() < 1e-9);
        let delta = f64::from(config.privacy.delta.expect("one"));
        assert!(delta < 1.0 / 15500.0);
        assert_eq!(config.server.optimiser.name, "adam");
        assert_eq!(config.privacy.clipping, ClippingRule::Residual);
        let table = filled(LEAST);
        assert_eq!(text(&table, "model", "train"), Some("lora"));
        assert_eq!(table["model"]["lora"]["targets"][0].as_str(), Some("all"));
    }

    #[test]
    fn what_the_rule_of_clipping_and_adapters_on_all_layers_dont_go_with_is_left_alone() {
        let clipping = |text: &str| config(text).privacy.clipping;
        let model = |keys: &str| LEAST.replace("[data]", &format!("{keys}\n[data]"));
        assert_eq!(clipping(&model("train = 'head'")), ClippingRule::Flat);
        let adaptive = [LEAST, "[privacy.adaptive_clipping]\nquantile = 0.5\n"].concat();
        assert_eq!(clipping(&adaptive), ClippingRule::Flat);
        let several = [LEAST, "[task]\nkind = 'multi-label'\n"].concat();
        assert_eq!(clipping(&several), ClippingRule::Flat);
        let names = several.replace("[data]", "head_start = 'label-names'\n[data]");
        let refused: RunConfig = filled(&names).try_into().expect("a configuration");
        let refused = refused.check().expect_err("scores that aren't compared");
        assert!(
            refused.to_string().contains("model.head_start"),
            "{refused}"
        );
        let whole = filled(&model("train = 'encoder'"));
        assert!(!has(&whole, "model", "lora"));
        let chosen = filled(&model("train = 'lora'"));
        assert!(!has(&chosen, "model", "lora"));
        let ranked = filled(&model("lora.rank = 4"));
        assert_eq!(ranked["model"]["lora"]["rank"].as_integer(), Some(4));
        assert_eq!(ranked["model"]["lora"]["targets"][0].as_str(), Some("all"));
    }

    #[test]
    fn a_head_alone_and_one_beside_adapters_for_many_labels_begin_at_their_names() {
        let three = LEAST.replace("'good'", "'fair', 'good'");
        for (keys, starts) in [
            ("", [HeadStart::Random, HeadStart::LabelNames]),
            ("train = 'lora'", [HeadStart::Random, HeadStart::LabelNames]),
            ("train = 'head'", [HeadStart::LabelNames; 2]),
            ("train = 'encoder'", [HeadStart::Random; 2]),
            ("train = 'bias'", [HeadStart::Random; 2]),
            ("head_start = 'random'", [HeadStart::Random; 2]),
        ] {
            for (text, start) in [LEAST, &three].into_iter().zip(starts) {
                let text = text.replace("[data]", &format!("{keys}\n[data]"));
                assert_eq!(config(&text).model.head_start, start, "{text}");
                let several = text + "[task]\nkind = 'multi-label'\n";
                assert_eq!(config(&several).model.head_start, HeadStart::Random);
            }
        }
    }

    #[test]
    fn word_embeddings_are_trained_where_they_are_few_and_adapters_are_by_rule() {
        let words = |keys: &str, numbers: Option<usize>| {
            let text = LEAST.replace("[data]", &format!("{keys}\n[data]"));
            let model = filled_for(&text, numbers)["model"].clone();
            model.get("lora")?.get("words")?.as_float()
        };
        let [tiny, mini] = [128, 384].map(|width| Some(30_522 * width));
        assert_eq!(words("", tiny), Some(0.5));
        let three = LEAST.replace("'good'", "'fair', 'good'");
        let several = [three.as_str(), "[task]\nkind = 'multi-label'\n"].concat();
        for (text, scale) in [(&three, 1.0), (&several, 0.5)] {
            let lora = &filled_for(text, tiny)["model"]["lora"];
            assert_eq!(lora["words"].as_float(), Some(scale));
        }
        assert_eq!(words("lora.words = 0.25", tiny), Some(0.25));
        for (keys, numbers) in [
            ("", mini),
            ("", None),
            ("", Some(usize::MAX)),
            ("train = 'lora'", tiny),
            ("train = 'encoder'", tiny),
            ("train = 'head'", tiny),
        ] {
            assert_eq!(words(keys, numbers), None, "{keys} {numbers:?}");
        }
    }

    #[test]
    fn few_units_are_all_drawn_and_of_many_a_64th() {
        let drawn = |units: &str| {
            let text = LEAST.replace("15500", units);
            config(&text).privacy.sampling_rate.get()
        };
        assert_eq!(drawn("300"), 1.0);
        assert_eq!(drawn("10000000"), 1.0 / 64.0);
    }

    #[test]
    fn a_head_alone_is_trained_on_all_units_with_longer_steps() {
        let text = LEAST.replace("base = 'bert'", "base = 'bert'\ntrain = 'head'");
        let encoder = LEAST.replace("base = 'bert'", "base = 'bert'\ntrain = 'encoder'");
        let (head, encoder) = (config(&text), config(&encoder));
        assert_eq!(head.privacy.sampling_rate.get(), 1.0);
        assert_eq!(head.model.head_scale.get(), 1.0);
        assert_eq!(encoder.model.head_start, HeadStart::Random);
        let ratio = head.server.learning_rate.get() / encoder.server.learning_rate.get();
        assert!((ratio - 10.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_given_stands_and_what_follows_from_it_follows() {
        let text = LEAST.replace("epsilon = 8.0", "epsilon = 8.0\nsampling_rate = 0.1");
        let text = text + "[server]\noptimiser = 'sgd'\nlearning_rate = 0.5\n";
        let config = config(&text);
        assert_eq!(config.privacy.sampling_rate.get(), 0.1);
        let batch = config.training.expected_batch.expect("one").get();
        assert!((batch - 1550.0).abs() < 1e-9);
        assert_eq!(config.server.learning_rate.get(), 0.5);
        assert_eq!(config.server.average, None);
    }

    #[test]
    fn a_longer_run_takes_smaller_steps() {
        let rate = |rounds: &str| {
            let name = format!("name = 'least'\nrounds = {rounds}");
            config(&LEAST.replace("name = 'least'", &name))
                .server
                .learning_rate
                .get()
        };
        assert!((rate("40") / rate("160") - 2.0).abs() < 1e-12);
    }

    #[test]
    fn without_the_number_of_units_and_without_a_rule_nothing_is_set() {
        let without = LEAST.replace("units = 15500", "");
        let client = LEAST.replace("epsilon", "unit = 'client'\nepsilon");
        let deltas = [LEAST, "[training]\nmethod = 'deltas'\n"].concat();
        for text in [without, client, deltas] {
            assert_eq!(filled(&text), toml::from_str(&text).expect("TOML"));
        }
    }

    #[test]
    fn nonsense_is_left_to_whoever_reads_it_or_refused() {
        for units in ["0", "-3", "nan", "'many'"] {
            let text = LEAST.replace("15500", units);
            let mut table: Table = toml::from_str(&text).expect("TOML");
            let read = fill(&mut table, |_| None).map(|_| table.try_into::<RunConfig>());
            assert!(!matches!(read, Ok(Ok(_))), "{units}");
        }
        let mut table: Table = toml::from_str("privacy = { units = 3 }\nserver = 1").expect("TOML");
        assert!(fill(&mut table, |_| None).is_err());
    }

    #[test]
    fn the_schema_doesnt_ask_for_what_is_set_by_rule() {
        let before = serde_json::to_string(&schemars::schema_for!(RunConfig)).expect("JSON");
        for (section, keys) in BY_RULE {
            assert!(section.is_empty() || before.contains(&format!("\"{section}\"")));
            let schema = crate::config::schema();
            let value = schema.as_value();
            let place = match section {
                "" => value,
                name => &value["$defs"][name],
            };
            let required = place["required"].as_array().cloned().unwrap_or_default();
            assert!(keys.iter().all(|key| !required.contains(&Json::from(*key))));
        }
    }
}
