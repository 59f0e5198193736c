//! Threads that must not end in silence.
//!
//! A server of which one thread has died is worse than none: it goes on to say that it is ready, and some devices wait for ever. So each
//! thread tells how it ended, and whoever composes the server ends it then.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Where a thread tells that it failed. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor(Arc<dyn Fn(Failure) + Send + Sync>);

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supervisor")
    }
}

/// A part of the server that ended though nobody had stopped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The part, as in `shard-0`.
    pub part: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.part, self.reason)
    }
}

impl std::error::Error for Failure {}

impl Supervisor {
    /// `report` is called in the thread that failed, as the last that it does.
    #[must_use]
    pub fn new(report: impl Fn(Failure) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Tells that a part failed.
    pub fn report(&self, part: &str, reason: impl fmt::Display) {
        (self.0)(Failure { part: part.to_owned(), reason: reason.to_string() });
    }

    /// Starts a thread. That it returns an error, or panics, is reported.
    ///
    /// # Errors
    /// What the system says if it has no thread left.
    pub fn spawn(
        &self,
        name: String,
        body: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let supervisor = self.clone();
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            // What the body held is gone with it: nobody sees a state that was left half made.
            match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => supervisor.report(&name, error),
                Err(panic) => supervisor.report(&name, words_of(&*panic)),
            }
        })
    }
}

/// What a panic said.
#[must_use]
pub fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn end_of(body: impl FnOnce() -> io::Result<()> + Send + 'static) -> Option<Failure> {
        let (failed, failures) = channel();
        let supervisor = Supervisor::new(move |failure| failed.send(failure).unwrap());
        supervisor.spawn("part".into(), body).unwrap().join().unwrap();
        failures.try_recv().ok()
    }

    #[test]
    fn a_thread_that_ends_without_being_stopped_is_reported() {
        let failure = |reason: &str| Some(Failure { part: "part".into(), reason: reason.into() });
        assert_eq!(end_of(|| panic!("out of {}", "luck")), failure("out of luck"));
        assert_eq!(end_of(|| Err(io::Error::other("no poller"))), failure("no poller"));
        assert_eq!(end_of(|| Ok(())), None);
    }
}
