//! Who is admitted, and what may change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buoy_dtls::crypto::{PublicKey, RustCrypto};
use buoy_dtls::x509::{Anchor, check_client};
use buoy_lwm2m::model::Registry;
use buoy_net::clock::Clock;
use buoy_net::supervision::Supervisor;
use buoy_store::sqlite::Sqlite;
use x509_cert::Certificate;
use x509_cert::der::asn1::{Any, BitString};
use x509_cert::der::{Decode, Encode, Tag};

use super::*;
use crate::certificates::{self, Issuer, Subject, Use};
use crate::journal::{self, JournalHandle};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

fn someone() -> Principal {
    Principal::local(None)
}

/// A data folder.
struct Folder {
    folder: tempfile::TempDir,
    store: Sqlite,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&crate::data_folder::database(folder.path())).unwrap();
        Self { folder, store }
    }

    /// As at the start of a server.
    fn load(&self, unlisted: Unlisted) -> Credentials {
        let reader = self.store.reader().unwrap();
        let keys = Keys::open(self.folder.path(), &reader).unwrap();
        let journal = self.journal();
        Credentials::load(&reader, keys, journal, unlisted, Clock::start()).unwrap().0
    }

    fn journal(&self) -> JournalHandle {
        let parts = journal::Parts {
            writer: Box::new(self.store.writer().unwrap()),
            models: Arc::new(Registry::standard()),
            clock: Clock::start(),
            retention: Duration::from_secs(3600),
            notify: Box::new(|_| ()),
            describe: Box::new(|_, _, _| {}),
            remember: Box::new(|_, _| {}),
        };
        journal::start(parts, &Supervisor::new(|failure| panic!("{failure}"))).unwrap().0
    }

    fn rows(&self) -> Vec<CredentialRow> {
        let mut rows = Vec::new();
        self.store.reader().unwrap().each_credential(&mut |row| rows.push(row)).unwrap();
        rows
    }
}

fn psk(endpoint: &str, identity: &str) -> NewCredential {
    NewCredential::new(Purpose::Lwm2m, endpoint, Proof::psk(identity, KEY).unwrap()).unwrap()
}

fn x509(endpoint: &str, fingerprint: Option<&[u8; 32]>) -> NewCredential {
    let proof = Proof::X509 { fingerprint: fingerprint.copied() };
    NewCredential::new(Purpose::Lwm2m, endpoint, proof).unwrap()
}

fn public_key() -> PublicKey {
    let spki = certificates::public_half(&certificates::new_key().unwrap()).unwrap();
    PublicKey::from_spki(&spki.to_der().unwrap()).unwrap()
}

/// The peer that a device with a new certificate of this name is, and the certificate's SHA-256.
fn certified(name: &str) -> (Peer, [u8; 32]) {
    let [first, _] = certified_twice(name);
    first
}

/// The same in both forms that the certificate has: anybody can turn its signature (r, s) into (r, n - s).
fn certified_twice(name: &str) -> [(Peer, [u8; 32]); 2] {
    let key = certificates::new_key().unwrap();
    let subject = |name, usage| Subject { name, usage, alternatives: &[], days: 1 };
    let certificate = certificates::self_signed(&subject("fleet", Use::Authority), &key).unwrap();
    let issuer = Issuer { key, certificate };
    let device = certificates::public_half(&certificates::new_key().unwrap()).unwrap();
    let device = certificates::issue(&issuer, &subject(name, Use::Device), device).unwrap().to_der().unwrap();
    let anchor = Anchor::new(&issuer.certificate.to_der().unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let certificate = Certificate::from_der(&device).unwrap();
    let signature = p256::ecdsa::Signature::from_der(certificate.signature().raw_bytes()).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let twin = with_signature(&certificate, other.to_der().as_bytes());
    [device, twin].map(|der| {
        let facts = check_client::<RustCrypto>(&[&der], std::slice::from_ref(&anchor), Some(now)).unwrap();
        let fingerprint = *facts.fingerprint();
        (Peer::Certificate(Box::new(facts)), fingerprint)
    })
}

/// A certificate with another signature.
fn with_signature(certificate: &Certificate, signature: &[u8]) -> Vec<u8> {
    let parts = [
        certificate.tbs_certificate().to_der().unwrap(),
        certificate.signature_algorithm().to_der().unwrap(),
        BitString::from_bytes(signature).unwrap().to_der().unwrap(),
    ];
    Any::new(Tag::Sequence, parts.concat()).unwrap().to_der().unwrap()
}

fn with_identity(identity: &str) -> Peer {
    Peer::Psk(identity.as_bytes().into())
}

async fn add(credentials: &Credentials, new: NewCredential) -> CredentialRow {
    match credentials.add(&someone(), vec![new], None, 7).await.unwrap().pop() {
        Some(Added::New(row)) => row,
        other => panic!("{other:?}"),
    }
}

async fn refusal(credentials: &Credentials, new: NewCredential) -> Refusal {
    match credentials.add(&someone(), vec![new], None, 7).await {
        Err(ChangeError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_comes_in_by_its_credential_under_its_own_name_and_at_its_own_server() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Refused);
    let key = public_key();
    let (certificate, _) = certified("buoy-3");
    add(&credentials, psk("buoy-1", "one")).await;
    add(&credentials, NewCredential::new(Purpose::Lwm2m, "buoy-2", Proof::Rpk(key)).unwrap()).await;
    add(&credentials, x509("buoy-3", None)).await;
    add(&credentials, NewCredential { purpose: Purpose::Bootstrap, ..psk("buoy-4", "four") }).await;

    // Now, and after a restart.
    for credentials in [credentials.clone(), folder.load(Unlisted::Refused)] {
        let (gate, bootstrap) = (credentials.gate(Purpose::Lwm2m), credentials.gate(Purpose::Bootstrap));
        assert_eq!(gate.endpoint_of(&with_identity("one")).as_deref(), Some("buoy-1"));
        assert!(gate.psk(b"one").is_some() && gate.psk(b"two").is_none());
        assert_eq!(gate.endpoint_of(&Peer::RawPublicKey(Box::new(key))).as_deref(), Some("buoy-2"));
        assert!(!gate.admits(&Peer::RawPublicKey(Box::new(public_key()))));
        assert_eq!(gate.endpoint_of(&certificate).as_deref(), Some("buoy-3"));
        assert!(!gate.admits(&Peer::Anonymous));
        assert!(gate.has("buoy-1") && !gate.has("buoy-4"));
        assert!(bootstrap.psk(b"one").is_none() && bootstrap.psk(b"four").is_some());
    }
    let bytes = std::fs::read(crate::data_folder::database(folder.folder.path())).unwrap();
    let secret: Vec<u8> = (0..16).collect();
    assert!(!bytes.windows(16).any(|window| window == secret), "a key lies open in the database");
}

#[tokio::test]
async fn an_identity_or_a_key_belongs_to_one_device_and_a_device_has_one_of_a_kind() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Refused);
    let first = add(&credentials, psk("buoy-1", "one")).await;

    let again = credentials.add(&someone(), vec![psk("buoy-1", "one")], None, 8).await.unwrap();
    assert_eq!(again, [Added::Known(first.id)], "the very same is no error");
    assert!(
        matches!(refusal(&credentials, psk("buoy-2", "one")).await, Refusal::Taken { id, .. } if id == first.id)
    );
    let bootstrap = NewCredential { purpose: Purpose::Bootstrap, ..psk("buoy-2", "one") };
    assert!(matches!(refusal(&credentials, bootstrap).await, Refusal::Taken { .. }), "at no server");
    assert!(matches!(refusal(&credentials, psk("buoy-1", "other")).await, Refusal::Has { .. }));
    let own = NewCredential { purpose: Purpose::Bootstrap, ..psk("buoy-1", "one") };
    add(&credentials, own).await;

    let key = public_key();
    let with_key = |endpoint| NewCredential::new(Purpose::Lwm2m, endpoint, Proof::Rpk(key)).unwrap();
    add(&credentials, with_key("buoy-1")).await;
    let taken = refusal(&credentials, with_key("buoy-2")).await;
    assert!(taken.to_string().contains("this public key belongs to credential"), "{taken}");
}

#[tokio::test]
async fn of_several_all_are_added_or_none() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Refused);
    add(&credentials, psk("buoy-1", "one")).await;
    for bad in [
        vec![psk("buoy-2", "two"), psk("buoy-3", "one")],
        vec![psk("buoy-2", "two"), psk("buoy-3", "two")],
        vec![psk("buoy-2", "two"), psk("buoy-2", "three")],
    ] {
        assert!(matches!(
            credentials.add(&someone(), bad, None, 7).await,
            Err(ChangeError::Refused { index: 1, .. })
        ));
    }
    assert_eq!((credentials.count(), folder.rows().len()), (1, 1));
    let many = (2..1502).map(|number| psk(&format!("buoy-{number}"), &format!("{number}"))).collect();
    credentials.add(&someone(), many, None, 7).await.unwrap();
    assert_eq!((credentials.count(), folder.load(Unlisted::Refused).count()), (1501, 1501));
}

#[tokio::test]
async fn both_keys_are_good_until_the_next_one_is_used() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Refused);
    let gate = credentials.gate(Purpose::Lwm2m);
    let old = add(&credentials, psk("buoy-1", "old")).await;
    let unused =
        credentials.rotate(&someone(), &old, Proof::psk("unused", KEY).unwrap(), None, 8).await.unwrap();
    let next = credentials.rotate(&someone(), &old, Proof::psk("next", KEY).unwrap(), None, 9).await.unwrap();
    assert!(gate.psk(unused.identity.as_slice()).is_some(), "the device may have it");
    let same = credentials.rotate(&someone(), &old, Proof::psk("old", KEY).unwrap(), None, 9).await;
    assert!(
        matches!(same, Err(ChangeError::Refused { refusal: Refusal::Taken { .. }, .. })),
        "keys need two names"
    );
    assert!(gate.admits(&with_identity("old")) && gate.admits(&with_identity("next")));
    gate.used(&with_identity("old"));
    assert!(gate.admits(&with_identity("next")));

    gate.used(&with_identity("next"));
    gate.used(&with_identity("next"));
    while gate.admits(&with_identity("old")) {
        tokio::task::yield_now().await;
    }

    assert_eq!(gate.endpoint_of(&with_identity("next")).as_deref(), Some("buoy-1"));
    let rows = folder.rows();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.id, row.state), (next.id, CredentialState::Active));
    assert!(matches!(credentials.revoke(&someone(), &old, 9).await, Err(ChangeError::NoSuchCredential)));
}

#[tokio::test]
async fn a_key_that_the_device_may_hold_outlives_every_rotation_until_a_later_one_is_used() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Refused);
    let gate = credentials.gate(Purpose::Lwm2m);
    let old = add(&credentials, psk("buoy-1", "old")).await;
    // The device was given the first of these by its bootstrap; rotations go on before it comes.
    for number in 0..MOST_NEXT {
        let proof = Proof::psk(&format!("next-{number}"), KEY).unwrap();
        credentials.rotate(&someone(), &old, proof, None, 8).await.unwrap();
        assert!(gate.admits(&with_identity("old")) && gate.admits(&with_identity("next-0")));
    }
    let more = credentials.rotate(&someone(), &old, Proof::psk("more", KEY).unwrap(), None, 8).await;
    let Err(ChangeError::Refused { refusal, .. }) = more else { panic!("{more:?}") };
    assert!(refusal.to_string().contains("unused ones that come after a pre-shared key"), "{refusal}");
    // A device that is bootstrapped over and over is not refused for it.
    let proof = Proof::psk("next-8", KEY).unwrap();
    credentials.rotate_by_bootstrap(&old, proof, 8).await.unwrap();
    assert!(!gate.admits(&with_identity("next-0")) && gate.admits(&with_identity("old")));

    gate.used(&with_identity("next-2"));
    while gate.admits(&with_identity("old")) {
        tokio::task::yield_now().await;
    }
    for (identity, is_good) in [("next-0", false), ("next-1", false), ("next-2", true), ("next-3", true)] {
        assert_eq!(gate.admits(&with_identity(identity)), is_good, "{identity}");
    }
    assert_eq!(folder.rows().len(), MOST_NEXT - 1);
}

#[tokio::test]
async fn what_is_revoked_is_refused_and_its_secret_is_gone() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Admitted);
    let row = add(&credentials, psk("buoy-1", "one")).await;
    credentials.revoke(&someone(), &row, 9).await.unwrap();

    for credentials in [credentials.clone(), folder.load(Unlisted::Admitted)] {
        let gate = credentials.gate(Purpose::Lwm2m);
        assert!(gate.psk(b"one").is_none() && !gate.admits(&with_identity("one")));
        assert!(gate.has("buoy-1"), "nor does it come in without any");
        assert!(!gate.admits(&certified("buoy-1").0), "nor by a certificate");
    }
    assert!(folder.rows()[0].sealed.is_empty());
    let rotated = credentials.rotate(&someone(), &row, Proof::psk("two", KEY).unwrap(), None, 8).await;
    assert!(matches!(rotated, Err(ChangeError::Refused { refusal: Refusal::Revoked { .. }, .. })));
    assert!(refusal(&credentials, psk("buoy-2", "one")).await.to_string().contains("revoked"));
    // A new key lets it in again, and only by that.
    add(&credentials, psk("buoy-1", "two")).await;
    let gate = credentials.gate(Purpose::Lwm2m);
    assert!(gate.admits(&with_identity("two")) && !gate.admits(&with_identity("one")));
    credentials.remove(&someone(), &row, 9).await.unwrap();
    assert_eq!(folder.rows().len(), 1);
}

#[tokio::test]
async fn a_certificate_is_good_if_it_is_listed_or_its_device_is_not_and_the_authority_is_believed() {
    let folder = Folder::new();
    let (certificate, fingerprint) = certified("buoy-1");
    let strict = folder.load(Unlisted::Refused);
    assert!(!strict.gate(Purpose::Lwm2m).admits(&certificate));
    drop(strict);

    let credentials = folder.load(Unlisted::Admitted);
    let gate = credentials.gate(Purpose::Lwm2m);
    assert_eq!(gate.endpoint_of(&certificate).as_deref(), Some("buoy-1"));
    assert!(!gate.has("buoy-1"));
    // Who has a key of another kind comes in by that alone.
    let key = add(&credentials, psk("buoy-1", "one")).await;
    assert!(!gate.admits(&certificate));
    credentials.remove(&someone(), &key, 9).await.unwrap();
    // One certificate alone.
    let pinned = add(&credentials, x509("buoy-1", Some(&fingerprint))).await;
    assert!(gate.admits(&certificate) && !gate.admits(&certified("buoy-1").0));
    // Any but that one.
    credentials.revoke(&someone(), &pinned, 9).await.unwrap();
    add(&credentials, x509("buoy-1", None)).await;
    assert!(!gate.admits(&certificate) && gate.admits(&certified("buoy-1").0));
    // Leshan's way: one in place of all.
    credentials.replace(&someone(), psk("buoy-1", "one"), 9).await.unwrap();
    assert!(!gate.admits(&certified("buoy-1").0) && gate.admits(&with_identity("one")));
    credentials.replace(&someone(), psk("buoy-1", "one"), 9).await.unwrap();
    assert!(credentials.remove_all(&someone(), Purpose::Lwm2m, "buoy-1", 9).await.unwrap());
    assert!(!credentials.remove_all(&someone(), Purpose::Lwm2m, "buoy-1", 9).await.unwrap());
    assert!(folder.rows().is_empty() && !gate.has("buoy-1"));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_in_each_form_that_its_signature_has() {
    let folder = Folder::new();
    let credentials = folder.load(Unlisted::Admitted);
    let gate = credentials.gate(Purpose::Lwm2m);
    let both = certified_twice("buoy-1");
    assert_ne!(both[0].1, both[1].1);
    for (listed, fingerprint) in &both {
        let pinned = add(&credentials, x509("buoy-1", Some(fingerprint))).await;
        assert!(gate.admits(listed) && both.iter().all(|(shown, _)| gate.admits(shown)));
        credentials.revoke(&someone(), &pinned, 9).await.unwrap();
        let any = add(&credentials, x509("buoy-1", None)).await;
        assert!(!both.iter().any(|(shown, _)| gate.admits(shown)));
        assert!(gate.admits(&certified("buoy-1").0));
        for row in [any, pinned] {
            credentials.remove(&someone(), &row, 9).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_key_file_of_another_folder_is_named_with_what_it_does_not_open() {
    let (folder, other) = (Folder::new(), Folder::new());
    add(&folder.load(Unlisted::Refused), psk("buoy-1", "one")).await;
    other.load(Unlisted::Refused);
    let foreign = Keys::open(other.folder.path(), &other.store.reader().unwrap()).unwrap();
    let journal = folder.journal();
    let loaded = Credentials::load(
        &folder.store.reader().unwrap(),
        foreign,
        journal,
        Unlisted::Refused,
        Clock::start(),
    );
    let error = format!("{:#}", loaded.unwrap_err());
    assert!(error.contains("credential 1 of buoy-1") && error.contains("bring back the file"), "{error}");
}
