//! A connection, for threads that wait.
//!
//! The sockets belong to a thread of their own ([`Driver`]), so that a caller may wait wherever it is: on a plain thread, or where a
//! runtime is entered already. What is asked together leaves in one flight, and costs one round trip.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_util::future::maybe_done;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Socket, Statement};

use super::failure::{Failure, words};
use super::place::Place;
use super::tls::{Connector, Tls};
use crate::StoreError;

/// A server that is silent for so long about one statement is taken for lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of each session.
///
/// Nothing can be written but in a transaction that says so: if its `BEGIN` fails, what was sent behind it would else be committed
/// statement by statement. A server that hears nothing of us for long ends the session, and with it the writer's lock.
const SETUP: &str = "\
    SELECT set_config(name, value, false) FROM (VALUES \
    ('default_transaction_read_only', 'on'), ('plan_cache_mode', 'force_custom_plan'), ('jit', 'off'), \
    ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'), \
    ('tcp_user_timeout', '20000'), ('client_connection_check_interval', '1000')) AS wanted (name, value) \
    WHERE EXISTS (SELECT FROM pg_settings WHERE pg_settings.name = wanted.name); \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// The thread that moves bytes for some connections.
#[derive(Debug)]
pub(super) struct Driver {
    handle: Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Driver {
    pub(super) fn start(name: &str) -> Result<Self, StoreError> {
        let failed =
            |error: std::io::Error| StoreError::Database(format!("no thread for connections: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(Self { handle, _stop: stop })
    }
}

/// One statement of a flight.
pub(super) struct Step<'a> {
    pub(super) sql: &'static str,
    pub(super) parameters: Vec<Box<dyn ToSql + Sync + 'a>>,
}

impl<'a> Step<'a> {
    /// A statement without parameters.
    pub(super) fn plain(sql: &'static str) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    /// With one parameter more.
    pub(super) fn with(mut self, parameter: impl ToSql + Sync + 'a) -> Self {
        self.parameters.push(Box::new(parameter));
        self
    }
}

/// A connection.
pub(super) struct Link {
    client: Client,
    task: AbortHandle,
    statements: HashMap<&'static str, Statement>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and sets the session up.
    pub(super) fn connect(driver: &Driver, place: &Place) -> Result<Self, Failure> {
        let config = place.config.clone();
        let connector = place.tls.as_ref().map(Tls::connector);
        let is_encrypted = connector.as_ref().map(Connector::is_encrypted);
        let (client, task) = match connector {
            Some(connector) => open(driver, config, place.patience(), connector)?,
            None => open(driver, config, place.patience(), NoTls)?,
        };
        if !is_encrypted.is_some_and(|it| it.load(Ordering::Relaxed)) {
            place.caution_about_plain_connection();
        }
        let link = Self { client, task, statements: HashMap::new() };
        link.batch(SETUP)?;
        Ok(link)
    }

    /// Whether it is known that it broke.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements that have no parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Failure> {
        wait_for(pin!(self.client.batch_execute(sql)))?.map_err(Failure::from)
    }

    /// Asks one question.
    pub(super) fn query(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        self.prepare(std::iter::once(sql))?;
        let statement = self.statement(sql)?;
        wait_for(pin!(self.client.query(statement, parameters)))?.map_err(Failure::from)
    }

    /// Asks one question of which the text was made for it.
    pub(super) fn query_once(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        wait_for(pin!(self.client.query(sql, parameters)))?.map_err(Failure::from)
    }

    /// Hands out row after row of an answer that may be large.
    pub(super) fn each_row<E: From<Failure>>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        mut each: impl FnMut(&Row) -> Result<Wants, E>,
    ) -> Result<(), E> {
        let rows =
            wait_for(pin!(self.client.query_raw(sql, parameters.iter().copied())))?.map_err(Failure::from)?;
        let mut rows = pin!(rows);
        loop {
            let next = pin!(poll_fn(|context| futures_util::Stream::poll_next(rows.as_mut(), context)));
            let Some(row) = wait_for(next)? else { return Ok(()) };
            if each(&row.map_err(Failure::from)?)? == Wants::NoMore {
                return Ok(());
            }
        }
    }

    /// Runs statements in their order, all sent at once. How many rows each concerned.
    ///
    /// The first failure counts; one that leaves the outcome open counts before all others.
    pub(super) fn flight(&mut self, steps: &[Step<'_>]) -> Result<Vec<u64>, Failure> {
        self.prepare(steps.iter().map(|step| step.sql))?;
        let mut flight = Vec::with_capacity(steps.len());
        for step in steps {
            let parameters = step.parameters.iter().map(|one| &**one as &(dyn ToSql + Sync));
            flight.push(Box::pin(maybe_done(self.client.execute_raw(self.statement(step.sql)?, parameters))));
        }
        // The first look at each sends it.
        wait(poll_fn(|context| {
            for one in &mut flight {
                let _ = one.as_mut().poll(context);
            }
            Poll::Ready(())
        }));
        let mut counts = Vec::with_capacity(steps.len());
        let mut failure: Option<Failure> = None;
        for one in &mut flight {
            wait_for(one.as_mut())?;
            match one.as_mut().take_output().map_or(Ok(0), |result| result.map_err(Failure::from)) {
                Ok(count) => counts.push(count),
                Err(lost @ Failure::Lost(_)) => return Err(lost),
                Err(other) => {
                    failure.get_or_insert(other);
                }
            }
        }
        failure.map_or(Ok(counts), Err)
    }

    fn prepare(&mut self, texts: impl Iterator<Item = &'static str>) -> Result<(), Failure> {
        for sql in texts {
            if !self.statements.contains_key(sql) {
                let statement = wait_for(pin!(self.client.prepare(sql)))??;
                self.statements.insert(sql, statement);
            }
        }
        Ok(())
    }

    fn statement(&self, sql: &'static str) -> Result<&Statement, Failure> {
        self.statements.get(sql).ok_or_else(|| StoreError::Database(format!("{sql} was not prepared")).into())
    }

    /// Closes the connection without a word, whatever is under way.
    pub(super) fn abandon(self) {
        self.task.abort();
    }
}

/// Opens a connection, which a task of the driver serves.
fn open<T>(
    driver: &Driver,
    config: Config,
    patience: Duration,
    tls: T,
) -> Result<(Client, AbortHandle), Failure>
where
    T: MakeTlsConnect<Socket, TlsConnect: Send, Stream: Send> + Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (answer, answered) = oneshot::channel();
    let task = driver.handle.spawn(async move {
        // A server that is stopped takes connections all the same, and says nothing.
        match tokio::time::timeout(patience, config.connect(tls)).await {
            Ok(Ok((client, connection))) => {
                if answer.send(Ok(client)).is_ok()
                    && let Err(error) = connection.await
                {
                    tracing::debug!(error = %words(&error), "a connection to PostgreSQL ended");
                }
            }
            failed => {
                let failure = match failed {
                    Ok(Err(error)) => Failure::of_connecting(&error),
                    _ => Failure::Lost(format!("no session within {} s", patience.as_secs())),
                };
                // Who asked may have gone.
                let _ = answer.send(Err(failure));
            }
        }
    });
    let client = wait(answered).map_err(|_| Failure::Lost("the connecting thread ended".into()))?;
    Ok((client?, task.abort_handle()))
}

/// Whether who goes through rows wants more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    More,
    NoMore,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as long as it takes.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Waits for [`PATIENCE`].
fn wait_for<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Failure> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Lost(format!("no answer within {} s", PATIENCE.as_secs())));
        }
        std::thread::park_timeout(left);
    }
}
