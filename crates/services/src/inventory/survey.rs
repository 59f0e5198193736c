//! Asks devices what they are, politely.
//!
//! Manufacturer, model, serial number and versions (object 3) are read when a device first registers and when it comes back from an update,
//! so that they are there without anyone asking. Devices are asked a few a second, each once; one that sleeps is asked when it wakes; one
//! that does not answer is left alone for an hour.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use buoy_server::OperationId;

use super::model::Model;

/// Devices that are asked in a second.
const A_SECOND: u64 = 20;
/// Devices that are asked and have not answered yet.
const MOST_ASKED: usize = 64;
/// Devices that wait for their turn. Of others the model knows.
const MOST_WAITING: usize = 4096;
/// How long one that did not answer is left alone; milliseconds.
const LEFT_ALONE: u64 = 60 * 60 * 1000;
/// After this time one that registers again is asked again; milliseconds.
const GOOD_FOR: u64 = 24 * 60 * 60 * 1000;
/// Devices that are looked at in search of one to ask.
const STEPS: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Survey {
    waiting: VecDeque<Arc<str>>,
    is_waiting: HashSet<Arc<str>>,
    asked: HashMap<OperationId, Arc<str>>,
    /// Where the search for further ones goes on.
    cursor: Option<Arc<str>>,
    /// Tenths of thousands of a question that may be asked: grows with the time.
    credit: u64,
    credited_at: Option<u64>,
}

impl Survey {
    /// A device has registered.
    pub(super) fn registered(&mut self, model: &mut Model, name: &Arc<str>, now: u64) {
        if model.read_at(name).is_some_and(|at| now >= at.saturating_add(GOOD_FOR)) {
            model.want(name);
        }
        self.can_be_reached(model, name, now);
    }

    /// A device has been updated: what it said of itself holds no longer.
    pub(super) fn updated(&mut self, model: &mut Model, name: &Arc<str>, now: u64) {
        model.want(name);
        model.ask_after(name, 0);
        self.can_be_reached(model, name, now);
    }

    /// A device can be spoken to.
    pub(super) fn can_be_reached(&mut self, model: &Model, name: &Arc<str>, now: u64) {
        if self.waiting.len() < MOST_WAITING
            && model.can_be_asked(name, now)
            && self.is_waiting.insert(name.clone())
        {
            self.waiting.push_back(name.clone());
        }
    }

    /// A device has answered, or has not. Whether it had been asked.
    pub(super) fn answered(
        &mut self,
        model: &mut Model,
        operation: OperationId,
        is_success: bool,
        now: u64,
    ) -> bool {
        let Some(name) = self.asked.remove(&operation) else { return false };
        if is_success {
            model.was_read(&name, now);
        } else {
            model.ask_after(&name, now.saturating_add(LEFT_ALONE));
        }
        true
    }

    /// The devices to ask now.
    pub(super) fn due(&mut self, model: &Model, now: u64) -> Vec<Arc<str>> {
        let passed = now.saturating_sub(self.credited_at.unwrap_or(now));
        self.credited_at = Some(now);
        self.credit = (self.credit + passed * A_SECOND).min(A_SECOND * 1000);
        if self.waiting.is_empty() && model.is_any_wanted() {
            let (found, next) = model.to_be_asked(self.cursor.take(), STEPS, A_SECOND as usize, now);
            self.cursor = next;
            let under_way: HashSet<&Arc<str>> = self.asked.values().collect();
            for name in found.into_iter().filter(|name| !under_way.contains(name)) {
                if self.is_waiting.insert(name.clone()) {
                    self.waiting.push_back(name);
                }
            }
        }
        let mut due = Vec::new();
        while self.credit >= 1000 && self.asked.len() + due.len() < MOST_ASKED {
            let Some(name) = self.waiting.pop_front() else { break };
            self.is_waiting.remove(&name);
            if model.can_be_asked(&name, now) {
                self.credit -= 1000;
                due.push(name);
            }
        }
        due
    }

    /// A device has been asked.
    pub(super) fn asked(&mut self, name: Arc<str>, operation: OperationId) {
        self.asked.insert(operation, name);
    }

    /// Whether a device may have to be asked soon.
    pub(super) fn is_busy(&self, model: &Model) -> bool {
        !self.waiting.is_empty() || model.is_any_wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Seed;
    use super::*;

    fn present(model: &mut Model, name: &str) -> Arc<str> {
        let name: Arc<str> = name.into();
        model.present(Seed::registered(&name, &[1, 3]));
        name
    }

    #[test]
    fn devices_are_asked_a_few_a_second_and_each_once() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        for number in 0..100 {
            let name = present(&mut model, &format!("d-{number:03}"));
            survey.registered(&mut model, &name, 0);
        }
        let mut asked = Vec::new();
        for second in 0..10 {
            let now = second * 1000;
            let due = survey.due(&model, now);
            assert!(due.len() <= 20, "{} at once", due.len());
            for (place, name) in due.into_iter().enumerate() {
                let id = OperationId(second * 100 + place as u64);
                survey.asked(name.clone(), id);
                asked.push(name);
                assert!(survey.answered(&mut model, id, true, now));
            }
        }
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 100);
        assert!(!survey.is_busy(&model));
        assert!(!survey.answered(&mut model, OperationId(0), true, 0), "nobody waits for that any more");
    }

    #[test]
    fn what_sleeps_is_asked_when_it_wakes() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        let name = present(&mut model, "sleeper");
        model.sleeps(&name, true);
        survey.registered(&mut model, &name, 0);
        survey.due(&model, 0);
        assert!(survey.due(&model, 1000).is_empty());
        model.sleeps(&name, false);
        survey.can_be_reached(&model, &name, 1000);
        assert_eq!(survey.due(&model, 2000), std::slice::from_ref(&name));
    }

    #[test]
    fn what_does_not_answer_is_left_alone_for_an_hour() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        let name = present(&mut model, "silent");
        survey.registered(&mut model, &name, 0);
        survey.due(&model, 0);
        assert_eq!(survey.due(&model, 1000), std::slice::from_ref(&name));
        survey.asked(name.clone(), OperationId(1));
        survey.answered(&mut model, OperationId(1), false, 1000);
        survey.registered(&mut model, &name, 2000);
        assert!(survey.due(&model, 60_000).is_empty());
        assert_eq!(survey.due(&model, 1000 + LEFT_ALONE), [name]);
    }

    #[test]
    fn an_updated_device_is_asked_again_and_one_that_registers_again_after_a_day() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        let name = present(&mut model, "a");
        model.was_read(&name, 1000);
        survey.registered(&mut model, &name, 2000);
        survey.due(&model, 2000);
        assert!(survey.due(&model, 3000).is_empty());
        survey.updated(&mut model, &name, 4000);
        assert_eq!(survey.due(&model, 4000), std::slice::from_ref(&name));
        model.was_read(&name, 4000);
        survey.registered(&mut model, &name, 4000 + GOOD_FOR);
        assert_eq!(survey.due(&model, 4000 + GOOD_FOR), [name]);
    }

    #[test]
    fn a_device_without_the_device_object_is_not_asked() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        let name: Arc<str> = "bare".into();
        model.present(Seed::registered(&name, &[1, 3303]));
        survey.registered(&mut model, &name, 0);
        survey.due(&model, 0);
        assert!(survey.due(&model, 1000).is_empty());
    }
}
