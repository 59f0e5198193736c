//! Lists by key, of the keys that were used last.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use super::Entry;

/// Two generations: the second one is dropped when the first one is full. So each of the last keys is found, and none costs a search.
#[derive(Debug)]
pub(super) struct Recent<K> {
    most: usize,
    young: HashMap<K, Vec<Entry>>,
    old: HashMap<K, Vec<Entry>>,
}

impl<K: Hash + Eq + Clone> Recent<K> {
    /// For at least `most` keys, and at most twice as many.
    pub(super) fn holding(most: usize) -> Self {
        Self { most, young: HashMap::new(), old: HashMap::new() }
    }

    /// Changes the list of a key.
    pub(super) fn enter(&mut self, key: &K, change: impl FnOnce(&mut Vec<Entry>)) {
        if let Some(entries) = self.young.get_mut(key) {
            return change(entries);
        }
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        let mut entries = self.old.remove(key).unwrap_or_default();
        change(&mut entries);
        self.young.insert(key.clone(), entries);
    }

    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&[Entry]>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key)).map(Vec::as_slice)
    }

    pub(super) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &[Entry]> {
        self.young.values().chain(self.old.values()).map(Vec::as_slice)
    }
}
