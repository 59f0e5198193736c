//! Which number a time series has in the database: known by heart, since each value asks for it.

use std::collections::HashMap;

use buoy_lwm2m::path::Path;
use rusqlite::{OptionalExtension, Transaction};

use crate::MOST_SERIES;

/// Series that are remembered.
const MOST_REMEMBERED: usize = 2_000_000;

/// The numbers of the series, and how many series each device has.
#[derive(Debug, Default)]
pub(super) struct Series {
    devices: HashMap<Box<str>, Device>,
    ids: HashMap<(u32, Path), i64>,
    next_device: u32,
}

/// A device as far as its series go.
#[derive(Clone, Copy, Debug)]
struct Device {
    number: u32,
    series: usize,
}

impl Series {
    /// To be called when a transaction was rolled back: what is remembered may not be there.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// To be called when a series was removed.
    pub(super) fn forget(&mut self, endpoint: &str, path: &str) {
        let Some(device) = self.devices.get_mut(endpoint) else { return };
        device.series = device.series.saturating_sub(1);
        if let Ok(path) = path.parse() {
            self.ids.remove(&(device.number, path));
        }
    }

    /// The number of a series, which begins with this if it is new; `None` if the device has as many as it may have.
    pub(super) fn id(
        &mut self,
        transaction: &Transaction<'_>,
        endpoint: &str,
        path: Path,
    ) -> rusqlite::Result<Option<i64>> {
        let device = self.device(transaction, endpoint)?;
        if let Some(id) = self.ids.get(&(device.number, path)) {
            return Ok(Some(*id));
        }
        let text = path.to_string();
        let find = "SELECT id FROM series WHERE endpoint = ?1 AND path = ?2";
        let found =
            transaction.prepare_cached(find)?.query_row([endpoint, &text], |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None if device.series >= MOST_SERIES => return Ok(None),
            None => {
                let sql = "INSERT INTO series (endpoint, path) VALUES (?1, ?2)";
                transaction.prepare_cached(sql)?.execute([endpoint, &text])?;
                if let Some(device) = self.devices.get_mut(endpoint) {
                    device.series += 1;
                }
                transaction.last_insert_rowid()
            }
        };
        self.ids.insert((device.number, path), id);
        Ok(Some(id))
    }

    fn device(&mut self, transaction: &Transaction<'_>, endpoint: &str) -> rusqlite::Result<Device> {
        if let Some(device) = self.devices.get(endpoint) {
            return Ok(*device);
        }
        if self.devices.len().max(self.ids.len()) >= MOST_REMEMBERED {
            self.forget_all();
        }
        let count = "SELECT count(*) FROM series WHERE endpoint = ?1";
        let series: i64 = transaction.prepare_cached(count)?.query_row([endpoint], |row| row.get(0))?;
        let device = Device { number: self.next_device, series: usize::try_from(series).unwrap_or(0) };
        self.next_device = self.next_device.wrapping_add(1);
        self.devices.insert(endpoint.into(), device);
        Ok(device)
    }
}
