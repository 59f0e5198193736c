//! Tags of the exchanges that verify addresses by a ping. They differ from the tags of other exchanges.

/// The tags of pings are greater than all others.
const PING: u64 = 3 << 62;

/// The tag of the ping for registration or session `target`.
pub(crate) const fn tag(target: u64) -> u64 {
    PING | target
}

/// The target of a ping with this tag; `None` if it is not the tag of a ping.
pub(crate) const fn target(tag: u64) -> Option<u64> {
    if tag & PING == PING { Some(tag & !PING) } else { None }
}
