//! Limits the attempts to sign in, by address and by account, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Failed attempts count for this long; milliseconds.
const WINDOW: u64 = 15 * 60 * 1000;
/// The most failed attempts from one address in a window,
const MOST_OF_ADDRESS: u32 = 20;
/// and for one account, from all addresses but the one where it last signed in.
const MOST_OF_ACCOUNT: u32 = 50;
/// The most addresses of which attempts are counted.
const MOST_ADDRESSES: usize = 10_000;

/// Recent attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    by_address: HashMap<IpAddr, Window>,
    by_account: HashMap<String, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: u64,
    failures: u32,
}

/// One attempt: it counts as failed until it is known to have succeeded, so that attempts at the same time don't pass the limit together.
#[derive(Debug)]
pub(super) struct Attempt {
    address: Option<IpAddr>,
    account: Option<String>,
}

/// There were too many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds until the next one is taken.
    pub seconds: u64,
}

impl Attempts {
    /// Starts an attempt. `account` is an account that exists, unless the attempt comes from where that account last signed in: so nobody else
    /// can lock its owner out.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(super) fn begin(
        &mut self,
        address: Option<IpAddr>,
        account: Option<&str>,
        now: u64,
    ) -> Result<Attempt, TooMany> {
        let address = address.map(network);
        let of_address =
            address.and_then(|address| left(self.by_address.get(&address), MOST_OF_ADDRESS, now));
        let of_account = account.and_then(|account| left(self.by_account.get(account), MOST_OF_ACCOUNT, now));
        if let Some(wait) = of_address.max(of_account) {
            return Err(TooMany { seconds: wait.div_ceil(1000) });
        }
        if let Some(address) = address {
            self.make_room(now);
            count(self.by_address.entry(address).or_insert(Window { since: now, failures: 0 }), now);
        }
        if let Some(account) = account {
            count(
                self.by_account.entry(account.to_owned()).or_insert(Window { since: now, failures: 0 }),
                now,
            );
        }
        Ok(Attempt { address, account: account.map(str::to_owned) })
    }

    /// The attempt succeeded: it does not count.
    pub(super) fn succeeded(&mut self, attempt: Attempt) {
        let windows = [
            attempt.address.and_then(|address| self.by_address.get_mut(&address)),
            attempt.account.and_then(|account| self.by_account.get_mut(&account)),
        ];
        for window in windows.into_iter().flatten() {
            window.failures = window.failures.saturating_sub(1);
        }
    }

    /// Forgets an account that was removed or got a new password.
    pub(super) fn forget(&mut self, account: &str) {
        self.by_account.remove(account);
    }

    fn make_room(&mut self, now: u64) {
        if self.by_address.len() < MOST_ADDRESSES {
            return;
        }
        self.by_address.retain(|_, window| now.saturating_sub(window.since) < WINDOW);
        if self.by_address.len() >= MOST_ADDRESSES {
            let oldest =
                self.by_address.iter().min_by_key(|(_, window)| window.since).map(|(address, _)| *address);
            oldest.and_then(|address| self.by_address.remove(&address));
        }
    }
}

fn count(window: &mut Window, now: u64) {
    if now.saturating_sub(window.since) >= WINDOW {
        *window = Window { since: now, failures: 0 };
    }
    window.failures += 1;
}

/// How long the next attempt has to wait, if it has to.
fn left(window: Option<&Window>, most: u32, now: u64) -> Option<u64> {
    let window = window?;
    let passed = now.saturating_sub(window.since);
    (passed < WINDOW && window.failures >= most).then(|| WINDOW - passed)
}

/// An IPv6 host has at least the 2^64 addresses of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn an_address_has_some_attempts_in_a_window_and_successes_do_not_count() {
        let mut attempts = Attempts::default();
        for _ in 0..100 {
            let attempt = attempts.begin(address(1), None, 0).unwrap();
            attempts.succeeded(attempt);
        }
        for _ in 0..MOST_OF_ADDRESS {
            attempts.begin(address(1), None, 0).unwrap();
        }
        assert_eq!(attempts.begin(address(1), None, 1000).unwrap_err(), TooMany { seconds: 899 });
        attempts.begin(address(2), None, 1000).unwrap();
        attempts.begin(address(1), None, WINDOW).unwrap();
    }

    #[test]
    fn an_account_has_some_attempts_from_all_addresses_together() {
        let mut attempts = Attempts::default();
        for number in 0..MOST_OF_ACCOUNT {
            attempts.begin(address(number), Some("a"), 0).unwrap();
        }
        attempts.begin(address(1000), Some("a"), 0).unwrap_err();
        attempts.begin(address(1000), Some("b"), 0).unwrap();
        // From where the account last signed in.
        attempts.begin(address(1000), None, 0).unwrap();
    }

    #[test]
    fn the_addresses_of_a_network_count_together_and_memory_is_bounded() {
        let mut attempts = Attempts::default();
        let of_network = |host: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, host, 0, 0, 1)));
        for host in 0..MOST_OF_ADDRESS as u16 {
            attempts.begin(of_network(host), None, 0).unwrap();
        }
        attempts.begin(of_network(999), None, 0).unwrap_err();
        for number in 0..(MOST_ADDRESSES as u32 + 50) {
            attempts.begin(address(number), None, u64::from(number)).unwrap();
        }
        assert!(attempts.by_address.len() <= MOST_ADDRESSES);
    }
}
