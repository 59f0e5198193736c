//! The last events, for readers that follow them and for readers that reconnect.
//!
//! There is one copy of each event, in a log that is limited in number and bytes. A reader holds a number and no events, so a slow reader costs
//! no memory, and gets [`Missed`] for events that it missed. If there is no reader, and none has left recently, no event is stored, unless the
//! operator wants them to be kept for a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use buoy_fleet::update::Update;
use buoy_net::clock::Clock;
use buoy_server::{BootstrapEvent, Event};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use crate::notice::Notice;

/// The most events in the log.
const MOST_EVENTS: usize = 8192;
/// The most bytes in the log: one event can contain 64 kB from a device.
const MOST_BYTES: usize = 16 << 20;
/// The same if events are kept for a time.
const MOST_EVENTS_KEPT: usize = 1 << 17;
const MOST_BYTES_KEPT: usize = 64 << 20;
/// The assumed size of an event besides its payload.
const EVENT_BYTES: usize = 256;
/// Events that a reader gets at once.
const AT_ONCE: usize = 64;
/// How long events are stored after the last reader has left.
const MEMORY: Duration = Duration::from_secs(300);

/// An event of the stream.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Numbers count from one, without a gap.
    pub number: u64,
    /// When it was published, in milliseconds since the epoch.
    pub at: u64,
    /// The event.
    pub event: AppEvent,
}

/// The stream of a reader.
pub struct Following<S> {
    /// The number of the last event before the stream.
    pub before: u64,
    /// The number of the last event that there was when the stream began.
    pub until: u64,
    /// The events.
    pub stream: S,
}

/// An event of any kind.
#[derive(Clone, Debug)]
pub enum AppEvent {
    /// An event of a device.
    Device(Arc<Event>),
    /// An operation ended whose caller was referred to this event.
    Delayed(Arc<Event>),
    /// A firmware update changed.
    Update(Arc<Update>),
    /// A campaign changed.
    Campaign(Arc<buoy_api::Event>),
    /// An event of the bootstrap server.
    Bootstrap(Arc<BootstrapEvent>),
    /// A part of a device's reports was not saved.
    Notice(Arc<Notice>),
}

impl AppEvent {
    /// Its approximate size in memory.
    fn bytes(&self) -> usize {
        let payload = match self {
            Self::Device(event) | Self::Delayed(event) => match &**event {
                Event::Reported(report) => report.payload.len(),
                Event::Traced { datagram, .. } => datagram.len(),
                Event::OperationEnded { outcome: Ok(reply), .. } => reply.payload.len(),
                _ => 0,
            },
            Self::Update(_) | Self::Campaign(_) | Self::Bootstrap(_) | Self::Notice(_) => EVENT_BYTES,
        };
        EVENT_BYTES + payload
    }
}

/// A reader has missed events: it was too slow, or reconnected too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed;

/// Cheap to clone; all clones share their state.
#[derive(Clone, Debug)]
pub struct EventLog {
    log: Arc<Mutex<Log>>,
    clock: Clock,
    /// The number of the last event.
    last: watch::Sender<u64>,
    /// Whether events are stored for a reader that has left.
    remembers: Arc<AtomicBool>,
    /// How long events are kept though nobody reads; zero is not at all.
    keep: Duration,
}

#[derive(Debug, Default)]
struct Log {
    last: u64,
    /// With the bytes of each.
    kept: VecDeque<(Numbered, usize)>,
    bytes: usize,
    /// When a reader last started or left.
    read_at: Option<Instant>,
    /// From when on no event is missing; milliseconds since the epoch.
    whole_since: u64,
}

impl EventLog {
    pub(crate) fn new(clock: Clock, keep: Duration) -> Self {
        let log = Log { whole_since: clock.date(), ..Log::default() };
        let log = Arc::new(Mutex::new(log));
        Self { log, clock, last: watch::Sender::new(0), remembers: Arc::default(), keep }
    }

    /// Numbers an event, stores it, and wakes all readers; does nothing if there are none.
    pub(crate) fn append(&self, event: impl FnOnce() -> AppEvent) {
        if !self.has_readers() {
            return;
        }
        let mut log = self.lock();
        log.append(self.clock.date(), event(), self.keep);
        let last = log.last;
        drop(log);
        self.last.send_replace(last);
    }

    /// Whether there is a reader, or one has left recently and may reconnect.
    pub(crate) fn has_readers(&self) -> bool {
        if self.last.receiver_count() > 0 || !self.keep.is_zero() {
            return true;
        }
        if !self.remembers.load(Ordering::Relaxed) {
            return false;
        }
        let mut log = self.lock();
        let is_recent = log.read_at.is_some_and(|at| at.elapsed() < MEMORY);
        if !is_recent {
            log.kept.clear();
            log.bytes = 0;
            // Skip a number, so that a reader that reconnects later notices the gap.
            log.last += 1;
            self.remembers.store(false, Ordering::Relaxed);
        }
        is_recent
    }

    /// All stored events after number `after` and the events that follow; without a number only new events.
    pub fn follow(
        &self,
        after: Option<u64>,
    ) -> Following<impl Stream<Item = Result<Numbered, Missed>> + Send + use<>> {
        self.follow_from(Start::After(after))
    }

    /// All stored events since a time (milliseconds since the epoch), and the events that follow. [`Missed`] comes first if events since then are
    /// not stored.
    pub fn follow_since(
        &self,
        since: u64,
    ) -> Following<impl Stream<Item = Result<Numbered, Missed>> + Send + use<>> {
        self.follow_from(Start::Since(since))
    }

    fn follow_from(
        &self,
        start: Start,
    ) -> Following<impl Stream<Item = Result<Numbered, Missed>> + Send + use<>> {
        let is_idle = !self.has_readers();
        let wake = self.last.subscribe();
        let mut log = self.lock();
        log.read_at = Some(Instant::now());
        if is_idle {
            log.whole_since = self.clock.date();
        }
        let (last, has_missed) = log.place(start);
        let until = log.last;
        drop(log);
        let first = has_missed.then_some(Err(Missed));
        let reader = Reader { log: self.clone(), wake, last, taken: first.into_iter().collect() };
        let stream = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        Following { before: last, until, stream }
    }

    /// Readers that follow the events now.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.last.receiver_count()
    }

    /// Events that are stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.lock().kept.len()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a reader starts.
#[derive(Clone, Copy)]
enum Start {
    /// After the event of this number, or with the next one.
    After(Option<u64>),
    /// At a time.
    Since(u64),
}

impl Log {
    /// After which number a reader starts, and whether it missed events before that.
    fn place(&self, start: Start) -> (u64, bool) {
        match start {
            Start::After(Some(after)) if after <= self.last => (after, false),
            Start::After(Some(_)) => (self.last, true),
            Start::After(None) => (self.last, false),
            Start::Since(since) => {
                let first = self.kept.iter().find(|(event, _)| event.at >= since);
                (first.map_or(self.last, |(event, _)| event.number - 1), since < self.whole_since)
            }
        }
    }

    fn append(&mut self, at: u64, event: AppEvent, keep: Duration) {
        let bytes = event.bytes();
        self.last += 1;
        self.bytes += bytes;
        self.kept.push_back((Numbered { number: self.last, at, event }, bytes));
        let (most, most_bytes) =
            if keep.is_zero() { (MOST_EVENTS, MOST_BYTES) } else { (MOST_EVENTS_KEPT, MOST_BYTES_KEPT) };
        while self.kept.len() > most || (self.bytes > most_bytes && self.kept.len() > 1) {
            self.drop_first();
        }
        let oldest = at.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        while !keep.is_zero() && self.kept.front().is_some_and(|(event, _)| event.at < oldest) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some((event, bytes)) = self.kept.pop_front() else { return };
        self.bytes -= bytes;
        self.whole_since = event.at + 1;
    }

    /// The number of the first stored event.
    fn first(&self) -> u64 {
        self.last + 1 - self.kept.len() as u64
    }
}

/// A place in the log.
struct Reader {
    log: EventLog,
    wake: watch::Receiver<u64>,
    /// The number of the last event that was read.
    last: u64,
    taken: VecDeque<Result<Numbered, Missed>>,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Numbered, Missed>> {
        loop {
            if let Some(next) = self.taken.pop_front() {
                return Some(next);
            }
            self.wake.borrow_and_update();
            self.take();
            if self.taken.is_empty() && self.wake.changed().await.is_err() {
                return None;
            }
        }
    }

    fn take(&mut self) {
        let log = self.log.lock();
        let first = log.first();
        if self.last + 1 < first {
            self.taken.push_back(Err(Missed));
            self.last = first - 1;
        }
        let known = (self.last + 1 - first) as usize;
        for (event, _) in log.kept.iter().skip(known).take(AT_ONCE) {
            self.last = event.number;
            self.taken.push_back(Ok(event.clone()));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may reconnect.
        self.log.lock().read_at = Some(Instant::now());
        self.log.remembers.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use buoy_coap::number::ContentFormat;
    use buoy_server::{Report, ReportSource};
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn report(bytes: usize) -> AppEvent {
        AppEvent::Device(Arc::new(Event::Reported(Report {
            endpoint: "a".into(),
            source: ReportSource::Send,
            received_at: 0,
            format: ContentFormat::TEXT,
            payload: vec![0; bytes].into(),
        })))
    }

    fn append(log: &EventLog, count: usize) {
        (0..count).for_each(|_| log.append(|| report(1)));
    }

    /// The numbers that are available now; 0 for a gap.
    fn numbers(reader: &mut (impl Stream<Item = Result<Numbered, Missed>> + Unpin)) -> Vec<u64> {
        let next = || reader.next().now_or_never().flatten();
        std::iter::from_fn(next).map(|event| event.map_or(0, |event| event.number)).collect()
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_goes_on_where_it_was() {
        let log = EventLog::new(Clock::start(), Duration::ZERO);
        append(&log, 3);
        let mut first = Box::pin(log.follow(None).stream);
        append(&log, 3);
        assert_eq!(numbers(&mut first), [1, 2, 3], "what nobody followed has no number");
        drop(first);
        append(&log, 2);
        assert_eq!(numbers(&mut Box::pin(log.follow(Some(2)).stream)), [3, 4, 5]);
        assert_eq!(numbers(&mut Box::pin(log.follow(Some(99)).stream)), [0], "a number of another run");
        assert_eq!(numbers(&mut Box::pin(log.follow(None).stream)), [0; 0]);
    }

    #[tokio::test]
    async fn events_are_kept_for_a_time_if_the_operator_wants_it() {
        let log = EventLog::new(Clock::start(), Duration::from_secs(3600));
        let began = log.lock().whole_since;
        append(&log, 3);
        let following = log.follow_since(began);
        assert_eq!((following.before, following.until), (0, 3));
        assert_eq!(numbers(&mut Box::pin(following.stream)), [1, 2, 3]);
        assert_eq!(
            numbers(&mut Box::pin(log.follow_since(began - 1).stream)),
            [0, 1, 2, 3],
            "it began later"
        );
        assert_eq!(numbers(&mut Box::pin(log.follow_since(u64::MAX).stream)), [0; 0]);
        let mut log = Log::default();
        let keep = Duration::from_secs(1);
        [0, 500, 1600].into_iter().for_each(|at| log.append(at, report(1), keep));
        assert_eq!((log.kept.len(), log.whole_since), (1, 501));
    }

    #[tokio::test]
    async fn what_is_not_kept_is_told_to_who_asks_since_a_time() {
        let log = EventLog::new(Clock::start(), Duration::ZERO);
        append(&log, 3);
        let since = log.clock.date() - 1000;
        assert_eq!(numbers(&mut Box::pin(log.follow_since(since).stream)), [0]);
    }

    #[tokio::test]
    async fn the_log_is_bounded_by_count_and_by_bytes_and_a_slow_reader_is_told() {
        let log = EventLog::new(Clock::start(), Duration::ZERO);
        let mut slow = Box::pin(log.follow(None).stream);
        append(&log, MOST_EVENTS + 5);
        let seen = numbers(&mut slow);
        assert_eq!((seen.len(), seen[..2].to_vec()), (MOST_EVENTS + 1, vec![0, 6]));
        for _ in 0..1000 {
            log.append(|| report(64 << 10));
        }
        assert!(log.lock().bytes <= MOST_BYTES);
        let seen = numbers(&mut slow);
        assert!(seen.len() < 260 && seen[0] == 0, "{}", seen.len());
        log.append(|| report(2 * MOST_BYTES));
        assert_eq!(numbers(&mut slow).len(), 1, "one event is always told");
    }
}
