//! The certificate of a run: what was promised, what it cost, and what was released, in one
//! signed document that anybody can check against the run's ledger and files.
//!
//! | module | what it is for |
//! |---|---|
//! | [`content`] | what a certificate says |
//! | [`document`] | its bytes: compact JSON, with a signature over exactly these bytes |
//! | [`key`] | Ed25519 keys and signatures |
//! | [`key_file`] | a key in a file of its owner's |
//! | [`countersignature`] | what a site signs: the plan, its ledger's ends, the rounds it gave |
//! | [`accounting`] | which accountant computed epsilon, and computing it again |
//! | [`costs`] | what the run, its data set and the lineage cost, and the guarantee that follows |
//! | [`lineage`](mod@lineage) | the runs that the base model descends from |
//! | [`terms`] | what plan, ledger and certificate must all say the same of |
//! | [`examine`](mod@examine) | comparing a certificate with ledger, plan and files |
//!
//! Pure but for [`key_file`]: all other files are read and written by others. The format is described by
//! `privacy/schema/certificate.schema.json`.

pub mod accounting;
pub mod content;
pub mod costs;
pub mod countersignature;
pub mod document;
pub mod examine;
pub mod key;
pub mod key_file;
pub mod lineage;
pub mod terms;

pub use content::{
    Accounted, Certificate, FileStatement, Guarantee, LedgerStatement, Participant, RunStatement,
};
pub use costs::{CostSources, NoGuarantee};
pub use countersignature::{
    CoordinatorSeen, Countersignature, InvalidCountersignature, SiteStatement,
};
pub use document::{InvalidCertificate, SignedCertificate};
pub use examine::{Check, Evidence, Examination, FoundFile, Outcome, PlanEvidence, examine};
pub use key::{PublicKey, Signature, SigningKey};
pub use lineage::{Ancestor, BaseStatement, InvalidLineage, Rows};
pub use terms::{Promise, Terms};
