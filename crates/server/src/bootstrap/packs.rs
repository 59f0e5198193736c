//! Bootstrap-Packs while they are fetched block by block (LwM2M 1.2): all blocks of one are cut from the same bytes.
//!
//! A configuration may be made for the device, with keys that didn't exist before. It is made for the first block and kept for a
//! while, so that a later block neither makes another nor belongs to another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::number::ContentFormat;
use buoy_coap::time::Instant;

use crate::peer::Peer;

/// How long a device may take: EXCHANGE_LIFETIME, as for bodies that come in blocks.
const KEPT_FOR: Duration = Duration::from_secs(247);

/// A configuration as it is sent.
#[derive(Clone)]
pub(super) struct Pack {
    pub(super) endpoint: Arc<str>,
    pub(super) format: ContentFormat,
    pub(super) body: Arc<[u8]>,
}

#[derive(Debug, Default)]
pub(super) struct Packs {
    by_peer: HashMap<Peer, Kept>,
    /// All have the same time, so they end in the order in which they began. One that began anew stands here twice.
    ends: VecDeque<(Instant, Peer)>,
}

#[derive(Debug)]
struct Kept {
    pack: Pack,
    until: Instant,
    /// Its last block was sent.
    is_sent: bool,
}

impl Packs {
    pub(super) fn get(&self, peer: Peer, format: ContentFormat) -> Option<Pack> {
        let kept = self.by_peer.get(&peer).filter(|kept| kept.pack.format == format)?;
        Some(kept.pack.clone())
    }

    /// Keeps a pack, in place of the peer's last one. The oldest gives way if there are too many.
    pub(super) fn insert(&mut self, now: Instant, peer: Peer, pack: Pack, most: usize) {
        while self.ends.len() >= most.max(1) {
            self.drop_oldest();
        }
        let until = now + KEPT_FOR;
        self.ends.push_back((until, peer));
        self.by_peer.insert(peer, Kept { pack, until, is_sent: false });
    }

    /// The last block goes out; says whether it does so for the first time.
    pub(super) fn is_sent_first_time(&mut self, peer: Peer) -> bool {
        let kept = self.by_peer.get_mut(&peer);
        kept.is_none_or(|kept| !std::mem::replace(&mut kept.is_sent, true))
    }

    /// Forgets what was made for a device.
    pub(super) fn forget(&mut self, endpoint: &str) {
        self.by_peer.retain(|_, kept| *kept.pack.endpoint != *endpoint);
        self.ends.retain(|(_, peer)| self.by_peer.contains_key(peer));
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ends.front().map(|(until, _)| *until)
    }

    fn drop_oldest(&mut self) {
        let Some((until, peer)) = self.ends.pop_front() else { return };
        if self.by_peer.get(&peer).is_some_and(|kept| kept.until <= until) {
            self.by_peer.remove(&peer);
        }
    }
}

impl std::fmt::Debug for Pack {
    /// Says nothing of the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("endpoint", &self.endpoint).field("bytes", &self.body.len()).finish()
    }
}
