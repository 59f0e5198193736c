//! ClientHellos that come in fragments (RFC 6347 section 4.2.3), as clients on narrow paths and with many extensions send them.
//!
//! A stranger's fragments are not kept: the first one of a hello without a cookie is answered like a whole hello. What is kept here began with a
//! good cookie, so its sender receives at its address; and it is little: so many hellos, each so long, the oldest of which gives way.

use alloc::collections::VecDeque;

use super::Address;
use crate::cookie::GoodHello;
use crate::handshake::inbox::{Fragment, Inbox, Kept};

/// Hellos under way: a fragment follows the other within moments.
const MOST: usize = 256;
/// Of one [`Address::Source`].
const MOST_OF_SOURCE: usize = 16;
/// The longest hello: one with a ticket that holds a chain of certificates has less.
const LONGEST: usize = 4096;

pub(super) struct Assembly<A> {
    /// The oldest in front.
    hellos: VecDeque<Begun<A>>,
}

struct Begun<A> {
    address: A,
    random: [u8; 32],
    message_sequence: u16,
    total: u32,
    /// The highest of the records that brought it, by which the server goes on counting.
    record_sequence: u64,
    inbox: Inbox,
}

impl<A: Address> Assembly<A> {
    pub(super) const fn new() -> Self {
        Self { hellos: VecDeque::new() }
    }

    /// Keeps the first fragment of a hello with a good cookie, in place of another hello of the address. One that is known already is gone on
    /// with: its fragments may come in any order when they are repeated.
    pub(super) fn begin(
        &mut self,
        address: A,
        random: [u8; 32],
        fragment: &Fragment<'_>,
        record_sequence: u64,
    ) -> Option<GoodHello> {
        let is_known = self.find(address, fragment).is_some_and(|begun| begun.random == random);
        if !is_known {
            if usize::try_from(fragment.total).map_or(true, |total| total > LONGEST) {
                return None;
            }
            self.hellos.retain(|begun| begun.address != address);
            self.make_room(address);
            let inbox = Inbox::new(fragment.sequence, LONGEST);
            let (message_sequence, total) = (fragment.sequence, fragment.total);
            self.hellos.push_back(Begun { address, random, message_sequence, total, record_sequence, inbox });
        }
        self.go_on(address, fragment, record_sequence)
    }

    /// Takes a further fragment; the hello, if it is whole now.
    pub(super) fn go_on(
        &mut self,
        address: A,
        fragment: &Fragment<'_>,
        record_sequence: u64,
    ) -> Option<GoodHello> {
        let begun = self.find(address, fragment)?;
        if begun.inbox.push(0, fragment) != Ok(Kept::Yes) {
            return None;
        }
        begun.record_sequence = begun.record_sequence.max(record_sequence);
        let arrived = begun.inbox.pop()?;
        let (message_sequence, record_sequence) = (begun.message_sequence, begun.record_sequence);
        self.hellos.retain(|begun| begun.address != address);
        GoodHello::put_together(arrived, message_sequence, record_sequence)
    }

    fn find(&mut self, address: A, fragment: &Fragment<'_>) -> Option<&mut Begun<A>> {
        let is_it = |begun: &&mut Begun<A>| {
            (begun.address, begun.message_sequence, begun.total)
                == (address, fragment.sequence, fragment.total)
        };
        self.hellos.iter_mut().find(is_it)
    }

    fn make_room(&mut self, address: A) {
        let is_of_source = |begun: &Begun<A>| begun.address.source() == address.source();
        if self.hellos.iter().filter(|begun| is_of_source(begun)).count() >= MOST_OF_SOURCE
            && let Some(oldest) = self.hellos.iter().position(is_of_source)
        {
            self.hellos.remove(oldest);
        }
        if self.hellos.len() >= MOST {
            self.hellos.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hellos.len()
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;
    use crate::failure::Message;

    fn fragment(total: u32, offset: u32, body: &[u8]) -> Fragment<'_> {
        Fragment { message: Message::ClientHello, sequence: 1, total, offset, body }
    }

    fn address(source: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, source], port))
    }

    #[test]
    fn what_is_kept_of_hellos_is_bounded_by_source_by_number_and_by_length() {
        let mut assembly = Assembly::new();
        for port in 0..1000 {
            assert!(assembly.begin(address(1, port), [1; 32], &fragment(1000, 0, &[0; 100]), 0).is_none());
        }
        assert_eq!(assembly.len(), MOST_OF_SOURCE);
        for source in 0..=255 {
            for port in 0..10 {
                assembly.begin(address(source, port), [1; 32], &fragment(1000, 0, &[0; 100]), 0);
            }
        }
        assert_eq!(assembly.len(), MOST);
        // The newest is kept, and the same address has one place.
        let newest = address(7, 7);
        for random in 0..100 {
            assembly.begin(newest, [random; 32], &fragment(1000, 0, &[0; 100]), 0);
        }
        assert_eq!(assembly.hellos.iter().filter(|begun| begun.address == newest).count(), 1);
        assert_eq!(assembly.len(), MOST);
        let too_long = u32::try_from(LONGEST).unwrap() + 1;
        assert!(assembly.begin(address(8, 8), [1; 32], &fragment(too_long, 0, &[0; 100]), 0).is_none());
        assert!(assembly.find(address(8, 8), &fragment(too_long, 0, &[])).is_none());
    }

    #[test]
    fn fragments_of_another_hello_or_of_none_are_not_kept() {
        let mut assembly = Assembly::new();
        let at = address(1, 1);
        assert!(assembly.go_on(at, &fragment(200, 100, &[0; 100]), 0).is_none());
        assert_eq!(assembly.len(), 0);
        assembly.begin(at, [1; 32], &fragment(200, 0, &[0; 100]), 3);
        assert!(assembly.go_on(at, &fragment(201, 100, &[0; 101]), 4).is_none());
        assert!(assembly.go_on(address(1, 2), &fragment(200, 100, &[0; 100]), 4).is_none());
        assert_eq!(assembly.len(), 1);
        // Whole, and no hello: nothing is left of it.
        assert!(assembly.go_on(at, &fragment(200, 100, &[0xff; 100]), 4).is_none());
        assert_eq!(assembly.len(), 0);
    }
}
