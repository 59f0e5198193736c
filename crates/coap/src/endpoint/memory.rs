//! Endpoints in arrays and on the heap.

use core::hash::Hash;

use rand_core::Rng;

use super::entries::{Exchange, Seen};
use super::{Endpoint, Parameters};
use crate::buffer::{Buffer, Messages};
#[cfg(feature = "alloc")]
use crate::buffer::{Inline, OnHeap};
use crate::recent;
use crate::table::Cell;

/// An endpoint in arrays: `N` exchanges with their messages in an `M`, and a memory of `S` message ids, each with the reply in an `R`.
pub type FixedEndpoint<P, M, R, const N: usize, const S: usize> =
    Endpoint<P, M, R, [Cell<Exchange<P, <M as Messages>::Kept>>; N], recent::Fixed<Seen<P, R>, S>>;

impl<P: Copy + Eq + Hash, M: Messages + Default, R: Buffer, const N: usize, const S: usize>
    FixedEndpoint<P, M, R, N, S>
{
    /// An endpoint that lies wholly in its owner.
    pub fn fixed(parameters: Parameters, rng: &mut impl Rng) -> Self {
        Self::new(parameters, M::default(), [const { Cell::EMPTY }; N], recent::Fixed::EMPTY, rng)
    }
}

/// The most bytes of a message that a [`HeapEndpoint`] sends.
#[cfg(feature = "alloc")]
pub const HEAP_MTU: usize = 1280;
/// The most bytes of a reply that a [`HeapEndpoint`] keeps for duplicates.
#[cfg(feature = "alloc")]
pub const HEAP_REPLY: usize = 40;

/// An endpoint on the heap, for servers.
#[cfg(feature = "alloc")]
pub type HeapEndpoint<P> = Endpoint<
    P,
    OnHeap<HEAP_MTU>,
    Inline<HEAP_REPLY>,
    alloc::boxed::Box<[Cell<Exchange<P, alloc::boxed::Box<[u8]>>>]>,
    recent::OnHeap<Seen<P, Inline<HEAP_REPLY>>>,
>;

#[cfg(feature = "alloc")]
impl<P: Copy + Eq + Hash> HeapEndpoint<P> {
    /// An endpoint for so many exchanges under way, that remembers so many message ids.
    pub fn on_heap(parameters: Parameters, exchanges: usize, seen: usize, rng: &mut impl Rng) -> Self {
        let exchanges = (0..exchanges).map(|_| Cell::EMPTY).collect();
        Self::new(parameters, OnHeap, exchanges, recent::OnHeap::of(seen), rng)
    }
}
