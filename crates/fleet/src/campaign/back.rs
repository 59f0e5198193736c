//! The way back: when a campaign has stopped itself, the devices of the open wave that it has updated are put back on the version before, by updates that are
//! followed to their ends like any other. Maintenance windows do not hold them up: what they run is known to be bad.

use std::sync::Arc;

use super::{Campaign, Failure, Outbox, RETRY_AFTER, Ready, Stage, State};
use crate::update::End;

impl Campaign {
    /// What a device said that it ran before its update. To be told before [`Campaign::update_ended`], which saves it.
    pub fn ran_before(&mut self, name: &str, version: &str) {
        let Some(place) = self.place(name) else { return };
        let record = &mut self.devices[place].record;
        if matches!(record.stage, Stage::Ordered | Stage::Updating { .. }) {
            record.before = Some(version.to_owned());
        }
    }

    /// The update of a device to the version before was started.
    pub fn back_started(&mut self, name: &str, update: u64, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        let record = &mut self.devices[place].record;
        match &record.stage {
            Stage::GoingBack { update: None, version, at } => {
                let stage = Stage::GoingBack { update: Some(update), version: version.clone(), at: *at };
                record.last_update = update;
                self.set(place, stage, outbox);
            }
            // Another release is wanted meanwhile.
            Stage::Superseded => outbox.cancels.push(update),
            _ => {}
        }
    }

    /// It could not be started, since the device can't be reached, or another update is open: it is tried again later.
    pub fn back_refused(&mut self, now: u64, name: &str, reason: &str, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        let record = &mut self.devices[place].record;
        if let Stage::GoingBack { at, .. } = record.stage {
            record.not_before = now + RETRY_AFTER;
            reason.clone_into(&mut record.note);
            self.set(place, Stage::Confirmed { at }, outbox);
        }
    }

    /// It can't be put back, and why: it goes on with the release.
    pub fn stays(&mut self, name: &str, reason: &str, outbox: &mut Outbox) {
        let Some(place) = self.place(name) else { return };
        let record = &mut self.devices[place].record;
        if let Stage::GoingBack { at, .. } = record.stage {
            record.stays = true;
            record.note = format!("not put back: {reason}");
            self.set(place, Stage::Confirmed { at }, outbox);
        }
    }

    pub(super) fn put_some_back(&mut self, now: u64, ready: &dyn Fn(&str) -> Ready, outbox: &mut Outbox) {
        let mut room = u64::from(self.facts.plan.concurrent).saturating_sub(self.total().updating);
        let mut is_any_left = false;
        for place in 0..self.devices.len() {
            let (name, record) = (&self.devices[place].name, &self.devices[place].record);
            let at = match &record.stage {
                Stage::Confirmed { at } => *at,
                // It runs the release, and is not well with it.
                Stage::Failed { failure: Failure::Unhealthy, .. } if record.before.is_some() => now,
                _ => continue,
            };
            if record.wave != self.facts.wave || record.stays {
                continue;
            }
            is_any_left = true;
            if room == 0 || record.not_before > now || ready(name) == Ready::Unreachable {
                continue;
            }
            room -= 1;
            let version = record.before.clone();
            let back = Stage::GoingBack { update: None, version: version.clone().unwrap_or_default(), at };
            let name: Arc<str> = name.clone();
            self.set(place, back, outbox);
            match version {
                Some(version) => outbox.backs.push((name, version)),
                None => self.stays(&name, "it did not say what it ran before", outbox),
            }
        }
        if !is_any_left && self.total().updating == 0 {
            self.all_are_back(now);
        }
    }

    fn all_are_back(&mut self, now: u64) {
        let wave = self.facts.wave;
        let of_wave = || self.devices.iter().filter(|device| device.record.wave == wave);
        let back = of_wave().filter(|device| matches!(device.record.stage, Stage::PutBack { .. })).count();
        let is_not = |stage: &Stage| {
            matches!(stage, Stage::Failed { failure: Failure::NotPutBack | Failure::Unhealthy, .. })
        };
        let not = of_wave().filter(|device| device.record.stays || is_not(&device.record.stage)).count();
        self.facts.puts_back = false;
        let told = format!("{back} devices of wave {} run the version before again, {not} do not", wave + 1);
        self.note(now, told);
    }

    pub(super) fn back_ended(&mut self, place: usize, update: u64, end: &End, outbox: &mut Outbox) {
        let record = &mut self.devices[place].record;
        let Stage::GoingBack { update: known, version, .. } = &record.stage else { return };
        if known.map_or(update <= record.last_update, |known| known != update) {
            return;
        }
        let version = version.clone();
        record.last_update = update;
        let stage = match end {
            End::Updated | End::AlreadyRunning if self.facts.state == State::Running => Stage::Waiting,
            End::Updated | End::AlreadyRunning => Stage::PutBack { version },
            other => Stage::Failed {
                failure: Failure::NotPutBack,
                detail: format!(
                    "it was to go back to {version}: {}",
                    crate::update::Stage::Ended(other.clone())
                ),
            },
        };
        self.set(place, stage, outbox);
    }

    /// A person goes on: who was put back gets the release again.
    pub(super) fn go_back_no_more(&mut self, outbox: &mut Outbox) {
        self.facts.puts_back = false;
        for place in 0..self.devices.len() {
            if matches!(self.devices[place].record.stage, Stage::PutBack { .. }) {
                self.devices[place].record.attempts = 0;
                self.set(place, Stage::Waiting, outbox);
            }
        }
    }
}
