//! Edits of what is in memory and in the store: they go on to their end, also if the caller goes.

use std::sync::Arc;

use buoy_store::ChangeSet;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::app::App;
use crate::journal::NotSaved;

/// Does something to its end, also if the caller goes.
pub(crate) async fn to_the_end<T: Send + 'static, E: From<NotSaved> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(NotSaved::Stopped.into()))
}

impl App {
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
        let task = tokio::spawn(async move {
            let _turn = turn;
            app.journal.commit(set).await?;
            then(&app);
            Ok(())
        });
        // A task that panicked has ended the server.
        self.journal.unless_in_trouble(task).await?.unwrap_or(Err(NotSaved::Stopped))
    }
}
