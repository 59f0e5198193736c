//! Finds devices by filters, and counts them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use buoy_api::DeviceState;
use buoy_fleet::filter::{Field, Seen, Subject};

use super::super::cohorts::{Kind, Selection};
use super::super::names::DeviceId;
use super::super::profile::Last;
use super::{CountBy, DeviceFilter, DeviceRecord, Known, MOST_MERGED, Model, PROVED};

/// The part of a device that it shares with the others of its cohort.
impl Subject for Kind {
    fn field(&self, field: &Field) -> Seen<'_> {
        match field {
            Field::State => Seen::Text(self.state.name()),
            Field::Manufacturer => text_of(self.manufacturer.as_deref()),
            Field::Model => text_of(self.model.as_deref()),
            Field::Firmware => text_of(self.firmware.as_deref()),
            Field::Object => Seen::Numbers(&self.objects),
            _ => Seen::Unknown,
        }
    }
}

/// One device.
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) known: &'a Known,
    pub(super) kind: &'a Kind,
    pub(super) started_at: u32,
}

impl Subject for Candidate<'_> {
    fn field(&self, field: &Field) -> Seen<'_> {
        let details = self.known.details.as_deref();
        let profile = details.and_then(|details| details.profile.as_deref());
        match field {
            Field::Name => Seen::Text(self.name),
            Field::Serial => text_of(details.and_then(|details| details.serial.as_deref())),
            Field::Hardware => text_of(details.and_then(|details| details.hardware.as_deref())),
            Field::Software => text_of(details.and_then(|details| details.software.as_deref())),
            Field::FirstContact => time_of(self.known.first_contact),
            Field::LastContact => time_of(self.known.last_contact),
            Field::NextContact => self.known.habit.next_visit().map_or(Seen::Missing, time_of),
            Field::OverdueSince => match self.known.overdue_at(self.started_at) {
                Some(at) if is_missed(self.kind.state) => time_of(at),
                _ => Seen::Missing,
            },
            Field::Proved => Seen::Flag(self.known.is(PROVED)),
            Field::Tag => profile.map_or(Seen::Missing, |profile| Seen::Texts(&profile.tags)),
            Field::Group => profile.map_or(Seen::Missing, |profile| Seen::Texts(&profile.groups)),
            Field::Own(name) => {
                text_of(profile.and_then(|profile| profile.fields.get(name)).map(String::as_str))
            }
            Field::Value(path) => {
                let mut values = details.into_iter().flat_map(|details| &details.values);
                match values.find(|(known, _)| known == path).map(|(_, last)| &last.value) {
                    Some(Last::Number(number)) => Seen::Number(*number),
                    Some(Last::Text(text)) => Seen::Text(text),
                    None => Seen::Missing,
                }
            }
            _ => self.kind.field(field),
        }
    }
}

/// Whether a device in this state may be overdue.
fn is_missed(state: DeviceState) -> bool {
    matches!(state, DeviceState::Overdue | DeviceState::Offline | DeviceState::Revoked)
}

fn text_of(text: Option<&str>) -> Seen<'_> {
    text.map_or(Seen::Missing, Seen::Text)
}

fn time_of(seconds: u32) -> Seen<'static> {
    if seconds == 0 { Seen::Missing } else { Seen::Time(u64::from(seconds) * 1000) }
}

impl Model {
    /// Devices after a name that match, ordered by name, and whether there are more.
    pub(crate) fn page(
        &self,
        filter: &DeviceFilter,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<DeviceRecord>, bool) {
        let most = limit.saturating_add(1);
        let mut found = self.find_matching(filter, after, most);
        let has_more = found.len() == most;
        found.truncate(limit);
        (found.into_iter().filter_map(|id| self.record_of(id)).collect(), has_more)
    }

    /// The names of all devices that match, in their order.
    pub(crate) fn matching(&self, filter: &DeviceFilter) -> Vec<Arc<str>> {
        let found = self.find_matching(filter, None, usize::MAX);
        found.into_iter().filter_map(|id| self.names.name(id).cloned()).collect()
    }

    /// Whether one device matches.
    pub(crate) fn is_match(&self, filter: &DeviceFilter, name: &str) -> bool {
        let Some((id, known)) = self.find(name) else { return false };
        let kind = self.cohorts.kind(known.cohort);
        let prefix = filter.prefix.as_deref().unwrap_or_default();
        name.starts_with(prefix) && filter.fits(kind).unwrap_or_else(|| self.holds(filter, id))
    }

    fn find_matching(&self, filter: &DeviceFilter, after: Option<&str>, most: usize) -> Vec<DeviceId> {
        let prefix = filter.prefix.as_deref().unwrap_or_default();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let has_prefix = |id: &DeviceId| self.names.name(*id).is_some_and(|name| name.starts_with(prefix));
        let selection = self.cohorts.select(|kind| filter.fits(kind));
        let is_match = |id: &DeviceId| self.is_selected(filter, &selection, *id);
        if selection.count == 0 {
            Vec::new()
        } else if !filter.is_for_all() && selection.is_listed && selection.cohorts <= MOST_MERGED {
            let lists = self.cohorts.lists(&selection);
            let firsts = lists.flat_map(|list| {
                self.names.in_list(list, start).take_while(has_prefix).filter(is_match).take(most)
            });
            let mut found: Vec<_> = firsts.collect();
            found.sort_unstable_by_key(|id| self.names.name(*id));
            found.truncate(most);
            found
        } else {
            let all = self.names.starting_at(start).take_while(has_prefix);
            all.filter(is_match).take(most).collect()
        }
    }

    fn is_selected(&self, filter: &DeviceFilter, selection: &Selection, id: DeviceId) -> bool {
        let Some(known) = self.known.get(id.index()) else { return false };
        selection.has(known.cohort).unwrap_or_else(|| self.holds(filter, id))
    }

    /// Whether a filter holds for a device whose kind does not decide it.
    fn holds(&self, filter: &DeviceFilter, id: DeviceId) -> bool {
        let (Some(name), Some(known)) = (self.names.name(id), self.known.get(id.index())) else {
            return false;
        };
        let kind = self.cohorts.kind(known.cohort);
        let candidate = Candidate { name, known, kind, started_at: self.started_at };
        let matching = filter.matching.as_ref();
        matching.is_none_or(|it| it.filter.holds(&candidate, it.now) == Some(true))
    }

    /// The number of matching devices for each value, the most frequent first. The prefix does not count.
    pub(crate) fn counts(&self, filter: &DeviceFilter, by: CountBy) -> Vec<(Option<String>, usize)> {
        let selection = self.cohorts.select(|kind| filter.fits(kind));
        let mut by_kind: Vec<(&Kind, usize)> = self.cohorts.counts(&selection).collect();
        if selection.has_uncertain() {
            by_kind.extend(self.counts_of_uncertain(filter, &selection));
        }
        let mut counts = BTreeMap::<Option<String>, usize>::new();
        let mut by_object = HashMap::<u16, usize>::new();
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        for (kind, count) in by_kind.into_iter().filter(|(_, count)| *count > 0) {
            let value = match by {
                CountBy::State => Some(kind.state.name().to_owned()),
                CountBy::Manufacturer => text(&kind.manufacturer),
                CountBy::Model => text(&kind.model),
                CountBy::Firmware => text(&kind.firmware),
                CountBy::Object => {
                    for object in &*kind.objects {
                        *by_object.entry(*object).or_default() += count;
                    }
                    continue;
                }
            };
            *counts.entry(value).or_default() += count;
        }
        counts.extend(by_object.into_iter().map(|(object, count)| (Some(object.to_string()), count)));
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(_, a), (_, b)| b.cmp(a));
        counts
    }

    /// The number of devices that match.
    pub(crate) fn count(&self, filter: &DeviceFilter) -> usize {
        let counts = self.counts(filter, CountBy::State);
        counts.into_iter().map(|(_, count)| count).sum()
    }

    /// Counts the devices whose kind does not decide whether they match, in the order in which they lie in memory.
    fn counts_of_uncertain<'a>(
        &'a self,
        filter: &DeviceFilter,
        selection: &Selection,
    ) -> impl Iterator<Item = (&'a Kind, usize)> {
        let mut counts = HashMap::new();
        for (index, known) in self.known.iter().enumerate() {
            if selection.has(known.cohort).is_none() && self.holds(filter, DeviceId::of_index(index)) {
                *counts.entry(known.cohort).or_insert(0) += 1;
            }
        }
        counts.into_iter().map(|(cohort, count)| (self.cohorts.kind(cohort), count))
    }
}
