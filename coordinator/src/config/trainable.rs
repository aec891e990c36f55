//! The keys that say which parameters are trained, checked: `model.train` and `[model.lora]`.

use umbel_model::{LoraConfig, LoraTargets, ModelError, TrainableSet};
use umbel_proto::plan::LoraPlan;

use super::{ConfigError, LoraSection, RunConfig};

impl RunConfig {
    /// The adapters as sites are told of them, if the trainable set is `lora`.
    pub(super) fn lora_plan(&self) -> Option<LoraPlan> {
        if self.model.train != "lora" {
            return None;
        }
        let lora = self.model.lora.clone().unwrap_or_default();
        let seed = self.lora_seed(&lora);
        Some(LoraPlan {
            rank: lora.rank,
            alpha: lora.alpha,
            targets: lora.targets,
            freeze_a: lora.freeze_a,
            seed,
        })
    }

    /// Which parameters are trained.
    ///
    /// # Errors
    /// [`ConfigError::Check`] naming the key.
    pub fn trainable_set(&self) -> Result<TrainableSet, ConfigError> {
        let wrong = |key: &str| {
            let key = key.to_owned();
            move |e: ModelError| ConfigError::Check {
                key,
                reason: e.to_string(),
            }
        };
        let model = &self.model;
        let section = match (model.train.as_str(), &model.lora) {
            ("lora", lora) => Some(lora.clone().unwrap_or_default()),
            (_, None) => None,
            (train, Some(_)) => {
                return Err(ConfigError::Check {
                    key: "model.lora".into(),
                    reason: format!(
                        "only goes with train = \"lora\", but train is {train:?}; change one of them"
                    ),
                });
            }
        };
        let lora = section
            .map(|lora| {
                let targets = LoraTargets::parse(&lora.targets)?;
                let seed = self.lora_seed(&lora);
                LoraConfig::new(lora.rank, lora.alpha, targets, lora.freeze_a, seed)
            })
            .transpose()
            .map_err(wrong("model.lora"))?;
        TrainableSet::named(&model.train, lora).map_err(wrong("model.train"))
    }

    /// The seed of the adapters' start: public, whether it is given or not.
    fn lora_seed(&self, lora: &LoraSection) -> u64 {
        lora.seed.or(self.run.seed).unwrap_or(0)
    }
}
