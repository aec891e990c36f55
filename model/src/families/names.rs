//! What a family's files call the tensors that the layout calls as BERT does.

/// Beginnings of names in the layout, and what files have in their place.
pub(super) type Words = &'static [(&'static str, &'static str)];

/// A family's words for its encoder's tensors.
pub(super) struct Names {
    /// What stands before layers' numbers, behind the family's prefix: `encoder.layer` in BERT.
    pub(super) layers: &'static str,
    /// Parts of a layer.
    pub(super) parts: Words,
    /// What is in no layer.
    pub(super) others: Words,
}

impl Names {
    /// A tensor of the encoder by its name in files. What has no word of its own is called as in BERT.
    pub(super) fn of(&self, prefix: &str, name: &str) -> String {
        if let Some(name) = renamed(self.others, name) {
            return format!("{prefix}.{name}");
        }
        let layer = name.strip_prefix("encoder.layer.");
        let Some((index, part)) = layer.and_then(|layer| layer.split_once('.')) else {
            return format!("{prefix}.{name}");
        };
        let part = renamed(self.parts, part).unwrap_or_else(|| part.to_owned());
        format!("{prefix}.{}.{index}.{part}", self.layers)
    }
}

/// A name whose beginning is one of these words, in the other's.
pub(super) fn renamed(words: Words, name: &str) -> Option<String> {
    let mut words = words.iter();
    words.find_map(|(own, file)| Some(format!("{file}{}", name.strip_prefix(own)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_layers_part_or_another_tensors_or_stays_as_it_is() {
        let names = Names {
            layers: "h",
            parts: &[("output.dense", "c_proj")],
            others: &[("encoder.LayerNorm", "ln_f")],
        };
        for (name, expected) in [
            ("encoder.layer.10.output.dense.bias", "t.h.10.c_proj.bias"),
            (
                "encoder.layer.1.intermediate.dense.bias",
                "t.h.1.intermediate.dense.bias",
            ),
            ("encoder.LayerNorm.weight", "t.ln_f.weight"),
            (
                "embeddings.LayerNorm.weight",
                "t.embeddings.LayerNorm.weight",
            ),
        ] {
            assert_eq!(names.of("t", name), expected);
        }
    }
}
