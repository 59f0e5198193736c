//! The key file of a data folder, and the encryption of secrets with it.
//!
//! `key` has a random secret on each line, the current one last. All other keys are derived from them (HKDF, RFC 5869), one for each purpose.
//! Secrets in the store are encrypted with XChaCha20-Poly1305, whose nonces are long enough to be random. The name of the secret is
//! authenticated, so that an encrypted secret can't be moved to another row.
//!
//! [`rotate`] can be interrupted at any step: the file has the old and the new key until every row is encrypted with the new one.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_store::{
    BootstrapConfigChange, Change, ChangeSet, CredentialChange, CredentialRow, DocumentKind, Reader, Store,
    Writer,
};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::accounts::records::{self, AccountRecord};
use crate::alerts::receivers::{ReceiverRecord, name_of_receiver};
use crate::data_folder::lock;
use crate::documents;
use crate::hex;
use crate::private_file;
use crate::store_place::StorePlace;

pub(super) const FILE: &str = "key";
const ABOUT: &str = "# Seals the secrets in this folder's database: who has both has every device's key.\n\
                     # `buoy keyfile rotate` makes a new one. The last line counts.\n";
/// An encrypted secret begins with this version, the number of the key and the nonce.
const VERSION: u8 = 1;
const KEY_NUMBER: std::ops::Range<usize> = 1..5;
const NONCE: std::ops::Range<usize> = 5..29;
/// Keys that stay in the file after a rotation: the new one, and the previous one for saved sessions and backups.
const KEPT: usize = 2;

/// The keys of a data folder, the current one last.
#[derive(Clone)]
pub struct Keys(Vec<Key>);

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Key {
    number: u32,
    secret: [u8; 32],
}

/// A secret can't be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The key of this number is not in the file.
    NoKey(u32),
    /// It is damaged, or belongs to another row.
    Forged,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKey(number) => write!(f, "key {number} is not in the key file; bring back the file that belongs to this database"),
            Self::Forged => f.write_str("it is damaged or the key file is another folder's; bring back the file that belongs to this database"),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} redacted)", self.0.len())
    }
}

impl Keys {
    /// Reads the key file of a data folder. Creates it if it doesn't exist and the store has no secrets yet.
    pub fn open(data: &Path, reader: &dyn Reader) -> anyhow::Result<Self> {
        let path = path(data);
        if path.exists() {
            return Self::read(&path);
        }
        let mut sealed = !reader.bootstrap_configs()?.is_empty();
        reader.each_credential(&mut |row| sealed |= !row.sealed.is_empty())?;
        let accounts = records::all::<AccountRecord>(reader, DocumentKind::Account)?;
        sealed |= accounts.iter().any(|(_, account)| account.second_factor.is_some());
        reader.documents(DocumentKind::AlertReceiver, "", &mut |_| sealed = true)?;
        if sealed {
            bail!(
                "{} is missing, and the database has secrets that it seals; bring the file back",
                path.display()
            );
        }
        let mut keys = Self(Vec::new());
        keys.add()?;
        keys.save(&path)?;
        Ok(keys)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = private_file::read(path)?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<Key>> = lines.map(Key::parse).collect();
        let is_ascending = |keys: &Vec<Key>| keys.is_sorted_by(|one, next| one.number < next.number);
        match keys.filter(|keys| !keys.is_empty() && is_ascending(keys)) {
            Some(keys) => Ok(Self(keys)),
            None => bail!(
                "{} is no key file; bring back the one that belongs to the database beside it",
                path.display()
            ),
        }
    }

    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = Zeroizing::new(String::with_capacity(ABOUT.len() + self.0.len() * 80));
        text.push_str(ABOUT);
        self.0.iter().for_each(|key| key.write(&mut text));
        private_file::replace(path, text.as_bytes())
    }

    /// Adds a new key and makes it the current one.
    fn add(&mut self) -> anyhow::Result<()> {
        let number = self.0.last().map_or(0, |key| key.number) + 1;
        self.0.push(Key { number, secret: random()? });
        Ok(())
    }

    fn current(&self) -> anyhow::Result<&Key> {
        self.0.last().context("there is no key")
    }

    /// Keys for saved DTLS sessions: the current one first, then older ones.
    pub fn session_keys(&self) -> Vec<[u8; 32]> {
        self.0.iter().rev().map(|key| *key.derive("buoy dtls sessions")).collect()
    }

    /// The seed of the keys of DTLS session tickets.
    pub fn ticket_seed(&self) -> anyhow::Result<Zeroizing<[u8; 32]>> {
        Ok(self.current()?.derive("buoy dtls tickets"))
    }

    /// A keyed digest that distinguishes secrets without revealing them.
    pub fn digest(&self, secret: &[u8]) -> anyhow::Result<[u8; 32]> {
        let derived = self.current()?.derive("buoy digests of requests");
        let mut digest = [0; 32];
        let expanded = Hkdf::<Sha256>::new(Some(&*derived), secret).expand(&[], &mut digest);
        expanded.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(digest)
    }

    /// Encrypts with the current key and decrypts with all keys.
    pub fn sealer(&self) -> Sealer {
        let ciphers = self
            .0
            .iter()
            .map(|key| (key.number, XChaCha20Poly1305::new((&*key.derive("buoy secrets at rest")).into())));
        Sealer(ciphers.collect())
    }
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (number, digits) = line.split_once(' ')?;
        let mut secret = [0; 32];
        let bytes = Zeroizing::new(hex::decode(digits.trim())?);
        if bytes.len() != secret.len() {
            return None;
        }
        secret.copy_from_slice(&bytes);
        Some(Self { number: number.parse().ok()?, secret })
    }

    fn write(&self, text: &mut String) {
        use std::fmt::Write;
        // Writing to a string never fails.
        let _ = write!(text, "{} ", self.number);
        for byte in &self.secret {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }

    fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        // Fails only for outputs of more than 8160 bytes.
        let _ = Hkdf::<Sha256>::new(None, &self.secret).expand(label.as_bytes(), &mut *derived);
        derived
    }
}

/// Encrypts and decrypts secrets. Its ciphers erase their keys when dropped.
#[derive(Clone)]
pub struct Sealer(Vec<(u32, XChaCha20Poly1305)>);

impl Sealer {
    /// Encrypts a secret under the name of its row.
    pub fn seal(&self, name: &[u8], secret: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (number, cipher) = self.0.last().context("there is no key")?;
        let nonce: [u8; NONCE.end - NONCE.start] = random()?;
        let payload = Payload { msg: secret, aad: name };
        let text =
            cipher.encrypt(&XNonce::from(nonce), payload).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok([&[VERSION][..], &number.to_be_bytes(), &nonce, &text].concat())
    }

    /// Encrypts a secret again with the current key.
    fn again(&self, name: &[u8], sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
        let secret = self.open(name, sealed)?;
        self.seal(name, &secret)
    }

    /// Decrypts a secret that was encrypted under this name.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let number = sealed.get(KEY_NUMBER).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let nonce = sealed.get(NONCE).and_then(|bytes| <[u8; 24]>::try_from(bytes).ok());
        let (Some(&VERSION), Some(number), Some(nonce)) = (sealed.first(), number, nonce) else {
            return Err(OpenError::Forged);
        };
        let (_, cipher) =
            self.0.iter().find(|(known, _)| *known == number).ok_or(OpenError::NoKey(number))?;
        let payload = Payload { msg: sealed.get(NONCE.end..).unwrap_or_default(), aad: name };
        cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| OpenError::Forged)
    }
}

/// The key file in a data folder.
pub fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

fn random<const LENGTH: usize>() -> anyhow::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
    Ok(bytes)
}

/// Adds a new key to the data folder of a server that does not run, and encrypts every secret with it. Returns the number of secrets.
///
/// After an interruption run it again: the keys of all rows are in the file.
pub fn rotate(data: &Path, place: &StorePlace) -> anyhow::Result<usize> {
    let _lock = lock(data)?;
    if place.check_is_there().is_err() || !path(data).exists() {
        bail!("{} is no data folder of a server; name it with --data", data.display());
    }
    let store = place.open()?;
    // Opened before the file changes, because it fails if a server with another folder uses this store.
    let writer = store.writer()?;
    let keys = add_key(data)?;
    let count = seal_again(&*store, writer, &keys)?;
    forget_old_keys(data, keys)?;
    Ok(count)
}

/// The first step: adds a key to the file.
fn add_key(data: &Path) -> anyhow::Result<Keys> {
    let mut keys = Keys::read(&path(data))?;
    keys.add()?;
    keys.save(&path(data))?;
    Ok(keys)
}

/// The second: encrypts all rows again in one transaction. A row that can't be decrypted ends it before anything is written.
fn seal_again(store: &dyn Store, mut writer: Box<dyn Writer>, keys: &Keys) -> anyhow::Result<usize> {
    let (reader, sealer) = (store.reader()?, keys.sealer());
    let mut set = ChangeSet::new();
    for mut row in reader.bootstrap_configs()? {
        let sealed = sealer.again(&name_of_config(&row.pattern), &row.sealed);
        row.sealed = sealed.with_context(|| format!("the bootstrap configuration of {}", row.pattern))?;
        set.push(Change::BootstrapConfig(BootstrapConfigChange::Put(row)));
    }
    let mut trouble = None;
    reader.each_credential(&mut |mut row| {
        if trouble.is_some() || row.sealed.is_empty() {
            return;
        }
        match sealer.again(&name_of_credential(&row), &row.sealed) {
            Ok(sealed) => row.sealed = sealed,
            Err(error) => {
                trouble = Some(error.context(format!("the secret of credential {}", row.id)));
                return;
            }
        }
        set.push(Change::Credential(CredentialChange::Put(row)));
    })?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    for (name, mut account) in records::all::<AccountRecord>(&*reader, DocumentKind::Account)? {
        let Some(factor) = &mut account.second_factor else { continue };
        let sealed = hex::decode(&factor.sealed).unwrap_or_default();
        let sealed = sealer.again(&records::name_of_second_factor(&name), &sealed);
        factor.sealed = hex::encode(&sealed.with_context(|| format!("the second factor of {name}"))?);
        set.push(documents::put(DocumentKind::Account, &name, &account, account.created_at));
    }
    for (name, mut receiver) in records::all::<ReceiverRecord>(&*reader, DocumentKind::AlertReceiver)? {
        let sealed = hex::decode(&receiver.sealed).unwrap_or_default();
        let sealed = sealer.again(&name_of_receiver(&name), &sealed);
        receiver.sealed = hex::encode(&sealed.with_context(|| format!("the receiver {name}"))?);
        set.push(documents::put(DocumentKind::AlertReceiver, &name, &receiver, receiver.created_at));
    }
    let sets = [set];
    let fates = writer.commit(&sets)?;
    fates.of(0).map_err(|rejection| anyhow::anyhow!("{rejection}"))?;
    Ok(sets.iter().map(Vec::len).sum())
}

/// The third: removes the old keys, since no secret needs them any more.
fn forget_old_keys(data: &Path, mut keys: Keys) -> anyhow::Result<()> {
    let old = keys.0.len().saturating_sub(KEPT);
    keys.0.drain(..old);
    keys.save(&path(data))
}

/// The name under which a credential's secret is encrypted: its fields, each with its length.
pub(crate) fn name_of_credential(row: &CredentialRow) -> Vec<u8> {
    let (purpose, kind) = (row.purpose.as_str(), row.kind.as_str());
    let parts = [purpose.as_bytes(), kind.as_bytes(), row.endpoint.as_bytes(), &row.identity];
    let mut name = Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum());
    for part in parts {
        name.extend_from_slice(&(part.len() as u32).to_be_bytes());
        name.extend_from_slice(part);
    }
    name
}

/// The name under which a configuration is encrypted.
pub(crate) fn name_of_config(pattern: &str) -> Vec<u8> {
    [b"bootstrap configuration ", pattern.as_bytes()].concat()
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use buoy_store::sqlite::Sqlite;
    use buoy_store::{CredentialKind, CredentialRow, CredentialState, Purpose};

    use super::*;

    struct Folder {
        folder: tempfile::TempDir,
        store: Sqlite,
    }

    impl Folder {
        /// With a key file and two credentials.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Sqlite::open(&crate::data_folder::database(folder.path())).unwrap();
            let keys = Keys::open(folder.path(), &store.reader().unwrap()).unwrap();
            let mut writer = store.writer().unwrap();
            for (id, kind, secret) in
                [(1, CredentialKind::Psk, Some(b"secret of one")), (2, CredentialKind::X509, None)]
            {
                let mut row = CredentialRow {
                    id,
                    purpose: Purpose::Lwm2m,
                    endpoint: format!("buoy-{id}"),
                    kind,
                    identity: vec![id as u8],
                    sealed: Vec::new(),
                    created_at: 0,
                    state: CredentialState::Active,
                };
                if let Some(secret) = secret {
                    row.sealed = keys.sealer().seal(&name_of_credential(&row), secret).unwrap();
                }
                writer.commit(&[vec![Change::Credential(CredentialChange::Put(row))]]).unwrap();
            }
            Self { folder, store }
        }

        fn path(&self) -> &Path {
            self.folder.path()
        }

        fn open(&self) -> Result<Zeroizing<Vec<u8>>, OpenError> {
            let reader = self.store.reader().unwrap();
            let keys = Keys::open(self.path(), &reader).unwrap();
            let row = reader.credential(1).unwrap().unwrap();
            keys.sealer().open(&name_of_credential(&row), &row.sealed)
        }

        fn key_numbers(&self) -> Vec<u32> {
            Keys::read(&path(self.path())).unwrap().0.iter().map(|key| key.number).collect()
        }
    }

    fn rotate_in(folder: &Path) -> anyhow::Result<usize> {
        rotate(folder, &StorePlace::Folder(folder.to_owned()))
    }

    #[test]
    fn what_is_sealed_is_opened_under_its_own_name_only() {
        let folder = Folder::new();
        let sealer = Keys::read(&path(folder.path())).unwrap().sealer();
        let sealed = sealer.seal(b"a", b"secret").unwrap();
        assert_ne!(sealed, sealer.seal(b"a", b"secret").unwrap(), "nonces are random");
        assert_eq!(*sealer.open(b"a", &sealed).unwrap(), b"secret");
        assert_eq!(sealer.open(b"b", &sealed), Err(OpenError::Forged));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(sealer.open(b"a", &damaged).is_err(), "byte {at}");
            assert!(sealer.open(b"a", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_rotation_that_is_cut_at_any_step_loses_nothing_and_is_made_good_by_the_next() {
        let folder = Folder::new();
        // Cut after the first step,
        add_key(folder.path()).unwrap();
        assert_eq!(*folder.open().unwrap(), b"secret of one");
        // and, another time, after the second.
        let keys = add_key(folder.path()).unwrap();
        assert_eq!(seal_again(&folder.store, Box::new(folder.store.writer().unwrap()), &keys).unwrap(), 1);
        assert_eq!(*folder.open().unwrap(), b"secret of one");
        assert_eq!(folder.key_numbers(), [1, 2, 3]);

        assert_eq!(rotate_in(folder.path()).unwrap(), 1);
        assert_eq!(folder.key_numbers(), [3, 4]);
        assert_eq!(*folder.open().unwrap(), b"secret of one");
    }

    #[test]
    fn a_rotation_with_the_wrong_key_file_changes_nothing() {
        let (folder, other) = (Folder::new(), Folder::new());
        let mine = std::fs::read(path(folder.path())).unwrap();
        private_file::replace(&path(folder.path()), &std::fs::read(path(other.path())).unwrap()).unwrap();
        assert!(format!("{:#}", rotate_in(folder.path()).unwrap_err()).contains("credential 1"));
        private_file::replace(&path(folder.path()), &mine).unwrap();
        assert_eq!(*folder.open().unwrap(), b"secret of one");
    }

    #[test]
    fn saved_sessions_are_read_after_a_rotation_and_each_purpose_has_its_key() {
        let folder = Folder::new();
        let before = Keys::read(&path(folder.path())).unwrap();
        rotate_in(folder.path()).unwrap();
        let after = Keys::read(&path(folder.path())).unwrap();
        assert_eq!(after.session_keys()[1], before.session_keys()[0]);
        assert_ne!(after.session_keys()[0], before.session_keys()[0]);
        assert_ne!(after.session_keys()[0], *after.ticket_seed().unwrap());
        assert!(!format!("{after:?}").contains(&format!("{:02x}", after.0[0].secret[0]).repeat(2)));
    }

    #[test]
    fn a_missing_key_file_is_not_made_anew_over_sealed_secrets() {
        let folder = Folder::new();
        std::fs::remove_file(path(folder.path())).unwrap();
        let error = Keys::open(folder.path(), &folder.store.reader().unwrap()).unwrap_err().to_string();
        assert!(error.contains("bring the file back"), "{error}");
    }
}
