//! The way to one server: a socket, and DTLS on it where the account says so.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use buoy_client::ServerSlot;
use buoy_coap::time::Instant;
use buoy_dtls::config::ClientConfig;
use buoy_dtls::{Context, Reserve};

use super::account::{Account, TrustStore, authority, client_config, is_secured};
use super::app::{MTU, Rng, say};
use super::vault::Vault;
use crate::cli::tunnel::{News, Tunnel};

/// How often a thread that listens looks whether its link is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The way to the server of an account.
pub(super) struct Link {
    slot: ServerSlot,
    account: Account,
    socket: Arc<UdpSocket>,
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

/// Whether a session survives this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is saved for the next one.
    Session,
    /// It ends with what it was made for.
    Nothing,
}

/// A server cannot be reached, and this is why.
pub(super) struct Unreachable(pub(super) String);

impl Link {
    /// Opens the way. `take` is given each datagram that comes, in a thread of its own, until it says no.
    pub(super) fn open(
        slot: ServerSlot,
        account: &Account,
        keep: Keep,
        (vault, trust_store): (&Vault, &TrustStore),
        take: impl Fn(Vec<u8>) -> bool + Send + 'static,
    ) -> anyhow::Result<Self> {
        let uri = account.uri.as_str();
        let way = if is_secured(uri) {
            let config = client_config(account, trust_store)?;
            let session = (keep == Keep::Session).then(|| vault.load(slot, account)).flatten();
            if session.is_some() {
                say("SESSION restored");
            }
            let tunnel = session.map(Tunnel::with_session).unwrap_or_default();
            Way::Secured(Box::new(Secured { config, tunnel, keep }))
        } else {
            Way::Plain
        };
        let socket = Arc::new(connect(resolve(uri)?)?);
        listen(&socket, take)?;
        Ok(Self { slot, account: *account, socket, way })
    }

    /// Whether a `coaps` URI names the server of this link, so that what is fetched there goes through its session.
    pub(super) fn secures(&self, uri: &str) -> bool {
        let is_secured = matches!(self.way, Way::Secured(_)) && self.slot != ServerSlot::BOOTSTRAP;
        is_secured && resolve(uri).ok() == self.socket.peer_addr().ok()
    }

    pub(super) fn slot(&self) -> ServerSlot {
        self.slot
    }

    /// Whether this is the way that an account describes, wherever that stands.
    pub(super) fn leads_to(&self, account: &Account) -> bool {
        let Account { short_server_id, instance, hold_off, account_timeout, .. } = *account;
        Account { short_server_id, instance, hold_off, account_timeout, ..self.account } == *account
    }

    /// Takes a message to send; [`Link::settle`] sends it.
    pub(super) fn send(&mut self, now: Instant, rng: &mut Rng, message: &[u8]) {
        match &mut self.way {
            // Lost, as it might be on the way.
            Way::Plain => drop(self.socket.send(message)),
            Way::Secured(secured) => {
                let Secured { config, tunnel, .. } = &mut **secured;
                tunnel.send(now, config, &mut context(now, rng), message);
            }
        }
    }

    /// The messages in a datagram from the server.
    pub(super) fn receive(&mut self, now: Instant, rng: &mut Rng, mut datagram: Vec<u8>) -> Vec<Vec<u8>> {
        let Way::Secured(secured) = &mut self.way else { return vec![datagram] };
        let Secured { config, tunnel, .. } = &mut **secured;
        let mut messages = Vec::new();
        tunnel.receive(config, &mut context(now, rng), &mut datagram, |data| messages.push(data.to_vec()));
        messages
    }

    /// Sends what is due, and saves the session before that where it must be.
    pub(super) fn settle(&mut self, now: Instant, rng: &mut Rng, vault: &Vault) -> Result<(), Unreachable> {
        let Self { slot, account, socket, way } = self;
        let Way::Secured(secured) = way else { return Ok(()) };
        let Secured { tunnel, keep, .. } = &mut **secured;
        if tunnel.next_timeout().is_some_and(|at| at <= now) {
            tunnel.handle_timeout(now);
        }
        let mut save = |tunnel: &mut Tunnel| {
            let session = tunnel.session().filter(|_| *keep == Keep::Session);
            let saved = session
                .map_or(Ok(()), |session| vault.save(*slot, account, session, Reserve::default(), rng));
            saved.map_err(|error| Unreachable(format!("the session cannot be saved: {error}")))
        };
        let (mut outcome, mut is_new) = (Ok(()), false);
        while let Some(news) = tunnel.poll_news() {
            match news {
                News::Started | News::GivenUp => {}
                News::Connected { resumed } => {
                    say(if resumed { "HANDSHAKE resumed" } else { "HANDSHAKE full" });
                    is_new = true;
                }
                News::Ended if *keep == Keep::Session => vault.forget(*slot).unwrap_or_default(),
                News::Ended => {}
                News::Failed(failure) => outcome = Err(Unreachable(failure.to_string())),
            }
        }
        if (is_new || tunnel.save_is_due())
            && let Err(unreachable) = save(tunnel)
        {
            // Nothing may be sent from a session that a restart would not know of.
            tunnel.drop_waiting();
            outcome = Err(unreachable);
        }
        let mut out = [0; MTU];
        while let Some(length) = tunnel.poll_transmit(&mut out) {
            // Lost, as it might be on the way.
            let _ = socket.send(&out[..length]);
        }
        outcome
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.way {
            Way::Plain => None,
            Way::Secured(secured) => secured.tunnel.next_timeout(),
        }
    }

    /// Saves the session as it is, before an orderly stop: nothing is sent any more.
    pub(super) fn park(&mut self, rng: &mut Rng, vault: &Vault) -> io::Result<()> {
        let Way::Secured(secured) = &mut self.way else { return Ok(()) };
        let session = secured.tunnel.session().filter(|_| secured.keep == Keep::Session);
        let exact = Reserve { send: 0, receive_margin: 0 };
        session.map_or(Ok(()), |session| vault.save(self.slot, &self.account, session, exact, rng))
    }

    /// Says goodbye to the server, whose account is gone.
    pub(super) fn close(&mut self, vault: &Vault) {
        let Way::Secured(secured) = &mut self.way else { return };
        if secured.keep == Keep::Session {
            // One that stays costs a few seconds, until its silence tells.
            vault.forget(self.slot).unwrap_or_default();
        }
        secured.tunnel.close();
        let mut out = [0; MTU];
        while let Some(length) = secured.tunnel.poll_transmit(&mut out) {
            let _ = self.socket.send(&out[..length]);
        }
    }
}

fn context(now: Instant, rng: &mut Rng) -> Context<'_> {
    let mut context = Context::new(now, rng);
    // The device's clock counts from 1970.
    context.unix_time = Some(now.as_millis() / 1000);
    context
}

fn resolve(uri: &str) -> anyhow::Result<SocketAddr> {
    let authority = authority(uri)?;
    (authority.host, authority.port)
        .to_socket_addrs()
        .with_context(|| format!("{authority} cannot be resolved"))?
        .next()
        .with_context(|| format!("{authority} has no address"))
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Hands each datagram to `take`, until it says no or the link is gone.
fn listen(socket: &Arc<UdpSocket>, take: impl Fn(Vec<u8>) -> bool + Send + 'static) -> io::Result<()> {
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    let socket: Weak<UdpSocket> = Arc::downgrade(socket);
    std::thread::spawn(move || {
        let mut buffer = [0; MTU];
        while let Some(socket) = socket.upgrade() {
            match socket.recv(&mut buffer) {
                Ok(length) if !take(buffer[..length].to_vec()) => return,
                Ok(_) => {}
                Err(error) if is_pause(&error) => {}
                // A refused connection while the server is away: it comes back.
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    });
    Ok(())
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
