//! Edits of what is in memory and in the store: they go on to their end, also if the caller goes.

use std::convert::Infallible;
use std::sync::Arc;

use buoy_store::ChangeSet;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::app::App;
use crate::journal::NotSaved;

impl App {
    /// Does something to its end, also if the caller goes. A panic in it ends the server: what is in memory may be half changed.
    pub(crate) async fn to_the_end<T: Send + 'static, E: From<NotSaved> + Send + 'static>(
        &self,
        part: &'static str,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, end) = oneshot::channel();
        self.failures.spawn(part, async move {
            // The caller may have gone.
            let _ = answer.send(work.await);
            Ok::<_, Infallible>(())
        });
        end.await.unwrap_or_else(|_| Err(NotSaved::Stopped.into()))
    }

    /// The turn of one edit, unless the store can't be written.
    pub(crate) async fn turn(&self, edits: &Arc<Mutex<()>>) -> Result<OwnedMutexGuard<()>, NotSaved> {
        self.journal.unless_in_trouble(edits.clone().lock_owned()).await
    }

    /// Makes changes durable, and then lets them count in memory; the turn ends after that. If the store can't be written, the caller gets the
    /// error at once, and the changes count when they are saved.
    pub(crate) async fn commit_then(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        set: ChangeSet<'static>,
        then: impl FnOnce(&Self) + Send + 'static,
    ) -> Result<(), NotSaved> {
        self.journal.check()?;
        let app = self.clone();
        let work = self.to_the_end("an edit", async move {
            let _turn = turn;
            app.journal.commit(set).await?;
            then(&app);
            Ok::<_, NotSaved>(())
        });
        self.journal.unless_in_trouble(work).await?
    }
}
