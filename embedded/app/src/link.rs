//! The way to one server: a socket, and DTLS on it where the account says so.

use alloc::boxed::Box;
use alloc::vec::Vec;

use buoy_client::text::Text;
use buoy_client::time::Instant;
use buoy_client::{Chip, Security, SecurityMode, ServerSlot};
use buoy_dtls::config::{ClientConfig, ClientCredentials, Psk};
use buoy_dtls::tunnel::{News, Tunnel};
use buoy_dtls::{Context, Reserve};
use embedded_storage::nor_flash::NorFlash;
use rand_core::CryptoRng;
use smoltcp::iface::SocketHandle;
use smoltcp::wire::IpEndpoint;

use crate::network::{Host, MTU, Name, Network};
use crate::store::Store;
use crate::vault::Vault;

/// Whether a session survives this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It is saved for the next one.
    Session,
    /// It ends with what it was made for.
    Nothing,
}

/// What a link is opened with.
pub(crate) struct Means<'a, F> {
    pub(crate) network: &'a mut Network,
    pub(crate) store: &'a mut Store<F>,
    pub(crate) vault: &'a Vault,
    pub(crate) rng: &'a mut dyn CryptoRng,
}

/// Why there is no way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// The URI of the account can't be read, or has a scheme that this device doesn't speak.
    Uri,
    /// The account wants another proof of identity than a shared key.
    Credentials,
}

/// The server can't be reached now.
pub(crate) struct Unreachable;

pub(crate) struct Link {
    slot: ServerSlot,
    account: Security<Chip>,
    host: Text<128>,
    port: u16,
    name: Name,
    socket: SocketHandle,
    way: Way,
}

enum Way {
    Plain,
    Secured(Box<Secured>),
}

struct Secured {
    config: ClientConfig,
    tunnel: Tunnel,
    keep: Keep,
}

impl Link {
    pub(crate) fn open<F: NorFlash>(
        slot: ServerSlot,
        account: &Security<Chip>,
        keep: Keep,
        means: &mut Means<'_, F>,
    ) -> Result<Self, LinkError> {
        let uri = account.uri.as_str();
        let host = Host::of_uri(uri).ok_or(LinkError::Uri)?;
        let way = match (uri.split_once("://").map(|(scheme, _)| scheme), account.mode) {
            (Some("coap"), _) => Way::Plain,
            (Some("coaps"), SecurityMode::PreSharedKey) => {
                let psk = Psk::new(account.identity.as_slice(), account.secret_key.as_slice());
                let config = ClientConfig::new(ClientCredentials::Psk(psk.ok_or(LinkError::Credentials)?));
                let saved =
                    (keep == Keep::Session).then(|| means.vault.load(means.store, slot, account)).flatten();
                let fresh = || Tunnel::new(is_confirmable);
                let tunnel =
                    saved.map_or_else(fresh, |session| Tunnel::with_session(session, is_confirmable));
                Way::Secured(Box::new(Secured { config, tunnel, keep }))
            }
            (Some("coaps"), _) => return Err(LinkError::Credentials),
            _ => return Err(LinkError::Uri),
        };
        Ok(Self {
            slot,
            account: *account,
            host: Text::new(host.name).map_err(|_| LinkError::Uri)?,
            port: host.port,
            name: means.network.look_up(host.name),
            socket: means.network.open_udp(),
            way,
        })
    }

    pub(crate) const fn slot(&self) -> ServerSlot {
        self.slot
    }

    /// Whether this is the way that an account describes, wherever that stands.
    pub(crate) fn leads_to(&self, account: &Security<Chip>) -> bool {
        let Security { short_server_id, instance, hold_off, account_timeout, .. } = *account;
        Security { short_server_id, instance, hold_off, account_timeout, ..self.account } == *account
    }

    /// Whether a `coaps` URI names the server of this link, so that what is fetched there goes through its session.
    pub(crate) fn secures(&self, uri: &str) -> bool {
        let is_secured = matches!(self.way, Way::Secured(_)) && self.slot != ServerSlot::BOOTSTRAP;
        is_secured
            && uri.starts_with("coaps://")
            && Host::of_uri(uri) == Host::of_uri(self.account.uri.as_str())
    }

    fn remote(&mut self, network: &mut Network) -> Option<IpEndpoint> {
        if let Name::Later = self.name {
            self.name = network.look_up(self.host.as_str());
        }
        Some(IpEndpoint::new(network.resolve(&mut self.name)?, self.port))
    }

    /// Takes a message to send; with DTLS [`Link::settle`] sends it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        network: &mut Network,
        message: &[u8],
    ) {
        if let Way::Secured(secured) = &mut self.way {
            let Secured { config, tunnel, .. } = &mut **secured;
            tunnel.send(now, config, &mut Context::new(now, rng), message);
        } else if let Some(remote) = self.remote(network) {
            network.send(self.socket, remote, message);
        }
    }

    /// The messages in the next datagram from the server; `None` if there is no datagram.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        network: &mut Network,
    ) -> Option<Vec<Vec<u8>>> {
        let remote = self.remote(network)?;
        let mut buffer = [0; MTU];
        let length = network.receive(self.socket, remote, &mut buffer)?;
        let datagram = buffer.get_mut(..length)?;
        let mut messages = Vec::new();
        match &mut self.way {
            Way::Plain => messages.push(datagram.to_vec()),
            Way::Secured(secured) => {
                let Secured { config, tunnel, .. } = &mut **secured;
                tunnel.receive(config, &mut Context::new(now, rng), datagram, |data| {
                    messages.push(data.to_vec())
                });
            }
        }
        Some(messages)
    }

    /// Sends what is due, and saves the session before that where it must be.
    pub(crate) fn settle<F: NorFlash>(
        &mut self,
        now: Instant,
        means: &mut Means<'_, F>,
    ) -> Result<(), Unreachable> {
        let remote = self.remote(means.network);
        let Self { slot, account, socket, way, .. } = self;
        let Way::Secured(secured) = way else { return Ok(()) };
        let Secured { tunnel, keep, .. } = &mut **secured;
        if tunnel.next_timeout().is_some_and(|at| at <= now) {
            tunnel.handle_timeout(now);
        }
        let (mut outcome, mut is_new) = (Ok(()), false);
        while let Some(news) = tunnel.poll_news() {
            match news {
                News::Started | News::GivenUp => {}
                News::Connected { .. } => is_new = true,
                News::Ended if *keep == Keep::Session => {
                    // A session that stays costs a few seconds after the next reset, until its silence tells.
                    let _ = means.store.forget(crate::store::Key::Session(slot.0));
                }
                News::Ended => {}
                News::Failed(_) => outcome = Err(Unreachable),
            }
        }
        if *keep == Keep::Session && (is_new || tunnel.save_is_due()) {
            let saved = tunnel.session().map_or(Ok(()), |session| {
                means.vault.save(means.store, *slot, account, session, Reserve::default(), means.rng)
            });
            if saved.is_err() {
                // Nothing may be sent from a session that a restart would not know of.
                tunnel.drop_waiting();
                outcome = Err(Unreachable);
            }
        }
        let mut out = [0; MTU];
        while let (Some(remote), Some(length)) = (remote, tunnel.poll_transmit(&mut out)) {
            means.network.send(*socket, remote, out.get(..length).unwrap_or_default());
        }
        outcome
    }

    /// Saves the session as it is, before an orderly stop: nothing is sent any more.
    pub(crate) fn park<F: NorFlash>(&mut self, means: &mut Means<'_, F>) {
        let Way::Secured(secured) = &mut self.way else { return };
        let Some(session) = secured.tunnel.session().filter(|_| secured.keep == Keep::Session) else {
            return;
        };
        let exact = Reserve { send: 0, receive_margin: 0 };
        // If the flash fails, the next run makes another session.
        let _ = means.vault.save(means.store, self.slot, &self.account, session, exact, means.rng);
    }

    /// Says goodbye to the server, and gives the socket back.
    pub(crate) fn close<F: NorFlash>(mut self, means: &mut Means<'_, F>) {
        let remote = self.remote(means.network);
        if let (Way::Secured(secured), Some(remote)) = (&mut self.way, remote) {
            if secured.keep == Keep::Session {
                let _ = means.store.forget(crate::store::Key::Session(self.slot.0));
            }
            secured.tunnel.close();
            let mut out = [0; MTU];
            while let Some(length) = secured.tunnel.poll_transmit(&mut out) {
                means.network.send(self.socket, remote, out.get(..length).unwrap_or_default());
            }
        }
        means.network.close(self.socket);
    }
}

/// Whether a CoAP message waits for an acknowledgement.
fn is_confirmable(message: &[u8]) -> bool {
    message.first().is_some_and(|first| first & 0x30 == 0)
}
