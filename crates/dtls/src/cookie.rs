//! The stateless beginning of a server's handshake: flights 1 to 3 (RFC 6347 section 4.2.1).
//!
//! A client must show that it can be reached at its address before anything is kept for it, or any work done. The answer
//! is shorter than the question, so nobody can use a server to flood another.

use alloc::boxed::Box;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cid::ConnectionId;
use crate::connection::Connection;
use crate::context::Context;
use crate::crypto::{Provider, hmac_sha256, sha256};
use crate::failure::Message;
use crate::handshake::inbox::{Arrived, Fragment, put_message_header};
use crate::handshake::message::{ClientHello, HelloHead};
use crate::handshake::server::{Accepted, Server, ServerEnvironment};
use crate::record::{ContentType, Datagram, OLD_VERSION, OuterType, Record, put_header};
use crate::resumption::{Remembered, SessionId};
use crate::wire::{Malformed, Put, Reader, SliceWriter};

/// Bytes of a cookie: nobody guesses 128 bits, and the answer stays short.
const COOKIE_LENGTH: usize = 16;
/// Bytes of a HelloVerifyRequest with its record.
#[cfg(feature = "server")]
pub(crate) const ANSWER_LENGTH: usize = 13 + 12 + 3 + COOKIE_LENGTH;

/// Gives out cookies and knows them again.
#[derive(Debug)]
pub struct Acceptor {
    current: Secret,
    previous: Secret,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret([u8; 32]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// What a datagram from a stranger led to.
#[derive(Debug)]
pub enum Accept<P: Provider> {
    /// Nothing; it was no ClientHello.
    Ignored,
    /// Send this much of the buffer back.
    Answer(usize),
    /// The stranger can be reached, and its handshake begins.
    Connection(Box<Connection<Server, P>>),
}

/// A ClientHello, judged.
pub(crate) enum Hello {
    /// None, or one that can't be judged.
    Ignored,
    Answer(usize),
    Good(GoodHello),
    /// The first fragment of one whose cookie is good.
    Begun {
        #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only an endpoint puts it together"))]
        random: [u8; 32],
    },
}

/// A ClientHello with a good cookie.
pub(crate) struct GoodHello {
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only an endpoint asks"))]
    pub(crate) random: [u8; 32],
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only an endpoint asks"))]
    pub(crate) session_id: SessionId,
    arrived: Arrived,
    message_sequence: u16,
    record_sequence: u64,
}

impl Acceptor {
    /// With fresh secrets.
    pub fn new(rng: &mut dyn CryptoRng) -> Self {
        Self { current: Secret::random(rng), previous: Secret::random(rng) }
    }

    /// Makes a new secret; cookies of the last one stay good until the next change. Call it every minute or two.
    pub fn rotate(&mut self, rng: &mut dyn CryptoRng) {
        self.previous = core::mem::replace(&mut self.current, Secret::random(rng));
    }

    /// Judges a datagram from an address that no connection is known for.
    ///
    /// `address` is that address as bytes, whatever they are. `local_cid` is what the client's records shall carry, if it
    /// can; `out` needs 64 bytes.
    pub fn accept<P: Provider>(
        &self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        address: &[u8],
        datagram: &mut Datagram<'_>,
        local_cid: ConnectionId,
        out: &mut [u8],
    ) -> Accept<P> {
        let Some(record) = datagram.next_record(0) else { return Accept::Ignored };
        let Some(fragment) = client_hello(&record) else { return Accept::Ignored };
        let address = sha256::<P>(&[address]);
        match self.judge::<P>(&address, &fragment, record.sequence, out) {
            // Nothing here keeps the fragments that came before.
            Hello::Ignored | Hello::Begun { .. } => Accept::Ignored,
            Hello::Answer(length) => Accept::Answer(length),
            Hello::Good(hello) => {
                let connection = hello.into_connection(environment, context, local_cid, None);
                Accept::Connection(Box::new(connection))
            }
        }
    }

    /// Judges a ClientHello, whole or its first fragment. The cookie stands so far in front that the first fragment has it, and it covers what
    /// stands before it: so a hello in fragments is judged, and asked to come again, without keeping anything.
    pub(crate) fn judge<P: Provider>(
        &self,
        address: &[u8; 32],
        fragment: &Fragment<'_>,
        record_sequence: u64,
        out: &mut [u8],
    ) -> Hello {
        if fragment.offset > 0 {
            return Hello::Ignored;
        }
        let Ok(head) = HelloHead::parse(fragment.body) else { return Hello::Ignored };
        let whole = fragment.is_whole().then(|| ClientHello::parse(fragment.body));
        if let Some(Err(Malformed)) = whole {
            return Hello::Ignored;
        }
        let length = usize::try_from(fragment.total).unwrap_or(usize::MAX).saturating_sub(head.cookie.len());
        let cookie = |secret: &Secret| secret.cookie::<P>(address, head.before_cookie, length);
        let expected = cookie(&self.current);
        // A hello without a cookie, which a flood is made of, costs one hash.
        let is_good = head.cookie.len() == COOKIE_LENGTH
            && (bool::from(head.cookie.ct_eq(&expected))
                || bool::from(head.cookie.ct_eq(&cookie(&self.previous))));
        match whole {
            Some(Ok(hello)) if is_good => Hello::Good(GoodHello {
                random: hello.random,
                session_id: SessionId::new(hello.session_id).unwrap_or_default(),
                arrived: Arrived::whole(fragment),
                message_sequence: fragment.sequence,
                record_sequence,
            }),
            None if is_good => Hello::Begun { random: head.random },
            _ => answer(record_sequence, &expected, out).map_or(Hello::Ignored, Hello::Answer),
        }
    }
}

impl GoodHello {
    /// One that came in fragments, the first of which had a good cookie; `None` if the whole makes no sense.
    #[cfg(feature = "server")]
    pub(crate) fn put_together(
        arrived: Arrived,
        message_sequence: u16,
        record_sequence: u64,
    ) -> Option<Self> {
        let hello = ClientHello::parse(arrived.body()).ok()?;
        let (random, session_id) = (hello.random, SessionId::new(hello.session_id).unwrap_or_default());
        Some(Self { random, session_id, arrived, message_sequence, record_sequence })
    }

    pub(crate) fn into_connection<P: Provider>(
        self,
        environment: ServerEnvironment<'_>,
        context: &mut Context<'_>,
        local_cid: ConnectionId,
        remembered: Option<Remembered>,
    ) -> Connection<Server, P> {
        let Self { arrived, message_sequence, record_sequence, .. } = self;
        let accepted =
            Accepted { arrived: &arrived, message_sequence, record_sequence, local_cid, remembered };
        Connection::server(environment, context, accepted)
    }
}

impl Secret {
    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self([0; 32]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// Of an address, and of what of a hello must be the same when it comes again: what stands before the cookie, and how long it is without
    /// it (RFC 6347 section 4.2.1). The rest is protected by Finished.
    fn cookie<P: Provider>(&self, address: &[u8; 32], head: &[u8], length: usize) -> [u8; COOKIE_LENGTH] {
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let hash = hmac_sha256::<P>(&self.0, &[address, head, &length]);
        hash.first_chunk().copied().unwrap_or_default()
    }
}

/// The ClientHello in a record, or the fragment of one, if there is nothing else.
pub(crate) fn client_hello<'a>(record: &'a Record<'_>) -> Option<Fragment<'a>> {
    if (record.outer_type, record.epoch) != (OuterType::Plain(ContentType::Handshake), 0) {
        return None;
    }
    let parse = || -> Result<Fragment<'a>, Malformed> {
        let mut reader = Reader::new(record.body);
        let fragment = Fragment::parse(&mut reader)?;
        reader.end()?;
        Ok(fragment)
    };
    parse().ok().filter(|fragment| fragment.message == Message::ClientHello)
}

/// The HelloVerifyRequest. It takes its number from the ClientHello, so that no counter is needed.
fn answer(sequence: u64, cookie: &[u8; COOKIE_LENGTH], out: &mut [u8]) -> Option<usize> {
    let mut writer = SliceWriter::new(out);
    let body_length = COOKIE_LENGTH.saturating_add(3);
    let record_length = body_length.saturating_add(12);
    put_header(&mut writer, OuterType::Plain(ContentType::Handshake), 0, sequence, &[], record_length);
    put_message_header(
        &mut writer,
        Message::HelloVerifyRequest,
        0,
        u32::try_from(body_length).ok()?,
        0,
        body_length,
    );
    // RFC 6347 section 4.2.1: DTLS 1.0, whatever will be agreed on.
    writer.put_u16(OLD_VERSION);
    writer.put_vector8(cookie);
    writer.finish()
}
