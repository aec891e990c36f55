//! The plan that the clients of one process follow, read once for all of them.

use std::sync::{Mutex, PoisonError};

use umbel_proto::plan::{AgreedPlan, PlanError};

/// The last plan that was read.
#[derive(Debug, Default)]
pub struct KnownPlan(Mutex<Option<AgreedPlan>>);

impl KnownPlan {
    /// The plan of these bytes. They are checked unless the very same ones were.
    ///
    /// # Errors
    /// [`PlanError`] for anything that isn't a plan that can be followed.
    pub fn read(&self, bytes: &[u8]) -> Result<AgreedPlan, PlanError> {
        // Replaced as a whole or not at all.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.as_ref().filter(|plan| plan.bytes() == bytes) {
            return Ok(plan.clone());
        }
        let plan = AgreedPlan::from_bytes(bytes)?;
        *known = Some(plan.clone());
        Ok(plan)
    }
}
