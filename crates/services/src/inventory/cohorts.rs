//! Cohorts: devices that are equal in all fields of a filter.
//!
//! A fleet has many devices of few kinds. Each kind is a cohort, with a count and a list of its members ordered by name. So a count is a sum
//! over cohorts, and a page of a filter is merged from the lists of the cohorts that match, however many devices there are.

use std::collections::HashMap;
use std::sync::Arc;

use buoy_api::DeviceState;

use super::names::{DeviceId, Names, Order};

/// A cohort with fewer members always has a list.
const ALWAYS_LISTED: usize = 1024;

/// The fields in which the devices of a cohort are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) state: DeviceState,
    pub(super) manufacturer: Option<Arc<str>>,
    pub(super) model: Option<Arc<str>>,
    pub(super) firmware: Option<Arc<str>>,
    /// The ids of their objects, in ascending order; empty for devices that are not registered.
    pub(super) objects: Arc<[u16]>,
}

/// The id of a cohort; valid while it has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CohortId(u32);

#[derive(Debug)]
struct Cohort {
    kind: Kind,
    count: usize,
    /// `None` if the cohort contains a large part of all devices: a walk through all devices finds its members quickly.
    members: Option<Order>,
}

#[derive(Debug, Default)]
pub(super) struct Cohorts {
    slots: Vec<Cohort>,
    by_kind: HashMap<Kind, u32>,
    free: Vec<u32>,
    total: usize,
}

impl Cohorts {
    /// The kind of a cohort that has members.
    pub(super) fn kind(&self, CohortId(id): CohortId) -> &Kind {
        &self.slots[id as usize].kind
    }

    pub(super) fn join(&mut self, names: &Names, device: DeviceId, kind: Kind) -> CohortId {
        self.total += 1;
        let id = match self.by_kind.get(&kind) {
            Some(id) => *id,
            None => self.add(kind),
        };
        let total = self.total;
        let cohort = &mut self.slots[id as usize];
        cohort.count += 1;
        if let Some(members) = &mut cohort.members {
            names.insert_into(members, device);
            if cohort.count > ALWAYS_LISTED && cohort.count > total / 2 {
                cohort.members = None;
            }
        }
        CohortId(id)
    }

    /// Removes a member. Returns whether the cohort now needs a list, because it has become a small part of all devices.
    pub(super) fn leave(&mut self, names: &Names, device: DeviceId, CohortId(id): CohortId) -> bool {
        self.total -= 1;
        let cohort = &mut self.slots[id as usize];
        cohort.count -= 1;
        if let Some(members) = &mut cohort.members {
            names.remove_from(members, device);
        }
        if cohort.count == 0 {
            self.by_kind.remove(&cohort.kind);
            self.free.push(id);
            return false;
        }
        cohort.members.is_none() && cohort.count < (self.total / 4).max(ALWAYS_LISTED / 2)
    }

    /// The cohorts that need a list and have none.
    pub(super) fn unlisted(&self) -> Vec<CohortId> {
        let small =
            self.alive().filter(|(_, cohort)| cohort.members.is_none() && cohort.count <= self.total / 4);
        small.map(|(id, _)| id).collect()
    }

    /// Gives a cohort its list.
    pub(super) fn list(&mut self, CohortId(id): CohortId, members: Order) {
        self.slots[id as usize].members = Some(members);
    }

    /// The cohorts that have members.
    fn alive(&self) -> impl Iterator<Item = (CohortId, &Cohort)> {
        let all = self.slots.iter().enumerate().filter(|(_, cohort)| cohort.count > 0);
        all.map(|(place, cohort)| (CohortId(place as u32), cohort))
    }

    /// The cohorts whose kind matches, and those of which some devices may.
    pub(super) fn select(&self, fits: impl Fn(&Kind) -> Option<bool>) -> Selection {
        let mut wanted = vec![Some(false); self.slots.len()];
        let (mut count, mut cohorts, mut is_listed) = (0, 0, true);
        for (CohortId(id), cohort) in self.alive() {
            let fits = fits(&cohort.kind);
            if fits == Some(false) {
                continue;
            }
            wanted[id as usize] = fits;
            count += cohort.count;
            cohorts += 1;
            is_listed &= cohort.members.is_some();
        }
        Selection { wanted, count, cohorts, is_listed }
    }

    /// The lists of the selected cohorts, all or in part.
    pub(super) fn lists<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a Order> {
        let wanted =
            self.slots.iter().zip(&selection.wanted).filter(|(_, is_wanted)| **is_wanted != Some(false));
        wanted.filter_map(|(cohort, _)| cohort.members.as_ref())
    }

    /// The kinds of the cohorts that are selected as a whole, and their numbers of members.
    pub(super) fn counts<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = (&'a Kind, usize)> {
        let wanted =
            self.slots.iter().zip(&selection.wanted).filter(|(_, is_wanted)| **is_wanted == Some(true));
        wanted.map(|(cohort, _)| (&cohort.kind, cohort.count))
    }

    fn add(&mut self, kind: Kind) -> u32 {
        let cohort = Cohort { kind: kind.clone(), count: 0, members: Some(Order::default()) };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = cohort;
                id
            }
            None => {
                self.slots.push(cohort);
                (self.slots.len() - 1) as u32
            }
        };
        self.by_kind.insert(kind, id);
        id
    }
}

/// The cohorts that match a filter.
#[derive(Debug)]
pub(super) struct Selection {
    /// `None` if it depends on the device.
    wanted: Vec<Option<bool>>,
    /// The number of their members.
    pub(super) count: usize,
    /// The number of cohorts.
    pub(super) cohorts: usize,
    /// Whether each of them has a list.
    pub(super) is_listed: bool,
}

impl Selection {
    /// Whether the members of a cohort are selected; `None` if it depends on the device.
    pub(super) fn has(&self, CohortId(id): CohortId) -> Option<bool> {
        self.wanted.get(id as usize).copied().unwrap_or(Some(false))
    }

    /// Whether there is a cohort of which some members may match.
    pub(super) fn has_uncertain(&self) -> bool {
        self.wanted.contains(&None)
    }
}
