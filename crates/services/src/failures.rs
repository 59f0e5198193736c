//! Records a failure of a part of the server. After that the process ends, since the other parts can't work without it.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use buoy_net::supervision::{Failure, Supervisor, words_of};
use futures_util::FutureExt;
use tokio::sync::watch;

/// The first failure, and those who wait for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Failures(watch::Sender<Option<Failure>>);

impl Failures {
    /// Nothing has failed yet.
    pub fn none() -> Self {
        Self(watch::Sender::new(None))
    }

    /// A supervisor for threads that reports here.
    pub fn supervisor(&self) -> Supervisor {
        let this = self.clone();
        Supervisor::new(move |failure| this.report(failure))
    }

    /// The first failure, if there was one.
    pub fn first(&self) -> Option<Failure> {
        self.0.borrow().clone()
    }

    /// Returns when a part has failed.
    pub async fn wait(&self) -> Failure {
        let mut failures = self.0.subscribe();
        loop {
            if let Some(failure) = failures.borrow_and_update().clone() {
                return failure;
            }
            if failures.changed().await.is_err() {
                // Nobody is left who could fail.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Starts a task that should run until it is stopped. If it panics or returns an error, this is a failure.
    pub fn spawn(
        &self,
        part: &'static str,
        body: impl Future<Output = Result<(), impl std::fmt::Display + Send + 'static>> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            let reason = match AssertUnwindSafe(body).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => words_of(&*panic).to_owned(),
            };
            this.report(Failure { part: part.to_owned(), reason });
        })
    }

    fn report(&self, failure: Failure) {
        tracing::error!(part = failure.part, "a part of the server failed: {}", failure.reason);
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(failure);
            }
            is_first
        });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn the_first_failure_of_threads_and_tasks_is_told() {
        let failures = Failures::none();
        failures.spawn("quiet", async { Ok::<_, Infallible>(()) }).await.unwrap();
        assert_eq!(failures.first(), None);
        failures.spawn("updates", async { panic!("no more") as Result<(), Infallible> }).await.unwrap();
        let waited = failures.wait().await;
        assert_eq!(waited.to_string(), "updates failed: no more");
        failures.supervisor().report("journal", "too late");
        assert_eq!(failures.first(), Some(waited));
    }
}
