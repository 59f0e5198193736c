//! A list of at most `N` items that lives where it is declared.

use core::fmt;

#[derive(Clone, Copy)]
pub(crate) struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

/// The list is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListFull;

impl<T: Copy + Default, const N: usize> List<T, N> {
    pub(crate) fn push(&mut self, item: T) -> Result<(), ListFull> {
        *self.items.get_mut(self.len).ok_or(ListFull)? = item;
        self.len = self.len.saturating_add(1);
        Ok(())
    }
}

impl<T, const N: usize> List<T, N> {
    pub(crate) fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }
}

impl<T: Copy, const N: usize> List<T, N> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + Clone {
        self.as_slice().iter().copied()
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Eq, const N: usize> Eq for List<T, N> {}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
