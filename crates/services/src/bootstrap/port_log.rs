//! The log of the bootstrap port: how bootstraps end. The number of lines that unauthenticated peers can cause is limited.

use std::time::Instant;

use buoy_server::{BootstrapEvent, Peer};

use crate::log_limit::LogLimit;

/// The recent log lines.
#[derive(Debug, Default)]
pub(super) struct PortLog {
    limit: LogLimit,
}

impl PortLog {
    pub(super) fn tell(&mut self, now: Instant, event: &BootstrapEvent) {
        match event {
            BootstrapEvent::Finished { endpoint, peer } if self.may_tell_success(now, *peer) => {
                tracing::info!(%endpoint, address = %peer.address, "bootstrapped");
            }
            BootstrapEvent::PackSent { endpoint, peer } if self.may_tell_success(now, *peer) => {
                tracing::info!(%endpoint, address = %peer.address, "bootstrapped by a Bootstrap-Pack");
            }
            BootstrapEvent::Failed { endpoint, peer, step, reason } if self.may_tell(now) => {
                tracing::warn!(%endpoint, address = %peer.address, step, "the bootstrap failed: {reason}");
            }
            BootstrapEvent::Refused { endpoint, peer, code, reason } if self.may_tell(now) => {
                let endpoint = endpoint.as_deref().unwrap_or("");
                tracing::warn!(%endpoint, address = %peer.address, %code, "a bootstrap was refused: {reason}");
            }
            BootstrapEvent::Finished { .. }
            | BootstrapEvent::PackSent { .. }
            | BootstrapEvent::Failed { .. }
            | BootstrapEvent::Refused { .. }
            | BootstrapEvent::Started { .. }
            | BootstrapEvent::StepDone { .. }
            | BootstrapEvent::Pending { .. } => {}
        }
    }

    /// Logs a new claim.
    pub(super) fn tell_waits(&mut self, now: Instant, endpoint: &str, peer: Peer) {
        let address = peer.address;
        match peer.session {
            _ if !self.may_tell(now) => {}
            Some(_) => {
                tracing::warn!(endpoint, %address, "no bootstrap configuration fits this name; add one")
            }
            None => {
                tracing::info!(endpoint, %address, "a device waits to be configured; accept or refuse it")
            }
        }
    }

    /// Logs that no configuration could be made for a device.
    pub(super) fn tell_no_config(&mut self, now: Instant, endpoint: &str, error: &anyhow::Error) {
        if self.may_tell(now) {
            tracing::error!(endpoint, "no configuration could be made: {error:#}");
        }
    }

    /// Whether to log a success: always for a device with credentials; others are limited, since anybody can repeat this.
    fn may_tell_success(&mut self, now: Instant, peer: Peer) -> bool {
        peer.session.is_some() || self.may_tell(now)
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        self.limit
            .may_log_at(now, |count| tracing::warn!(count, "further bootstraps are left out of the log"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use buoy_coap::number::Code;
    use buoy_server::{BootstrapFailure, SessionId};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Counts lines of the log.
    #[derive(Clone, Default)]
    struct Lines(Arc<AtomicUsize>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// The lines in each of three seconds, in which `event` happens a thousand times.
    fn lines_of(event: &BootstrapEvent) -> [usize; 3] {
        let (mut log, lines, start) = (PortLog::default(), Lines::default(), Instant::now());
        tracing::subscriber::with_default(lines.clone(), || {
            [0, 1, 2].map(|second| {
                let before = lines.0.load(Ordering::Relaxed);
                for _ in 0..1000 {
                    log.tell(start + Duration::from_secs(second), event);
                }
                lines.0.load(Ordering::Relaxed) - before
            })
        })
    }

    #[test]
    fn a_stranger_at_the_bootstrap_port_causes_ten_lines_in_a_second_and_one_that_counts_the_rest() {
        let peer = Peer::plain(SocketAddr::from(([192, 0, 2, 1], 5683)));
        let endpoint = Arc::<str>::from("buoy-1");
        let (code, reason) = (Code::BAD_REQUEST, "no such name".into());
        for event in [
            BootstrapEvent::Refused { endpoint: Some("buoy-1".into()), peer, code, reason },
            BootstrapEvent::Failed {
                endpoint: endpoint.clone(),
                peer,
                step: "Bootstrap-Write /0/1".into(),
                reason: BootstrapFailure::TooSlow,
            },
            BootstrapEvent::Finished { endpoint: endpoint.clone(), peer },
            BootstrapEvent::PackSent { endpoint: endpoint.clone(), peer },
        ] {
            assert_eq!(lines_of(&event), [10, 11, 11], "{event:?}");
        }
        assert_eq!(lines_of(&BootstrapEvent::Pending { endpoint: None, peer }), [0; 3]);
        let peer = Peer { session: SessionId::from_number(1), ..peer };
        assert!(peer.session.is_some());
        assert_eq!(
            lines_of(&BootstrapEvent::Finished { endpoint, peer }),
            [1000; 3],
            "of a device with credentials"
        );
    }

    #[test]
    fn devices_that_wait_and_configurations_that_can_not_be_made_are_told_as_seldom() {
        let (mut log, lines, now) = (PortLog::default(), Lines::default(), Instant::now());
        let peer = Peer::plain(SocketAddr::from(([192, 0, 2, 1], 5683)));
        tracing::subscriber::with_default(lines.clone(), || {
            (0..5).for_each(|_| log.tell_waits(now, "buoy-1", peer));
            for _ in 0..1000 {
                log.tell_no_config(now, "buoy-1", &anyhow::anyhow!("its credentials are revoked"));
                log.tell_waits(now, "buoy-1", peer);
            }
        });
        assert_eq!(lines.0.load(Ordering::Relaxed), 10);
    }
}
