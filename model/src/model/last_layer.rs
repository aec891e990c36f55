//! Changes to the last layer that change what its outputs mean, not what it has learnt.

use burn::tensor::Device;
use umbel_proto::task::ValueScale;

use crate::network::Network;
use crate::parameters::Part;

/// Which of the last layer's two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastLayer {
    /// Its matrix.
    Weight,
    /// Its bias.
    Bias,
}

/// Puts other numbers in place of the last layer's.
pub(super) fn last_layer(
    network: &mut Network,
    device: &Device,
    change: impl Fn(LastLayer, &[f32]) -> Vec<f32>,
) {
    let Ok(()) = network.visit(&mut |name, (part, _), mut weight| {
        if part == Part::Head && name.starts_with("classifier.") {
            let which = match name.ends_with(".bias") {
                true => LastLayer::Bias,
                false => LastLayer::Weight,
            };
            let values = weight.reborrow().host_values();
            weight.put(change(which, &values), device);
        }
        Ok::<(), std::convert::Infallible>(())
    });
}

/// Makes a regression that answers scaled values answer the values themselves.
pub(super) fn to_values(network: &mut Network, device: &Device, values: ValueScale) {
    last_layer(network, device, |which, numbers| {
        each(numbers, |x| match which {
            LastLayer::Weight => values.scale.get() * x,
            LastLayer::Bias => values.value(x),
        })
    });
}

/// The other way round.
pub(super) fn to_scaled(network: &mut Network, device: &Device, values: ValueScale) {
    last_layer(network, device, |which, numbers| {
        each(numbers, |x| match which {
            LastLayer::Weight => x / values.scale.get(),
            LastLayer::Bias => values.scaled(x),
        })
    });
}

fn each(numbers: &[f32], change: impl Fn(f64) -> f64) -> Vec<f32> {
    let numbers = numbers.iter();
    numbers.map(|x| change(f64::from(*x)) as f32).collect()
}
