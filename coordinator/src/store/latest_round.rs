//! The result of the latest round, as it is kept on disk while a run goes on.
//!
//! A safetensors file with one tensor, `trainable`: the trained parameters in the order of
//! the plan's layout, as clients get them. It is there before anybody gets them, so that
//! what was published is never lost; when the run ends, `model/` takes its place.

use std::io::{self, BufWriter, Write};

use serde_json::json;

/// What a round has made of the parameters.
#[derive(Clone, Copy, Debug)]
pub struct LatestRound<'a> {
    /// The round, from 1.
    pub round: u32,
    /// The trained parameters.
    pub parameters: &'a [f32],
    /// Hash of the ledger entry that paid for them; `None` without privacy.
    pub ledger_head: Option<&'a str>,
}

impl LatestRound<'_> {
    /// The name of the file in a run's folder.
    pub const FILE: &'static str = "latest-round.safetensors";

    /// Writes it as safetensors: the length of a JSON header, the header, the numbers.
    ///
    /// # Errors
    /// Whatever writing fails with.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut header = self.header().into_bytes();
        // The format asks that the numbers begin at a multiple of eight bytes.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut out = BufWriter::with_capacity(1 << 20, out);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for parameter in self.parameters {
            out.write_all(&parameter.to_le_bytes())?;
        }
        out.flush()
    }

    fn header(&self) -> String {
        let mut metadata = json!({ "round": self.round.to_string() });
        if let Some(head) = self.ledger_head {
            metadata["ledger_head"] = json!(head);
        }
        json!({
            "__metadata__": metadata,
            "trainable": {
                "dtype": "F32",
                "shape": [self.parameters.len()],
                "data_offsets": [0, 4 * self.parameters.len()],
            },
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_its_round_and_holds_every_bit() {
        let parameters = [1.5, -0.0, f32::MIN_POSITIVE];
        let mut file = Vec::new();
        LatestRound {
            round: 3,
            parameters: &parameters,
            ledger_head: Some("00ff"),
        }
        .write(&mut file)
        .unwrap();
        let (length, rest) = file.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0);
        let (header, numbers) = rest.split_at(length);
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        assert_eq!(header["__metadata__"]["round"], "3");
        assert_eq!(header["__metadata__"]["ledger_head"], "00ff");
        assert_eq!(header["trainable"]["shape"], json!([3]));
        assert_eq!(header["trainable"]["data_offsets"], json!([0, 12]));
        let expected: Vec<u8> = parameters.iter().flat_map(|p| p.to_le_bytes()).collect();
        assert_eq!(numbers, expected);
    }
}
