//! The server's handshake.
//!
//! ```text
//!      client                                    server
//!   1  ClientHello                       ──────▶
//!                                        ◀──────  HelloVerifyRequest  2
//!   3  ClientHello with the cookie       ──────▶
//!                                        ◀──────  ServerHello         4
//!                                                 [Certificate]            ECDHE-ECDSA
//!                                                 [ServerKeyExchange]      ECDHE
//!                                                 [CertificateRequest]
//!                                                 ServerHelloDone
//!   5  [Certificate]                     ──────▶
//!      ClientKeyExchange
//!      [CertificateVerify]
//!      ChangeCipherSpec, Finished
//!                                        ◀──────  [NewSessionTicket]  6
//!                                                 ChangeCipherSpec, Finished
//!
//!   A session is resumed:
//!                                        ◀──────  ServerHello         4
//!                                                 [NewSessionTicket]
//!                                                 ChangeCipherSpec, Finished
//!   5  ChangeCipherSpec, Finished        ──────▶
//! ```
//!
//! Flights 1 to 3 need no state and are in [`cookie`](crate::cookie); what is here begins with a ClientHello whose cookie
//! was good.

use alloc::boxed::Box;
#[cfg(feature = "ecdhe")]
use alloc::vec::Vec;

#[cfg(feature = "ecdhe")]
use super::extension;
use super::extension::ServerExtensions;
use super::inbox::Arrived;
#[cfg(feature = "ecdhe")]
use super::message;
use super::message::{ClientHello, NewSessionTicket, ServerHello};
use super::{Completed, Core, LastFlight, Step, limits, sealed, unexpected};
use crate::cid::ConnectionId;
use crate::config::{Authority, ExtendedMasterSecret, MAX_PSK_IDENTITY_LENGTH, PskKey, Resume, ServerConfig};
use crate::context::Context;
use crate::crypto::{KeyBlock, MasterSecret, PreMasterSecret, Provider, Side};
use crate::failure::{Blame, Failure, Message};
use crate::peer::Peer;
use crate::record::VERSION;
use crate::resumption::{KeyTag, Remembered, SessionId, TicketKeys};
use crate::session::{Session, Terms};
use crate::suite::{CipherSuite, KeyExchange};
use crate::wire::Reader;

/// The role of a server.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// What a server's connections are given with each call.
#[derive(Clone, Copy)]
pub struct ServerEnvironment<'a> {
    /// What to agree to.
    pub config: &'a ServerConfig,
    /// Who may come in.
    pub authority: &'a dyn Authority,
    /// Seals sessions into tickets, if clients shall get some.
    pub tickets: Option<&'a TicketKeys>,
}

impl core::fmt::Debug for ServerEnvironment<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerEnvironment").field("config", &self.config).finish_non_exhaustive()
    }
}

#[expect(missing_debug_implementations, reason = "secrets")]
#[cfg_attr(feature = "rpk", expect(clippy::enum_variant_names, reason = "named by what is awaited"))]
pub enum State<P: Provider> {
    #[cfg(feature = "rpk")]
    AwaitCertificate(Box<Agreed>, Share<P>),
    AwaitClientKeyExchange(Box<Agreed>, Share<P>, Shown),
    #[cfg(feature = "rpk")]
    AwaitCertificateVerify(Box<Closing>, Box<crate::crypto::PublicKey>),
    AwaitFinished(Box<Closing>, core::marker::PhantomData<P>),
}

/// What the hellos agreed on.
pub struct Agreed {
    client_random: [u8; 32],
    server_random: [u8; 32],
    terms: Terms,
    extended: bool,
    wants_ticket: bool,
    session_id: SessionId,
    #[cfg(feature = "rpk")]
    types: CertificateTypes,
}

#[cfg(feature = "rpk")]
#[derive(Clone, Copy)]
struct CertificateTypes {
    client: extension::CertificateType,
    server: extension::CertificateType,
}

/// Our half of the key exchange.
pub enum Share<P: Provider> {
    None(core::marker::PhantomData<P>),
    #[cfg(feature = "ecdhe")]
    Ecdhe(P::KeyShare),
}

/// What the client showed of itself.
pub enum Shown {
    Nothing,
    #[cfg(feature = "rpk")]
    Key(Box<crate::crypto::PublicKey>, Peer),
}

/// Only proofs are missing.
pub struct Closing {
    master: MasterSecret,
    suite: CipherSuite,
    resumed: bool,
    wants_ticket: bool,
    session_id: SessionId,
    peer: Peer,
    key_tag: KeyTag,
    /// What it means if the client's Finished can't be decrypted.
    suspicion: Option<Failure>,
}

/// A ClientHello that came whole and whose cookie was good.
pub(crate) struct Accepted<'a> {
    pub(crate) arrived: &'a Arrived,
    pub(crate) message_sequence: u16,
    pub(crate) record_sequence: u64,
    /// In the client's records, if it can have one there.
    pub(crate) local_cid: ConnectionId,
    /// A session that the client named by id.
    pub(crate) remembered: Option<Remembered>,
}

/// Answers a ClientHello by flight 4.
pub(crate) fn start<P: Provider>(
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
    accepted: Accepted<'_>,
) -> Result<State<P>, Failure> {
    // Without state, flights 1 to 3 left the counting to the client (RFC 6347 sections 4.2.1 and 4.2.2).
    core.plain_sequence = accepted.record_sequence;
    core.next_message = accepted.message_sequence;
    core.inbox.skip_to(accepted.message_sequence.saturating_add(1));
    let hello = ClientHello::parse(accepted.arrived.body()).blame(Message::ClientHello)?;
    core.transcript.add(accepted.arrived.bytes());
    core.begin_flight(context);
    // Versions of DTLS count down.
    if hello.version > VERSION {
        return Err(Failure::NoCommonVersion);
    }
    let extended = hello.extensions.extended_master_secret;
    if !extended && environment.config.extended_master_secret == ExtendedMasterSecret::Required {
        return Err(Failure::PeerLacksExtendedMasterSecret);
    }
    match resumable::<P>(&hello, environment, context, accepted.remembered) {
        Some(session) => Ok(resume(session, &hello, accepted.local_cid, core, environment, context)),
        None => full_handshake(&hello, accepted.local_cid, core, environment, context),
    }
}

impl sealed::Role for Server {
    const SIDE: Side = Side::Server;

    type Environment<'a> = ServerEnvironment<'a>;
    type State<P: Provider> = State<P>;

    fn awaited<P: Provider>(state: &State<P>) -> Message {
        match state {
            #[cfg(feature = "rpk")]
            State::AwaitCertificate(..) => Message::Certificate,
            State::AwaitClientKeyExchange(..) => Message::ClientKeyExchange,
            #[cfg(feature = "rpk")]
            State::AwaitCertificateVerify(..) => Message::CertificateVerify,
            State::AwaitFinished(..) => Message::Finished,
        }
    }

    fn receive<P: Provider>(
        state: State<P>,
        core: &mut Core<P>,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        arrived: &Arrived,
    ) -> Result<Step<State<P>>, Failure> {
        let awaited = Self::awaited(&state);
        match (state, arrived.message) {
            #[cfg(feature = "rpk")]
            (State::AwaitCertificate(agreed, share), Message::Certificate) => {
                let shown = certificate::<P>(&agreed, environment, context, arrived)?;
                core.transcript.add(arrived.bytes());
                Ok(Step::Continue(State::AwaitClientKeyExchange(agreed, share, shown)))
            }
            (State::AwaitClientKeyExchange(agreed, share, shown), Message::ClientKeyExchange) => {
                client_key_exchange(*agreed, share, shown, core, environment, context, arrived)
            }
            #[cfg(feature = "rpk")]
            (State::AwaitCertificateVerify(closing, key), Message::CertificateVerify) => {
                let mut reader = Reader::new(arrived.body());
                let signature = message::certificate::parse_signature(&mut reader).blame(arrived.message)?;
                reader.end().blame(arrived.message)?;
                P::verify(&key, &core.transcript.hash(), signature).map_err(|_| Failure::BadSignature)?;
                core.transcript.add(arrived.bytes());
                Ok(Step::Continue(State::AwaitFinished(closing, core::marker::PhantomData)))
            }
            (State::AwaitFinished(closing, _), Message::Finished) => {
                finished(*closing, core, environment, context, arrived).map(Box::new).map(Step::Complete)
            }
            _ => Err(unexpected(arrived, awaited)),
        }
    }

    fn local_cid_length<P: Provider>(state: &State<P>) -> usize {
        match state {
            #[cfg(feature = "rpk")]
            State::AwaitCertificate(agreed, _) => agreed.terms.local_cid.len(),
            State::AwaitClientKeyExchange(agreed, ..) => agreed.terms.local_cid.len(),
            // From here on the session knows.
            _ => 0,
        }
    }

    fn suspicion<P: Provider>(state: &State<P>) -> Option<Failure> {
        match state {
            State::AwaitFinished(closing, _) => closing.suspicion.clone(),
            _ => None,
        }
    }
}

/// The session that the client wants to go on with, if it may.
fn resumable<P: Provider>(
    hello: &ClientHello<'_>,
    environment: ServerEnvironment<'_>,
    context: &Context<'_>,
    remembered: Option<Remembered>,
) -> Option<Remembered> {
    let session_id = SessionId::new(hello.session_id)?;
    let ticketed = || {
        let ticket = hello.extensions.session_ticket.filter(|ticket| !ticket.is_empty())?;
        // The id that comes with a ticket is echoed to say that the ticket was taken (RFC 5077 section 3.4).
        environment.tickets?.open::<P>(ticket, session_id)
    };
    let session = ticketed().or(remembered)?;
    let fits = !session_id.is_empty()
        && session.session_id == session_id
        && hello.extensions.extended_master_secret
        && hello.offers(session.suite)
        && environment.config.suites.contains(&session.suite)
        && still_good::<P>(&session, environment, context);
    fits.then_some(session)
}

/// Whether what proved the peer would still do so.
fn still_good<P: Provider>(
    session: &Remembered,
    environment: ServerEnvironment<'_>,
    context: &Context<'_>,
) -> bool {
    let credentials = match &session.peer {
        Peer::Psk(identity) => environment
            .authority
            .psk(identity)
            .is_some_and(|key| KeyTag::of::<P>(key.as_bytes(), &session.master) == session.key_tag),
        #[cfg(feature = "x509")]
        Peer::Certificate(facts) => {
            facts.is_valid_at(context.unix_time) && facts.is_by_one_of(&environment.config.client_anchors)
        }
        _ => true,
    };
    let _ = context;
    credentials && environment.authority.admits(&session.peer)
}

/// Whether an established session's peer would still be let in by what it proved itself by: the same pre-shared key, or an authority that is
/// still an anchor. The certificate's time is not looked at: a session may outlive it.
pub(crate) fn holds<P: Provider>(session: &mut Session<P>, environment: ServerEnvironment<'_>) -> bool {
    let peer = session.peer().clone();
    let is_proved = match &peer {
        Peer::Psk(identity) => {
            environment.authority.psk(identity).is_some_and(|key| session.is_bound_to(&key))
        }
        #[cfg(feature = "x509")]
        Peer::Certificate(facts) => facts.is_by_one_of(&environment.config.client_anchors),
        _ => true,
    };
    is_proved && environment.authority.admits(&peer)
}

/// What both kinds of ServerHello say, but for the certificates.
fn answer(
    hello: &ClientHello<'_>,
    suite: CipherSuite,
    local_cid: ConnectionId,
    environment: ServerEnvironment<'_>,
) -> (ServerExtensions, Terms) {
    let offered = &hello.extensions;
    let record_size_limit = offered.record_size_limit.filter(|limit| *limit >= super::SMALLEST_RECORD_LIMIT);
    // RFC 8449 section 5: the newer extension is answered, the older one ignored.
    let fragment = if record_size_limit.is_some() { None } else { offered.max_fragment_length };
    let our_limit = environment.config.record_size_limit.max(super::SMALLEST_RECORD_LIMIT);
    let (max_send, max_receive) = limits(fragment, record_size_limit, Some(our_limit));
    let remote_cid = offered.connection_id.and_then(ConnectionId::new);
    let extensions = ServerExtensions {
        max_fragment_length: fragment,
        record_size_limit: record_size_limit.map(|_| our_limit),
        extended_master_secret: offered.extended_master_secret,
        connection_id: remote_cid.map(|_| local_cid),
        renegotiation_info: offered.renegotiation_info,
        ..ServerExtensions::default()
    };
    let local_cid = if remote_cid.is_some() { local_cid } else { ConnectionId::EMPTY };
    let terms = Terms { suite, local_cid, remote_cid: remote_cid.unwrap_or_default(), max_send, max_receive };
    (extensions, terms)
}

/// Flight 4 of a resumed session.
fn resume<P: Provider>(
    session: Remembered,
    hello: &ClientHello<'_>,
    local_cid: ConnectionId,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
) -> State<P> {
    let Remembered { session_id, suite, master, peer, key_tag } = session;
    let (mut extensions, terms) = answer(hello, suite, local_cid, environment);
    core.flight.limit_fragments(terms.max_send);
    let wants_ticket = hello.extensions.session_ticket.is_some() && environment.tickets.is_some();
    extensions.session_ticket = wants_ticket;
    let server_random = super::random(context);
    let body = ServerHello {
        version: VERSION,
        random: server_random,
        session_id: session_id.as_bytes(),
        suite: suite.number(),
        extensions,
    };
    core.send(Message::ServerHello, &body.to_body());
    let keys = KeyBlock::new::<P>(&master, &hello.random, &server_random);
    let mut session = Session::new(Side::Server, keys, terms, peer.clone());
    if let Peer::Psk(identity) = &peer
        && let Some(key) = environment.authority.psk(identity)
    {
        session.bind_to(&key);
    }
    core.session = Some(session);
    let closing =
        Closing { master, suite, resumed: true, wants_ticket, session_id, peer, key_tag, suspicion: None };
    closing.send_ticket(core, environment, context);
    core.send_finished(Side::Server, &closing.master);
    State::AwaitFinished(Box::new(closing), core::marker::PhantomData)
}

/// Flight 4 of a full handshake.
fn full_handshake<P: Provider>(
    hello: &ClientHello<'_>,
    local_cid: ConnectionId,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
) -> Result<State<P>, Failure> {
    let suite = choose_suite(hello, environment.config)?;
    let (mut extensions, terms) = answer(hello, suite, local_cid, environment);
    core.flight.limit_fragments(terms.max_send);
    #[cfg(feature = "rpk")]
    let types = match suite.key_exchange() {
        KeyExchange::EcdheEcdsa => choose_types(hello, environment.config, &mut extensions)?,
        _ => CertificateTypes {
            client: extension::CertificateType::X509,
            server: extension::CertificateType::X509,
        },
    };
    let can_resume = extensions.extended_master_secret;
    let wants_ticket =
        can_resume && hello.extensions.session_ticket.is_some() && environment.tickets.is_some();
    extensions.session_ticket = wants_ticket;
    let session_id = match environment.config.resume {
        Resume::Keep if can_resume && !wants_ticket => SessionId::random(32, context.rng),
        _ => SessionId::EMPTY,
    };
    let agreed = Agreed {
        client_random: hello.random,
        server_random: super::random(context),
        extended: extensions.extended_master_secret,
        terms,
        wants_ticket,
        session_id,
        #[cfg(feature = "rpk")]
        types,
    };
    let body = ServerHello {
        version: VERSION,
        random: agreed.server_random,
        session_id: session_id.as_bytes(),
        suite: suite.number(),
        extensions,
    };
    core.send(Message::ServerHello, &body.to_body());
    send_key_exchange(hello, agreed, core, environment, context)
}

/// The rest of flight 4.
#[cfg_attr(not(feature = "rpk"), expect(unused_variables, reason = "only certificates need all of them"))]
fn send_key_exchange<P: Provider>(
    hello: &ClientHello<'_>,
    agreed: Agreed,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
) -> Result<State<P>, Failure> {
    let none = core::marker::PhantomData;
    let next = match agreed.terms.suite.key_exchange() {
        KeyExchange::Psk => {
            State::AwaitClientKeyExchange(Box::new(agreed), Share::None(none), Shown::Nothing)
        }
        #[cfg(feature = "ecdhe")]
        KeyExchange::EcdhePsk => {
            let (share, mut ours) = key_share::<P>(hello, context)?;
            let mut body = message::psk_key_exchange(&[]);
            body.append(&mut ours);
            core.send(Message::ServerKeyExchange, &body);
            State::AwaitClientKeyExchange(Box::new(agreed), Share::Ecdhe(share), Shown::Nothing)
        }
        #[cfg(feature = "rpk")]
        KeyExchange::EcdheEcdsa => send_certificate(hello, agreed, core, environment, context)?,
    };
    core.send(Message::ServerHelloDone, &[]);
    Ok(next)
}

/// Certificate, ServerKeyExchange and CertificateRequest.
#[cfg(feature = "rpk")]
fn send_certificate<P: Provider>(
    hello: &ClientHello<'_>,
    agreed: Agreed,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
) -> Result<State<P>, Failure> {
    use crate::config::ClientAuthentication;
    let own = environment.config.own_key.as_ref().ok_or(Failure::OwnCredentialsUnusable)?;
    core.send(Message::Certificate, &super::own_certificate(own, agreed.types.server));
    let (share, mut body) = key_share::<P>(hello, context)?;
    let digest = crate::crypto::sha256::<P>(&[&agreed.client_random, &agreed.server_random, &body]);
    body.append(&mut super::sign::<P>(own, &digest)?);
    core.send(Message::ServerKeyExchange, &body);
    let (agreed, share) = (Box::new(agreed), Share::Ecdhe(share));
    Ok(match environment.config.client_authentication {
        ClientAuthentication::Required => {
            core.send(Message::CertificateRequest, &message::certificate::request());
            State::AwaitCertificate(agreed, share)
        }
        ClientAuthentication::None => State::AwaitClientKeyExchange(agreed, share, Shown::Nothing),
    })
}

/// The best suite that both ends can, and that we have credentials for.
fn choose_suite(hello: &ClientHello<'_>, config: &ServerConfig) -> Result<CipherSuite, Failure> {
    let has_credentials = |suite: &CipherSuite| match suite.key_exchange() {
        KeyExchange::Psk => true,
        #[cfg(feature = "ecdhe")]
        KeyExchange::EcdhePsk => group(hello).is_some(),
        #[cfg(feature = "rpk")]
        KeyExchange::EcdheEcdsa => {
            config.own_key.is_some()
                && group(hello).is_some()
                && hello
                    .extensions
                    .signature_algorithms
                    .is_some_and(|list| extension::lists(list, extension::ECDSA_SHA256))
        }
    };
    let mut suites = config.suites.iter().copied().filter(|suite| hello.offers(*suite));
    suites.find(has_credentials).ok_or(Failure::NoCommonCipherSuite)
}

/// The group for the key exchange: x25519 if the client can, for it is the faster one.
#[cfg(feature = "ecdhe")]
fn group(hello: &ClientHello<'_>) -> Option<crate::crypto::Group> {
    use crate::crypto::Group;
    match hello.extensions.groups {
        Some(list) => {
            [Group::X25519, Group::Secp256r1].into_iter().find(|group| extension::lists(list, group.number()))
        }
        // Who says nothing takes anything (RFC 8422 section 4).
        None => Some(Group::Secp256r1),
    }
}

#[cfg(feature = "ecdhe")]
fn key_share<P: Provider>(
    hello: &ClientHello<'_>,
    context: &mut Context<'_>,
) -> Result<(P::KeyShare, Vec<u8>), Failure> {
    let group = group(hello).ok_or(Failure::NoCommonGroup)?;
    let (share, point) = P::key_share(group, context.rng);
    Ok((share, message::ecdhe::server_share(group, point.as_bytes())))
}

/// Raw public key or X.509, for each end.
#[cfg(feature = "rpk")]
fn choose_types(
    hello: &ClientHello<'_>,
    config: &ServerConfig,
    answer: &mut ServerExtensions,
) -> Result<CertificateTypes, Failure> {
    use crate::config::ClientAuthentication;
    use extension::CertificateType::{self, RawPublicKey, X509};
    let has_chain = config.own_key.as_ref().is_some_and(|own| !own.chain.is_empty());
    let understands = |list: Option<&[u8]>, kind: CertificateType| match list {
        Some(list) => extension::names(list, kind),
        None => kind == X509,
    };
    let offered = &hello.extensions;
    let choose = |list, kinds: [Option<CertificateType>; 2]| {
        let mut kinds = kinds.into_iter().flatten();
        kinds.find(|kind| understands(list, *kind)).ok_or(Failure::NoCommonCertificateType)
    };
    let server = choose(offered.server_certificate_types, [has_chain.then_some(X509), Some(RawPublicKey)])?;
    answer.server_certificate_type = offered.server_certificate_types.map(|_| server);
    #[cfg(feature = "x509")]
    let takes_certificates = !config.client_anchors.is_empty();
    #[cfg(not(feature = "x509"))]
    let takes_certificates = false;
    let client = match config.client_authentication {
        ClientAuthentication::Required => {
            let kinds = [takes_certificates.then_some(X509), Some(RawPublicKey)];
            let client = choose(offered.client_certificate_types, kinds)?;
            answer.client_certificate_type = offered.client_certificate_types.map(|_| client);
            client
        }
        ClientAuthentication::None => X509,
    };
    Ok(CertificateTypes { client, server })
}

/// Who the client says it is.
#[cfg(feature = "rpk")]
fn certificate<P: Provider>(
    agreed: &Agreed,
    environment: ServerEnvironment<'_>,
    context: &Context<'_>,
    arrived: &Arrived,
) -> Result<Shown, Failure> {
    use crate::crypto::PublicKey;
    use extension::CertificateType;
    // An empty list or an empty key: the client has none of that type.
    if arrived.body() == [0, 0, 0] {
        return Err(Failure::PeerSentNoCredentials);
    }
    match agreed.types.client {
        CertificateType::RawPublicKey => {
            let spki = message::certificate::parse_raw_public_key(arrived.body()).blame(arrived.message)?;
            let key = PublicKey::from_spki(spki).ok_or(Failure::NoCommonSignatureAlgorithm)?;
            Ok(Shown::Key(Box::new(key), Peer::RawPublicKey(Box::new(key))))
        }
        #[cfg(feature = "x509")]
        CertificateType::X509 => {
            let chain = message::certificate::parse_chain(arrived.body()).blame(arrived.message)?;
            let anchors = &environment.config.client_anchors;
            let facts =
                crate::x509::check_client::<P>(&chain, anchors, context.unix_time).map_err(|error| {
                    Failure::CertificateRefused { name: crate::x509::shown_name(&chain), error }
                })?;
            Ok(Shown::Key(Box::new(*facts.public_key()), Peer::Certificate(Box::new(facts))))
        }
        #[cfg(not(feature = "x509"))]
        CertificateType::X509 => {
            let _ = (environment, context, core::marker::PhantomData::<P>);
            Err(Failure::NoCommonCertificateType)
        }
    }
}

/// The keys are agreed on; what is left are proofs.
fn client_key_exchange<P: Provider>(
    agreed: Agreed,
    share: Share<P>,
    shown: Shown,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<Step<State<P>>, Failure> {
    let exchange = read_exchange(&agreed, share, environment, context, arrived)?;
    core.transcript.add(arrived.bytes());
    let master =
        core.master_secret(&exchange.secret, agreed.extended, &agreed.client_random, &agreed.server_random);
    let key_tag = exchange.key.as_ref().map_or(KeyTag::NONE, |key| KeyTag::of::<P>(key.as_bytes(), &master));
    let keys = KeyBlock::new::<P>(&master, &agreed.client_random, &agreed.server_random);
    let suite = agreed.terms.suite;
    let (peer, proof) = match shown {
        Shown::Nothing => (exchange.peer, None),
        #[cfg(feature = "rpk")]
        Shown::Key(key, peer) => (peer, Some(key)),
    };
    let mut session = Session::new(Side::Server, keys, agreed.terms, peer.clone());
    if let Some(key) = &exchange.key {
        session.bind_to(key);
    }
    core.session = Some(session);
    let closing = Box::new(Closing {
        master,
        suite,
        resumed: false,
        wants_ticket: agreed.wants_ticket,
        session_id: agreed.session_id,
        peer,
        key_tag,
        suspicion: exchange.suspicion,
    });
    Ok(Step::Continue(match proof {
        #[cfg(feature = "rpk")]
        Some(key) => State::AwaitCertificateVerify(closing, key),
        #[cfg(not(feature = "rpk"))]
        Some(()) => State::AwaitFinished(closing, core::marker::PhantomData),
        None => State::AwaitFinished(closing, core::marker::PhantomData),
    }))
}

/// What a ClientKeyExchange leads to.
struct ReadExchange {
    secret: PreMasterSecret,
    key: Option<PskKey>,
    peer: Peer,
    suspicion: Option<Failure>,
}

fn read_exchange<P: Provider>(
    agreed: &Agreed,
    share: Share<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<ReadExchange, Failure> {
    let mut reader = Reader::new(arrived.body());
    let identity = match agreed.terms.suite.key_exchange() {
        #[cfg(feature = "rpk")]
        KeyExchange::EcdheEcdsa => None,
        _ => Some(reader.vector16().blame(arrived.message)?),
    };
    let shared = match share {
        Share::None(_) => None,
        #[cfg(feature = "ecdhe")]
        Share::Ecdhe(share) => {
            let point = reader.vector8().blame(arrived.message)?;
            Some(P::agree(share, point).ok_or(Failure::BadKeyShare)?)
        }
    };
    reader.end().blame(arrived.message)?;
    let Some(identity) = identity else {
        return anonymous(shared.as_ref());
    };
    if identity.len() > MAX_PSK_IDENTITY_LENGTH {
        return Err(Failure::PeerSentTooMuch);
    }
    // Drawn in any case, so that an unknown identity costs what a known one does.
    let mut random = [0; 16];
    context.rng.fill_bytes(&mut random);
    let found = environment.authority.psk(identity);
    let suspicion = match &found {
        Some(_) => Failure::BadPsk(identity.into()),
        None => Failure::UnknownPskIdentity(identity.into()),
    };
    let key = found.or_else(|| PskKey::new(&random)).ok_or(Failure::OwnCredentialsUnusable)?;
    Ok(ReadExchange {
        secret: psk_secret(&key, shared.as_ref()),
        key: Some(key),
        peer: Peer::Psk(identity.into()),
        suspicion: Some(suspicion),
    })
}

#[cfg(feature = "ecdhe")]
type Shared = crate::crypto::SharedSecret;
#[cfg(not(feature = "ecdhe"))]
type Shared = core::convert::Infallible;

fn psk_secret(key: &PskKey, shared: Option<&Shared>) -> PreMasterSecret {
    match shared {
        None => PreMasterSecret::psk(key.as_bytes()),
        #[cfg(feature = "ecdhe")]
        Some(shared) => PreMasterSecret::ecdhe_psk(shared, key.as_bytes()),
        #[cfg(not(feature = "ecdhe"))]
        Some(never) => match *never {},
    }
}

#[cfg_attr(not(feature = "rpk"), expect(unused_variables, reason = "without a key there is no secret"))]
fn anonymous(shared: Option<&Shared>) -> Result<ReadExchange, Failure> {
    #[cfg(feature = "rpk")]
    if let Some(shared) = shared {
        let secret = PreMasterSecret::ecdhe(shared);
        return Ok(ReadExchange { secret, key: None, peer: Peer::Anonymous, suspicion: None });
    }
    Err(Failure::OwnCredentialsUnusable)
}

/// Flight 6; of a resumed session, the end.
fn finished<P: Provider>(
    closing: Closing,
    core: &mut Core<P>,
    environment: ServerEnvironment<'_>,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<Completed, Failure> {
    core.check_finished(Side::Client, &closing.master, arrived)?;
    if !environment.authority.admits(&closing.peer) {
        return Err(refused(&closing.peer));
    }
    if closing.resumed {
        let done =
            Completed { last_flight: LastFlight::Peers, resumed: true, resumption: None, remembered: None };
        return Ok(done);
    }
    core.begin_flight(context);
    closing.send_ticket(core, environment, context);
    core.send_finished(Side::Server, &closing.master);
    let remembered = (!closing.session_id.is_empty()).then(|| closing.remember());
    Ok(Completed { last_flight: LastFlight::Ours, resumed: false, resumption: None, remembered })
}

fn refused(peer: &Peer) -> Failure {
    match peer {
        #[cfg(feature = "rpk")]
        Peer::RawPublicKey(key) => Failure::RawPublicKeyRefused(**key),
        #[cfg(feature = "x509")]
        Peer::Certificate(facts) => match facts.common_name() {
            Some(name) => Failure::CertificateNotAdmitted { name: name.into() },
            None => Failure::CertificateWithoutName,
        },
        _ => Failure::PeerRefused,
    }
}

impl Closing {
    fn remember(&self) -> Remembered {
        Remembered {
            session_id: self.session_id,
            suite: self.suite,
            master: self.master.clone(),
            peer: self.peer.clone(),
            key_tag: self.key_tag,
        }
    }

    fn send_ticket<P: Provider>(
        &self,
        core: &mut Core<P>,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(keys) = environment.tickets.filter(|_| self.wants_ticket) else { return };
        let ticket = keys.seal::<P>(context.rng, &self.remember());
        let body = NewSessionTicket { lifetime_hint: keys.lifetime_hint(), ticket: &ticket };
        core.send(Message::NewSessionTicket, &body.to_body());
    }
}
