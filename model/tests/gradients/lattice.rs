//! A clipped unit is within the clipping norm where the receiver checks it: on the lattice.

use proptest::prelude::*;
use umbel_model::{Clipping, DeviceChoice, Pooling, TrainableSet};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};

use crate::clipped::any_example;
use crate::support::{self, options, tiny};
use crate::{each_alone, examples, sum, sum_with};

/// A trainable set of each kind.
fn any_set() -> impl Strategy<Value = TrainableSet> {
    prop::sample::select(vec![
        TrainableSet::Full,
        TrainableSet::Encoder,
        TrainableSet::Bias,
        TrainableSet::Head,
        support::lora(&["all"], false),
        support::lora(&["all"], true),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What the receiver of one unit's sum would find, whatever the model's weights are.
    #[test]
    fn a_clipped_unit_is_within_the_clipping_norm_on_the_lattice_whatever_the_weights(
        train in any_set(),
        examples in prop::collection::vec(any_example(), 1..4),
        scales in prop::collection::vec((any::<prop::sample::Index>(), -30.0..30.0_f64), 0..6),
        power in -6.0..6.0_f64,
        micro_batch in 1..5_usize,
    ) {
        let mut model = tiny(options(Pooling::Pooler, train));
        let mut parameters = model.parameters();
        for (index, power) in scales {
            let entry = index.get(model.layout().entries());
            let count = entry.shape.iter().product::<usize>();
            for x in &mut parameters[entry.offset..entry.offset + count] {
                let scaled = (f64::from(*x) * 10_f64.powf(power)) as f32;
                *x = scaled.clamp(f32::MIN, f32::MAX);
            }
        }
        model.set_parameters(&parameters)?;
        let c = ClippingNorm::try_from(10_f64.powf(power))?;
        let step = LatticeStep::for_sum(c, parameters.len());
        let unit: Vec<usize> = (0..examples.len()).collect();
        let rules = [Clipping::Flat, Clipping::Automatic, Clipping::Residual];
        for clipping in rules.map(|rule| rule(c.with_slack())) {
            let units = std::slice::from_ref(&unit);
            let found = sum_with(&model, &examples, units, clipping, micro_batch)?;
            prop_assert_eq!(found.rejected > 0, !found.norms[0].is_finite());
            let vector = LatticeVector::quantize(&found.sum, step)?;
            prop_assert!(vector.check_norm(c, step).is_ok(), "{:?} {:?}", clipping, found.norms);
        }
    }
}

/// An adapter's input near the largest float, times a factor above 1, is infinite, and the gradient
/// that a head of zeros sends back, zero, times that is no number.
#[test]
fn a_finite_norm_has_a_finite_sum_however_large_its_factor() {
    for device in [DeviceChoice::Cpu, DeviceChoice::Gpu(None)] {
        let options = options(Pooling::Pooler, support::lora(&["all"], false));
        let mut model = match support::tiny_on(&device, options) {
            Ok(model) => model,
            Err(reason) => return println!("skipped: {reason}"),
        };
        let mut parameters = model.parameters();
        let scaled = |name: &str| match name {
            name if name.ends_with("lora_A.weight") => Some(1e35),
            name if name.ends_with("lora_B.weight") || name.starts_with("classifier") => Some(0.0),
            _ => None,
        };
        for entry in model.layout().entries() {
            let count = entry.shape.iter().product::<usize>();
            let values = &mut parameters[entry.offset..entry.offset + count];
            if let Some(scale) = scaled(&entry.name) {
                values.iter_mut().for_each(|x| *x *= scale);
            }
        }
        let set = model.set_parameters(&parameters);
        set.expect("finite parameters");
        let examples = examples();
        let units = each_alone(&examples);
        let found = sum(&model, &examples, &units, Clipping::Automatic(1e6));
        let norms = &found.norms;
        assert!(norms.iter().all(|norm| norm.is_finite()), "{norms:?}");
        assert!(found.sum.iter().all(|x| x.is_finite()), "{device:?}");
    }
}
