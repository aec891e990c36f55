//! A plan together with the bytes in which it travelled.

use std::ops::Deref;
use std::sync::Arc;

use super::{Plan, PlanError};
use crate::message::BlobDigest;

/// A plan and the digest of its very bytes, by which ledgers and certificates name it. Clones share
/// both.
#[derive(Clone, Debug)]
pub struct AgreedPlan {
    plan: Arc<Plan>,
    bytes: Arc<[u8]>,
    digest: BlobDigest,
}

impl AgreedPlan {
    /// Reads the bytes of a plan as they were received.
    ///
    /// # Errors
    /// [`PlanError`] for anything that isn't a plan that can be followed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanError> {
        Ok(Self {
            plan: Arc::new(Plan::from_json(bytes)?),
            digest: BlobDigest::of(bytes),
            bytes: bytes.into(),
        })
    }

    /// The plan's bytes, as they travel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their digest.
    pub fn digest(&self) -> BlobDigest {
        self.digest
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl From<Plan> for AgreedPlan {
    fn from(plan: Plan) -> Self {
        let bytes = plan.to_json();
        Self {
            digest: BlobDigest::of(&bytes),
            bytes: bytes.into(),
            plan: Arc::new(plan),
        }
    }
}

impl Deref for AgreedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}
