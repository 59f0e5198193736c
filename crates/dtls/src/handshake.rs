//! The handshake (RFC 5246 section 7, RFC 6347 section 4.2): its messages, how they travel, and the two roles.

#[allow(private_interfaces, reason = "a sealed trait's own business")]
pub(crate) mod client;
pub(crate) mod extension;
pub(crate) mod flight;
pub(crate) mod inbox;
pub(crate) mod message;
#[allow(private_interfaces, reason = "a sealed trait's own business")]
pub(crate) mod server;
pub(crate) mod transcript;

use alloc::boxed::Box;
#[cfg(feature = "rpk")]
use alloc::vec::Vec;
use subtle::ConstantTimeEq;

use crate::context::Context;
use crate::crypto::{MasterSecret, PreMasterSecret, Provider, Side};
use crate::failure::{Failure, Message};
use crate::handshake::flight::{Epoch, Flight, Timer, Timing};
use crate::handshake::inbox::{Arrived, Inbox};
use crate::handshake::transcript::Transcript;
use crate::resumption::{Remembered, Resumption};
use crate::session::Session;

/// A flight is sent again so often because the peer repeats its own, beside what the timer does.
const MAX_REPETITIONS: u8 = 10;

/// Client or server: what is different between them. [`Client`](crate::Client) and [`Server`](crate::Server) are the only two.
pub trait Role: sealed::Role {}

impl<R: sealed::Role> Role for R {}

#[allow(private_interfaces, reason = "a sealed trait's own business")]
pub(crate) mod sealed {
    use super::inbox::Fragment;
    use super::{Arrived, BeforeInbox, Context, Core, Failure, Message, Provider, Side, Step};

    pub trait Role: Sized + 'static {
        const SIDE: Side;

        /// What each call is given: configuration and trust.
        type Environment<'a>: Copy;

        /// Where the handshake stands.
        type State<P: Provider>;

        /// The message that must come next; an optional one before it may come too.
        fn awaited<P: Provider>(state: &Self::State<P>) -> Message;

        /// Takes the next message.
        fn receive<P: Provider>(
            state: Self::State<P>,
            core: &mut Core<P>,
            environment: Self::Environment<'_>,
            context: &mut Context<'_>,
            arrived: &Arrived,
        ) -> Result<Step<Self::State<P>>, Failure>;

        /// The length of the connection ID in the records that will come.
        fn local_cid_length<P: Provider>(state: &Self::State<P>) -> usize;

        /// Takes what doesn't keep to the order of messages.
        fn before_inbox<P: Provider>(
            _state: &mut Self::State<P>,
            _core: &mut Core<P>,
            _environment: Self::Environment<'_>,
            _context: &mut Context<'_>,
            _fragment: &Fragment<'_>,
        ) -> Result<BeforeInbox, Failure> {
            Ok(BeforeInbox::Pass)
        }

        /// Why an encrypted message can't be decrypted now, if it is the peer's key that must be wrong.
        fn suspicion<P: Provider>(state: &Self::State<P>) -> Option<Failure>;
    }
}

/// Whether a fragment goes on to the inbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeforeInbox {
    Taken,
    Pass,
}

/// What both roles keep while they shake hands.
pub(crate) struct Core<P: Provider> {
    pub(crate) inbox: Inbox,
    pub(crate) flight: Flight,
    pub(crate) timer: Timer,
    pub(crate) transcript: Transcript<P>,
    /// The sequence number of the next record in epoch 0.
    pub(crate) plain_sequence: u64,
    /// The sequence number of our next message.
    pub(crate) next_message: u16,
    /// Keys, once there are some.
    pub(crate) session: Option<Session<P>>,
    repetitions: u8,
    /// Whether the peer has begun its flight once more since we answered it.
    peer_began_again: bool,
}

/// Where the handshake goes from a message.
pub(crate) enum Step<S> {
    Continue(S),
    Complete(Box<Completed>),
}

/// What a complete handshake leaves.
pub(crate) struct Completed {
    pub(crate) last_flight: LastFlight,
    pub(crate) resumed: bool,
    /// For a client that keeps what it needs to resume.
    pub(crate) resumption: Option<Resumption>,
    /// For a server that remembers sessions by their id.
    pub(crate) remembered: Option<Remembered>,
}

/// Who spoke last, and so has to repeat it if it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastFlight {
    Ours,
    Peers,
}

impl<P: Provider> Core<P> {
    pub(crate) fn new(timing: Timing, inbox_limit: usize) -> Self {
        Self {
            inbox: Inbox::new(0, inbox_limit),
            flight: Flight::new(timing.datagram.into()),
            timer: Timer::new(timing),
            transcript: Transcript::new(),
            plain_sequence: 0,
            next_message: 0,
            session: None,
            repetitions: 0,
            peer_began_again: false,
        }
    }

    /// Begins the next flight: the last one was answered.
    pub(crate) fn begin_flight(&mut self, context: &Context<'_>) {
        self.flight.clear();
        self.repetitions = 0;
        self.peer_began_again = false;
        self.timer.start(context.now);
    }

    /// Adds a message to the flight and to the transcript.
    pub(crate) fn send(&mut self, message: Message, body: &[u8]) {
        self.send_in(Epoch::Plain, message, body);
    }

    fn send_in(&mut self, epoch: Epoch, message: Message, body: &[u8]) {
        let whole = self.flight.push(message, self.next_message, epoch, body);
        self.next_message = self.next_message.saturating_add(1);
        self.transcript.add(&whole);
    }

    /// ChangeCipherSpec and Finished.
    pub(crate) fn send_finished(&mut self, side: Side, master: &MasterSecret) {
        self.flight.push_change_cipher_spec();
        let verify_data = master.verify_data::<P>(side, &self.transcript.hash());
        self.send_in(Epoch::Protected, Message::Finished, &verify_data);
    }

    /// Checks the peer's Finished, and takes it into the transcript.
    pub(crate) fn check_finished(
        &mut self,
        side: Side,
        master: &MasterSecret,
        arrived: &Arrived,
    ) -> Result<(), Failure> {
        let expected = master.verify_data::<P>(side, &self.transcript.hash());
        if !bool::from(expected.ct_eq(arrived.body())) {
            return Err(Failure::BadFinished);
        }
        self.transcript.add(arrived.bytes());
        Ok(())
    }

    /// The master secret once ClientKeyExchange is in the transcript.
    pub(crate) fn master_secret(
        &self,
        secret: &PreMasterSecret,
        extended: bool,
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> MasterSecret {
        if extended {
            MasterSecret::extended::<P>(secret, &self.transcript.hash())
        } else {
            MasterSecret::new::<P>(secret, client_random, server_random)
        }
    }

    /// The peer repeats what it said, so it didn't get our answer. But the rest of a repetition that brought what we had lacked was
    /// on its way before our answer was: only a flight that is begun again after it asks for it.
    pub(crate) fn repeat(&mut self, message: Message) {
        self.peer_began_again |= matches!(message, Message::ClientHello | Message::ServerHello);
        let ends_flight =
            matches!(message, Message::ClientHello | Message::ServerHelloDone | Message::Finished);
        let is_asked = ends_flight && self.peer_began_again;
        if is_asked && !self.flight.has_more() && self.repetitions < MAX_REPETITIONS {
            self.peer_began_again = false;
            self.repetitions = self.repetitions.saturating_add(1);
            self.flight.rewind();
        }
    }
}

/// What came instead of what was due.
pub(crate) fn unexpected(arrived: &Arrived, awaited: Message) -> Failure {
    Failure::PeerSentUnexpected { message: arrived.message, awaited }
}

/// The random bytes of a hello.
pub(crate) fn random(context: &mut Context<'_>) -> [u8; 32] {
    let mut random = [0; 32];
    context.rng.fill_bytes(&mut random);
    random
}

/// The plaintext limits that both hellos come to: what the peer takes, and what we take (RFC 6066 section 4, RFC 8449
/// section 4). The newer extension puts the older one out of force.
pub(crate) fn limits(
    fragment: Option<extension::MaxFragmentLength>,
    record_to_peer: Option<u16>,
    record_to_us: Option<u16>,
) -> (u16, u16) {
    const MAX: u16 = crate::record::MAX_PLAINTEXT as u16;
    match (record_to_peer, fragment) {
        (Some(to_peer), _) => (to_peer.min(MAX), record_to_us.unwrap_or(MAX).min(MAX)),
        (None, Some(fragment)) => (fragment.bytes(), fragment.bytes()),
        (None, None) => (MAX, MAX),
    }
}

/// The smallest limit that a peer may ask for (RFC 8449 section 4).
pub(crate) const SMALLEST_RECORD_LIMIT: u16 = 64;

/// Signs what the transcript holds, or what a key share is bound to.
#[cfg(feature = "rpk")]
pub(crate) fn sign<P: Provider>(own: &crate::config::OwnKey, digest: &[u8; 32]) -> Result<Vec<u8>, Failure> {
    let signature = P::sign(&own.private.0, digest).ok_or(Failure::OwnCredentialsUnusable)?;
    let mut body = Vec::new();
    message::certificate::put_signature(&mut body, signature.as_der());
    Ok(body)
}

/// The body of our Certificate message.
#[cfg(feature = "rpk")]
pub(crate) fn own_certificate(own: &crate::config::OwnKey, kind: extension::CertificateType) -> Vec<u8> {
    match kind {
        extension::CertificateType::RawPublicKey => {
            message::certificate::raw_public_key(&own.public.to_spki())
        }
        extension::CertificateType::X509 => {
            message::certificate::chain(own.chain.iter().map(|certificate| &**certificate))
        }
    }
}
