//! DTLS sessions beside the flash, so that a reboot costs no handshake.
//!
//! Sealed by a key that only the owner can read. A newer session is on the disk, its place in the folder included, before the older
//! one counts as gone: numbers of records are never used twice, whatever a power cut leaves (see `buoy_dtls::Connection::export`). Two
//! devices that went on with the same session would use the same numbers; the boot loader's hold on the flash keeps the second one away.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use buoy_client::ServerSlot;
use buoy_dtls::{Client, Connection, ExportKey, Reserve};
use buoy_files::{Access, replace};
use rand_chacha::rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::account::Account;

const KEY: &str = "sessions.key";

pub(super) struct Vault {
    folder: PathBuf,
    key: ExportKey,
    /// What the device trusts besides its accounts.
    trusted: [u8; 32],
}

impl Vault {
    /// The sessions in a folder; their key is made if it isn't there. `trusted` names what the device trusts besides its accounts.
    pub(super) fn open(folder: &Path, rng: &mut dyn CryptoRng, trusted: [u8; 32]) -> io::Result<Self> {
        let path = folder.join(KEY);
        let mut bytes = [0; 32];
        match File::open(&path) {
            Ok(mut file) => file.read_exact(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                rng.fill_bytes(&mut bytes);
                replace(&path, &bytes, Access::Owner)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self { folder: folder.to_owned(), key: ExportKey::new(bytes), trusted })
    }

    /// The session that was saved for this account in this place; none if the account has changed since.
    pub(super) fn load(&self, slot: ServerSlot, account: &Account) -> Option<Connection<Client>> {
        let bytes = fs::read(self.folder.join(file_name(slot))).ok()?;
        let loaded = Connection::import(&self.key, &self.name(slot, account), &bytes);
        loaded.inspect_err(|error| tracing::debug!(%error, "no session is restored")).ok()
    }

    /// Forgets a session that is over.
    pub(super) fn forget(&self, slot: ServerSlot) -> io::Result<()> {
        fs::remove_file(self.folder.join(file_name(slot)))
    }

    /// Saves a session; from now on it may send as many records as were reserved.
    pub(super) fn save(
        &self,
        slot: ServerSlot,
        account: &Account,
        session: &mut Connection<Client>,
        reserve: Reserve,
        rng: &mut dyn CryptoRng,
    ) -> io::Result<()> {
        let Some(export) = session.export(&self.key, &self.name(slot, account), reserve, rng) else {
            return Ok(());
        };
        replace(&self.folder.join(file_name(slot)), &export.bytes, Access::Owner)?;
        session.saved(export.reservation);
        Ok(())
    }

    /// What a session is for: it must not be taken up under other keys, under another trust, or at another server.
    fn name(&self, slot: ServerSlot, account: &Account) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix([slot.0, account.mode as u8, account.tls.certificate_usage]);
        let parts = [
            account.uri.as_str().as_bytes(),
            account.identity.as_slice(),
            account.server_key.as_slice(),
            account.secret_key.as_slice(),
            account.tls.server_name.as_str().as_bytes(),
            &self.trusted,
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn file_name(slot: ServerSlot) -> String {
    format!("session-{}", slot.0)
}
