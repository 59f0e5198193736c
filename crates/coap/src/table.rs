//! A bounded table in memory that the owner provides: entries found by hash, expired by deadline.
//!
//! The links of the hash chains and of the deadline heap lie inside the cells, so an array on a chip and a large boxed
//! slice on a server work alike: no allocation, constant-time look-up, logarithmic re-arming of a deadline.

use crate::time::Instant;

const NONE: u32 = u32::MAX;

/// The place of an entry; valid until the entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// One cell of a table's memory.
#[derive(Debug)]
pub struct Cell<T> {
    entry: Option<Entry<T>>,
    /// First entry of the hash chain that this cell's index stands for.
    chain: u32,
    /// The cell at this cell's index in the deadline heap; behind the heap's end, a free cell.
    heap: u32,
}

#[derive(Debug)]
struct Entry<T> {
    hash: u32,
    next: u32,
    heap_position: u32,
    deadline: Instant,
    value: T,
}

impl<T> Cell<T> {
    /// An empty cell.
    pub const EMPTY: Self = Self { entry: None, chain: NONE, heap: NONE };
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Memory for a table: an array, a boxed slice, a mutable borrow.
pub trait Cells<T>: AsRef<[Cell<T>]> + AsMut<[Cell<T>]> {}
impl<T, M: AsRef<[Cell<T>]> + AsMut<[Cell<T>]>> Cells<T> for M {}

/// A table of at most as many entries as its memory has cells.
#[derive(Debug)]
pub struct Table<T, M> {
    cells: M,
    length: u32,
    entry: core::marker::PhantomData<T>,
}

impl<T, M: Cells<T>> Table<T, M> {
    /// A table in `cells`, which must be empty ones.
    pub const fn new(cells: M) -> Self {
        Self { cells, length: 0, entry: core::marker::PhantomData }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many entries there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cells.as_ref().len()
    }

    /// Adds an entry; gives the value back if the table is full.
    ///
    /// # Errors
    /// The value, if there is no free cell.
    pub fn insert(&mut self, hash: u32, deadline: Instant, value: T) -> Result<Slot, T> {
        let Some(index) = self.free_cell() else {
            return Err(value);
        };
        let chain = self.chain_of(hash);
        let next = self.cell(chain).map_or(NONE, |cell| cell.chain);
        if let Some(cell) = self.cell_mut(chain) {
            cell.chain = index;
        }
        let heap_position = self.length;
        if let Some(cell) = self.cell_mut(index) {
            cell.entry = Some(Entry { hash, next, heap_position, deadline, value });
        }
        if let Some(cell) = self.cell_mut(heap_position) {
            cell.heap = index;
        }
        self.length = self.length.saturating_add(1);
        self.sift_up(heap_position);
        Ok(Slot(index))
    }

    /// Removes an entry.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let position = self.entry(slot.0)?.heap_position;
        self.unlink(slot.0);
        self.length = self.length.saturating_sub(1);
        let last = self.length;
        self.swap(position, last);
        let entry = self.cell_mut(slot.0)?.entry.take()?;
        if position < last {
            self.sift_up(position);
            self.sift_down(position);
        }
        Some(entry.value)
    }

    /// The value in a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        Some(&self.entry(slot.0)?.value)
    }

    /// The value in a slot.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        Some(&mut self.entry_mut(slot.0)?.value)
    }

    /// The first entry of a hash that `matches` accepts.
    pub fn find(&self, hash: u32, matches: impl Fn(&T) -> bool) -> Option<Slot> {
        self.chain(hash).find(|(_, value)| matches(value)).map(|(slot, _)| slot)
    }

    /// The entries of a hash, the youngest first.
    pub fn chain(&self, hash: u32) -> impl Iterator<Item = (Slot, &T)> {
        let mut index = self.cell(self.chain_of(hash)).map_or(NONE, |cell| cell.chain);
        core::iter::from_fn(move || {
            let (at, entry) = (index, self.entry(index)?);
            index = entry.next;
            Some((at, entry))
        })
        .filter(move |(_, entry)| entry.hash == hash)
        .map(|(at, entry)| (Slot(at), &entry.value))
    }

    /// The first entry, of any hash, that `matches` accepts.
    pub fn find_any(&self, matches: impl Fn(&T) -> bool) -> Option<Slot> {
        let cells = self.cells.as_ref().iter().enumerate();
        let mut used = cells.filter_map(|(index, cell)| Some((index, cell.entry.as_ref()?)));
        used.find(|(_, entry)| matches(&entry.value)).map(|(index, _)| Slot(index as u32))
    }

    /// The entry whose deadline comes first.
    #[must_use]
    pub fn earliest(&self) -> Option<(Slot, Instant)> {
        let index = self.cell(0)?.heap;
        self.entry(index).map(|entry| (Slot(index), entry.deadline))
    }

    /// An entry's deadline.
    #[must_use]
    pub fn deadline(&self, slot: Slot) -> Option<Instant> {
        self.entry(slot.0).map(|entry| entry.deadline)
    }

    /// Changes an entry's deadline.
    pub fn set_deadline(&mut self, slot: Slot, deadline: Instant) {
        let Some(entry) = self.entry_mut(slot.0) else {
            return;
        };
        entry.deadline = deadline;
        let position = entry.heap_position;
        self.sift_up(position);
        self.sift_down(position);
    }

    /// The heap's places behind the entries name the free cells; one that was never used names itself.
    fn free_cell(&self) -> Option<u32> {
        match self.cell(self.length)?.heap {
            NONE => Some(self.length),
            index => Some(index),
        }
    }

    fn chain_of(&self, hash: u32) -> u32 {
        hash.checked_rem(self.cells.as_ref().len() as u32).unwrap_or(0)
    }

    /// Takes an entry out of its hash chain.
    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.entry(index) else { return };
        let (chain, next) = (self.chain_of(entry.hash), entry.next);
        let first = self.cell(chain).map_or(NONE, |cell| cell.chain);
        if first == index {
            if let Some(cell) = self.cell_mut(chain) {
                cell.chain = next;
            }
            return;
        }
        let mut before = first;
        while let Some(entry) = self.entry_mut(before) {
            if entry.next == index {
                entry.next = next;
                return;
            }
            before = entry.next;
        }
    }

    fn sift_up(&mut self, mut position: u32) {
        while position > 0 {
            let parent = position.wrapping_sub(1) / 2;
            if self.deadline_at(parent) <= self.deadline_at(position) {
                return;
            }
            self.swap(parent, position);
            position = parent;
        }
    }

    fn sift_down(&mut self, mut position: u32) {
        loop {
            let left = position.saturating_mul(2).saturating_add(1);
            let right = left.saturating_add(1);
            let mut smallest = position;
            for child in [left, right] {
                if child < self.length && self.deadline_at(child) < self.deadline_at(smallest) {
                    smallest = child;
                }
            }
            if smallest == position {
                return;
            }
            self.swap(position, smallest);
            position = smallest;
        }
    }

    fn deadline_at(&self, position: u32) -> Instant {
        let index = self.cell(position).map_or(NONE, |cell| cell.heap);
        self.entry(index).map_or(Instant::NEVER, |entry| entry.deadline)
    }

    fn swap(&mut self, a: u32, b: u32) {
        let index_a = self.cell(a).map_or(NONE, |cell| cell.heap);
        let index_b = self.cell(b).map_or(NONE, |cell| cell.heap);
        for (position, index) in [(a, index_b), (b, index_a)] {
            if let Some(cell) = self.cell_mut(position) {
                cell.heap = index;
            }
            if let Some(entry) = self.entry_mut(index) {
                entry.heap_position = position;
            }
        }
    }

    fn cell(&self, index: u32) -> Option<&Cell<T>> {
        self.cells.as_ref().get(index as usize)
    }

    fn cell_mut(&mut self, index: u32) -> Option<&mut Cell<T>> {
        self.cells.as_mut().get_mut(index as usize)
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        self.cell(index)?.entry.as_ref()
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        self.cell_mut(index)?.entry.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut table = Table::new([const { Cell::EMPTY }; 1]);
        table.insert(1, Instant::ZERO, 'a').unwrap();
        assert_eq!(table.insert(2, Instant::ZERO, 'b'), Err('b'));
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_sorted_map(steps in proptest::collection::vec((0u8..3, 0u32..12, 0u64..50), 0..200)) {
            let mut table = Table::new([const { Cell::EMPTY }; 8]);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (action, key, time) in steps {
                let found = table.find(key % 3, |k: &u32| *k == key);
                prop_assert_eq!(found.is_some(), model.contains_key(&key));
                match (action, found) {
                    (0, None) if table.insert(key % 3, Instant::from_millis(time), key).is_ok() => {
                        model.insert(key, time);
                    }
                    (1, Some(slot)) => {
                        table.remove(slot);
                        model.remove(&key);
                    }
                    (2, Some(slot)) => {
                        table.set_deadline(slot, Instant::from_millis(time));
                        model.insert(key, time);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(
                    table.earliest().map(|(_, at)| at.as_millis()),
                    model.values().min().copied()
                );
            }
        }
    }
}
