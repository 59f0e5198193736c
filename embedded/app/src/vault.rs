//! DTLS sessions in flash, so that a reboot costs no handshake.
//!
//! A newer session is in the flash before the older one counts as gone: numbers of records are never used twice, whatever a power cut leaves
//! (see `buoy_dtls::Connection::export`).

use buoy_client::{Chip, Security, ServerSlot};
use buoy_dtls::{Client, Connection, ExportKey, Reserve};
use embedded_storage::nor_flash::NorFlash;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::store::{Key, Store, StoreError};

/// Bytes of a session that is saved.
const SESSION: usize = 1024;

pub(crate) struct Vault {
    key: ExportKey,
}

impl Vault {
    /// The key is made if it isn't there.
    pub(crate) fn open<F: NorFlash>(
        store: &mut Store<F>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        if store.get(Key::SessionKey, &mut bytes)? != Some(bytes.len()) {
            rng.fill_bytes(&mut bytes);
            store.put(Key::SessionKey, &bytes)?;
        }
        Ok(Self { key: ExportKey::new(bytes) })
    }

    /// The session that was saved for this account in this place; none if the account has changed since.
    pub(crate) fn load<F: NorFlash>(
        &self,
        store: &mut Store<F>,
        slot: ServerSlot,
        account: &Security<Chip>,
    ) -> Option<Connection<Client>> {
        let mut bytes = [0; SESSION];
        let length = store.get(Key::Session(slot.0), &mut bytes).ok()??;
        Connection::import(&self.key, &name(slot, account), bytes.get(..length)?).ok()
    }

    /// Saves a session; from now on it may send as many records as were reserved.
    pub(crate) fn save<F: NorFlash>(
        &self,
        store: &mut Store<F>,
        slot: ServerSlot,
        account: &Security<Chip>,
        session: &mut Connection<Client>,
        reserve: Reserve,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), StoreError> {
        let Some(export) = session.export(&self.key, &name(slot, account), reserve, rng) else {
            return Ok(());
        };
        store.put(Key::Session(slot.0), &export.bytes)?;
        session.saved(export.reservation);
        Ok(())
    }
}

/// What a session is for: it must not be taken up under other keys, or at another server.
fn name(slot: ServerSlot, account: &Security<Chip>) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix([slot.0]);
    for part in [account.uri.as_str().as_bytes(), account.identity.as_slice(), account.secret_key.as_slice()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
