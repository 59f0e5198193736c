//! The names of the exchanges that prove addresses, beside those of the requests that wait for the proof.

/// The names of pings stand behind all others.
const PING: u64 = 3 << 62;

/// The name of the ping for registration or session `target`.
pub(crate) const fn tag(target: u64) -> u64 {
    PING | target
}

/// What a ping of this name is for; `None` if the name is no ping's.
pub(crate) const fn target(tag: u64) -> Option<u64> {
    if tag & PING == PING { Some(tag & !PING) } else { None }
}
