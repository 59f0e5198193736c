//! The way of a package that the device fetches: what the shell is to fetch, and what it says of it.

use super::{FirmwareTarget, FirmwareUpdate, OBJECT, PACKAGE_URI_MAX, Package, Phase, UpdateResult};
use crate::effects::Event;
use crate::object::Context;
use crate::shape::UpTo;
use crate::text::{Bytes, Text};

/// The longest URI of a file: an extension may be replaced by a longer one.
pub const FILE_URI_MAX: usize = PACKAGE_URI_MAX + 10;
/// The largest signature or manifest beside an image.
pub(super) const SIGNATURE_MAX: usize = buoy_ota::manifest::SIGNED_MAX;

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
    /// The signature beside it, under one of its names.
    Signature(SignatureName),
}

/// How a signature is named that lies beside an image, in the order in which a device looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureName {
    /// As in `firmware.bin.sig`, where `buoy fw sign` puts it.
    Appended,
    /// As in `firmware.signature`, as `openssl dgst` is often told.
    Signature,
    /// As in `firmware.sig`.
    Sig,
}

impl SignatureName {
    /// The name to look for if there is no file of this one.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Appended => Some(Self::Signature),
            Self::Signature => Some(Self::Sig),
            Self::Sig => None,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Appended | Self::Sig => ".sig",
            Self::Signature => ".signature",
        }
    }
}

/// What the shell is to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where.
    pub uri: Text<FILE_URI_MAX>,
    /// From which byte on: ask for the rest only (Range, Block2), and only if the ETag is the same.
    pub offset: u32,
    /// The ETag of what has been fetched; empty if there is none.
    pub etag: Bytes<UpTo<32>>,
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
        if let Part::Signature(name) = *part {
            signature_uri(self.uri.as_str(), name, &mut uri);
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
        if matches!(part, Part::Signature(_)) {
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
            Part::Signature(_) => self.signature.extend(news).map_err(|_| UpdateResult::IntegrityCheckFailed),
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
                self.look_for_signature(context, SignatureName::Appended);
                return;
            }
            Part::Package => {}
            Part::Signature(_) => {
                if let Err(result) = self.target.signature(self.signature.as_slice()) {
                    self.fail(context, result);
                    return;
                }
            }
        }
        self.finish(context);
    }

    fn look_for_signature(&mut self, context: &mut Context<'_>, name: SignatureName) {
        self.signature = Bytes::EMPTY;
        self.phase = Phase::Pulling { offset: 0, part: Part::Signature(name), begun: true };
        context.emit(Event::DownloadRequested);
    }

    /// Says that the file can't be fetched. A shell tries again by itself while that makes sense. A signature that is not there is looked for
    /// under its next name: see [`FirmwareUpdate::download`].
    pub fn download_failed(&mut self, context: &mut Context<'_>, error: DownloadError) {
        let Phase::Pulling { part, .. } = &self.phase else { return };
        let part = *part;
        if let (Part::Signature(name), DownloadError::InvalidUri) = (part, error)
            && let Some(next) = name.next()
        {
            self.look_for_signature(context, next);
            return;
        }
        let result = match (part, error) {
            (Part::Signature(_), DownloadError::InvalidUri) => UpdateResult::IntegrityCheckFailed,
            (_, DownloadError::ConnectionLost) => UpdateResult::ConnectionLost,
            (_, DownloadError::InvalidUri) => UpdateResult::InvalidUri,
            (_, DownloadError::UnsupportedProtocol) => UpdateResult::UnsupportedProtocol,
            (_, DownloadError::OutOfMemory) => UpdateResult::OutOfMemory,
        };
        self.fail(context, result);
        let reason = match (part, error) {
            (Part::Signature(_), DownloadError::InvalidUri) => {
                "no signature was found beside the package, under any of its names"
            }
            (Part::Signature(_), DownloadError::ConnectionLost) => {
                "the server of the signature did not answer"
            }
            (_, DownloadError::ConnectionLost) => "the server of the package did not answer",
            (_, DownloadError::InvalidUri) => "there is no such package, or the URI makes no sense",
            (_, DownloadError::UnsupportedProtocol) => {
                "the device has no way to that server: another scheme, or no key for it"
            }
            (_, DownloadError::OutOfMemory) => "the device has no memory for the download",
        };
        self.explain_failure(context, reason);
    }
}

/// The name of the signature beside a package: it stands before a query.
fn signature_uri(package: &str, name: SignatureName, uri: &mut Text<FILE_URI_MAX>) {
    let end = package.find(['?', '#']).unwrap_or(package.len());
    let (path, query) = package.split_at_checked(end).unwrap_or((package, ""));
    let stem = if name == SignatureName::Appended { path } else { without_extension(path) };
    let parts = [stem, name.suffix(), query];
    *uri = Text::EMPTY;
    let _fits = parts.iter().try_for_each(|part| uri.push_str(part));
}

/// A path without the extension of its last segment, if that has one.
fn without_extension(path: &str) -> &str {
    let file = path.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    match path.rfind('.') {
        Some(dot) if dot > file => path.get(..dot).unwrap_or(path),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_three_names() {
        let named = |package: &str, name| {
            let mut uri = Text::EMPTY;
            signature_uri(package, name, &mut uri);
            uri.as_str().to_owned()
        };
        for (package, names) in [
            (
                "http://h/firmware.bin",
                ["http://h/firmware.bin.sig", "http://h/firmware.signature", "http://h/firmware.sig"],
            ),
            (
                "coap://h/fw/ab?x=1.2",
                ["coap://h/fw/ab.sig?x=1.2", "coap://h/fw/ab.signature?x=1.2", "coap://h/fw/ab.sig?x=1.2"],
            ),
            (
                "http://h.org/v1.2/fw",
                ["http://h.org/v1.2/fw.sig", "http://h.org/v1.2/fw.signature", "http://h.org/v1.2/fw.sig"],
            ),
        ] {
            let all = [SignatureName::Appended, SignatureName::Signature, SignatureName::Sig];
            assert_eq!(all.map(|name| named(package, name)), names);
        }
    }
}
