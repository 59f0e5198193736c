//! One resource of many devices over time, page by page, so that neither the server nor its store holds more than a page.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use buoy_api as api;

use crate::access::{Permission, Target};
use crate::app::App;
use crate::devices::{self, DeviceError};
use crate::inventory::DeviceFilter;
use crate::principal::Principal;

/// Values that are read from the store at once.
const VALUES_AT_ONCE: usize = 1000;
/// Devices whose names are held at once.
const DEVICES_AT_ONCE: usize = 200;

/// The devices of an export.
#[derive(Clone, Debug)]
pub enum Source {
    /// Those that are named.
    Named(Vec<String>),
    /// Those that match, and that the principal may read.
    Matching(DeviceFilter),
}

/// An export that goes on page by page.
pub struct Export {
    app: Arc<App>,
    principal: Principal,
    path: String,
    range: Range<u64>,
    /// The filter by which further devices are found, and the last name that was.
    filter: Option<(DeviceFilter, Option<String>)>,
    devices: VecDeque<String>,
    /// The device that is read, and from when on.
    current: Option<(String, u64)>,
}

impl Export {
    /// An export of the values at `path`, like "/3303/0/5700", in a range of time (milliseconds since the epoch).
    ///
    /// # Errors
    /// [`DeviceError::Forbidden`] for a named device that the principal may not read, [`DeviceError::Path`].
    pub async fn begin(
        app: &Arc<App>,
        principal: &Principal,
        source: Source,
        path: String,
        range: Range<u64>,
    ) -> Result<Self, DeviceError> {
        devices::check_path(&path)?;
        let (filter, devices) = match source {
            Source::Named(names) => {
                for name in &names {
                    app.permit(principal, Permission::Read, Target::Device(name)).await?;
                }
                (None, names.into())
            }
            Source::Matching(filter) => {
                app.permit_some(principal, Permission::Read)?;
                (Some((filter, None)), VecDeque::new())
            }
        };
        Ok(Self {
            app: app.clone(),
            principal: principal.clone(),
            path,
            range,
            filter,
            devices,
            current: None,
        })
    }

    /// The next values, of one device, the oldest first; `None` at the end.
    ///
    /// # Errors
    /// [`DeviceError`]
    pub async fn next(&mut self) -> Result<Option<Vec<api::DeviceSample>>, DeviceError> {
        loop {
            let Some((endpoint, from)) = self.current.take() else {
                match self.next_device().await? {
                    Some(endpoint) => self.current = Some((endpoint, self.range.start)),
                    None => return Ok(None),
                }
                continue;
            };
            let range = from..self.range.end;
            let (app, principal, path) = (&self.app, &self.principal, self.path.clone());
            let page =
                devices::samples(app, principal, endpoint.clone(), path, range, VALUES_AT_ONCE).await?;
            let next = page.next.and_then(|next| next.parse().ok());
            self.current = next.map(|next| (endpoint.clone(), next));
            if page.items.is_empty() {
                continue;
            }
            let path = &self.path;
            let row = |sample: api::Sample| api::DeviceSample {
                endpoint: endpoint.clone(),
                path: path.clone(),
                at: sample.at,
                value: sample.value,
            };
            return Ok(Some(page.items.into_iter().map(row).collect()));
        }
    }

    async fn next_device(&mut self) -> Result<Option<String>, DeviceError> {
        while self.devices.is_empty() {
            let Some((filter, after)) = self.filter.take() else { return Ok(None) };
            let listed =
                devices::list(&self.app, &self.principal, filter.clone(), after, DEVICES_AT_ONCE).await;
            let (found, has_more) = listed?;
            self.devices.extend(found.iter().map(|device| device.record.endpoint.to_string()));
            let last = self.devices.back().cloned().filter(|_| has_more);
            self.filter = last.map(|last| (filter, Some(last)));
        }
        Ok(self.devices.pop_front())
    }
}
