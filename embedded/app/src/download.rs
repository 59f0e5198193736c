//! Fetching a package: by CoAP through a link of its own or through that of a server, or by HTTP.

use core::fmt::Write;

use buoy_client::ServerSlot;
use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::firmware::{DownloadError, Protocol};
use buoy_client::text::Text;
use buoy_client::time::Instant;
use buoy_client::{Chip, Security};
use buoy_coap::block::BlockSize;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

use crate::board::Board;
use crate::device::Running;
use crate::http::HttpFetch;
use crate::link::{Keep, Link};
use crate::network::MTU;

/// A package on its way.
pub(crate) enum Fetching {
    /// By CoAP.
    Coap(CoapFetch<ChaCha12Rng>, Over),
    /// By HTTP.
    Http(HttpFetch),
}

/// Which way it comes.
pub(crate) enum Over {
    /// One of its own.
    Own(Link),
    /// That of a server at which the device is known already: there it has one session for all.
    Server(ServerSlot),
}

impl<B: Board> Running<'_, B> {
    /// Fetches what the firmware object wants.
    pub(crate) fn begin_download(&mut self, now: Instant) {
        self.end_download();
        let Some(download) = self.objects.firmware.download() else { return };
        let uri = download.uri.as_str();
        let _ = writeln!(self.board.console(), "app: fetches {uri} from byte {}", download.offset);
        if Protocol::of(uri) == Some(Protocol::Http) {
            self.fetching = Some(Fetching::Http(HttpFetch::new(uri)));
            return;
        }
        let rng = ChaCha12Rng::from_rng(&mut self.rng);
        let begun = CoapFetch::new(&download, BlockSize::MAX, rng).and_then(|fetch| {
            if let Some(link) = self.links.iter().find(|link| link.secures(uri)) {
                let ids = self.client.distant_message_ids(link.slot());
                return Ok(Fetching::Coap(fetch.with_message_ids(ids), Over::Server(link.slot())));
            }
            let account = self.account_for(uri).ok_or(DownloadError::UnsupportedProtocol)?;
            let (mut means, _) = self.means();
            let opened = Link::open(ServerSlot::BOOTSTRAP, &account, Keep::Nothing, &mut means);
            let link = opened.map_err(|_| DownloadError::InvalidUri)?;
            Ok(Fetching::Coap(fetch, Over::Own(link)))
        });
        match begun {
            Ok(fetching) => self.fetching = Some(fetching),
            Err(error) => {
                let mut context = self.client.context(now);
                self.objects.firmware.download_failed(&mut context, error);
            }
        }
    }

    /// What a package's host is reached with: the keys are those of the first server that has any.
    fn account_for(&self, uri: &str) -> Option<Security<Chip>> {
        let (scheme, rest) = uri.split_once("://")?;
        let end = scheme.len() + 3 + rest.find(['/', '?']).unwrap_or(rest.len());
        let origin = uri.get(..end)?;
        if scheme != "coaps" {
            return Security::none(origin).ok();
        }
        let mut servers = self.client.servers();
        let account = *servers.find(|(_, account, _)| account.uri.as_str().starts_with("coaps:"))?.1;
        Some(Security { uri: Text::new(origin).ok()?, ..account })
    }

    /// Gives up what is on its way.
    pub(crate) fn end_download(&mut self) {
        match self.fetching.take() {
            Some(Fetching::Http(mut fetch)) => fetch.stop(&mut self.network),
            Some(Fetching::Coap(_, Over::Own(link))) => link.close(&mut self.means().0),
            _ => {}
        }
    }

    /// Whether a message from a server is for the fetch, which takes it then.
    pub(crate) fn take_fetched(&mut self, now: Instant, from: ServerSlot, message: &[u8]) -> bool {
        match &self.fetching {
            Some(Fetching::Coap(fetch, Over::Server(slot))) if *slot == from && fetch.expects(message) => {}
            _ => return false,
        }
        self.take_package(now, message);
        true
    }

    fn take_package(&mut self, now: Instant, message: &[u8]) {
        let mut out = [0; MTU];
        let Some(Fetching::Coap(fetch, _)) = &mut self.fetching else { return };
        let mut context = self.client.context(now);
        let length = fetch.handle_datagram(now, message, &mut self.objects.firmware, &mut context, &mut out);
        self.send_fetching(now, out.get(..length).unwrap_or_default());
    }

    fn send_fetching(&mut self, now: Instant, message: &[u8]) {
        if message.is_empty() {
            return;
        }
        match &mut self.fetching {
            Some(Fetching::Coap(_, Over::Own(link))) => {
                link.send(now, &mut self.rng, &mut self.network, message)
            }
            Some(Fetching::Coap(_, Over::Server(slot))) => {
                let slot = *slot;
                self.send(now, slot, message);
            }
            _ => {}
        }
    }

    /// Takes what came for the fetch, and sends what is due. Says whether something happened.
    pub(crate) fn drive_download(&mut self, now: Instant) -> bool {
        let mut is_busy = false;
        if let Some(Fetching::Http(fetch)) = &mut self.fetching {
            let mut context = self.client.context(now);
            let firmware = &mut self.objects.firmware;
            fetch.step(now.as_millis(), &mut self.network, firmware, &mut context, &mut self.rng);
            is_busy = true;
            if fetch.is_done() {
                self.fetching = None;
            }
        }
        while let Some(Fetching::Coap(_, Over::Own(link))) = &mut self.fetching {
            let Some(messages) = link.receive(now, &mut self.rng, &mut self.network) else { break };
            messages.iter().for_each(|message| self.take_package(now, message));
            is_busy = true;
        }
        let mut out = [0; MTU];
        while let Some(Fetching::Coap(fetch, _)) = &mut self.fetching {
            let mut context = self.client.context(now);
            let next = fetch.poll_transmit(now, &mut self.objects.firmware, &mut context, &mut out);
            let Some(length) = next else { break };
            self.send_fetching(now, out.get(..length).unwrap_or_default());
        }
        let Some(Fetching::Coap(fetch, over)) = &mut self.fetching else { return is_busy };
        let is_done = fetch.is_done();
        let mut is_lost = false;
        if let Over::Own(link) = over {
            let mut means = crate::link::Means {
                network: &mut self.network,
                store: &mut self.store,
                vault: &self.vault,
                rng: &mut self.rng,
            };
            is_lost = link.settle(now, &mut means).is_err();
        }
        if is_lost && !is_done {
            let mut context = self.client.context(now);
            self.objects.firmware.download_failed(&mut context, DownloadError::ConnectionLost);
        }
        if is_lost || is_done {
            self.end_download();
        }
        is_busy
    }
}
