//! Settings in flash: a map of records, of the partition `nvs`.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use buoy_client::Storage;
use embedded_storage::nor_flash::{ErrorType, NorFlash};
use embedded_storage_async::nor_flash as later;
use sequential_storage::cache::{Cache, CacheImpl};
use sequential_storage::map::{MapConfig, MapStorage};

use buoy_ota::flash::Region;

/// Bytes of the longest record, with its key.
const RECORD: usize = 2048;

/// What a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// An object of the client's, or whatever the client keeps under that number.
    Object(u16),
    /// A DTLS session.
    Session(u8),
    /// What seals the sessions.
    SessionKey,
    /// Settings that were made where the device stands.
    Setup,
}

impl Key {
    const fn bytes(self) -> [u8; 3] {
        match self {
            Self::Object(id) => {
                let [high, low] = id.to_be_bytes();
                [0, high, low]
            }
            Self::Session(slot) => [1, 0, slot],
            Self::SessionKey => [2, 0, 0],
            Self::Setup => [3, 0, 0],
        }
    }
}

/// The flash failed, or the record is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreError;

/// The records.
pub(crate) struct Store<F> {
    flash: F,
    region: Region,
}

impl<F: NorFlash> Store<F> {
    /// The records in a region; `None` if it is too small.
    pub(crate) fn new(flash: F, region: Region) -> Option<Self> {
        MapConfig::<Blocking<F>>::try_new(region.offset()..region.end()).ok()?;
        Some(Self { flash, region })
    }

    pub(crate) fn get(&mut self, key: Key, into: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let mut buffer = [0; RECORD];
        let mut map = self.map();
        let found = now(map.fetch_item::<&[u8]>(&mut buffer, &key.bytes())).map_err(|_| StoreError)?;
        // Forgotten records are empty: to remove one costs as much.
        let Some(record) = found.filter(|record| !record.is_empty()) else { return Ok(None) };
        into.get_mut(..record.len()).ok_or(StoreError)?.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    pub(crate) fn put(&mut self, key: Key, record: &[u8]) -> Result<(), StoreError> {
        let mut buffer = [0; RECORD];
        now(self.map().store_item(&mut buffer, &key.bytes(), &record)).map_err(|_| StoreError)
    }

    pub(crate) fn forget(&mut self, key: Key) -> Result<(), StoreError> {
        self.put(key, &[])
    }

    /// The map; it keeps nothing in memory.
    fn map(&mut self) -> MapStorage<[u8; 3], Blocking<&mut F>, impl CacheImpl<[u8; 3]>> {
        let config = MapConfig::new(self.region.offset()..self.region.end());
        MapStorage::new(Blocking(&mut self.flash), config, Cache::new_uncached())
    }
}

impl<F: NorFlash> Storage for Store<F> {
    type Error = StoreError;

    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.get(Key::Object(object), record)
    }

    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), StoreError> {
        self.put(Key::Object(object), record)
    }

    fn wipe(&mut self) -> Result<(), StoreError> {
        now(self.map().erase_all()).map_err(|_| StoreError)
    }
}

/// A flash whose operations are over when they return, for a map that would wait for others.
struct Blocking<F>(F);

impl<F: ErrorType> ErrorType for Blocking<F> {
    type Error = F::Error;
}

impl<F: NorFlash> later::ReadNorFlash for Blocking<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> later::NorFlash for Blocking<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, bytes)
    }
}

/// The result of what never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}
