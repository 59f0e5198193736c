//! The way of a package that the device fetches: what the shell is to fetch, and what it says of it.

use super::{FirmwareTarget, FirmwareUpdate, OBJECT, PACKAGE_URI_MAX, Package, Phase, UpdateResult};
use crate::effects::Event;
use crate::object::Context;
use crate::text::{Bytes, Text};

/// What is behind an image's name in its signature's.
pub const SIGNATURE_SUFFIX: &str = ".sig";
/// The largest signature or manifest beside an image.
pub(super) const SIGNATURE_MAX: usize = 1024;

/// How packages can be fetched (5/0/8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `coap`
    Coap = 0,
    /// `coaps`
    Coaps = 1,
    /// `http`
    Http = 2,
    /// `https`
    Https = 3,
    /// `coap+tcp`
    CoapTcp = 4,
    /// `coaps+tcp`
    CoapTls = 5,
}

impl Protocol {
    /// The protocol of a URI.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        if rest.is_empty() {
            return None;
        }
        let known = [
            ("coap", Self::Coap),
            ("coaps", Self::Coaps),
            ("http", Self::Http),
            ("https", Self::Https),
            ("coap+tcp", Self::CoapTcp),
            ("coaps+tcp", Self::CoapTls),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|(_, protocol)| protocol)
    }
}

/// Which file is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The package.
    Package,
    /// The signature beside it.
    Signature,
}

/// What the shell is to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where.
    pub uri: Text<{ PACKAGE_URI_MAX + 4 }>,
    /// From which byte on: ask for the rest only (Range, Block2), and only if the ETag is the same.
    pub offset: u32,
    /// The ETag of what has been fetched; empty if there is none.
    pub etag: Bytes<32>,
    /// Which file it is.
    pub part: Part,
}

/// The answer to [`FirmwareUpdate::download_begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Fetch from this byte on.
    From(u32),
    /// Nothing is wanted any more.
    Stop,
}

/// Why a download failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// The connection broke, or nobody answered, so often that it isn't worth trying again.
    ConnectionLost,
    /// There is no such file, or the URI makes no sense.
    InvalidUri,
    /// The scheme of the URI isn't known to the shell.
    UnsupportedProtocol,
    /// The shell has no memory for it.
    OutOfMemory,
}

impl<T: FirmwareTarget> FirmwareUpdate<T> {
    /// What the shell is to fetch now, if anything.
    #[must_use]
    pub fn download(&self) -> Option<Download> {
        let Phase::Pulling { offset, part, .. } = &self.phase else { return None };
        let mut uri = Text::clipped(self.uri.as_str());
        if *part == Part::Signature {
            signature_uri(self.uri.as_str(), &mut uri);
        }
        let is_package = *part == Part::Package;
        Some(Download {
            uri,
            offset: *offset,
            etag: if is_package { self.etag } else { Bytes::EMPTY },
            part: *part,
        })
    }

    /// Says what the server has told of the file: its ETag and its length, if any. Gives the byte to fetch from, which isn't 0
    /// when a download goes on after a reboot.
    pub fn download_begin(&mut self, context: &mut Context<'_>, etag: &[u8], length: Option<u32>) -> Fetch {
        let Phase::Pulling { offset, part, begun, .. } = &mut self.phase else { return Fetch::Stop };
        if *part == Part::Signature {
            self.signature = Bytes::EMPTY;
            *offset = 0;
            return Fetch::From(0);
        }
        let etag = Bytes::new(etag).unwrap_or_default();
        if *begun && etag == self.etag {
            return Fetch::From(*offset);
        }
        self.etag = etag;
        context.persist(OBJECT);
        let package = Package { uri: Some(self.uri.as_str()), etag: self.etag.as_slice(), length };
        let resumed = if *begun { None } else { self.target.resume(&package) };
        let from = match resumed {
            Some(from) => Ok(from),
            None => self.target.begin(&package).map(|()| 0),
        };
        match from {
            Ok(from) => {
                (*offset, *begun) = (from, true);
                Fetch::From(from)
            }
            Err(result) => {
                self.fail(context, result);
                Fetch::Stop
            }
        }
    }

    /// Takes bytes of the file that [`FirmwareUpdate::download`] names; bytes that it has are passed over. Says whether
    /// more are wanted.
    pub fn download_chunk(&mut self, context: &mut Context<'_>, at: u32, bytes: &[u8]) -> bool {
        if matches!(&self.phase, Phase::Pulling { part: Part::Package, begun: false, .. })
            && self.download_begin(context, &[], None) == Fetch::Stop
        {
            return false;
        }
        let Phase::Pulling { offset, part, .. } = &mut self.phase else { return false };
        let Some(skip) = offset.checked_sub(at) else {
            self.fail(context, UpdateResult::ConnectionLost);
            return false;
        };
        let news = bytes.get(skip as usize..).unwrap_or_default();
        let taken = match part {
            Part::Package => self.target.chunk(*offset, news),
            Part::Signature => self.signature.extend(news).map_err(|_| UpdateResult::IntegrityCheckFailed),
        };
        *offset = offset.saturating_add(u32::try_from(news.len()).unwrap_or(u32::MAX));
        if let Err(result) = taken {
            self.fail(context, result);
        }
        taken.is_ok()
    }

    /// Says that the file is whole. The signature may have to be fetched now: see [`FirmwareUpdate::download`].
    pub fn download_done(&mut self, context: &mut Context<'_>) {
        let Phase::Pulling { part, .. } = &self.phase else { return };
        match part {
            Part::Package if self.target.needs_signature() => {
                self.signature = Bytes::EMPTY;
                self.phase = Phase::Pulling { offset: 0, part: Part::Signature, begun: true };
                context.emit(Event::DownloadRequested);
                return;
            }
            Part::Package => {}
            Part::Signature => {
                if let Err(result) = self.target.signature(self.signature.as_slice()) {
                    self.fail(context, result);
                    return;
                }
            }
        }
        self.finish(context);
    }

    /// Says that the file can't be fetched. A shell tries again by itself while that makes sense.
    pub fn download_failed(&mut self, context: &mut Context<'_>, error: DownloadError) {
        let Phase::Pulling { part, .. } = &self.phase else { return };
        let result = match (part, error) {
            (Part::Signature, DownloadError::InvalidUri) => UpdateResult::IntegrityCheckFailed,
            (_, DownloadError::ConnectionLost) => UpdateResult::ConnectionLost,
            (_, DownloadError::InvalidUri) => UpdateResult::InvalidUri,
            (_, DownloadError::UnsupportedProtocol) => UpdateResult::UnsupportedProtocol,
            (_, DownloadError::OutOfMemory) => UpdateResult::OutOfMemory,
        };
        self.fail(context, result);
    }
}

/// The name of the signature beside a package: the suffix stands before a query.
fn signature_uri(package: &str, uri: &mut Text<{ PACKAGE_URI_MAX + 4 }>) {
    let end = package.find(['?', '#']).unwrap_or(package.len());
    let (path, query) = package.split_at_checked(end).unwrap_or((package, ""));
    let parts = [path, SIGNATURE_SUFFIX, query];
    *uri = Text::EMPTY;
    let _fits = parts.iter().try_for_each(|part| uri.push_str(part));
}
