//! All groups and saved filters, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use buoy_fleet::filter::{Filter, FilterError, GroupDefinition, GroupError, quoted};
use buoy_store::{DocumentKind, Reader, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// All groups and saved filters.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    state: RwLock<State>,
    /// One edit at a time, since it is checked against what is there.
    pub(super) edits: Arc<Mutex<()>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) groups: BTreeMap<String, GroupRecord>,
    pub(super) filters: BTreeMap<String, FilterRecord>,
}

/// A group, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct GroupRecord {
    pub(super) description: String,
    pub(super) filter: Option<String>,
    pub(super) parent: Option<String>,
}

/// A filter, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FilterRecord {
    pub(super) filter: String,
    pub(super) description: String,
}

/// Why a filter can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterFault {
    /// The text is no filter.
    Text(FilterError),
    /// Its groups can't be resolved.
    Group(GroupError),
}

impl std::fmt::Display for FilterFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(error) => write!(f, "the filter is wrong {error}"),
            Self::Group(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FilterFault {}

impl FilterFault {
    /// Where in the text it is: a number of characters from its start.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::Text(error) => Some(error.at),
            Self::Group(_) => None,
        }
    }
}

impl Groups {
    /// Those of the store.
    pub(crate) fn load(reader: &dyn Reader) -> Result<Self, StoreError> {
        let mut state = State::default();
        let damaged = |key: &str| tracing::error!(name = key, "a group or a saved filter cannot be read");
        reader.documents(DocumentKind::Group, "", &mut |row| match serde_json::from_slice(&row.body) {
            Ok(record) => drop(state.groups.insert(row.name, record)),
            Err(_) => damaged(&row.name),
        })?;
        reader.documents(DocumentKind::Filter, "", &mut |row| match serde_json::from_slice(&row.body) {
            Ok(record) => drop(state.filters.insert(row.name, record)),
            Err(_) => damaged(&row.name),
        })?;
        Ok(Self { state: RwLock::new(state), edits: Arc::default() })
    }

    /// Whether there is a group of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.read(|state| state.groups.contains_key(name))
    }

    /// A filter whose groups are resolved.
    pub(super) fn resolve(&self, text: &str) -> Result<Filter, FilterFault> {
        self.read(|state| state.resolve(text))
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    pub(super) fn resolve(&self, text: &str) -> Result<Filter, FilterFault> {
        let filter = Filter::parse(text).map_err(FilterFault::Text)?;
        let names = || self.groups.keys().cloned().collect();
        filter.resolve(&|name| self.definition(name), &names).map_err(FilterFault::Group)
    }

    fn definition(&self, name: &str) -> Option<GroupDefinition> {
        let record = self.groups.get(name)?;
        let is_child = |(_, child): &(&String, &GroupRecord)| child.parent.as_deref() == Some(name);
        Some(GroupDefinition {
            filter: record.filter.as_deref().and_then(|filter| Filter::parse(filter).ok()),
            children: self.groups.iter().filter(is_child).map(|(name, _)| name.clone()).collect(),
        })
    }

    pub(super) fn check_group(&self, name: &str) -> Result<(), FilterFault> {
        self.resolve(&group_filter(name)).map(drop)
    }
}

/// The filter of a group's members.
pub(super) fn group_filter(name: &str) -> String {
    format!("group = {}", quoted(name))
}
