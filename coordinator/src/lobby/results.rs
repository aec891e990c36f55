//! What came of the run, for the sites to take home.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use umbel_proto::federation::{Refusal, RefusalKind};
use umbel_proto::message::{BlobDigest, ClientId, Results};

use super::Lobby;

/// A certificate and the files that it names.
#[derive(Clone, Debug)]
pub(crate) struct Released {
    pub(crate) certificate: Arc<[u8]>,
    /// Released files, by their digests. They are read when somebody asks for them.
    pub(crate) files: BTreeMap<BlobDigest, PathBuf>,
}

impl Lobby {
    /// Offers what came of the run; nothing, if it left no model.
    pub(crate) fn offer_results(&self, released: Option<Released>) {
        let mut state = self.lock();
        state.results = Some(released);
        state.tasks_changed = true;
        self.wake(state);
    }

    /// Whether everybody who was here at the end has what it came for.
    pub(crate) fn everyone_is_home(&self) -> bool {
        self.lock().everyone_is_home()
    }

    pub(super) fn wait_for_results(
        &self,
        client: &ClientId,
        wait: Duration,
    ) -> Result<Option<Results>, Refusal> {
        let mut state = self.lock();
        state.known(client)?;
        state.note_alive(client, None);
        let (state, _) = self
            .for_clients
            .wait_timeout_while(state, wait, |state| state.results.is_none())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(state.results.as_ref().map(|released| match released {
            Some(released) => Results::Certified(BlobDigest::of(&released.certificate)),
            None => Results::NoModel,
        }))
    }

    /// A blob of the results; `None` if it is none.
    ///
    /// # Errors
    /// [`Refusal`] where a file can't be read (any more).
    pub(super) fn blob_of_results(
        &self,
        digest: &BlobDigest,
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        let path = {
            let state = self.lock();
            let Some(Some(released)) = &state.results else {
                return Ok(None);
            };
            if digest.matches(&released.certificate) {
                return Ok(Some(Arc::clone(&released.certificate)));
            }
            match released.files.get(digest) {
                Some(path) => path.clone(),
                None => return Ok(None),
            }
        };
        // A model is large, so it is read without the lock.
        let bytes = fs::read(&path).map_err(|error| {
            tracing::warn!(path = %path.display(), "can't be sent to a site: {error}");
            Refusal {
                kind: RefusalKind::Missing,
                reason: format!("the released file {digest} can't be read (any more)"),
            }
        })?;
        Ok(Some(bytes.into()))
    }
}
