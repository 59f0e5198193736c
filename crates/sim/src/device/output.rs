//! Where the events of a device go.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event::DeviceEvent;

/// Takes the events of a device, in their order, from its threads.
pub trait Output: Send + Sync {
    /// Takes one.
    fn show(&self, event: &DeviceEvent);
}

impl<F: Fn(&DeviceEvent) + Send + Sync> Output for F {
    fn show(&self, event: &DeviceEvent) {
        self(event);
    }
}

/// Keeps the events in memory, for tests and for whoever waits for one.
#[derive(Debug, Default)]
pub struct Transcript {
    events: Mutex<Vec<DeviceEvent>>,
    came: Condvar,
}

impl Transcript {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was told so far.
    #[must_use]
    pub fn events(&self) -> Vec<DeviceEvent> {
        self.lock().clone()
    }

    /// How many events were told so far: a place from which [`Transcript::wait_from`] goes on.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing was told so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Waits for an event of this kind, which may have come already; `None` if there is none in time.
    pub fn wait_for(
        &self,
        patience: Duration,
        is_meant: impl Fn(&DeviceEvent) -> bool,
    ) -> Option<DeviceEvent> {
        self.wait_from(0, patience, is_meant)
    }

    /// The same, without the first `place` events.
    pub fn wait_from(
        &self,
        place: usize,
        patience: Duration,
        is_meant: impl Fn(&DeviceEvent) -> bool,
    ) -> Option<DeviceEvent> {
        let deadline = Instant::now() + patience;
        let mut events = self.lock();
        loop {
            if let Some(event) = events.iter().skip(place).find(|event| is_meant(event)) {
                return Some(event.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            events = self.came.wait_timeout(events, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A list of events is whole at any time, even if a thread ended while it had it.
    fn lock(&self) -> MutexGuard<'_, Vec<DeviceEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output for Transcript {
    fn show(&self, event: &DeviceEvent) {
        self.lock().push(event.clone());
        self.came.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_keeps_the_order_and_finds_what_came_before_the_wait() {
        let transcript = Transcript::new();
        assert!(transcript.is_empty());
        transcript.show(&DeviceEvent::Updated);
        transcript.show(&DeviceEvent::Reboot);
        assert_eq!(transcript.events(), [DeviceEvent::Updated, DeviceEvent::Reboot]);
        let is_update = |event: &DeviceEvent| *event == DeviceEvent::Updated;
        assert_eq!(transcript.wait_for(Duration::ZERO, is_update), Some(DeviceEvent::Updated));
        assert_eq!(transcript.wait_from(1, Duration::ZERO, is_update), None);
    }
}
