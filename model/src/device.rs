//! Which device computes: chosen when the program runs, never when it is built.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, DeviceType};

use crate::error::ModelError;
use umbel_privacy::word::UnknownWord;

/// A user's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated one, else the CPU; never a software rasteriser.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, by its place in the list if a number is given. Where a GPU is named
    /// explicitly, a software rasteriser is taken, too: slow, but good for tests.
    Gpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = ModelError;

    fn from_str(word: &str) -> Result<Self, ModelError> {
        let unknown = || UnknownWord {
            given: word.to_owned(),
            what: "a device",
            choices: "auto, cpu, gpu, gpu:N",
        };
        match word {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(None)),
            _ => {
                let number = word.strip_prefix("gpu:").ok_or_else(unknown)?;
                Ok(Self::Gpu(Some(number.parse().map_err(|_| unknown())?)))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(None) => f.write_str("gpu"),
            Self::Gpu(Some(number)) => write!(f, "gpu:{number}"),
        }
    }
}

impl DeviceChoice {
    /// The CPU, and every GPU that isn't a software rasteriser.
    pub fn found() -> Vec<Self> {
        let adapters = adapters().into_iter().enumerate();
        let gpus = adapters
            .filter_map(|(number, adapter)| (!adapter.software).then_some(Self::Gpu(Some(number))));
        std::iter::once(Self::Cpu).chain(gpus).collect()
    }

    /// The device, and its name for people.
    ///
    /// # Errors
    /// [`ModelError::Device`] where a GPU was asked for and there is none.
    pub fn resolve(&self) -> Result<(Device, String), ModelError> {
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Auto => Ok(adapters()
                .into_iter()
                .find(|a| !a.software)
                .map_or_else(cpu, open)),
            Self::Gpu(number) => {
                let found = adapters();
                let count = found.len();
                let chosen = found.into_iter().nth(number.unwrap_or(0));
                chosen.map(open).ok_or_else(|| {
                    ModelError::Device(match (count, number) {
                        (0, _) => "no GPU was found; install a Vulkan driver, or use --device \
                                   cpu"
                        .into(),
                        (_, number) => format!(
                            "there is no gpu:{}, only {count} in all, counted from 0",
                            number.unwrap_or(0)
                        ),
                    })
                })
            }
        }
    }
}

fn cpu() -> (Device, String) {
    (Device::flex(), "CPU".into())
}

/// Whether a device is the CPU itself, where a tensor's memory is within reach.
pub(crate) fn is_cpu(device: &Device) -> bool {
    format!("{device:?}").contains("Flex")
}

/// A graphics adapter that can compute.
struct Adapter {
    device: Device,
    software: bool,
}

fn open(adapter: Adapter) -> (Device, String) {
    let name = name_of(&adapter.device);
    let kind = if adapter.software {
        " (software, slow)"
    } else {
        ""
    };
    (adapter.device, format!("{name}{kind}"))
}

/// What a GPU calls itself.
pub(crate) fn name_of(device: &Device) -> String {
    let identity = device.identity();
    identity.map_or_else(|| "GPU".into(), |identity| identity.name.to_string())
}

/// All adapters, discrete ones first and software last.
fn adapters() -> Vec<Adapter> {
    let mut ranked: Vec<(u8, Device)> = Device::enumerate(DeviceType::Wgpu)
        .into_vec()
        .into_iter()
        .map(|device| (rank(&device), device))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked
        .into_iter()
        .map(|(rank, device)| Adapter {
            device,
            software: rank == SOFTWARE,
        })
        .collect()
}

const SOFTWARE: u8 = 4;

/// The kind of an adapter, which burn tells only in its debug form.
fn rank(device: &Device) -> u8 {
    let kinds = ["DiscreteGpu", "IntegratedGpu", "VirtualGpu"];
    let text = format!("{device:?}");
    let place = kinds.iter().position(|kind| text.contains(kind));
    match place {
        Some(place) => place as u8,
        None if text.contains("Cpu") => SOFTWARE,
        None => 3,
    }
}
