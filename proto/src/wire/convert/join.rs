//! How a client joins, and what it is told: the plan and the files of the base model.

use std::collections::BTreeSet;

use umbel_privacy::ledger::LedgerPoint;

use super::{WireError, digest, required};
use crate::message::{Hello, Instance, ModelFile, PROTOCOL_VERSION, Welcome};
use crate::printable::printable;
use crate::wire;

/// Characters of a file's name, at most.
const LONGEST_FILE_NAME: usize = 128;

impl From<Hello> for wire::JoinRequest {
    fn from(hello: Hello) -> Self {
        Self {
            protocol: hello.protocol,
            software: hello.software,
            labels: hello.labels,
            ledger: Some(hello.ledger.into()),
            instance: hello.instance.0,
        }
    }
}

impl TryFrom<wire::JoinRequest> for Hello {
    type Error = WireError;

    fn try_from(request: wire::JoinRequest) -> Result<Self, WireError> {
        // A client of another version may send other fields: what is told to it is that.
        let ledger = match request.ledger {
            None if request.protocol != PROTOCOL_VERSION => LedgerPoint::START,
            ledger => required(ledger, "JoinRequest.ledger")?,
        };
        Ok(Self {
            protocol: request.protocol,
            software: printable(&request.software, usize::MAX),
            labels: request.labels,
            ledger,
            instance: Instance(request.instance),
        })
    }
}

impl From<Welcome> for wire::JoinReply {
    fn from(welcome: Welcome) -> Self {
        Self {
            plan: welcome.plan,
            files: welcome.files.into_iter().map(Into::into).collect(),
            coordinator: Some(welcome.coordinator.into()),
            remembered: welcome.remembered.map(Into::into),
        }
    }
}

impl TryFrom<wire::JoinReply> for Welcome {
    type Error = WireError;

    fn try_from(reply: wire::JoinReply) -> Result<Self, WireError> {
        let mut names = BTreeSet::new();
        let mut files = Vec::with_capacity(reply.files.len());
        for file in reply.files {
            let file = ModelFile::try_from(file)?;
            if !names.insert(file.name.clone()) {
                return Err(WireError::SameName { name: file.name });
            }
            files.push(file);
        }
        Ok(Self {
            plan: reply.plan,
            files,
            coordinator: reply
                .coordinator
                .ok_or(WireError::Missing {
                    field: "JoinReply.coordinator",
                })?
                .try_into()?,
            remembered: reply.remembered.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<ModelFile> for wire::ModelFile {
    fn from(file: ModelFile) -> Self {
        Self {
            name: file.name,
            digest: file.digest.as_bytes().to_vec(),
            bytes: file.bytes,
        }
    }
}

impl TryFrom<wire::ModelFile> for ModelFile {
    type Error = WireError;

    fn try_from(file: wire::ModelFile) -> Result<Self, WireError> {
        // A client stores files under these names, so none may lead out of its folder.
        let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let length = (1..=LONGEST_FILE_NAME).contains(&file.name.len());
        if !length || file.name.starts_with('.') || !file.name.chars().all(ordinary) {
            let name = printable(&file.name, LONGEST_FILE_NAME);
            return Err(WireError::FileName { name });
        }
        Ok(Self {
            name: file.name,
            digest: digest(&file.digest, "ModelFile.digest")?,
            bytes: file.bytes,
        })
    }
}
