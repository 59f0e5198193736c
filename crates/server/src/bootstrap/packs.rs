//! Bootstrap-Packs that devices fetch block by block (LwM2M 1.2): all blocks of a pack are cut from the same bytes.
//!
//! A configuration may contain keys that are generated for the device. It is made for the first block and stored for a while, so
//! that later blocks belong to the same configuration.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::block::{BadBlock, Block, BlockSize, slice};
use buoy_coap::endpoint::{Request, Token};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::MessageWriter;

use crate::peer::Peer;

/// How long a pack is stored: EXCHANGE_LIFETIME, as for bodies that arrive in blocks.
const KEPT_FOR: Duration = Duration::from_secs(247);

/// A configuration as it is sent.
#[derive(Clone)]
pub(super) struct Pack {
    pub(super) endpoint: Arc<str>,
    pub(super) format: ContentFormat,
    pub(super) body: Arc<[u8]>,
}

impl Pack {
    /// The block that is asked for.
    pub(super) fn part(&self, asked: Option<Block>, blocks: BlockSize) -> Result<Part<'_>, BadBlock> {
        let (block, range) = slice(asked, blocks, self.body.len())?;
        let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let etag = self.body.iter().fold(0x811c_9dc5, fnv);
        Ok(Part { format: self.format, block, etag, bytes: &self.body[range] })
    }
}

/// One block of a pack.
pub(super) struct Part<'p> {
    format: ContentFormat,
    block: Block,
    etag: u32,
    bytes: &'p [u8],
}

impl Part<'_> {
    pub(super) fn is_last(&self) -> bool {
        !self.block.more()
    }

    pub(super) fn write(&self, writer: &mut MessageWriter<'_>) {
        let in_blocks = self.block.more() || self.block.offset() > 0;
        writer.code(Code::CONTENT);
        if in_blocks {
            writer.option(OptionNumber::ETAG, &self.etag.to_be_bytes());
        }
        writer.uint(OptionNumber::CONTENT_FORMAT, u32::from(self.format.0));
        if in_blocks {
            writer.uint(OptionNumber::BLOCK2, self.block.to_uint());
        }
        writer.payload(self.bytes);
    }
}

/// A request that is answered when the device's configuration has been made.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    pub(super) endpoint: Arc<str>,
    pub(super) peer: Peer,
    pub(super) token: Token,
    pub(super) format: ContentFormat,
    pub(super) asked: Option<Block>,
    pub(super) blocks: BlockSize,
    pub(super) until: Instant,
}

impl WaitingRequest {
    pub(super) fn of(
        now: Instant,
        request: &Request<'_, Peer>,
        endpoint: Arc<str>,
        format: ContentFormat,
        (asked, blocks): (Option<Block>, BlockSize),
    ) -> Option<Self> {
        let token = Token::from_slice(request.message.token())?;
        Some(Self { endpoint, peer: request.peer, token, format, asked, blocks, until: now + KEPT_FOR })
    }
}

#[derive(Debug, Default)]
pub(super) struct Packs {
    /// In the order of their ends, one for each peer.
    waiting: VecDeque<WaitingRequest>,
    by_peer: HashMap<Peer, Kept>,
    /// All are stored for the same time, so they end in the order in which they began. A peer whose pack was replaced is here twice.
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

    /// Stores a pack and replaces the peer's last one. If there are too many, the oldest is removed.
    pub(super) fn insert(&mut self, now: Instant, peer: Peer, pack: Pack, most: usize) {
        while self.ends.len() >= most.max(1) {
            self.drop_oldest();
        }
        let until = now + KEPT_FOR;
        self.ends.push_back((until, peer));
        self.by_peer.insert(peer, Kept { pack, until, is_sent: false });
    }

    /// Stores a request until its pack is made and replaces the peer's last one. If there are too many, the oldest is removed.
    pub(super) fn wait(&mut self, request: WaitingRequest, most: usize) {
        self.waiting.retain(|other| other.peer != request.peer);
        if self.waiting.len() >= most.max(1) {
            self.waiting.pop_front();
        }
        self.waiting.push_back(request);
    }

    /// The requests that wait for the configuration of an endpoint.
    pub(super) fn take_waiting(&mut self, endpoint: &str) -> Vec<WaitingRequest> {
        let (taken, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|it| *it.endpoint == *endpoint);
        self.waiting = left;
        Vec::from(taken)
    }

    /// Records that the last block is sent. Returns whether this is the first time.
    pub(super) fn is_sent_first_time(&mut self, peer: Peer) -> bool {
        let kept = self.by_peer.get_mut(&peer);
        kept.is_none_or(|kept| !std::mem::replace(&mut kept.is_sent, true))
    }

    /// Removes the packs that were made for a device.
    pub(super) fn forget(&mut self, endpoint: &str) {
        self.waiting.retain(|it| *it.endpoint != *endpoint);
        self.by_peer.retain(|_, kept| *kept.pack.endpoint != *endpoint);
        self.ends.retain(|(_, peer)| self.by_peer.contains_key(peer));
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
        while self.waiting.front().is_some_and(|it| it.until <= now) {
            self.waiting.pop_front();
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.front().map(|it| it.until);
        [self.ends.front().map(|(until, _)| *until), waiting].into_iter().flatten().min()
    }

    fn drop_oldest(&mut self) {
        let Some((until, peer)) = self.ends.pop_front() else { return };
        if self.by_peer.get(&peer).is_some_and(|kept| kept.until <= until) {
            self.by_peer.remove(&peer);
        }
    }
}

impl std::fmt::Debug for Pack {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("endpoint", &self.endpoint).field("bytes", &self.body.len()).finish()
    }
}
