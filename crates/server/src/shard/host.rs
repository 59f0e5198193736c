//! Resources that devices may fetch from the server: `/.well-known/core` (RFC 6690), and files such as firmware images, in blocks.
//!
//! While download 17 is followed, the file at "fw/3f5a" is also at "fw/3f5a/17", and its signature at "fw/3f5a/17.sig". So the server knows
//! the progress of each device.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use buoy_coap::block::{BlockSize, block_option, slice};
use buoy_coap::endpoint::Request;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;

use super::{Directory, Shard, refusal};
use crate::files::Body;
use crate::outbox::Outbox;
use crate::peer::Peer;

/// A device's download that is followed.
#[derive(Debug)]
pub(super) struct FollowedDownload {
    endpoint: Arc<str>,
    /// The address that downloads it, for a device that isn't registered here.
    source: Option<IpAddr>,
    /// The number of bytes that were sent.
    reached: usize,
}

const WELL_KNOWN: &str = r#"</rd>;rt="core.rd";ct=40,</dp>;rt="oma.lwm2m""#;
/// The bytes of an answer besides its block: header, token, ETag, Content-Format, Block2, Size2, Echo and the payload marker.
const OVERHEAD: usize = 48;

impl<D: Directory> Shard<D> {
    /// Serves a body at a path such as "fw/3f5a…", or with `None` no longer.
    pub fn set_file(&mut self, path: &str, body: Option<Body>) {
        match body {
            Some(body) => drop(self.files.insert(path.into(), body)),
            None => drop(self.files.remove(path)),
        }
    }

    /// Follows the progress of a device that downloads a file at a path that ends with this number.
    pub fn follow_download(&mut self, download: u64, endpoint: Arc<str>) {
        self.downloads.insert(download, FollowedDownload { endpoint, source: None, reached: 0 });
    }

    /// Stops to follow a download.
    pub fn forget_download(&mut self, download: u64) {
        self.downloads.remove(&download);
    }

    /// The progress of a download that is followed, in bytes.
    #[must_use]
    pub fn downloaded(&self, download: u64) -> Option<usize> {
        self.downloads.get(&download).map(|download| download.reached)
    }

    /// Counts a block that was sent to a peer, if the peer is the device of this download: others may know the path, too.
    ///
    /// A session identifies its device. Over plain CoAP the peer must have the IP address at which the device is registered; for a device of
    /// another shard it is the first peer that requests a block.
    fn count_download(&mut self, download: u64, peer: Peer, reached: usize) {
        let Some(followed) = self.downloads.get_mut(&download) else { return };
        let is_device = match peer.session {
            Some(session) => self.directory.proved(session).is_some_and(|it| it == followed.endpoint),
            None => {
                let index = self.registrations.by_endpoint(&followed.endpoint);
                let registered = index.and_then(|index| self.registrations.get(index));
                let source = match registered {
                    Some(registration) => registration.peer.address.ip(),
                    None => *followed.source.get_or_insert(peer.address.ip()),
                };
                source == peer.address.ip()
            }
        };
        if is_device {
            followed.reached = reached;
        }
    }

    /// Removes the number of a followed download from a path.
    fn split_download<'p>(&self, path: &'p str) -> (Cow<'p, str>, Option<u64>) {
        let (stem, end) = path.strip_suffix(".sig").map_or((path, ""), |stem| (stem, ".sig"));
        let parts = stem.rsplit_once('/').and_then(|(file, number)| Some((file, number.parse().ok()?)));
        match parts.filter(|(_, number)| self.downloads.contains_key(number)) {
            Some((file, number)) if end.is_empty() => (Cow::Borrowed(file), Some(number)),
            Some((file, _)) => (Cow::Owned(format!("{file}{end}")), None),
            None => (Cow::Borrowed(path), None),
        }
    }

    pub(super) fn serve_file(&mut self, now: Instant, request: &Request<'_, Peer>, outbox: &mut Outbox) {
        let message = &request.message;
        let path = path_of(request);
        let (file, download) = self.split_download(&path);
        let (body, format) = match &*file {
            ".well-known/core" => (Body::new(WELL_KNOWN.as_bytes()), ContentFormat::LINK),
            file => match self.files.get(file) {
                Some(body) => (body.clone(), ContentFormat::OCTET_STREAM),
                None => {
                    return self.refuse(
                        now,
                        request,
                        refusal(Code::NOT_FOUND, "there is nothing here"),
                        outbox,
                    );
                }
            },
        };
        if message.code() != Code::GET {
            let refusal = refusal(Code::METHOD_NOT_ALLOWED, "this can only be read (GET)");
            return self.refuse(now, request, refusal, outbox);
        }
        if message.accept().is_some_and(|accept| accept != format) {
            return self.refuse(
                now,
                request,
                refusal(Code::NOT_ACCEPTABLE, "not to be had in this format"),
                outbox,
            );
        }
        let Ok(requested) = block_option(message, OptionNumber::BLOCK2) else {
            let refusal = refusal(Code::BAD_REQUEST, "the Block2 option is malformed");
            return self.refuse(now, request, refusal, outbox);
        };
        let room = self.budget(now, request).saturating_sub(OVERHEAD + message.token().len());
        let blocks = self.blocks_for(request.peer);
        let largest = BlockSize::at_most(room).min(blocks);
        let total = body.bytes().len();
        let Ok((block, range)) = slice(requested, largest, total) else {
            let refusal = refusal(Code::BAD_REQUEST, "the block lies behind the end");
            return self.refuse(now, request, refusal, outbox);
        };
        let etag = etag_of(&body);
        if message.values(OptionNumber::ETAG).any(|known| known == etag) {
            return self.reply(now, request, outbox, |writer| {
                writer.code(Code::VALID).option(OptionNumber::ETAG, &etag);
            });
        }
        if let Some(download) = download {
            self.count_download(download, request.peer, range.end);
        }
        let echo = (largest < blocks).then(|| self.echo.value(now, request.peer));
        self.reply(now, request, outbox, |writer| {
            writer.code(Code::CONTENT).option(OptionNumber::ETAG, &etag).content_format(format);
            if block.more() || requested.is_some() {
                writer.uint(OptionNumber::BLOCK2, block.to_uint());
            }
            if block.offset() == 0 {
                writer.uint(OptionNumber::SIZE2, total as u32);
            }
            // In the next request this verifies the address, and the limit on the answer's size no longer applies.
            if let Some(echo) = echo {
                writer.option(OptionNumber::ECHO, &echo);
            }
            writer.payload(&body.bytes()[range]);
        });
    }
}

fn path_of(request: &Request<'_, Peer>) -> String {
    let segments = request.message.values(OptionNumber::URI_PATH);
    segments.map(|segment| std::str::from_utf8(segment).unwrap_or_default()).collect::<Vec<_>>().join("/")
}

/// A tag from the body's length and its last bytes, since an image ends with its SHA-256.
fn etag_of(body: &Body) -> [u8; 8] {
    let bytes = body.bytes();
    let mut etag = (bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in bytes.iter().rev().take(32) {
        etag = (etag.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    etag.to_be_bytes()
}
