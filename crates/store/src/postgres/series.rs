//! Which number a time series has in the database: remembered, since each value asks for it.

use std::collections::{HashMap, HashSet};

use buoy_lwm2m::path::Path;

use super::failure::Failure;
use super::link::Link;
use super::text::{original, stored};
use crate::{Change, ChangeSet, MOST_SERIES, StoreError};

/// Series that are remembered.
const MOST_REMEMBERED: usize = 2_000_000;
/// Numbers are taken from the database's sequence so many at a time.
const NUMBERS: usize = 256;

/// The numbers of the series of the devices that were heard.
#[derive(Debug, Default)]
pub(super) struct Series {
    devices: HashMap<Box<str>, HashMap<Path, i64>>,
    remembered: usize,
    /// Numbers that no series has.
    free: Vec<i64>,
}

/// A series that begins with the transaction under way.
#[derive(Debug)]
pub(super) struct NewSeries {
    pub(super) id: i64,
    pub(super) endpoint: String,
    pub(super) path: Path,
}

impl Series {
    /// To be called when it is not known what a transaction left.
    pub(super) fn forget_all(&mut self) {
        self.devices.clear();
        self.remembered = 0;
    }

    /// To be called when series did not begin after all: what they were for was rolled back.
    pub(super) fn give_back(&mut self, new: Vec<NewSeries>) {
        for NewSeries { id, endpoint, path } in new.into_iter().rev() {
            self.forget(&endpoint, path);
            self.free.push(id);
        }
    }

    /// To be called when a series was removed.
    pub(super) fn forget(&mut self, endpoint: &str, path: Path) {
        if let Some(device) = self.devices.get_mut(endpoint)
            && device.remove(&path).is_some()
        {
            self.remembered -= 1;
        }
    }

    /// Asks the database for what [`Series::id`] will need to know.
    pub(super) fn look_up(&mut self, link: &mut Link, sets: &[ChangeSet<'_>]) -> Result<(), Failure> {
        if self.remembered >= MOST_REMEMBERED {
            self.forget_all();
        }
        let samples = || {
            sets.iter().flatten().filter_map(|change| match change {
                Change::Sample(sample) => Some(sample),
                _ => None,
            })
        };
        let unknown: HashSet<&str> = samples()
            .map(|it| &*it.endpoint)
            .filter(|endpoint| !self.devices.contains_key(*endpoint))
            .collect();
        if !unknown.is_empty() {
            self.load(link, &unknown)?;
        }
        let is_new = |endpoint: &str, path: &Path| {
            self.devices
                .get(endpoint)
                .is_none_or(|known| known.len() < MOST_SERIES && !known.contains_key(path))
        };
        let new: HashSet<_> = samples()
            .filter(|it| is_new(&it.endpoint, &it.path))
            .map(|it| (&*it.endpoint, it.path))
            .collect();
        if new.len() > self.free.len() {
            self.take_numbers(link, new.len().next_multiple_of(NUMBERS))?;
        }
        Ok(())
    }

    fn load(&mut self, link: &mut Link, endpoints: &HashSet<&str>) -> Result<(), Failure> {
        let names: Vec<_> = endpoints.iter().map(|endpoint| stored(endpoint)).collect();
        let sql = "SELECT endpoint, path, id FROM series WHERE endpoint = ANY($1)";
        let rows = link.query(sql, &[&names])?;
        for endpoint in endpoints {
            self.devices.insert((*endpoint).into(), HashMap::new());
        }
        for row in rows {
            let endpoint = original(row.try_get(0)?);
            if let (Some(device), Ok(path)) =
                (self.devices.get_mut(&*endpoint), row.try_get::<_, &str>(1)?.parse())
                && device.insert(path, row.try_get(2)?).is_none()
            {
                self.remembered += 1;
            }
        }
        Ok(())
    }

    /// Takes numbers for good: what is not used now is used later, or never.
    fn take_numbers(&mut self, link: &mut Link, count: usize) -> Result<(), Failure> {
        link.batch("BEGIN READ WRITE")?;
        let sql = "SELECT nextval('series_id') FROM generate_series(1, $1::bigint)";
        let rows = link.query(sql, &[&i64::try_from(count).unwrap_or(i64::MAX)])?;
        link.batch("COMMIT")?;
        for row in &rows {
            self.free.push(row.try_get(0)?);
        }
        // Taken from the end, so that they ascend.
        self.free.sort_unstable_by(|one, other| other.cmp(one));
        Ok(())
    }

    /// The number of a series, which begins with this if it is new; `None` if the device has as many as it may have.
    pub(super) fn id(
        &mut self,
        endpoint: &str,
        path: Path,
        new: &mut Vec<NewSeries>,
    ) -> Result<Option<i64>, StoreError> {
        let not_looked_up = || StoreError::Database(format!("the series of {endpoint} were not looked up"));
        let device = self.devices.get_mut(endpoint).ok_or_else(not_looked_up)?;
        if let Some(id) = device.get(&path) {
            return Ok(Some(*id));
        }
        if device.len() >= MOST_SERIES {
            return Ok(None);
        }
        let id = self.free.pop().ok_or_else(not_looked_up)?;
        device.insert(path, id);
        self.remembered += 1;
        new.push(NewSeries { id, endpoint: endpoint.to_owned(), path });
        Ok(Some(id))
    }
}
