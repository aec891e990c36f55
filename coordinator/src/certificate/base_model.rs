//! The base model of a run: its digest, and the certificate of the run that released it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use umbel_model::ModelFiles;
use umbel_privacy::certificate::SignedCertificate;
use umbel_privacy::certificate::lineage::releases;
use umbel_proto::message::BlobDigest;
use umbel_proto::plan::BasePlan;

use crate::certificate::certify::CERTIFICATE;

/// The certificate's name in a folder of a released model.
pub const COPY: &str = "umbel_certificate.json";

/// The base model's certificate in the folder of a run that starts from it.
pub const BASE_CERTIFICATE: &str = "base_certificate.json";

/// A key of `config.json` that this program writes into every model that it trained.
const TRAINED_HERE: &str = "umbel_pooling";

/// What is known of a base model.
#[derive(Clone, Debug)]
pub struct BaseModel {
    /// SHA-256 of its weights.
    pub weights: BlobDigest,
    /// The certificate of the run that released it; `None` where nothing is known of how it
    /// was trained.
    pub certificate: Option<SignedCertificate>,
}

/// A base model that was trained by this program, and whose certificate can't be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: this model was trained by Umbel ({TRAINED_HERE} in its config.json), but the \
     certificate of its run can't be used, so nobody knows what it cost: {reason}; copy the \
     run's {CERTIFICATE} into this folder as {COPY}, or name RUN/model in the run's own folder", folder.display()
)]
pub struct Uncertified {
    folder: PathBuf,
    reason: String,
}

impl BaseModel {
    /// Looks for the certificate of a model in its folder and beside it.
    ///
    /// # Errors
    /// [`Uncertified`] where the model says that it was trained by this program, and there is
    /// no certificate of it.
    pub fn find(folder: &Path, files: &ModelFiles) -> Result<Self, Uncertified> {
        let weights = BlobDigest::of(&files.weights);
        let mut reasons = Vec::new();
        for path in places(folder) {
            match certificate_of(&path, weights) {
                Ok(None) => {}
                Ok(Some(certificate)) => {
                    return Ok(Self {
                        weights,
                        certificate: Some(certificate),
                    });
                }
                Err(reason) => reasons.push(format!("{}: {reason}", path.display())),
            }
        }
        if !trained_here(files) {
            return Ok(Self {
                weights,
                certificate: None,
            });
        }
        if reasons.is_empty() {
            reasons.push("it isn't there".into());
        }
        Err(Uncertified {
            folder: folder.to_owned(),
            reason: reasons.join("; "),
        })
    }

    /// What the plan says of it.
    pub fn plan(&self) -> BasePlan {
        let digest = |signed: &SignedCertificate| BlobDigest::of(signed.bytes());
        BasePlan {
            weights: self.weights,
            certificate: self.certificate.as_ref().map(digest),
        }
    }
}

/// Where a model's certificate may be: with the model, or in the folder of its run.
fn places(folder: &Path) -> Vec<PathBuf> {
    let whole = folder.canonicalize();
    let folder = whole.as_deref().unwrap_or(folder);
    let mut places = vec![folder.join(COPY), folder.join(CERTIFICATE)];
    places.extend(folder.parent().map(|above| above.join(CERTIFICATE)));
    places
}

/// The certificate at a place, if there is one; or why it isn't this model's.
fn certificate_of(path: &Path, weights: BlobDigest) -> Result<Option<SignedCertificate>, String> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| e.to_string())?,
    };
    let signed = SignedCertificate::read(&bytes).map_err(|why| why.to_string())?;
    if releases(signed.certificate(), weights) {
        Ok(Some(signed))
    } else {
        Err(format!(
            "it is that of run {}, which didn't release a model with SHA-256 {weights}",
            signed.certificate().run.id
        ))
    }
}

/// Whether a model says that this program trained it.
fn trained_here(files: &ModelFiles) -> bool {
    serde_json::from_slice::<serde_json::Value>(&files.config)
        .is_ok_and(|config| config.get(TRAINED_HERE).is_some())
}
