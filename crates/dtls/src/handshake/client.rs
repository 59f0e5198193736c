//! The client's handshake.
//!
//! ```text
//!      client                                    server
//!   1  ClientHello                       ──────▶
//!                                        ◀──────  HelloVerifyRequest  2
//!   3  ClientHello with the cookie       ──────▶
//!                                        ◀──────  ServerHello         4
//!                                                 [Certificate]            ECDHE-ECDSA
//!                                                 [ServerKeyExchange]      all but PSK without a hint
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
//!   1  ClientHello                       ──────▶
//!                                        ◀──────  (2, and 3 again)
//!                                        ◀──────  ServerHello         4
//!                                                 [NewSessionTicket]
//!                                                 ChangeCipherSpec, Finished
//!   5  ChangeCipherSpec, Finished        ──────▶
//! ```
//!
//! ChangeCipherSpec itself is not waited for: it proves nothing, and the epoch of a record says what it would say.

use alloc::boxed::Box;
use alloc::vec::Vec;

#[cfg(feature = "ecdhe")]
use super::extension;
use super::extension::{ClientExtensions, ServerExtensions};
use super::inbox::{Arrived, Fragment};
use super::message::{self, NewSessionTicket, ServerHello};
use super::transcript::Transcript;
use super::{BeforeInbox, Completed, Core, LastFlight, Step, limits, sealed, unexpected};
use crate::cid::ConnectionId;
use crate::config::{ClientConfig, ClientCredentials, ConnectionIdUse, ExtendedMasterSecret, Resume};
use crate::context::Context;
use crate::crypto::{KeyBlock, MasterSecret, PreMasterSecret, Provider, Side};
#[cfg(feature = "ecdhe")]
use crate::crypto::{Point, SharedSecret};
use crate::failure::{Blame, Failure, Message};
use crate::peer::Peer;
use crate::record::VERSION;
use crate::resumption::{Resumption, SessionId};
use crate::session::{Session, Terms};
use crate::suite::{CipherSuite, KeyExchange};
use crate::wire::Reader;

/// The role of a client.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

/// HelloVerifyRequests that are answered: one, and a few more if the server's secret changes meanwhile.
const MAX_COOKIES: u8 = 3;
/// The longest ticket that is kept.
const MAX_TICKET: usize = 1024;

#[expect(missing_debug_implementations, reason = "secrets")]
#[expect(clippy::enum_variant_names, reason = "named by what is awaited")]
pub enum State {
    AwaitServerHello(Box<Offer>),
    #[cfg(feature = "rpk")]
    AwaitCertificate(Box<Agreed>),
    AwaitServerKeyExchange(Box<Agreed>, ServerIdentity),
    AwaitServerHelloDone(Box<Agreed>, ServerIdentity, Exchange, Requested),
    AwaitFinished(Box<Closing>),
}

/// What was offered, to be said again with the cookie and compared with the answer.
pub struct Offer {
    random: [u8; 32],
    session_id: SessionId,
    cookie: Vec<u8>,
    cookies: u8,
    local_cid: Option<ConnectionId>,
    resumption: Option<Resumption>,
}

/// What the server chose of it.
pub struct Agreed {
    client_random: [u8; 32],
    server_random: [u8; 32],
    terms: Terms,
    extended: bool,
    ticket_promised: bool,
    session_id: SessionId,
    #[cfg(feature = "rpk")]
    own_type: extension::CertificateType,
    #[cfg(feature = "rpk")]
    server_type: extension::CertificateType,
}

/// Who the server says it is.
pub enum ServerIdentity {
    Psk,
    #[cfg(feature = "rpk")]
    Key {
        key: crate::crypto::PublicKey,
        peer: Peer,
    },
}

/// What the key exchange adds.
pub enum Exchange {
    Psk,
    #[cfg(feature = "ecdhe")]
    Ecdhe {
        shared: SharedSecret,
        ours: Point,
    },
}

/// Whether the server asked for a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    Nothing,
    #[cfg(feature = "rpk")]
    Certificate,
}

/// Only the server's Finished is missing.
pub struct Closing {
    master: MasterSecret,
    suite: CipherSuite,
    extended: bool,
    resumed: bool,
    ticket_promised: bool,
    ticket: Box<[u8]>,
    session_id: SessionId,
    peer: Peer,
}

/// Sends the first ClientHello.
pub(crate) fn start<P: Provider>(
    core: &mut Core<P>,
    config: &ClientConfig,
    context: &mut Context<'_>,
    resumption: Option<Resumption>,
) -> State {
    let random = super::random(context);
    let session_id = resumption.as_ref().map_or(SessionId::EMPTY, |resumption| resumption.session_id);
    let local_cid = match config.connection_id {
        ConnectionIdUse::Off => None,
        ConnectionIdUse::SendOnly => Some(ConnectionId::EMPTY),
        ConnectionIdUse::Both(length) => Some(ConnectionId::random(length, context.rng)),
    };
    let offer = Offer { random, session_id, cookie: Vec::new(), cookies: 0, local_cid, resumption };
    offer.send(core, config, context);
    State::AwaitServerHello(Box::new(offer))
}

impl State {
    fn local_cid_length(&self) -> usize {
        match self {
            Self::AwaitServerHello(offer) => offer.local_cid.map_or(0, |cid| cid.len()),
            #[cfg(feature = "rpk")]
            Self::AwaitCertificate(agreed) => agreed.terms.local_cid.len(),
            Self::AwaitServerKeyExchange(agreed, _) | Self::AwaitServerHelloDone(agreed, ..) => {
                agreed.terms.local_cid.len()
            }
            Self::AwaitFinished(_) => 0,
        }
    }

    /// Takes what can come in any order before the ServerHello: HelloVerifyRequest. A server that keeps no state numbers its
    /// messages by what it was sent, so their numbers say little here.
    fn before_inbox<P: Provider>(
        &mut self,
        core: &mut Core<P>,
        config: &ClientConfig,
        context: &mut Context<'_>,
        fragment: &Fragment<'_>,
    ) -> Result<BeforeInbox, Failure> {
        let Self::AwaitServerHello(offer) = self else { return Ok(BeforeInbox::Pass) };
        match fragment.message {
            Message::HelloVerifyRequest if fragment.is_whole() => {
                let cookie =
                    message::parse_hello_verify_request(fragment.body).blame(Message::HelloVerifyRequest)?;
                // The same cookie again answers a ClientHello that we had repeated.
                if offer.cookies < MAX_COOKIES && cookie != offer.cookie {
                    offer.cookies = offer.cookies.saturating_add(1);
                    offer.cookie = cookie.to_vec();
                    core.inbox.skip_to(fragment.sequence.saturating_add(1));
                    core.transcript = Transcript::new();
                    offer.send(core, config, context);
                }
                Ok(BeforeInbox::Taken)
            }
            Message::HelloVerifyRequest => Ok(BeforeInbox::Taken),
            // As many ClientHellos as were sent, so high may the answer's number be. A higher one, and what follows it, belongs
            // to a handshake that we no longer know.
            Message::ServerHello if fragment.sequence <= u16::from(offer.cookies) => {
                core.inbox.skip_to(fragment.sequence);
                Ok(BeforeInbox::Pass)
            }
            Message::ServerHello => Ok(BeforeInbox::Taken),
            _ if offer.cookies == 0 => Ok(BeforeInbox::Taken),
            _ => Ok(BeforeInbox::Pass),
        }
    }
}

impl sealed::Role for Client {
    const SIDE: Side = Side::Client;

    type Environment<'a> = &'a ClientConfig;
    type State<P: Provider> = State;

    fn awaited<P: Provider>(state: &State) -> Message {
        match state {
            State::AwaitServerHello(_) => Message::ServerHello,
            #[cfg(feature = "rpk")]
            State::AwaitCertificate(_) => Message::Certificate,
            State::AwaitServerKeyExchange(agreed, _) => match agreed.terms.suite.key_exchange() {
                KeyExchange::Psk => Message::ServerHelloDone,
                #[cfg(feature = "ecdhe")]
                _ => Message::ServerKeyExchange,
            },
            State::AwaitServerHelloDone(..) => Message::ServerHelloDone,
            State::AwaitFinished(_) => Message::Finished,
        }
    }

    fn receive<P: Provider>(
        state: State,
        core: &mut Core<P>,
        config: &ClientConfig,
        context: &mut Context<'_>,
        arrived: &Arrived,
    ) -> Result<Step<State>, Failure> {
        let awaited = Self::awaited::<P>(&state);
        match (state, arrived.message) {
            (State::AwaitServerHello(offer), Message::ServerHello) => {
                server_hello(*offer, core, config, arrived)
            }
            #[cfg(feature = "rpk")]
            (State::AwaitCertificate(agreed), Message::Certificate) => {
                let identity = certificate::<P>(&agreed, config, context, arrived)?;
                core.transcript.add(arrived.bytes());
                Ok(Step::Continue(State::AwaitServerKeyExchange(agreed, identity)))
            }
            (State::AwaitServerKeyExchange(agreed, identity), Message::ServerKeyExchange) => {
                let exchange = server_key_exchange::<P>(&agreed, &identity, context, arrived)?;
                core.transcript.add(arrived.bytes());
                let next = State::AwaitServerHelloDone(agreed, identity, exchange, Requested::Nothing);
                Ok(Step::Continue(next))
            }
            // A server without a hint has nothing to say (RFC 4279 section 2).
            (State::AwaitServerKeyExchange(agreed, identity), Message::ServerHelloDone)
                if agreed.terms.suite.key_exchange() == KeyExchange::Psk =>
            {
                server_hello_done(
                    *agreed,
                    identity,
                    Exchange::Psk,
                    Requested::Nothing,
                    core,
                    config,
                    context,
                    arrived,
                )
            }
            #[cfg(feature = "rpk")]
            (
                State::AwaitServerHelloDone(agreed, identity, exchange, Requested::Nothing),
                Message::CertificateRequest,
            ) if matches!(identity, ServerIdentity::Key { .. }) => {
                let fits = message::certificate::parse_request(arrived.body()).blame(arrived.message)?;
                if !fits {
                    return Err(Failure::NoCommonSignatureAlgorithm);
                }
                core.transcript.add(arrived.bytes());
                let next = State::AwaitServerHelloDone(agreed, identity, exchange, Requested::Certificate);
                Ok(Step::Continue(next))
            }
            (
                State::AwaitServerHelloDone(agreed, identity, exchange, requested),
                Message::ServerHelloDone,
            ) => server_hello_done(*agreed, identity, exchange, requested, core, config, context, arrived),
            (State::AwaitFinished(closing), Message::NewSessionTicket) if closing.ticket_promised => {
                let closing = new_session_ticket(*closing, config, arrived)?;
                core.transcript.add(arrived.bytes());
                Ok(Step::Continue(State::AwaitFinished(Box::new(closing))))
            }
            (State::AwaitFinished(closing), Message::Finished) => {
                finished(*closing, core, config, context, arrived).map(Box::new).map(Step::Complete)
            }
            _ => Err(unexpected(arrived, awaited)),
        }
    }

    fn local_cid_length<P: Provider>(state: &State) -> usize {
        state.local_cid_length()
    }

    fn before_inbox<P: Provider>(
        state: &mut State,
        core: &mut Core<P>,
        config: &ClientConfig,
        context: &mut Context<'_>,
        fragment: &Fragment<'_>,
    ) -> Result<BeforeInbox, Failure> {
        state.before_inbox(core, config, context, fragment)
    }

    fn suspicion<P: Provider>(_: &State) -> Option<Failure> {
        // A server with another key could not have read our Finished, and says so or is silent.
        None
    }
}

impl Offer {
    fn send<P: Provider>(&self, core: &mut Core<P>, config: &ClientConfig, context: &Context<'_>) {
        let suites = offered_suites(config);
        #[cfg(feature = "rpk")]
        let (own_types, server_types) = offered_certificate_types(config);
        #[cfg(feature = "ecdhe")]
        let groups = [extension::X25519.to_be_bytes(), extension::SECP256R1.to_be_bytes()];
        let extensions = ClientExtensions {
            server_name: config.server_name.as_deref().map(str::as_bytes),
            max_fragment_length: config.max_fragment_length,
            record_size_limit: config.record_size_limit.map(|limit| limit.max(super::SMALLEST_RECORD_LIMIT)),
            #[cfg(feature = "ecdhe")]
            groups: suites
                .iter()
                .any(|suite| suite.key_exchange() != KeyExchange::Psk)
                .then_some(groups.as_flattened()),
            #[cfg(feature = "rpk")]
            signature_algorithms: (!own_types.is_empty()).then_some(&SIGNATURE_ALGORITHMS),
            #[cfg(feature = "rpk")]
            client_certificate_types: announced(&own_types),
            #[cfg(feature = "rpk")]
            server_certificate_types: announced(&server_types),
            extended_master_secret: true,
            session_ticket: match (&self.resumption, config.resume) {
                (Some(resumption), _) => Some(&*resumption.ticket),
                (None, Resume::Keep) => Some(&[]),
                (None, Resume::Never) => None,
            },
            connection_id: self.local_cid.as_ref().map(ConnectionId::as_bytes),
            ..ClientExtensions::default()
        };
        let body = message::client_hello(
            &self.random,
            self.session_id.as_bytes(),
            &self.cookie,
            &suites,
            &extensions,
        );
        core.begin_flight(context);
        core.send(Message::ClientHello, &body);
    }
}

#[cfg(feature = "rpk")]
const SIGNATURE_ALGORITHMS: [u8; 2] = extension::ECDSA_SHA256.to_be_bytes();

/// The suites that the credentials are good for.
fn offered_suites(config: &ClientConfig) -> Vec<CipherSuite> {
    let fits = |suite: &CipherSuite| match (&config.credentials, suite.key_exchange()) {
        (ClientCredentials::Psk(_), KeyExchange::Psk) => true,
        #[cfg(feature = "ecdhe")]
        (ClientCredentials::Psk(_), KeyExchange::EcdhePsk) => true,
        #[cfg(feature = "rpk")]
        (ClientCredentials::Certificate { .. }, KeyExchange::EcdheEcdsa) => true,
        #[cfg(feature = "rpk")]
        _ => false,
    };
    config.suites.iter().copied().filter(fits).collect()
}

/// The types of certificates that we have, and that we understand.
#[cfg(feature = "rpk")]
fn offered_certificate_types(config: &ClientConfig) -> (Vec<u8>, Vec<u8>) {
    use crate::config::ServerTrust;
    use extension::CertificateType::{RawPublicKey, X509};
    let ClientCredentials::Certificate { own, server } = &config.credentials else {
        return (Vec::new(), Vec::new());
    };
    let own = if own.chain.is_empty() { RawPublicKey } else { X509 };
    let server = match server {
        ServerTrust::RawPublicKey(_) => RawPublicKey,
        #[cfg(feature = "x509")]
        ServerTrust::Certificate(_) => X509,
    };
    (extension::certificate_types(&[own]), extension::certificate_types(&[server]))
}

/// X.509 alone is what everybody understands without being told.
#[cfg(feature = "rpk")]
fn announced(types: &[u8]) -> Option<&[u8]> {
    (!types.is_empty() && types != extension::certificate_types(&[extension::CertificateType::X509]))
        .then_some(types)
}

/// Flight 4 begins: compares the server's choice with what was offered.
fn server_hello<P: Provider>(
    offer: Offer,
    core: &mut Core<P>,
    config: &ClientConfig,
    arrived: &Arrived,
) -> Result<Step<State>, Failure> {
    let hello = ServerHello::parse(arrived.body()).blame(Message::ServerHello)?;
    core.transcript.add(arrived.bytes());
    if hello.version != VERSION {
        return Err(Failure::NoCommonVersion);
    }
    let wrong = Failure::PeerChoseWrongly(Message::ServerHello);
    let suite = CipherSuite::from_number(hello.suite)
        .filter(|suite| offered_suites(config).contains(suite))
        .ok_or(wrong.clone())?;
    let extensions = &hello.extensions;
    let answers_what_was_not_asked = (extensions.server_name && config.server_name.is_none())
        || (extensions.max_fragment_length.is_some()
            && extensions.max_fragment_length != config.max_fragment_length)
        || (extensions.record_size_limit.is_some() && config.record_size_limit.is_none())
        // RFC 8449 section 5: not both.
        || (extensions.record_size_limit.is_some() && extensions.max_fragment_length.is_some())
        || (extensions.session_ticket && config.resume == Resume::Never && offer.resumption.is_none())
        || (extensions.connection_id.is_some() && offer.local_cid.is_none())
        || extensions.record_size_limit.is_some_and(|limit| limit < super::SMALLEST_RECORD_LIMIT);
    if answers_what_was_not_asked || chooses_unannounced_types(extensions, config) {
        return Err(wrong);
    }
    if !extensions.extended_master_secret && config.extended_master_secret == ExtendedMasterSecret::Required {
        return Err(Failure::PeerLacksExtendedMasterSecret);
    }
    let (max_send, max_receive) =
        limits(extensions.max_fragment_length, extensions.record_size_limit, config.record_size_limit);
    core.flight.limit_fragments(max_send);
    let (local_cid, remote_cid) = match (offer.local_cid, extensions.connection_id) {
        (Some(local), Some(remote)) => (local, remote),
        _ => (ConnectionId::EMPTY, ConnectionId::EMPTY),
    };
    let agreed = Agreed {
        client_random: offer.random,
        server_random: hello.random,
        terms: Terms { suite, local_cid, remote_cid, max_send, max_receive },
        extended: extensions.extended_master_secret,
        ticket_promised: extensions.session_ticket,
        session_id: SessionId::new(hello.session_id).unwrap_or_default(),
        #[cfg(feature = "rpk")]
        own_type: extensions.client_certificate_type.unwrap_or(extension::CertificateType::X509),
        #[cfg(feature = "rpk")]
        server_type: extensions.server_certificate_type.unwrap_or(extension::CertificateType::X509),
    };
    match offer.resumption {
        Some(resumption) if !hello.session_id.is_empty() && resumption.session_id == agreed.session_id => {
            resume(resumption, agreed, core)
        }
        _ => Ok(Step::Continue(full_handshake(agreed))),
    }
}

/// Whether the server answers certificate types that we didn't list (RFC 7250 section 4.2).
#[cfg(feature = "rpk")]
fn chooses_unannounced_types(extensions: &ServerExtensions, config: &ClientConfig) -> bool {
    let (own_types, server_types) = offered_certificate_types(config);
    let is_unannounced = |chosen: Option<extension::CertificateType>, types: &[u8]| {
        chosen.is_some_and(|kind| announced(types).is_none_or(|types| !extension::names(types, kind)))
    };
    is_unannounced(extensions.client_certificate_type, &own_types)
        || is_unannounced(extensions.server_certificate_type, &server_types)
}

#[cfg(not(feature = "rpk"))]
const fn chooses_unannounced_types(extensions: &ServerExtensions, _: &ClientConfig) -> bool {
    extensions.client_certificate_type.is_some() || extensions.server_certificate_type.is_some()
}

fn full_handshake(agreed: Agreed) -> State {
    match agreed.terms.suite.key_exchange() {
        #[cfg(feature = "rpk")]
        KeyExchange::EcdheEcdsa => State::AwaitCertificate(Box::new(agreed)),
        _ => State::AwaitServerKeyExchange(Box::new(agreed), ServerIdentity::Psk),
    }
}

/// The server took the session that we offered.
fn resume<P: Provider>(
    resumption: Resumption,
    agreed: Agreed,
    core: &mut Core<P>,
) -> Result<Step<State>, Failure> {
    // RFC 7627 section 5.3: what was extended stays so.
    if agreed.terms.suite != resumption.suite || !agreed.extended {
        return Err(Failure::PeerChoseWrongly(Message::ServerHello));
    }
    let Resumption { suite, master, server, session_id, ticket } = resumption;
    let keys = KeyBlock::new::<P>(&master, &agreed.client_random, &agreed.server_random);
    core.session = Some(Session::new(Side::Client, keys, agreed.terms, server.clone()));
    Ok(Step::Continue(State::AwaitFinished(Box::new(Closing {
        master,
        suite,
        extended: true,
        resumed: true,
        ticket_promised: agreed.ticket_promised,
        ticket,
        session_id,
        peer: server,
    }))))
}

/// Who the server says it is, and whether that is who it must be.
#[cfg(feature = "rpk")]
#[cfg_attr(not(feature = "x509"), expect(unused_variables, reason = "a raw public key has no validity"))]
#[cfg_attr(not(feature = "x509"), expect(clippy::extra_unused_type_parameters, reason = "nor a signature"))]
fn certificate<P: Provider>(
    agreed: &Agreed,
    config: &ClientConfig,
    context: &Context<'_>,
    arrived: &Arrived,
) -> Result<ServerIdentity, Failure> {
    use crate::config::ServerTrust;
    use crate::crypto::PublicKey;
    use extension::CertificateType;
    let ClientCredentials::Certificate { server, .. } = &config.credentials else {
        return Err(Failure::OwnCredentialsUnusable);
    };
    match (server, agreed.server_type) {
        (ServerTrust::RawPublicKey(pinned), CertificateType::RawPublicKey) => {
            let spki = message::certificate::parse_raw_public_key(arrived.body()).blame(arrived.message)?;
            let key = PublicKey::from_spki(spki).ok_or(Failure::NoCommonSignatureAlgorithm)?;
            if key != *pinned {
                return Err(Failure::RawPublicKeyRefused(key));
            }
            Ok(ServerIdentity::Key { key, peer: Peer::RawPublicKey(Box::new(key)) })
        }
        #[cfg(feature = "x509")]
        (ServerTrust::Certificate(trust), CertificateType::X509) => {
            let chain = message::certificate::parse_chain(arrived.body()).blame(arrived.message)?;
            let facts = trust.check::<P>(&chain, context.unix_time).map_err(|error| {
                Failure::CertificateRefused { name: crate::x509::shown_name(&chain), error }
            })?;
            let key = *facts.public_key();
            Ok(ServerIdentity::Key { key, peer: Peer::Certificate(Box::new(facts)) })
        }
        _ => Err(Failure::NoCommonCertificateType),
    }
}

/// The server's half of the key exchange.
#[cfg_attr(not(feature = "rpk"), expect(unused_variables, reason = "a hint says nothing"))]
#[cfg_attr(
    not(feature = "ecdhe"),
    expect(clippy::extra_unused_type_parameters, reason = "nor needs it a provider")
)]
fn server_key_exchange<P: Provider>(
    agreed: &Agreed,
    identity: &ServerIdentity,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<Exchange, Failure> {
    let mut reader = Reader::new(arrived.body());
    match agreed.terms.suite.key_exchange() {
        KeyExchange::Psk => {
            reader.vector16().and_then(|_| reader.end()).blame(arrived.message)?;
            Ok(Exchange::Psk)
        }
        #[cfg(feature = "ecdhe")]
        KeyExchange::EcdhePsk => {
            reader.vector16().blame(arrived.message)?;
            let (group, point) = message::ecdhe::parse_server_share(&mut reader).blame(arrived.message)?;
            reader.end().blame(arrived.message)?;
            agree::<P>(group, point, context)
        }
        #[cfg(feature = "rpk")]
        KeyExchange::EcdheEcdsa => {
            let (group, point) = message::ecdhe::parse_server_share(&mut reader).blame(arrived.message)?;
            let signature = message::certificate::parse_signature(&mut reader).blame(arrived.message)?;
            reader.end().blame(arrived.message)?;
            let ServerIdentity::Key { key, .. } = identity else {
                return Err(Failure::OwnCredentialsUnusable);
            };
            let group = group.ok_or(Failure::PeerChoseWrongly(arrived.message))?;
            let share = message::ecdhe::server_share(group, point);
            let digest = crate::crypto::sha256::<P>(&[&agreed.client_random, &agreed.server_random, &share]);
            P::verify(key, &digest, signature).map_err(|_| Failure::BadSignature)?;
            agree::<P>(Some(group), point, context)
        }
    }
}

#[cfg(feature = "ecdhe")]
fn agree<P: Provider>(
    group: Option<crate::crypto::Group>,
    point: &[u8],
    context: &mut Context<'_>,
) -> Result<Exchange, Failure> {
    let group = group.ok_or(Failure::PeerChoseWrongly(Message::ServerKeyExchange))?;
    let (share, ours) = P::key_share(group, context.rng);
    let shared = P::agree(share, point).ok_or(Failure::BadKeyShare)?;
    Ok(Exchange::Ecdhe { shared, ours })
}

/// Flight 5.
#[expect(clippy::too_many_arguments, reason = "the parts of a state, and what every message is given")]
fn server_hello_done<P: Provider>(
    agreed: Agreed,
    identity: ServerIdentity,
    exchange: Exchange,
    requested: Requested,
    core: &mut Core<P>,
    config: &ClientConfig,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<Step<State>, Failure> {
    Reader::new(arrived.body()).end().blame(arrived.message)?;
    core.transcript.add(arrived.bytes());
    core.begin_flight(context);
    #[cfg(feature = "rpk")]
    if requested == Requested::Certificate {
        let ClientCredentials::Certificate { own, .. } = &config.credentials else {
            return Err(Failure::OwnCredentialsUnusable);
        };
        let mine = if own.chain.is_empty() {
            extension::CertificateType::RawPublicKey
        } else {
            extension::CertificateType::X509
        };
        if agreed.own_type != mine {
            return Err(Failure::NoCommonCertificateType);
        }
        core.send(Message::Certificate, &super::own_certificate(own, agreed.own_type));
    }
    let (body, secret) = client_key_exchange(config, &exchange, &agreed)?;
    core.send(Message::ClientKeyExchange, &body);
    let master = core.master_secret(&secret, agreed.extended, &agreed.client_random, &agreed.server_random);
    #[cfg(feature = "rpk")]
    if requested == Requested::Certificate
        && let ClientCredentials::Certificate { own, .. } = &config.credentials
    {
        let signature = super::sign::<P>(own, &core.transcript.hash())?;
        core.send(Message::CertificateVerify, &signature);
    }
    let _ = requested;
    let peer = match identity {
        ServerIdentity::Psk => Peer::PskServer,
        #[cfg(feature = "rpk")]
        ServerIdentity::Key { peer, .. } => peer,
    };
    let suite = agreed.terms.suite;
    let keys = KeyBlock::new::<P>(&master, &agreed.client_random, &agreed.server_random);
    core.session = Some(Session::new(Side::Client, keys, agreed.terms, peer.clone()));
    core.send_finished(Side::Client, &master);
    Ok(Step::Continue(State::AwaitFinished(Box::new(Closing {
        master,
        suite,
        extended: agreed.extended,
        resumed: false,
        ticket_promised: agreed.ticket_promised,
        ticket: Box::default(),
        session_id: agreed.session_id,
        peer,
    }))))
}

/// The body of ClientKeyExchange, and the secret that it leads to.
fn client_key_exchange(
    config: &ClientConfig,
    exchange: &Exchange,
    agreed: &Agreed,
) -> Result<(Vec<u8>, PreMasterSecret), Failure> {
    #[cfg(feature = "ecdhe")]
    use crate::wire::Put;
    let kind = agreed.terms.suite.key_exchange();
    match (&config.credentials, exchange) {
        (ClientCredentials::Psk(psk), Exchange::Psk) if kind == KeyExchange::Psk => {
            Ok((message::psk_key_exchange(&psk.identity), PreMasterSecret::psk(psk.key.as_bytes())))
        }
        #[cfg(feature = "ecdhe")]
        (ClientCredentials::Psk(psk), Exchange::Ecdhe { shared, ours }) => {
            let mut body = message::psk_key_exchange(&psk.identity);
            body.put_vector8(ours.as_bytes());
            Ok((body, PreMasterSecret::ecdhe_psk(shared, psk.key.as_bytes())))
        }
        #[cfg(feature = "rpk")]
        (ClientCredentials::Certificate { .. }, Exchange::Ecdhe { shared, ours }) => {
            let mut body = Vec::new();
            body.put_vector8(ours.as_bytes());
            Ok((body, PreMasterSecret::ecdhe(shared)))
        }
        _ => Err(Failure::OwnCredentialsUnusable),
    }
}

/// A ticket in place of the one that was used, or a first one.
fn new_session_ticket(
    mut closing: Closing,
    config: &ClientConfig,
    arrived: &Arrived,
) -> Result<Closing, Failure> {
    let NewSessionTicket { ticket, .. } = NewSessionTicket::parse(arrived.body()).blame(arrived.message)?;
    // Once only, and before Finished.
    closing.ticket_promised = false;
    // A server may take its promise back by an empty ticket (RFC 5077 section 3.3).
    if config.resume == Resume::Keep && !ticket.is_empty() && ticket.len() <= MAX_TICKET {
        closing.ticket = ticket.into();
        closing.session_id = SessionId::EMPTY;
    }
    Ok(closing)
}

/// Flight 6 is complete; or flight 4 of a resumed session, and our Finished follows.
fn finished<P: Provider>(
    closing: Closing,
    core: &mut Core<P>,
    config: &ClientConfig,
    context: &mut Context<'_>,
    arrived: &Arrived,
) -> Result<Completed, Failure> {
    core.check_finished(Side::Server, &closing.master, arrived)?;
    let last_flight = if closing.resumed {
        core.begin_flight(context);
        core.send_finished(Side::Client, &closing.master);
        LastFlight::Ours
    } else {
        LastFlight::Peers
    };
    Ok(Completed {
        last_flight,
        resumed: closing.resumed,
        resumption: closing.resumption(config, context),
        remembered: None,
    })
}

impl Closing {
    fn resumption(self, config: &ClientConfig, context: &mut Context<'_>) -> Option<Resumption> {
        let Self { master, suite, extended, ticket, session_id, peer: server, .. } = self;
        let can_resume = config.resume == Resume::Keep && extended;
        let session_id = match (ticket.is_empty(), session_id.is_empty()) {
            (false, true) => SessionId::random(32, context.rng),
            _ => session_id,
        };
        (can_resume && !session_id.is_empty()).then_some(Resumption {
            suite,
            master,
            server,
            session_id,
            ticket,
        })
    }
}
