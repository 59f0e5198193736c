//! What was received of late, in memory that the owner provides: found by hash, and forgotten in the order in which it came.
//!
//! All entries live equally long, so the oldest is the next to go: the entries lie in a ring, and no heap is needed. The links of the hash
//! chains lie apart from the entries and are small. So a server that remembers many messages seldom reads an entry that it does not look for.

use crate::time::Instant;

const NONE: u32 = u32::MAX;

/// The place of an entry; valid until the entry is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// The links of the entry at the same index.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// First entry of the hash chain that this index stands for.
    first: u32,
    /// The next entry of its own chain.
    next: u32,
    hash: u32,
}

impl Link {
    /// The link of no entry.
    pub const EMPTY: Self = Self { first: NONE, next: NONE, hash: 0 };
}

/// An entry with its deadline.
#[derive(Debug)]
pub struct Entry<T> {
    deadline: Instant,
    value: T,
}

/// Memory for as many entries as there are links, which must be empty.
#[derive(Debug)]
pub struct Memory<L, E> {
    links: L,
    entries: E,
}

/// Memory for `N` entries in place.
pub type Fixed<T, const N: usize> = Memory<[Link; N], [Option<Entry<T>>; N]>;
/// Memory on the heap.
#[cfg(feature = "alloc")]
pub type OnHeap<T> = Memory<alloc::boxed::Box<[Link]>, alloc::boxed::Box<[Option<Entry<T>>]>>;

impl<T, const N: usize> Fixed<T, N> {
    /// Nothing yet.
    pub const EMPTY: Self = Self { links: [Link::EMPTY; N], entries: [const { None }; N] };
}

#[cfg(feature = "alloc")]
impl<T> OnHeap<T> {
    /// Memory for so many entries.
    #[must_use]
    pub fn of(entries: usize) -> Self {
        Self {
            links: (0..entries).map(|_| Link::EMPTY).collect(),
            entries: (0..entries).map(|_| None).collect(),
        }
    }
}

/// What [`Recent`] needs of its memory: an array, a boxed slice.
pub trait Places<T> {
    /// The links.
    fn links(&self) -> &[Link];
    /// The links, to change them.
    fn links_mut(&mut self) -> &mut [Link];
    /// The entries.
    fn entries(&self) -> &[Option<Entry<T>>];
    /// The entries, to change them.
    fn entries_mut(&mut self) -> &mut [Option<Entry<T>>];
}

impl<T, L, E> Places<T> for Memory<L, E>
where
    L: AsRef<[Link]> + AsMut<[Link]>,
    E: AsRef<[Option<Entry<T>>]> + AsMut<[Option<Entry<T>>]>,
{
    fn links(&self) -> &[Link] {
        self.links.as_ref()
    }

    fn links_mut(&mut self) -> &mut [Link] {
        self.links.as_mut()
    }

    fn entries(&self) -> &[Option<Entry<T>>] {
        self.entries.as_ref()
    }

    fn entries_mut(&mut self) -> &mut [Option<Entry<T>>] {
        self.entries.as_mut()
    }
}

/// The entries that came last, at most as many as the memory holds.
#[derive(Debug)]
pub struct Recent<T, M> {
    memory: M,
    /// The place of the oldest entry.
    oldest: u32,
    /// The number of places from the oldest entry to the youngest; those between them may be empty.
    span: u32,
    entry: core::marker::PhantomData<T>,
}

impl<T, M: Places<T>> Recent<T, M> {
    /// Nothing yet.
    pub const fn new(memory: M) -> Self {
        Self { memory, oldest: 0, span: 0, entry: core::marker::PhantomData }
    }

    /// Adds an entry, which must not end before those that are there. Those that have ended are forgotten, and the oldest if there is no place.
    /// `None` if the memory has no places at all.
    pub fn insert(&mut self, now: Instant, hash: u32, deadline: Instant, value: T) -> Option<Place> {
        while self.span > 0 && (self.span >= self.places() || self.entry(self.oldest)?.deadline <= now) {
            self.remove(Place(self.oldest));
        }
        let index = self.nth(self.span);
        *self.memory.entries_mut().get_mut(index as usize)? = Some(Entry { deadline, value });
        let chain = self.chain_of(hash);
        let next = self.link(chain).map_or(NONE, |link| link.first);
        if let Some(link) = self.link_mut(index) {
            (link.hash, link.next) = (hash, next);
        }
        self.link_mut(chain)?.first = index;
        self.span = self.span.saturating_add(1);
        Some(Place(index))
    }

    /// The youngest entry of a hash that `matches` accepts.
    pub fn find(&self, hash: u32, matches: impl Fn(&T) -> bool) -> Option<Place> {
        let mut index = self.link(self.chain_of(hash))?.first;
        loop {
            let link = self.link(index)?;
            if link.hash == hash && self.entry(index).is_some_and(|entry| matches(&entry.value)) {
                return Some(Place(index));
            }
            index = link.next;
        }
    }

    /// The value at a place.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&T> {
        Some(&self.entry(place.0)?.value)
    }

    /// The value at a place.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        Some(&mut self.memory.entries_mut().get_mut(place.0 as usize)?.as_mut()?.value)
    }

    /// Forgets an entry.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        let entry = self.memory.entries_mut().get_mut(place.0 as usize)?.take()?;
        self.unlink(place.0);
        while self.span > 0 && self.entry(self.oldest).is_none() {
            self.oldest = self.nth(1);
            self.span = self.span.saturating_sub(1);
        }
        while self.span > 0 && self.entry(self.nth(self.span.saturating_sub(1))).is_none() {
            self.span = self.span.saturating_sub(1);
        }
        Some(entry.value)
    }

    /// Takes an entry out of its hash chain.
    fn unlink(&mut self, index: u32) {
        let Some(&Link { hash, next, .. }) = self.link(index) else { return };
        let chain = self.chain_of(hash);
        let first = self.link(chain).map_or(NONE, |link| link.first);
        if first == index {
            if let Some(link) = self.link_mut(chain) {
                link.first = next;
            }
            return;
        }
        let mut before = first;
        while let Some(link) = self.link_mut(before) {
            if link.next == index {
                link.next = next;
                return;
            }
            before = link.next;
        }
    }

    fn places(&self) -> u32 {
        self.memory.links().len().min(self.memory.entries().len()) as u32
    }

    /// The place so many behind the oldest entry's.
    fn nth(&self, distance: u32) -> u32 {
        let places = self.places();
        let index = self.oldest.wrapping_add(distance);
        if index < places { index } else { index.wrapping_sub(places) }
    }

    /// The index that stands for the chain of a hash.
    fn chain_of(&self, hash: u32) -> u32 {
        (u64::from(hash).wrapping_mul(u64::from(self.places())) >> 32) as u32
    }

    fn link(&self, index: u32) -> Option<&Link> {
        self.memory.links().get(index as usize)
    }

    fn link_mut(&mut self, index: u32) -> Option<&mut Link> {
        self.memory.links_mut().get_mut(index as usize)
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        self.memory.entries().get(index as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn without_places_nothing_is_remembered() {
        let mut recent = Recent::new(Fixed::<char, 0>::EMPTY);
        assert_eq!(recent.insert(Instant::ZERO, 1, Instant::NEVER, 'a'), None);
        assert_eq!(recent.find(1, |_| true), None);
    }

    proptest! {
        /// A list says what is right. Its entries keep their places until they are forgotten, so a removed one takes a place while it lies
        /// between others.
        #[test]
        fn it_behaves_like_a_list(
            steps in proptest::collection::vec((0u8..4, 0u32..6, any::<prop::sample::Index>(), 0u64..4), 0..300)
        ) {
            const PLACES: usize = 5;
            const LIFETIME: u64 = 10;
            let mut recent = Recent::new(Fixed::<u32, PLACES>::EMPTY);
            // Hash, value, deadline; `None` if it was removed.
            let mut list: Vec<Option<(u32, u32, u64)>> = Vec::new();
            let (mut now, mut number) = (0, 0);
            for (action, hash, which, passes) in steps {
                // Hashes that differ by the chain, and others that don't.
                let hash = hash.wrapping_mul(0x3000_0001);
                now += passes;
                if action < 3 {
                    while list.first().is_some_and(|first| first.is_none_or(|it| it.2 <= now) || list.len() == PLACES) {
                        list.remove(0);
                    }
                    number += 1;
                    list.push(Some((hash, number, now + LIFETIME)));
                    let deadline = Instant::from_millis(now + LIFETIME);
                    recent.insert(Instant::from_millis(now), hash, deadline, number).unwrap();
                } else if !list.is_empty() {
                    let removed = which.get(&list).map(|(hash, value, _)| (hash, value));
                    if let Some((hash, value)) = removed {
                        let place = recent.find(hash, |it| *it == value).unwrap();
                        prop_assert_eq!(recent.remove(place), Some(value));
                        for entry in &mut list {
                            entry.take_if(|entry| entry.1 == value);
                        }
                    }
                }
                while list.first().is_some_and(Option::is_none) {
                    list.remove(0);
                }
                while list.last().is_some_and(Option::is_none) {
                    list.pop();
                }
                for value in 1..=number {
                    let entry = list.iter().flatten().find(|entry| entry.1 == value);
                    let hashes = (0..6u32).map(|hash| hash.wrapping_mul(0x3000_0001));
                    for hash in hashes {
                        let place = recent.find(hash, |it| *it == value);
                        prop_assert_eq!(place.is_some(), entry.is_some_and(|entry| entry.0 == hash));
                        prop_assert_eq!(place.and_then(|place| recent.get(place)).copied(), place.map(|_| value));
                    }
                }
            }
        }
    }
}
