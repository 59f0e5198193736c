//! The way to one server: a socket, and DTLS on it where the account says so.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use buoy_client::ServerSlot;
use buoy_coap::time::Instant;
use buoy_dtls::config::ClientConfig;
use buoy_dtls::{Context, Reserve};

use super::event::DeviceEvent;
use super::output::Output;
use super::vault::Vault;
use crate::account::{
    Account, AccountError, Authority, TrustStore, UriError, authority, client_config, is_secured,
};
use crate::random::Rng;
use crate::tunnel::{News, Tunnel, is_confirmable};

/// The largest datagram, either way.
pub(super) const MTU: usize = 2048;
/// How often a thread that listens looks whether its link is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A server that leaves confirmable messages unanswered for so long is told of: by then one was repeated.
const SILENCE: Duration = Duration::from_secs(5);

/// The way to the server of an account.
pub(super) struct Link {
    slot: ServerSlot,
    account: Account,
    socket: Arc<UdpSocket>,
    way: Way,
    silence: Silence,
    output: Arc<dyn Output>,
}

/// Since when a server owes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It owes none.
    None,
    Since(Instant),
    Told,
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

/// Why there is no way to a server.
#[derive(Debug)]
pub(super) enum LinkError {
    Uri(UriError),
    Account(AccountError),
    /// The name can't be resolved.
    Resolve(String, io::Error),
    /// The name has no address.
    NoAddress(String),
    /// The system makes no socket.
    Socket(io::Error),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => error.fmt(f),
            Self::Account(error) => error.fmt(f),
            Self::Resolve(authority, error) => write!(f, "{authority} cannot be resolved: {error}"),
            Self::NoAddress(authority) => write!(f, "{authority} has no address"),
            Self::Socket(error) => write!(f, "there is no socket for it: {error}"),
        }
    }
}

impl From<UriError> for LinkError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl From<AccountError> for LinkError {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl Link {
    /// Opens the way. `take` is given each datagram that comes, in a thread of its own, until it says no.
    pub(super) fn open(
        slot: ServerSlot,
        account: &Account,
        keep: Keep,
        (vault, trust_store): (&Vault, &TrustStore),
        output: Arc<dyn Output>,
        take: impl Fn(Vec<u8>) -> bool + Send + 'static,
    ) -> Result<Self, LinkError> {
        let uri = account.uri.as_str();
        let way = if is_secured(uri) {
            let config = client_config(account, trust_store)?;
            let session = (keep == Keep::Session).then(|| vault.load(slot, account)).flatten();
            if session.is_some() {
                output.show(&DeviceEvent::SessionRestored);
            }
            let fresh = || Tunnel::new(is_confirmable);
            let tunnel = session.map_or_else(fresh, |session| Tunnel::with_session(session, is_confirmable));
            Way::Secured(Box::new(Secured { config, tunnel, keep }))
        } else {
            Way::Plain
        };
        let socket = Arc::new(connect(resolve(uri)?)?);
        listen(&socket, take)?;
        Ok(Self { slot, account: *account, socket, way, silence: Silence::None, output })
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
        if self.silence == Silence::None && is_confirmable(message) {
            self.silence = Silence::Since(now);
        }
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
        // A server that refuses the handshake is one that answers.
        self.silence = Silence::None;
        let Way::Secured(secured) = &mut self.way else { return vec![datagram] };
        let Secured { config, tunnel, .. } = &mut **secured;
        let mut messages = Vec::new();
        tunnel.receive(config, &mut context(now, rng), &mut datagram, |data| messages.push(data.to_vec()));
        messages
    }

    /// Sends what is due, and saves the session before that where it must be.
    pub(super) fn settle(&mut self, now: Instant, rng: &mut Rng, vault: &Vault) -> Result<(), Unreachable> {
        self.tell_silence(now);
        let Self { slot, account, socket, way, output, .. } = self;
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
                    output.show(&DeviceEvent::Handshake { resumed });
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
        let way = match &self.way {
            Way::Plain => None,
            Way::Secured(secured) => secured.tunnel.next_timeout(),
        };
        let silence = match self.silence {
            Silence::Since(since) => Some(since + SILENCE),
            Silence::None | Silence::Told => None,
        };
        way.into_iter().chain(silence).min()
    }

    fn tell_silence(&mut self, now: Instant) {
        if let Silence::Since(since) = self.silence
            && now >= since + SILENCE
        {
            self.silence = Silence::Told;
            let uri = self.account.uri.to_string();
            self.output.show(&DeviceEvent::NoAnswer { uri, silence: now.since(since) });
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

fn resolve(uri: &str) -> Result<SocketAddr, LinkError> {
    let authority @ Authority { host, port } = authority(uri)?;
    let addresses = (host, port).to_socket_addrs();
    let mut addresses = addresses.map_err(|error| LinkError::Resolve(authority.to_string(), error))?;
    addresses.next().ok_or_else(|| LinkError::NoAddress(authority.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::output::Transcript;
    use crate::random::rng;

    /// A confirmable GET, and one that is not.
    const ASK: &[u8] = b"\x40\x01\x00\x01";
    const TELL: &[u8] = b"\x50\x45\x00\x02";

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn a_server_that_does_not_answer_is_told_of_once_after_five_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut rng = rng().unwrap();
        let vault = Vault::open(folder.path(), &mut rng, [0; 32]).unwrap();
        let uri = format!("coap://{}", server.local_addr().unwrap());
        let account = Account::none(&uri).unwrap();
        let transcript = Arc::new(Transcript::new());
        let known = (&vault, &TrustStore::default());
        let slot = ServerSlot(0);
        let mut link =
            Link::open(slot, &account, Keep::Nothing, known, transcript.clone(), |_| true).unwrap();
        let settle =
            |link: &mut Link, now| drop(link.settle(now, &mut crate::random::rng().unwrap(), &vault));

        link.send(at(10), &mut rng, TELL);
        assert_eq!(link.next_timeout(), None, "what wants no answer gets none");
        link.send(at(10), &mut rng, ASK);
        link.send(at(13), &mut rng, ASK);
        assert_eq!(link.next_timeout(), Some(at(15)));
        settle(&mut link, at(14));
        assert!(transcript.is_empty());
        settle(&mut link, at(15));
        settle(&mut link, at(90));
        let silence = Duration::from_secs(5);
        assert_eq!(transcript.events(), [DeviceEvent::NoAnswer { uri, silence }]);

        link.receive(at(100), &mut rng, ASK.to_vec());
        link.send(at(101), &mut rng, ASK);
        assert_eq!(link.next_timeout(), Some(at(106)), "the next silence is another one");
    }
}
