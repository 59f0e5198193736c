//! The DTLS sessions of one endpoint, which live side by side.
//!
//! A device may have several: one that carries its registration, and others, as for a download over a socket of its own. A handshake ends
//! none of them. So that one set of credentials can't fill the server, only a few may be open that carry no registration; of more, the
//! one that was heard the longest ago gives way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buoy_coap::time::Instant;
use buoy_server::SessionId;

/// Sessions of one endpoint that carry no registration.
pub(crate) const MOST_WITHOUT_REGISTRATION: usize = 4;

/// When something came over a session last. Written by the session's own shard alone, and read where one has to give way.
#[derive(Clone, Debug)]
pub(crate) struct LastHeard(Arc<AtomicU64>);

impl LastHeard {
    pub(crate) fn at(now: Instant) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_millis())))
    }

    pub(crate) fn set(&self, now: Instant) {
        self.0.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// What one endpoint has.
#[derive(Debug, Default)]
pub(crate) struct EndpointSessions {
    /// Carries the registration. It may be closed already, while the registration lives.
    carrier: Option<SessionId>,
    open: Vec<(SessionId, LastHeard)>,
}

impl EndpointSessions {
    /// Adds a session. Returns the one that has to give way, if there are too many.
    pub(crate) fn open(&mut self, session: SessionId, heard: LastHeard) -> Option<SessionId> {
        self.open.reserve_exact(1);
        self.open.push((session, heard));
        let carrier = self.carrier;
        let others = || self.open.iter().filter(|(open, _)| Some(*open) != carrier);
        if others().count() <= MOST_WITHOUT_REGISTRATION {
            return None;
        }
        // Of those that were heard at the same time, the one that was made first.
        let rivals = others().filter(|(open, _)| *open != session);
        rivals.min_by_key(|(open, heard)| (heard.get(), open.counter())).map(|(oldest, _)| *oldest)
    }

    /// Forgets a session.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.open.retain(|(open, _)| *open != session);
    }

    /// The registration is at this session, or at none.
    pub(crate) fn carry(&mut self, session: Option<SessionId>) {
        self.carrier = session;
    }

    pub(crate) fn carries(&self, session: SessionId) -> bool {
        self.carrier == Some(session)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = SessionId> {
        self.open.iter().map(|(session, _)| *session)
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.carrier.is_none() && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(counter: u64) -> SessionId {
        SessionId::new(counter, 0).unwrap()
    }

    fn heard(at: u64) -> LastHeard {
        LastHeard::at(Instant::from_millis(at))
    }

    #[test]
    fn of_too_many_sessions_without_a_registration_the_least_recently_used_gives_way() {
        let mut sessions = EndpointSessions::default();
        sessions.carry(Some(session(1)));
        assert_eq!(sessions.open(session(1), heard(0)), None);
        let second = heard(2);
        assert_eq!(sessions.open(session(2), second.clone()), None);
        for counter in 3..=5 {
            assert_eq!(sessions.open(session(counter), heard(counter)), None);
        }
        // The oldest was used since; the one with the registration is never asked to go.
        second.set(Instant::from_millis(9));
        assert_eq!(sessions.open(session(6), heard(10)), Some(session(3)));
        sessions.close(session(3));
        assert_eq!(sessions.all().count(), MOST_WITHOUT_REGISTRATION + 1);
        // When the registration ends, its session is one like the others.
        sessions.carry(None);
        assert_eq!(sessions.open(session(7), heard(11)), Some(session(1)));
    }

    #[test]
    fn a_registration_is_remembered_while_its_session_is_closed() {
        let mut sessions = EndpointSessions::default();
        sessions.open(session(1), heard(0));
        sessions.carry(Some(session(1)));
        sessions.close(session(1));
        assert!(!sessions.has_open() && !sessions.is_empty() && sessions.carries(session(1)));
        sessions.carry(None);
        assert!(sessions.is_empty());
    }
}
