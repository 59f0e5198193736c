//! Who gives way when there is too much: handshakes of one source and in all, and sessions that nobody uses.

use super::{Address, EndReason, Endpoint, SWEEP, SWEEP_EVERY};
use crate::crypto::Provider;
use crate::time::Instant;

impl<A: Address, P: Provider> Endpoint<A, P> {
    /// Whether a handshake may begin; makes room if it can.
    pub(super) fn has_room(&mut self, from: A, now: Instant) -> bool {
        let of_source = self.sources.get(&from.source()).copied().unwrap_or(0);
        if of_source >= self.limits.handshakes_per_source && !self.give_up_oldest_of_source(from, now) {
            return false;
        }
        let too_many = u32::try_from(self.pending.len()).is_ok_and(|count| count >= self.limits.handshakes);
        !too_many || self.give_up_oldest_handshake(now)
    }

    /// Behind one address may stand a fleet, and one that begins handshakes and ends none must not lock out the others: the oldest handshake
    /// of the source gives way once it had its time.
    pub(super) fn give_up_oldest_of_source(&mut self, from: A, now: Instant) -> bool {
        let of_source =
            |slot: u32| self.entry(slot).is_some_and(|entry| entry.address.source() == from.source());
        let oldest = self.pending_by_age.iter().find(|(_, slot)| of_source(*slot)).copied();
        match oldest {
            Some((started, slot)) if now.since(started) >= self.limits.handshake_grace => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    pub(super) fn give_up_oldest_handshake(&mut self, now: Instant) -> bool {
        match self.pending_by_age.first().copied() {
            Some((started, slot)) if now.since(started) >= self.limits.handshake_grace => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    /// Whether there is room for one more session; makes it if it can. Asked only once its handshake is complete: who can't
    /// prove who it is throws nobody out.
    pub(super) fn has_room_for_session(&mut self, slot: u32, now: Instant) -> bool {
        let sessions = self.len().saturating_sub(self.pending.len());
        let too_many = u32::try_from(sessions).is_ok_and(|count| count > self.limits.sessions);
        !too_many || self.replace_a_session(slot, now)
    }

    /// Gives up the session that was silent the longest among some.
    pub(super) fn replace_a_session(&mut self, newest: u32, now: Instant) -> bool {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let silent = (0..SWEEP.min(count))
            .filter_map(|step| {
                let slot = self.sweep.next_slot.saturating_add(step).checked_rem(count)?;
                let entry = self.entry(slot).filter(|entry| entry.connection.is_established())?;
                if slot == newest {
                    return None;
                }
                Some((now.since(entry.heard), slot))
            })
            .max();
        self.sweep.next_slot = self.sweep.next_slot.saturating_add(SWEEP).checked_rem(count).unwrap_or(0);
        match silent {
            Some((silence, slot)) if silence >= self.limits.replaceable_after => {
                self.end(slot, EndReason::Replaced);
                true
            }
            _ => false,
        }
    }

    pub(super) fn sweep(&mut self, now: Instant) {
        let Some(idle) = self.limits.idle else { return };
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        // Everybody is looked at once a minute or so.
        for _ in 0..SWEEP.max(count / 64).min(count) {
            let slot = self.sweep.next_slot;
            self.sweep.next_slot = slot.saturating_add(1).checked_rem(count).unwrap_or(0);
            let is_idle = self
                .entry(slot)
                .is_some_and(|entry| entry.connection.is_established() && now.since(entry.heard) >= idle);
            if is_idle {
                self.end(slot, EndReason::Idle);
            }
        }
        self.sweep.due = (!self.is_empty()).then(|| now.after(SWEEP_EVERY));
    }

    pub(super) fn start_sweep(&mut self, now: Instant) {
        if self.limits.idle.is_some() && self.sweep.due.is_none() {
            self.sweep.due = Some(now.after(SWEEP_EVERY));
        }
    }
}
