//! The format in which a device multiplies a network's matrices in training.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType};

use crate::device::{is_cpu, name_of};
use crate::error::ModelError;
use umbel_privacy::word::UnknownWord;

/// The format of the operands of a linear layer's products, forward and back. Weights,
/// everything between the products, per-unit norms and clipped sums are in single precision
/// whatever this is, so that what is measured is what is added. Where units are clipped, what is
/// added for one in a reduced precision has the same bits whoever passes through the network with
/// it, or the device is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ComputePrecision {
    /// IEEE single precision, 24 bits of mantissa.
    #[default]
    F32,
    /// IEEE half precision, 11 bits of mantissa: a gradient differs by some 10⁻³ of its norm.
    F16,
    /// bfloat16, 8 bits of mantissa and the range of single precision.
    Bf16,
}

impl ComputePrecision {
    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Checks that a device computes in it.
    ///
    /// # Errors
    /// [`ModelError::Device`] where it doesn't.
    pub fn check(self, device: &Device) -> Result<(), ModelError> {
        let Some(format) = self.reduced() else {
            return Ok(());
        };
        let word = self.name();
        if is_cpu(device) {
            return Err(ModelError::Device(format!(
                "the CPU computes in f32, not in {word}; leave the precision at f32, or choose a GPU"
            )));
        }
        if !device.supports_dtype(format) {
            let name = name_of(device);
            return Err(ModelError::Device(format!(
                "{name} doesn't compute in {word} through this driver; leave the precision at f32"
            )));
        }
        Ok(())
    }

    /// A device's name in reports, with the precision where it isn't the usual one.
    pub fn of_device(self, name: String) -> String {
        match self {
            Self::F32 => name,
            reduced => format!("{name}, products in {}", reduced.name()),
        }
    }

    /// What operands are cast to; `None` for single precision, in which they are.
    pub(crate) fn reduced(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::F16 => Some(FloatDType::F16),
            Self::Bf16 => Some(FloatDType::BF16),
        }
    }

    /// What a loss is multiplied by before the pass back, and the gradients divided by after it:
    /// a power of two, which costs no digit; `None` for nothing. In half precision gradients below
    /// 6e-5 would lose digits, and those below 6e-8 vanish; those of a row are often that small.
    pub(crate) fn loss_scale(self) -> Option<f32> {
        match self {
            Self::F16 => Some(1024.0),
            Self::F32 | Self::Bf16 => None,
        }
    }
}

impl FromStr for ComputePrecision {
    type Err = ModelError;

    fn from_str(word: &str) -> Result<Self, ModelError> {
        let all = [Self::F32, Self::F16, Self::Bf16];
        let named = all.into_iter().find(|precision| precision.name() == word);
        let unknown = || UnknownWord {
            given: word.to_owned(),
            what: "a precision",
            choices: "f32, f16, bf16",
        };
        Ok(named.ok_or_else(unknown)?)
    }
}

impl fmt::Display for ComputePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for precision in [
            ComputePrecision::F32,
            ComputePrecision::F16,
            ComputePrecision::Bf16,
        ] {
            assert_eq!(
                precision.to_string().parse::<ComputePrecision>().ok(),
                Some(precision)
            );
        }
        let error = "fp16".parse::<ComputePrecision>().expect_err("unknown");
        assert!(error.to_string().contains("f32, f16, bf16"), "{error}");
    }

    #[test]
    fn the_cpu_computes_in_single_precision_only() {
        let cpu = Device::flex();
        assert!(ComputePrecision::F32.check(&cpu).is_ok());
        for reduced in [ComputePrecision::F16, ComputePrecision::Bf16] {
            let error = reduced.check(&cpu).expect_err("refused");
            assert!(error.to_string().contains(reduced.name()), "{error}");
        }
    }
}
