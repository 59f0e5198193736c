//! Memory for many values of one size.

/// The number of values in a part. For a registration a part is just below 32 KiB, so that the allocator rounds it up by little.
const PART: usize = 240;

/// A vector that grows without moving its values. The growth of a `Vec` of a million registrations copies a hundred megabytes while its
/// devices wait, and needs three times their memory for a moment.
#[derive(Debug)]
pub struct Slab<T> {
    /// All but the last are full.
    parts: Vec<Vec<T>>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |last| (self.parts.len() - 1) * PART + last.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds a value behind the others.
    pub fn push(&mut self, value: T) {
        if self.parts.last().is_none_or(|last| last.len() == PART) {
            self.parts.push(Vec::with_capacity(PART));
        }
        if let Some(last) = self.parts.last_mut() {
            last.push(value);
        }
    }

    /// The value at an index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.parts.get(index / PART)?.get(index % PART)
    }

    /// The value at an index, to change it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.parts.get_mut(index / PART)?.get_mut(index % PART)
    }

    /// The values, by index.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flatten()
    }

    /// The values from an index on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = &T> {
        let parts = self.parts.get(index / PART..).unwrap_or_default();
        parts.iter().flatten().skip(index % PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_is_a_vector_that_does_not_move() {
        let mut slab = Slab::default();
        assert_eq!((slab.len(), slab.is_empty(), slab.get(0)), (0, true, None));
        slab.push(0);
        let first: *const usize = slab.get(0).unwrap();
        (1..3 * PART + 5).for_each(|value| slab.push(value));
        assert_eq!((slab.len(), slab.is_empty()), (3 * PART + 5, false));
        assert!(std::ptr::eq(first, slab.get(0).unwrap()));
        assert!(slab.iter().copied().eq(0..3 * PART + 5));
        for from in [0, 1, PART - 1, PART, 2 * PART + 7, 3 * PART + 4] {
            assert!(slab.iter_from(from).copied().eq(from..3 * PART + 5), "{from}");
        }
        assert_eq!(slab.iter_from(9 * PART).count(), 0);
        *slab.get_mut(PART).unwrap() = 7;
        assert_eq!((slab.get(PART), slab.get(3 * PART + 5)), (Some(&7), None));
    }
}
