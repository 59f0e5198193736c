//! Fetching a package: by CoAP through a link of its own or through that of a server, or by HTTP.

use buoy_client::ServerSlot;
use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::firmware::{DownloadError, Fetch, Part, Protocol};
use buoy_client::text::Text;
use buoy_coap::block::BlockSize;
use buoy_time::Instant;

use super::{Image, Input};
use crate::account::{Account, is_secured};
use crate::device::error::ImageError;
use crate::device::event::DeviceEvent;
use crate::device::http::{self, Step};
use crate::device::link::{Keep, Link, MTU, Unreachable};
use crate::random::{Rng, rng};

/// A download is told in steps of so many bytes.
const PROGRESS_STEP: u32 = 16 << 10;

/// A package on its way by CoAP.
pub(super) struct Fetching {
    pub(super) fetch: CoapFetch<Rng>,
    pub(super) over: Over,
}

/// Which way it comes.
pub(super) enum Over {
    /// One of its own, with its number.
    Own(u64, Box<Link>),
    /// That of a server at which the device is known already: there it has one session for all.
    Server(ServerSlot),
}

impl Image<'_> {
    pub(super) fn begin_download(&mut self, now: Instant) -> Result<(), ImageError> {
        let Some(download) = self.body.firmware.download() else { return Ok(()) };
        let uri = download.uri.as_str().to_owned();
        self.show(DeviceEvent::Download { uri: uri.clone(), from: download.offset });
        match download.part {
            Part::Package => self.signature_names.clear(),
            Part::Signature(_) => self.signature_names.push(uri.clone()),
        }
        self.http_fetch += 1;
        if Protocol::of(&uri) == Some(Protocol::Http) {
            let (number, inputs) = (self.http_fetch, self.inputs.clone());
            http::start(uri, move |step| inputs.send(Input::Http(number, step)).is_ok());
            return Ok(());
        }
        let rng = rng()?;
        let begun = CoapFetch::new(&download, BlockSize::MAX, rng).and_then(|fetch| {
            let account = self.account_for(&uri, fetch.host()).ok_or(DownloadError::UnsupportedProtocol)?;
            let mut links = self.links.iter();
            if let Some((_, link)) = links.find(|(_, link)| link.secures(account.uri.as_str())) {
                let fetch = fetch.with_message_ids(self.client.distant_message_ids(link.slot()));
                return Ok(Fetching { fetch, over: Over::Server(link.slot()) });
            }
            let opened = self.open_link(ServerSlot::BOOTSTRAP, &account, Keep::Nothing);
            let (number, link) = opened.map_err(|error| {
                self.show(DeviceEvent::DownloadFailed { why: format!("{uri}: {error}") });
                DownloadError::InvalidUri
            })?;
            Ok(Fetching { fetch, over: Over::Own(number, Box::new(link)) })
        });
        match begun {
            Ok(fetching) => self.fetch = Some(fetching),
            Err(error) => {
                let mut context = self.client.context(now);
                self.body.firmware.download_failed(&mut context, error);
            }
        }
        Ok(())
    }

    /// What a package's host is reached with: the keys are those of the first server that has any.
    fn account_for(&self, uri: &str, (host, port): (&str, u16)) -> Option<Account> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let account = if is_secured(uri) {
            let mut servers = self.client.servers();
            let account = *servers.find(|(_, account, _)| is_secured(account.uri.as_str()))?.1;
            Account { uri: Text::new(&format!("coaps://{host}:{port}")).ok()?, ..account }
        } else {
            Account::none(&format!("coap://{host}:{port}")).ok()?
        };
        Some(account)
    }

    pub(super) fn take_fetched(&mut self, now: Instant, message: &[u8]) {
        let before = self.downloaded();
        let mut out = [0; MTU];
        let mut context = self.client.context(now);
        if let Some(Fetching { fetch, .. }) = &mut self.fetch {
            let length = fetch.handle_datagram(now, message, &mut self.body.firmware, &mut context, &mut out);
            self.send_fetching(now, &out[..length]);
        }
        self.tell_resumption(before);
    }

    fn send_fetching(&mut self, now: Instant, message: &[u8]) {
        match &mut self.fetch {
            Some(Fetching { over: Over::Own(_, link), .. }) if !message.is_empty() => {
                link.send(now, &mut self.rng, message);
            }
            Some(Fetching { over: Over::Server(slot), .. }) => {
                let slot = *slot;
                self.send(now, slot, message);
            }
            _ => {}
        }
    }

    pub(super) fn drive_fetch(&mut self, now: Instant) {
        let mut out = [0; MTU];
        while let Some(Fetching { fetch, .. }) = &mut self.fetch {
            let mut context = self.client.context(now);
            let next = fetch.poll_transmit(now, &mut self.body.firmware, &mut context, &mut out);
            let Some(length) = next else { break };
            self.send_fetching(now, &out[..length]);
        }
        let Some(Fetching { fetch, over }) = &mut self.fetch else { return };
        let mut outcome = Ok(());
        if let Over::Own(_, link) = over {
            if fetch.is_done() {
                link.close(&self.vault);
            } else {
                outcome = link.settle(now, &mut self.rng, &self.vault);
            }
        }
        if let Err(Unreachable(why)) = outcome {
            self.output.show(&DeviceEvent::HandshakeFailed { why });
            let mut context = self.client.context(now);
            self.body.firmware.download_failed(&mut context, DownloadError::ConnectionLost);
            self.fetch = None;
        } else if fetch.is_done() {
            self.fetch = None;
        }
    }

    pub(super) fn take_http(&mut self, now: Instant, step: Step) {
        let mut context = self.client.context(now);
        match step {
            Step::Begin { etag, length, from } => {
                let offset = match self.body.firmware.download_begin(&mut context, &etag, length) {
                    Fetch::From(offset) => {
                        if offset > 0 {
                            self.output.show(&DeviceEvent::Resume { at: offset });
                        }
                        Some(offset)
                    }
                    _ => None,
                };
                // The thread may have given up.
                let _ = from.send(offset);
            }
            Step::Chunk { at, bytes, more } => {
                let _ = more.send(self.body.firmware.download_chunk(&mut context, at, &bytes));
            }
            Step::Done => self.body.firmware.download_done(&mut context),
            Step::Failed(error, why) => {
                self.output.show(&DeviceEvent::DownloadFailed { why });
                self.body.firmware.download_failed(&mut context, error);
            }
        }
    }

    /// Tells that a download goes on where it was: no block is so large as what was in the flash already.
    fn tell_resumption(&self, before: u32) {
        let now = self.downloaded();
        if now > before + MTU as u32 {
            self.show(DeviceEvent::Resume { at: now });
        }
    }

    /// Tells how a slot fills, however the package comes.
    pub(super) fn tell_progress(&mut self) {
        let filling = self.body.firmware.target_mut().filling();
        let Some((slot, bytes, total)) = filling else {
            self.filled = None;
            return;
        };
        let is_whole = total == Some(bytes);
        let step = if is_whole { u32::MAX } else { bytes / PROGRESS_STEP };
        let before = self.filled.replace((slot, step));
        if step > 0 && before != Some((slot, step)) {
            let bytes = if is_whole { bytes } else { step * PROGRESS_STEP };
            self.show(DeviceEvent::Progress { bytes, total, slot });
        }
    }

    fn downloaded(&self) -> u32 {
        self.body.firmware.download().map_or(0, |download| download.offset)
    }
}
