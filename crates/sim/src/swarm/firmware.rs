//! Firmware updates of a swarm's devices (object 5). A package is checked as it comes and is not kept: after its reboot the device reports the
//! version of the image. Nobody's signature is checked, since there is nothing to protect.

use std::net::SocketAddrV4;
use std::time::Duration;

use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::firmware::{
    DownloadError, FirmwareTarget, FirmwareUpdate, Outcome, Package, Protocol, UpdateResult,
};
use buoy_client::{Context, Object};
use buoy_coap::block::BlockSize;
use buoy_ota::container::{Envelope, EnvelopeError};
use buoy_ota::image::Scanner;
use buoy_time::Instant;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::settings::SwarmSettings;
use crate::random::Rng;

/// How long a device takes to start anew.
const REBOOT: Duration = Duration::from_secs(1);
/// Bytes of a block that is fetched: with its options it fits a datagram.
pub(super) const BLOCK: usize = 512;
/// The version before any update.
pub(super) const FACTORY_VERSION: &str = "1.0.0";

/// The Firmware Update object of a device, and what it fetches.
pub(super) struct Firmware {
    object: FirmwareUpdate<Slot>,
    fetch: Option<CoapFetch<Rng>>,
    pub(super) reboots_at: Instant,
}

impl Firmware {
    pub(super) fn new(settings: &SwarmSettings) -> Self {
        Self::with(Slot::default(), settings)
    }

    fn with(slot: Slot, settings: &SwarmSettings) -> Self {
        let protocols: &[Protocol] = match settings.keys {
            Some(_) => &[Protocol::Coaps],
            None => &[Protocol::Coap],
        };
        Self { object: FirmwareUpdate::new(slot, protocols), fetch: None, reboots_at: Instant::NEVER }
    }

    pub(super) fn object(&mut self) -> &mut dyn Object {
        &mut self.object
    }

    pub(super) fn version(&self) -> &str {
        &self.object.target().running
    }

    pub(super) fn reboot_soon(&mut self, now: Instant) {
        self.reboots_at = now + REBOOT;
    }

    /// What is there after a reboot. A device that crashes on its new image has gone back to the old one meanwhile.
    pub(super) fn rebooted(
        self: Box<Self>,
        settings: &SwarmSettings,
        crashes: impl Fn(&str) -> bool,
    ) -> Self {
        let mut slot = self.object.target().clone();
        let before = slot.running.clone();
        slot.start();
        let is_on_trial = slot.outcome == Some(Outcome::OnTrial);
        if is_on_trial && crashes(&slot.running) {
            slot.running = before;
            slot.outcome = Some(Outcome::Failed(UpdateResult::UpdateFailed));
        }
        Self::with(slot, settings)
    }

    /// Whether the device has gone back to what it ran before.
    pub(super) fn is_rolled_back(&self) -> bool {
        matches!(self.object.target().outcome, Some(Outcome::Failed(_)))
    }

    /// The device has registered, which is all that it tests. Whether that ends an update.
    pub(super) fn prove(&mut self, context: &mut Context<'_>) -> bool {
        let is_on_trial = self.object.target().outcome == Some(Outcome::OnTrial);
        is_on_trial && self.object.confirm(context).is_ok()
    }

    /// Begins to fetch what the object wants. A swarm speaks with its server alone.
    pub(super) fn begin_download(&mut self, context: &mut Context<'_>, server: SocketAddrV4, rng: &mut Rng) {
        let Some(download) = self.object.download() else { return };
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        match CoapFetch::new(&download, BlockSize::at_most(BLOCK), Rng::from_seed(seed)) {
            Ok(fetch) if fetch.host() == (&*server.ip().to_string(), server.port()) => {
                self.fetch = Some(fetch);
            }
            Ok(_) => self.object.download_failed(context, DownloadError::ConnectionLost),
            Err(error) => self.object.download_failed(context, error),
        }
    }

    pub(super) fn cancel_download(&mut self) {
        self.fetch = None;
    }

    /// Whether a message is an answer to what is fetched.
    pub(super) fn expects(&self, message: &[u8]) -> bool {
        self.fetch.as_ref().is_some_and(|fetch| fetch.expects(message))
    }

    pub(super) fn take(
        &mut self,
        now: Instant,
        message: &[u8],
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> usize {
        let Some(fetch) = &mut self.fetch else { return 0 };
        fetch.handle_datagram(now, message, &mut self.object, context, out)
    }

    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        let fetch = self.fetch.as_mut()?;
        let length = fetch.poll_transmit(now, &mut self.object, context, out);
        if fetch.is_done() {
            self.fetch = None;
        }
        length
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let fetch = self.fetch.as_ref().and_then(CoapFetch::poll_timeout);
        fetch.unwrap_or(Instant::NEVER).min(self.reboots_at)
    }
}

/// Where packages go: nowhere, but for what the device has to know of them.
#[derive(Clone)]
struct Slot {
    running: String,
    /// A package that comes.
    incoming: Option<Box<Incoming>>,
    /// The version of the package that is whole.
    downloaded: Option<String>,
    /// It starts at the next reboot.
    is_active: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Default)]
struct Incoming {
    /// What came of the signature before the image, until it is known where the image starts.
    envelope: Option<Vec<u8>>,
    image: Scanner,
}

impl Default for Slot {
    fn default() -> Self {
        let running = FACTORY_VERSION.to_owned();
        Self { running, incoming: None, downloaded: None, is_active: false, outcome: None }
    }
}

impl Slot {
    /// The device starts.
    fn start(&mut self) {
        self.incoming = None;
        self.outcome = None;
        if let (true, Some(version)) = (self.is_active, self.downloaded.take()) {
            self.running = version;
            self.outcome = Some(Outcome::OnTrial);
        }
        self.is_active = false;
    }
}

impl Incoming {
    fn push(&mut self, bytes: &[u8]) -> Result<(), UpdateResult> {
        let broken = |_| UpdateResult::IntegrityCheckFailed;
        let Some(head) = &mut self.envelope else { return self.image.push(bytes).map_err(broken) };
        head.extend_from_slice(bytes);
        let start = match Envelope::parse(head) {
            Ok((_, length)) => length,
            Err(EnvelopeError::NotAContainer) => 0,
            Err(EnvelopeError::Incomplete { .. }) => return Ok(()),
            Err(_) => return Err(UpdateResult::IntegrityCheckFailed),
        };
        let head = self.envelope.take().unwrap_or_default();
        self.image.push(&head[start..]).map_err(broken)
    }
}

impl FirmwareTarget for Slot {
    fn begin(&mut self, _: &Package<'_>) -> Result<(), UpdateResult> {
        self.incoming = Some(Box::new(Incoming { envelope: Some(Vec::new()), ..Incoming::default() }));
        Ok(())
    }

    fn chunk(&mut self, _: u32, bytes: &[u8]) -> Result<(), UpdateResult> {
        let incoming = self.incoming.as_mut();
        incoming.map_or(Err(UpdateResult::UpdateFailed), |incoming| incoming.push(bytes))
    }

    fn finish(&mut self) -> Result<(), UpdateResult> {
        let incoming = self.incoming.take().ok_or(UpdateResult::UpdateFailed)?;
        let info = incoming.image.finish().map_err(|_| UpdateResult::IntegrityCheckFailed)?;
        self.downloaded = Some(info.descriptor.version.as_str().to_owned());
        Ok(())
    }

    fn activate(&mut self) -> Result<(), UpdateResult> {
        self.is_active = self.downloaded.is_some();
        if self.is_active { Ok(()) } else { Err(UpdateResult::UpdateFailed) }
    }

    fn abort(&mut self) {
        (self.incoming, self.downloaded, self.is_active) = (None, None, false);
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.outcome
    }

    fn confirm(&mut self) -> Result<(), UpdateResult> {
        if self.outcome == Some(Outcome::OnTrial) {
            self.outcome = Some(Outcome::Succeeded);
        }
        Ok(())
    }
}
