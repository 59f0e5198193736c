//! The survey: reads the descriptions of devices at a limited rate.
//!
//! Manufacturer, model, serial number and versions (object 3) are read when a device first registers and when it registers after an update.
//! Only a few devices are queried each second. A sleeping device is queried when it wakes. A device that does not answer is not queried
//! again for an hour.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use buoy_server::Outcome;
use tokio::sync::oneshot;

use super::model::Model;
use crate::hub::Progress;

/// Devices that are queried in a second.
const A_SECOND: u64 = 20;
/// The most devices that have not answered yet.
const MOST_ASKED: usize = 64;
/// The most devices that wait here. The others are marked in the model.
const MOST_WAITING: usize = 4096;
/// After this time a device that registers again is queried again; milliseconds.
const GOOD_FOR: u64 = 24 * 60 * 60 * 1000;
/// Devices that are checked in a search for devices to query.
const STEPS: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Survey {
    waiting: VecDeque<Arc<str>>,
    is_waiting: HashSet<Arc<str>>,
    asked: HashMap<Arc<str>, Asked>,
    /// Devices that have changed while they were queried: their answer is outdated.
    outdated: HashSet<Arc<str>>,
    /// The number of waiting devices that have never authenticated. They get half of the places, since anybody can register under any name.
    strangers: usize,
    /// Where the search for further devices continues.
    cursor: Option<Arc<str>>,
    /// Thousandths of a query that may be sent; grows with time.
    credit: u64,
    credited_at: Option<u64>,
}

#[derive(Debug)]
struct Asked {
    end: oneshot::Receiver<Progress>,
    is_stranger: bool,
}

impl Survey {
    /// Handles a Register.
    pub(super) fn registered(&mut self, model: &mut Model, name: &Arc<str>, now: u64) {
        if model.read_at(name).is_some_and(|at| now >= at.saturating_add(GOOD_FOR)) {
            model.want(name);
        }
        self.can_be_reached(model, name, now);
    }

    /// Handles the end of an update: the device's description is outdated.
    pub(super) fn updated(&mut self, model: &mut Model, name: &Arc<str>, now: u64) {
        model.want(name);
        model.ask_after(name, 0);
        if self.asked.contains_key(name) {
            self.outdated.insert(name.clone());
        }
        self.can_be_reached(model, name, now);
    }

    /// Whether a device has changed since it was queried for what it has just answered; then it is queried again.
    pub(super) fn is_outdated(&mut self, name: &Arc<str>) -> bool {
        self.outdated.remove(name)
    }

    /// Handles a device that can be reached.
    pub(super) fn can_be_reached(&mut self, model: &Model, name: &Arc<str>, now: u64) {
        let has_place =
            self.waiting.len() < MOST_WAITING && (model.is_proved(name) || self.strangers < MOST_WAITING / 2);
        if has_place
            && model.can_be_asked(name, now)
            && !self.asked.contains_key(name)
            && self.is_waiting.insert(name.clone())
        {
            self.strangers += usize::from(!model.is_proved(name));
            self.waiting.push_back(name.clone());
        }
    }

    /// The answers that have arrived; `None` for devices that did not answer.
    pub(super) fn answers(&mut self) -> Vec<(Arc<str>, Option<Outcome>)> {
        let mut answers = Vec::new();
        self.asked.retain(|name, asked| {
            let answer = match asked.end.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return true,
                Ok(Progress::Ended(Ok(outcome))) => Some(outcome),
                Ok(_) | Err(oneshot::error::TryRecvError::Closed) => None,
            };
            answers.push((name.clone(), answer));
            false
        });
        answers
    }

    /// The devices to query now.
    pub(super) fn due(&mut self, model: &Model, now: u64) -> Vec<Arc<str>> {
        let passed = now.saturating_sub(self.credited_at.unwrap_or(now));
        self.credited_at = Some(now);
        self.credit = (self.credit + passed * A_SECOND).min(A_SECOND * 1000);
        if self.waiting.len() < A_SECOND as usize && model.is_any_wanted() {
            let (found, next) = model.to_be_asked(self.cursor.take(), STEPS, A_SECOND as usize, now);
            self.cursor = next;
            found.iter().for_each(|name| self.can_be_reached(model, name, now));
        }
        let mut strangers = self.asked.values().filter(|asked| asked.is_stranger).count();
        let mut due = Vec::new();
        for _ in 0..self.waiting.len() {
            if self.credit < 1000 || self.asked.len() + due.len() >= MOST_ASKED {
                break;
            }
            let Some(name) = self.waiting.pop_front() else { break };
            let is_stranger = !model.is_proved(&name);
            if is_stranger && strangers >= MOST_ASKED / 2 {
                self.waiting.push_back(name);
                continue;
            }
            self.is_waiting.remove(&name);
            self.strangers = self.strangers.saturating_sub(usize::from(is_stranger));
            if model.can_be_asked(&name, now) {
                strangers += usize::from(is_stranger);
                self.credit -= 1000;
                due.push(name);
            }
        }
        due
    }

    /// Records that a device was queried.
    pub(super) fn asked(&mut self, model: &Model, name: Arc<str>, end: oneshot::Receiver<Progress>) {
        let is_stranger = !model.is_proved(&name);
        self.asked.insert(name, Asked { end, is_stranger });
    }

    /// Whether a device may have to be queried soon.
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

    fn ask(survey: &mut Survey, model: &Model, name: &Arc<str>) -> oneshot::Sender<Progress> {
        let (answer, end) = oneshot::channel();
        survey.asked(model, name.clone(), end);
        answer
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
            for name in due {
                drop(ask(&mut survey, &model, &name));
                model.was_read(&name, now);
                asked.push(name);
            }
            survey.answers();
        }
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 100);
        assert!(!survey.is_busy(&model));
    }

    /// Whatever came of a question, its place is free afterwards.
    #[test]
    fn a_device_that_is_asked_is_not_asked_again_and_gives_its_place_up() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        let name = present(&mut model, "a");
        survey.registered(&mut model, &name, 0);
        survey.due(&model, 0);
        assert_eq!(survey.due(&model, 1000), std::slice::from_ref(&name));
        let answer = ask(&mut survey, &model, &name);
        for now in 1..200 {
            survey.registered(&mut model, &name, now * 1000);
            assert!(survey.due(&model, now * 1000).is_empty());
        }
        assert!(survey.answers().is_empty());
        drop(answer);
        assert!(matches!(&survey.answers()[..], [(_, None)]));
        assert!(survey.asked.is_empty());
    }

    #[test]
    fn devices_that_never_proved_their_name_leave_half_of_the_places_to_others() {
        let (mut model, mut survey) = (Model::default(), Survey::default());
        for number in 0..5000 {
            let name: Arc<str> = format!("stranger-{number}").into();
            model.present(Seed { proved: false, ..Seed::registered(&name, &[3]) });
            survey.registered(&mut model, &name, 0);
        }
        let name = present(&mut model, "z");
        survey.registered(&mut model, &name, 0);
        let (mut answers, mut asked) = (Vec::new(), Vec::new());
        for second in 0..200 {
            for name in survey.due(&model, second * 1000) {
                answers.push(ask(&mut survey, &model, &name));
                asked.push(name);
            }
        }
        assert!(asked.contains(&name));
        assert_eq!(asked.len(), MOST_ASKED / 2 + 1);
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
