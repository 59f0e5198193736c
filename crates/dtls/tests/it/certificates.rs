//! X.509 (RFC 5280): an authority for tests, and what clients and servers make of its certificates.

use buoy_dtls::alert::Alert;
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Resume, ServerConfig, ServerTrust};
use buoy_dtls::crypto::{Provider, PublicKey, RustCrypto, Sha256};
use buoy_dtls::resumption::TicketKeys;
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::x509::{
    Anchor, CertificateError, CertificateFacts, CertificateUsage, Pinned, ServerCertificateTrust,
    WithoutClock, check_client,
};
use buoy_dtls::{Failure, Peer, ServerEnvironment};

use crate::world::{ServerSide, TODAY, World};

/// A certificate to be made.
#[derive(Clone)]
pub struct Plan {
    pub subject: &'static str,
    pub from: &'static str,
    pub until: &'static str,
    pub dns: &'static [&'static str],
    pub purposes: &'static [u8],
    pub authority: Option<Option<u8>>,
    /// Bits of the first byte.
    pub usage: Option<u8>,
    pub critical_extra: bool,
}

pub const CLIENT: u8 = 2;
pub const SERVER: u8 = 1;

impl Plan {
    pub fn device(subject: &'static str) -> Self {
        Self {
            subject,
            from: "20200101000000Z",
            until: "20400101000000Z",
            dns: &[],
            purposes: &[CLIENT],
            authority: None,
            usage: Some(0x80),
            critical_extra: false,
        }
    }

    pub fn server(dns: &'static [&'static str]) -> Self {
        Self { dns, purposes: &[SERVER], ..Self::device("a server") }
    }

    pub fn authority(subject: &'static str) -> Self {
        Self { purposes: &[], authority: Some(None), usage: Some(0x06), ..Self::device(subject) }
    }
}

/// A key with its certificate.
#[derive(Clone)]
pub struct Identity {
    pub private: [u8; 32],
    pub public: PublicKey,
    pub subject: &'static str,
    pub der: Vec<u8>,
}

impl Identity {
    pub fn key(number: u8) -> ([u8; 32], PublicKey) {
        let private = [number; 32];
        (private, RustCrypto::public_key(&private).unwrap())
    }

    pub fn root(number: u8, plan: &Plan) -> Self {
        let (private, public) = Self::key(number);
        Self { private, public, subject: plan.subject, der: issue(plan, &public, plan.subject, &private) }
    }

    pub fn issue(&self, number: u8, plan: &Plan) -> Self {
        let (private, public) = Self::key(number);
        Self {
            private,
            public,
            subject: plan.subject,
            der: issue(plan, &public, self.subject, &self.private),
        }
    }

    pub fn own_key(&self, above: &[&Identity]) -> OwnKey {
        let mut chain = vec![self.der.as_slice()];
        chain.extend(above.iter().map(|identity| identity.der.as_slice()));
        OwnKey::certificate::<RustCrypto>(&self.private, &chain).unwrap()
    }

    pub fn anchor(&self) -> Anchor {
        Anchor::new(&self.der).unwrap()
    }
}

fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length @ 0x80..=0xff => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

fn name(common_name: &str) -> Vec<u8> {
    value(0x30, &[&value(0x31, &[&attribute(3, 0x0c, common_name.as_bytes())])])
}

/// An attribute of a name: 3 is the common name, 10 the organization.
fn attribute(id: u8, tag: u8, text: &[u8]) -> Vec<u8> {
    value(0x30, &[&value(6, &[&[0x55, 4, id]]), &value(tag, &[text])])
}

/// A certificate as it was before, with its subject's name in another form.
fn with_subject(authority: &Identity, number: u8, subject: &[u8]) -> Vec<u8> {
    let plain = authority.issue(number, &Plan::device("buoy-7"));
    let old = name("buoy-7");
    let signed = children(&plain.der)[0];
    let fields: Vec<&[u8]> =
        children(signed).into_iter().map(|it| if it == old { subject } else { it }).collect();
    sign(&value(0x30, &fields), &authority.private)
}

/// The values in a value.
fn children(der: &[u8]) -> Vec<&[u8]> {
    let mut rest = &der[head(der).0..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (head, length) = head(rest);
        let (value, after) = rest.split_at(head + length);
        all.push(value);
        rest = after;
    }
    all
}

/// The length of tag and length, and of the content.
fn head(der: &[u8]) -> (usize, usize) {
    match der[1] {
        0x81 => (3, der[2].into()),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        short => (2, short.into()),
    }
}

/// The certificate with its signature (r, s) turned into (r, n - s), which needs no key.
fn twin(certificate: &[u8]) -> Vec<u8> {
    let parts = children(certificate);
    let signature = p256::ecdsa::Signature::from_der(&parts[2][head(parts[2]).0 + 1..]).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    value(0x30, &[parts[0], parts[1], &value(3, &[&[0], other.to_der().as_bytes()])])
}

fn extension(id: u8, critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if critical { value(1, &[&[0xff]]) } else { Vec::new() };
    value(0x30, &[&value(6, &[&[0x55, 0x1d, id]]), &critical, &value(4, &[content])])
}

fn issue(plan: &Plan, key: &PublicKey, issuer: &str, by: &[u8; 32]) -> Vec<u8> {
    let algorithm = value(0x30, &[&value(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])]);
    let mut extensions = Vec::new();
    if let Some(length) = plan.authority {
        let length = length.map(|length| value(2, &[&[length]])).unwrap_or_default();
        extensions.extend(extension(0x13, true, &value(0x30, &[&value(1, &[&[0xff]]), &length])));
    }
    if let Some(usage) = plan.usage {
        extensions.extend(extension(0x0f, true, &value(3, &[&[0, usage]])));
    }
    if !plan.purposes.is_empty() {
        let purposes = plan.purposes.iter();
        let list: Vec<u8> =
            purposes.flat_map(|purpose| value(6, &[&[0x2b, 6, 1, 5, 5, 7, 3, *purpose]])).collect();
        extensions.extend(extension(0x25, false, &value(0x30, &[&list])));
    }
    if !plan.dns.is_empty() {
        let names: Vec<u8> = plan.dns.iter().flat_map(|name| value(0x82, &[name.as_bytes()])).collect();
        extensions.extend(extension(0x11, false, &value(0x30, &[&names])));
    }
    if plan.critical_extra {
        extensions.extend(extension(0x1e, true, &value(0x30, &[])));
    }
    let signed = value(
        0x30,
        &[
            &value(0xa0, &[&value(2, &[&[2]])]),
            &value(2, &[&[1, 2, 3]]),
            &algorithm,
            &name(issuer),
            &value(0x30, &[&value(0x18, &[plan.from.as_bytes()]), &value(0x18, &[plan.until.as_bytes()])]),
            &name(plan.subject),
            &key.to_spki(),
            &value(0xa3, &[&value(0x30, &[&extensions])]),
        ],
    );
    sign(&signed, by)
}

fn sign(signed: &[u8], by: &[u8; 32]) -> Vec<u8> {
    let algorithm = value(0x30, &[&value(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])]);
    let mut hash = <RustCrypto as Provider>::Sha256::default();
    hash.update(signed);
    let signature = RustCrypto::sign(by, &hash.finish()).unwrap();
    value(0x30, &[signed, &algorithm, &value(3, &[&[0], signature.as_der()])])
}

/// A fleet with its own authority, and a server with another one.
struct Fleet {
    device_root: Identity,
    server_root: Identity,
    server: Identity,
}

impl Fleet {
    fn new() -> Self {
        let server_root = Identity::root(11, &Plan::authority("server root"));
        let server = server_root.issue(12, &Plan::server(&["buoy.example"]));
        Self { device_root: Identity::root(10, &Plan::authority("device root")), server_root, server }
    }

    fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.own_key = Some(self.server.own_key(&[]));
        config.client_anchors = [self.device_root.anchor()].into();
        config
    }

    fn trust(&self) -> ServerCertificateTrust {
        let pinned = Pinned::Certificate(self.server_root.der.as_slice().into());
        let mut trust = ServerCertificateTrust::new(CertificateUsage::TrustAnchorAssertion, pinned);
        trust.name = Some("buoy.example".into());
        trust
    }

    fn device(&self, number: u8) -> Identity {
        self.device_root.issue(number, &Plan::device("buoy-7"))
    }

    fn world(&self) -> World {
        let mut world = World::new(1);
        world.server.config = self.server_config();
        world.server.echoes = true;
        world
    }
}

fn config(own: OwnKey, trust: ServerCertificateTrust) -> ClientConfig {
    let server = ServerTrust::Certificate(Box::new(trust));
    ClientConfig::new(ClientCredentials::Certificate { own, server })
}

/// What becomes of a device that shows this chain.
fn device_shows(fleet: &Fleet, device: &Identity, above: &[&Identity]) -> Option<Failure> {
    let mut world = fleet.world();
    let client = world.client(config(device.own_key(above), fleet.trust()));
    world.run();
    assert_eq!(world.clients[client].connected.is_some(), world.server_failure().is_none());
    nameless(world.server_failure())
}

/// What becomes of a device that believes in this.
fn device_trusts(fleet: &Fleet, trust: ServerCertificateTrust) -> Option<Failure> {
    let mut world = fleet.world();
    let client = world.client(config(fleet.device(20).own_key(&[]), trust));
    world.run();
    assert_eq!(world.clients[client].connected.is_some(), world.client_failure(client).is_none());
    nameless(world.client_failure(client))
}

/// What the tests compare: whose certificate it was is known.
fn nameless(failure: Option<&Failure>) -> Option<Failure> {
    Some(match failure?.clone() {
        Failure::CertificateRefused { error, .. } => Failure::CertificateRefused { name: None, error },
        other => other,
    })
}

fn refused(error: CertificateError) -> Option<Failure> {
    Some(Failure::CertificateRefused { name: None, error })
}

#[test]
fn certificates_on_both_sides_connect() {
    let fleet = Fleet::new();
    for suite in [CipherSuite::EcdheEcdsaAes128Ccm8, CipherSuite::EcdheEcdsaAes128Gcm] {
        let mut world = fleet.world();
        let mut config = config(fleet.device(20).own_key(&[]), fleet.trust());
        config.suites = [suite].into();
        config.server_name = Some("buoy.example".into());
        let (client, handle) = world.connected(config);
        world.say(client, b"hello");
        world.run();
        assert_eq!(world.clients[client].received, [b"hello"]);
        let Some(Peer::Certificate(facts)) = world.server.endpoint.connection(handle).unwrap().peer() else {
            panic!("no certificate");
        };
        assert_eq!(facts.common_name(), Some("buoy-7"));
        assert_eq!(facts.public_key(), &fleet.device(20).public);
        let Peer::Certificate(facts) = &world.clients[client].connected.as_ref().unwrap().peer else {
            panic!("no certificate");
        };
        assert_eq!(facts.dns_names().collect::<Vec<_>>(), ["buoy.example"]);
    }
}

#[test]
fn a_path_through_intermediate_authorities_is_found_in_any_order() {
    let fleet = Fleet::new();
    let one = fleet.device_root.issue(30, &Plan::authority("one"));
    let two = one.issue(31, &Plan::authority("two"));
    let device = two.issue(32, &Plan::device("buoy-8"));
    assert_eq!(device_shows(&fleet, &device, &[&two, &one]), None);
    assert_eq!(device_shows(&fleet, &device, &[&one, &two]), None);
    assert_eq!(device_shows(&fleet, &device, &[&two]), refused(CertificateError::UnknownAuthority));
}

#[test]
fn a_path_that_goes_too_deep_is_refused() {
    let fleet = Fleet::new();
    let narrow = Plan { authority: Some(Some(0)), ..Plan::authority("narrow") };
    let one = fleet.device_root.issue(30, &narrow);
    let two = one.issue(31, &Plan::authority("two"));
    let device = two.issue(32, &Plan::device("buoy-8"));
    assert_eq!(device_shows(&fleet, &device, &[&two, &one]), refused(CertificateError::NotAnAuthority));
    let direct = one.issue(33, &Plan::device("buoy-9"));
    assert_eq!(device_shows(&fleet, &direct, &[&one]), None);
}

#[test]
fn a_device_cannot_sign_for_another() {
    let fleet = Fleet::new();
    let device = fleet.device(20);
    let forged = device.issue(21, &Plan::device("buoy-1"));
    assert_eq!(device_shows(&fleet, &forged, &[&device]), refused(CertificateError::NotAnAuthority));
    let without_right = Plan { usage: Some(0x80), ..Plan::authority("no right to sign") };
    let authority = fleet.device_root.issue(22, &without_right);
    let forged = authority.issue(23, &Plan::device("buoy-1"));
    assert_eq!(device_shows(&fleet, &forged, &[&authority]), refused(CertificateError::NotAnAuthority));
}

#[test]
fn an_authority_of_the_same_name_is_not_the_same_authority() {
    let fleet = Fleet::new();
    let impostor = Identity::root(99, &Plan::authority("device root"));
    let forged = impostor.issue(21, &Plan::device("buoy-1"));
    assert_eq!(device_shows(&fleet, &forged, &[]), refused(CertificateError::BadSignature));
}

#[test]
fn an_expired_certificate_and_one_of_the_future_are_refused_and_the_peer_is_told() {
    let fleet = Fleet::new();
    let old = Plan { until: "20210101000000Z", ..Plan::device("buoy-7") };
    let device = fleet.device_root.issue(20, &old);
    assert_eq!(device_shows(&fleet, &device, &[]), refused(CertificateError::Expired(1_609_459_200)));
    let new = Plan { from: "20390101000000Z", ..Plan::device("buoy-7") };
    let device = fleet.device_root.issue(20, &new);
    assert_eq!(device_shows(&fleet, &device, &[]), refused(CertificateError::NotYetValid(2_177_452_800)));

    let mut world = fleet.world();
    let client = world.client(config(device.own_key(&[]), fleet.trust()));
    world.run();
    let told = Failure::PeerAlerted(Alert::CERTIFICATE_EXPIRED);
    assert_eq!(world.client_failure(client), Some(&told));
    let for_the_operator = world.server_failure().map(ToString::to_string);
    let expected = "certificate of buoy-7 refused: it is not valid before 2039-01-01T00:00:00Z";
    assert_eq!(for_the_operator.as_deref(), Some(expected));
}

#[test]
fn an_expired_intermediate_authority_is_refused() {
    let fleet = Fleet::new();
    let old = Plan { until: "20210101000000Z", ..Plan::authority("one") };
    let one = fleet.device_root.issue(30, &old);
    let device = one.issue(31, &Plan::device("buoy-7"));
    assert_eq!(device_shows(&fleet, &device, &[&one]), refused(CertificateError::Expired(1_609_459_200)));
}

#[test]
fn when_the_clock_jumps_what_was_valid_is_valid_again_after_it_jumps_back() {
    let fleet = Fleet::new();
    let mut outcomes = Vec::new();
    for now in [Some(TODAY), Some(0), Some(TODAY * 2), None, Some(TODAY)] {
        let mut world = fleet.world();
        world.unix_time = now;
        world.client(config(fleet.device(20).own_key(&[]), fleet.trust()));
        world.run();
        outcomes.push(world.clients[0].connected.is_some());
    }
    assert_eq!(outcomes, [true, false, false, false, true]);
}

#[test]
fn a_device_without_a_clock_may_be_told_to_go_on() {
    let fleet = Fleet::new();
    for (without_clock, expected) in
        [(WithoutClock::Refuse, refused(CertificateError::TimeUnknown)), (WithoutClock::Accept, None)]
    {
        let mut trust = fleet.trust();
        trust.without_clock = without_clock;
        let mut world = fleet.world();
        // The server has a device's public key instead, so that only the client lacks a clock.
        world.unix_time = None;
        let own = OwnKey::raw_public_key::<RustCrypto>(&[20; 32]).unwrap();
        let client = world.client(config(own, trust));
        world.run();
        assert_eq!(nameless(world.client_failure(client)), expected);
    }
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    let fleet = Fleet::new();
    let device = fleet.device_root.issue(20, &Plan { purposes: &[SERVER], ..Plan::device("buoy-7") });
    assert_eq!(device_shows(&fleet, &device, &[]), refused(CertificateError::WrongPurpose));
    let device = fleet.device_root.issue(20, &Plan { usage: Some(0x08), ..Plan::device("buoy-7") });
    assert_eq!(device_shows(&fleet, &device, &[]), refused(CertificateError::WrongPurpose));
    let device = fleet.device_root.issue(20, &Plan { purposes: &[], usage: None, ..Plan::device("buoy-7") });
    assert_eq!(device_shows(&fleet, &device, &[]), None);
}

#[test]
fn a_critical_extension_that_nobody_understands_makes_a_certificate_useless() {
    let fleet = Fleet::new();
    let device = fleet.device_root.issue(20, &Plan { critical_extra: true, ..Plan::device("buoy-7") });
    let error = OwnKey::certificate::<RustCrypto>(&device.private, &[&device.der]).unwrap_err();
    assert_eq!(error, CertificateError::UnknownCriticalExtension);
    assert_eq!(Anchor::new(&device.der), Err(CertificateError::UnknownCriticalExtension));
}

#[test]
fn a_server_for_another_name_is_refused() {
    let fleet = Fleet::new();
    let mut trust = fleet.trust();
    trust.name = Some("other.example".into());
    assert_eq!(device_trusts(&fleet, trust), refused(CertificateError::WrongName));
}

#[test]
fn certificate_usage_0_needs_the_trust_store_and_the_authority() {
    let fleet = Fleet::new();
    let pinned = Pinned::Certificate(fleet.server_root.der.as_slice().into());
    let mut trust = ServerCertificateTrust::new(CertificateUsage::CaConstraint, pinned);
    assert_eq!(device_trusts(&fleet, trust.clone()), refused(CertificateError::UnknownAuthority));
    trust.anchors = [fleet.server_root.anchor()].into();
    assert_eq!(device_trusts(&fleet, trust.clone()), None);
    trust.pinned = Pinned::Certificate(fleet.device_root.der.as_slice().into());
    assert_eq!(device_trusts(&fleet, trust), refused(CertificateError::NotPinned));
}

#[test]
fn certificate_usage_1_needs_the_trust_store_and_the_certificate() {
    let fleet = Fleet::new();
    let pinned = Pinned::Certificate(fleet.server.der.as_slice().into());
    let mut trust = ServerCertificateTrust::new(CertificateUsage::ServiceConstraint, pinned);
    assert_eq!(device_trusts(&fleet, trust.clone()), refused(CertificateError::UnknownAuthority));
    trust.anchors = [fleet.server_root.anchor()].into();
    assert_eq!(device_trusts(&fleet, trust.clone()), None);
    trust.pinned = Pinned::Sha256([0; 32]);
    assert_eq!(device_trusts(&fleet, trust), refused(CertificateError::NotPinned));
}

#[test]
fn certificate_usage_2_needs_the_authority_alone() {
    let fleet = Fleet::new();
    assert_eq!(device_trusts(&fleet, fleet.trust()), None);
    let mut trust = fleet.trust();
    trust.pinned = Pinned::Certificate(fleet.device_root.der.as_slice().into());
    assert_eq!(device_trusts(&fleet, trust), refused(CertificateError::UnknownAuthority));
}

#[test]
fn certificate_usage_3_needs_the_certificate_alone() {
    let fleet = Fleet::new();
    let pinned = Pinned::Certificate(fleet.server.der.as_slice().into());
    let mut trust = ServerCertificateTrust::new(CertificateUsage::DomainIssued, pinned);
    trust.name = Some("any.example".into());
    assert_eq!(device_trusts(&fleet, trust.clone()), None);
    trust.pinned = Pinned::Certificate(fleet.server_root.der.as_slice().into());
    assert_eq!(device_trusts(&fleet, trust), refused(CertificateError::NotPinned));
}

#[test]
fn a_key_in_two_certificates_is_two_identities() {
    let fleet = Fleet::new();
    let mut peers = Vec::new();
    for name in ["buoy-7", "buoy-8"] {
        let mut world = fleet.world();
        let device = fleet.device_root.issue(20, &Plan::device(name));
        let (_, handle) = world.connected(config(device.own_key(&[]), fleet.trust()));
        peers.push(world.server.endpoint.connection(handle).unwrap().peer().unwrap().clone());
    }
    let facts = |peer: &Peer| match peer {
        Peer::Certificate(facts) => (*facts.public_key(), facts.common_name().unwrap().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_ne!(peers[0], peers[1]);
    // The layer above can see it, and refuse the second.
    assert_eq!(facts(&peers[0]).0, facts(&peers[1]).0);
    assert_ne!(facts(&peers[0]).1, facts(&peers[1]).1);
}

#[test]
fn a_device_with_its_own_certificate_among_the_anchors_is_believed() {
    let fleet = Fleet::new();
    let device = Identity::root(40, &Plan::device("buoy-40"));
    let mut world = fleet.world();
    world.server.config.client_anchors = [device.anchor()].into();
    let client = world.client(config(device.own_key(&[]), fleet.trust()));
    world.run();
    assert!(world.clients[client].connected.is_some());
}

#[test]
fn a_key_that_is_not_the_certificates_is_noticed_before_anything_is_sent() {
    let fleet = Fleet::new();
    let device = fleet.device(20);
    let error = OwnKey::certificate::<RustCrypto>(&[21; 32], &[&device.der]).unwrap_err();
    assert_eq!(error, CertificateError::WrongKey);
}

#[test]
fn a_flight_with_long_chains_is_cut_and_put_together_on_a_narrow_path() {
    let fleet = Fleet::new();
    let one = fleet.device_root.issue(30, &Plan::authority("one"));
    let two = one.issue(31, &Plan::authority("two"));
    let device = two.issue(32, &Plan::device("buoy-8"));
    let mut world = fleet.world();
    world.weather.mtu = Some(300);
    let mut config = config(device.own_key(&[&two, &one]), fleet.trust());
    config.timing.datagram = 280;
    world.server.config.timing.datagram = 280;
    let (client, _) = world.connected(config);
    assert!(world.clients[client].connected.is_some());
    assert!(world.log.iter().all(|sent| sent.bytes.len() <= 280));
}

#[test]
fn a_path_narrower_than_anybody_knew_is_found_by_backing_off() {
    let fleet = Fleet::new();
    let mut world = fleet.world();
    world.weather.mtu = Some(400);
    let client = world.client(config(fleet.device(20).own_key(&[]), fleet.trust()));
    world.run();
    assert!(world.clients[client].connected.is_some());
    assert!(world.log.iter().any(|sent| sent.bytes.len() > 400));
}

#[test]
fn certificates_survive_every_weather() {
    let fleet = Fleet::new();
    let mut connected = 0;
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.server.config = fleet.server_config();
        world.weather = crate::world::Weather { lost: 15, doubled: 20, late: 30, mtu: None };
        let mut config = config(fleet.device(20).own_key(&[]), fleet.trust());
        config.timing.datagram = 400;
        let client = world.client(config);
        world.run();
        connected += usize::from(world.clients[client].connected.is_some());
    }
    assert!(connected >= 36, "{connected} of 40");
}

fn check(fleet: &Fleet, der: &[u8]) -> Result<CertificateFacts, CertificateError> {
    check_client::<RustCrypto>(&[der], &[fleet.device_root.anchor()], Some(TODAY))
}

#[test]
fn a_certificate_whose_signature_was_turned_into_its_twin_has_the_fingerprints_of_the_first() {
    let fleet = Fleet::new();
    for number in 20..40 {
        let device = fleet.device(number);
        let other = twin(&device.der);
        assert_ne!(other, device.der);
        let (first, second) = (check(&fleet, &device.der).unwrap(), check(&fleet, &other).unwrap());
        assert_ne!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.signed_fingerprint(), second.signed_fingerprint());
        for (one, other) in [(&first, &second), (&second, &first)] {
            assert!(one.has_fingerprint(other.fingerprint()) && one.has_fingerprint(one.fingerprint()));
            assert!(one.has_fingerprint(other.signed_fingerprint()));
        }
        let stranger = check(&fleet, &fleet.device(number + 100).der).unwrap();
        assert!(!first.has_fingerprint(stranger.fingerprint()));
    }
}

#[test]
fn a_certificate_with_a_third_form_of_its_signature_or_its_lengths_is_refused() {
    let fleet = Fleet::new();
    let device = fleet.device(20);
    let parts = children(&device.der);
    let signature = &parts[2][head(parts[2]).0 + 1..];
    let numbers: Vec<&[u8]> = children(signature);
    let padded = |number: &[u8]| value(2, &[&[0], &number[2..]]);
    let with = |bits: &[u8]| value(0x30, &[parts[0], parts[1], &value(3, &[bits])]);
    let with_numbers = |r: &[u8], s: &[u8]| with(&[&[0][..], &value(0x30, &[r, s])].concat());
    assert!(check(&fleet, &with_numbers(numbers[0], numbers[1])).is_ok());
    for odd in [
        with_numbers(&padded(numbers[0]), numbers[1]),
        with_numbers(numbers[0], &padded(numbers[1])),
        with(&[&[0][..], signature, &[0]].concat()),
        with(&[&[1][..], signature].concat()),
        [&device.der[..], &[0]].concat(),
    ] {
        assert!(check(&fleet, &odd).is_err());
    }
}

#[test]
fn an_anchor_vouches_within_the_limits_of_its_own_certificate() {
    let with = |plan: &Plan| {
        let root = Identity::root(60, plan);
        let device = root.issue(61, &Plan::device("buoy-7"));
        check_client::<RustCrypto>(&[&device.der], &[root.anchor()], Some(TODAY)).map(|_| ())
    };
    let root = Plan::authority("root");
    assert_eq!(with(&root), Ok(()));
    assert_eq!(with(&Plan::device("a device")), Err(CertificateError::NotAnAuthority));
    assert_eq!(with(&Plan { usage: Some(0x80), ..root.clone() }), Err(CertificateError::NotAnAuthority));
    assert_eq!(with(&Plan { purposes: &[SERVER], ..root.clone() }), Err(CertificateError::NotAnAuthority));
    let expired = Plan { until: "20210101000000Z", ..root };
    assert_eq!(with(&expired), Err(CertificateError::AnchorExpired(1_609_459_200)));

    // One level below an anchor that allows none.
    let root = Identity::root(60, &Plan { authority: Some(Some(0)), ..Plan::authority("root") });
    let middle = root.issue(62, &Plan::authority("middle"));
    let device = middle.issue(63, &Plan::device("buoy-7"));
    let chain: [&[u8]; 2] = [&device.der, &middle.der];
    let checked = check_client::<RustCrypto>(&chain, &[root.anchor()], Some(TODAY));
    assert_eq!(checked, Err(CertificateError::NotAnAuthority));
}

#[test]
fn an_anchor_that_is_no_authority_proves_itself_alone() {
    let leaf = Identity::root(60, &Plan::device("buoy-60"));
    let anchors = [leaf.anchor()];
    let facts = check_client::<RustCrypto>(&[&leaf.der], &anchors, Some(TODAY)).unwrap();
    assert!(facts.is_by_one_of(&anchors) && !facts.is_by_one_of(&[]));
    assert!(!anchors[0].is_authority());
    // In the other form it is signed by a key that may not sign.
    let other = check_client::<RustCrypto>(&[&twin(&leaf.der)], &anchors, Some(TODAY));
    assert_eq!(other, Err(CertificateError::NotAnAuthority));
}

#[test]
fn what_is_known_of_a_peer_names_the_anchor_that_vouched() {
    let fleet = Fleet::new();
    let facts = check(&fleet, &fleet.device(20).der).unwrap();
    assert!(facts.is_by_one_of(&[fleet.server_root.anchor(), fleet.device_root.anchor()]));
    assert!(!facts.is_by_one_of(&[fleet.server_root.anchor()]));
}

#[test]
fn a_common_name_is_found_in_every_part_and_every_kind_of_string() {
    let fleet = Fleet::new();
    let utf16: Vec<u8> = "b\u{f6}je-1".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = "b\u{f6}je-2".chars().flat_map(|one| u32::from(one).to_be_bytes()).collect();
    let of_one = |attribute: &[u8]| value(0x30, &[&value(0x31, &[attribute])]);
    let organization = attribute(10, 0x0c, b"Buoys");
    for (subject, expected) in [
        (of_one(&attribute(3, 0x1e, &utf16)), Some("b\u{f6}je-1")),
        (of_one(&attribute(3, 0x1c, &utf32)), Some("b\u{f6}je-2")),
        (of_one(&attribute(3, 0x14, b"buoy-3")), Some("buoy-3")),
        // What different people read differently names nobody.
        (of_one(&attribute(3, 0x14, b"b\xf6je-3")), None),
        (of_one(&attribute(3, 0x1e, b"\0b\0u\0")), None),
        (of_one(&[organization.clone(), attribute(3, 0x13, b"buoy-4")].concat()), Some("buoy-4")),
        (of_one(&[attribute(3, 0x13, b"buoy-5"), organization.clone()].concat()), Some("buoy-5")),
        (of_one(&organization), None),
    ] {
        let facts = check(&fleet, &with_subject(&fleet.device_root, 20, &subject)).unwrap();
        assert_eq!(facts.common_name(), expected);
    }
}

#[test]
fn a_session_and_a_ticket_are_good_as_long_as_the_anchor_that_vouched_is_one() {
    let fleet = Fleet::new();
    let mut world = fleet.world();
    world.server.tickets = Some(TicketKeys::new(&mut world.rng, 86_400));
    let mut config = config(fleet.device(20).own_key(&[]), fleet.trust());
    config.resume = Resume::Keep;
    let (client, handle) = world.connected(config.clone());
    let resumption = world.clients[client].connected.as_mut().unwrap().resumption.take().unwrap();
    let holds = |world: &mut World| {
        let ServerSide { endpoint, config, authority, .. } = &mut world.server;
        endpoint.still_holds(handle, ServerEnvironment { config, authority, tickets: None })
    };
    let resumes = |world: &mut World| {
        let client = world.client_resuming(config.clone(), Some(resumption.clone()));
        world.run();
        world.clients[client].connected.as_ref().map(|connected| connected.resumed)
    };
    assert!(holds(&mut world));
    assert_eq!(resumes(&mut world), Some(true));
    // Another authority of the same name, whom nobody asked yet.
    let other = Identity::root(99, &Plan::authority("device root"));
    world.server.config.client_anchors = [other.anchor()].into();
    assert!(!holds(&mut world));
    assert_eq!(resumes(&mut world), None, "it has to prove itself again, and can't");
    world.server.config.client_anchors = [other.anchor(), fleet.device_root.anchor()].into();
    assert!(holds(&mut world));
    let peer = world.server.endpoint.connection(handle).unwrap().peer().unwrap().clone();
    world.server.authority.banned = vec![peer];
    assert!(!holds(&mut world));
}
