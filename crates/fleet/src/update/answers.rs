//! What happens to an update: registrations, notifications, answers, time.

use std::time::Duration;

use buoy_lwm2m::path::Path;

use super::{
    ASK_SOON, Action, Answer, End, REASON, RESULT, STATE, Stage, Step, UPDATE, Update, Value, millis,
    told_state,
};
use crate::verdict::state;

/// At the end of its time a device has so long to say what is so, or as long as the stage had if that was less,
const LAST_WORDS: Duration = Duration::from_secs(120);
/// but not less than this.
const LAST_WORDS_AT_LEAST: Duration = Duration::from_secs(5);
/// Bytes of a text that are kept.
const MAX_TEXT: usize = 255;

/// 4.08 Request Entity Incomplete
const INCOMPLETE: u8 = 4 << 5 | 8;
/// 4.29 Too Many Requests (RFC 8516)
const TOO_MANY: u8 = 4 << 5 | 29;
/// 5.03 Service Unavailable
const UNAVAILABLE: u8 = 5 << 5 | 3;

impl Update {
    /// The device may have rebooted, and lost its observations.
    pub(super) fn registered(&mut self, now: u64) {
        self.work.is_observed = false;
        match self.facts.stage {
            Stage::Downloading => {
                self.facts_mut().since.registered = true;
                self.observe();
            }
            Stage::Executing if self.is_busy_with(&Action::Execute) => {
                self.work.registered_meanwhile = true;
                return;
            }
            Stage::Executing | Stage::Installing | Stage::Deferred | Stage::Confirming => {
                self.facts_mut().since.registered = true;
                self.enter(now, Stage::Confirming);
            }
            _ => {}
        }
        self.work.pause = Duration::ZERO;
        self.ask_now_or_after(now);
    }

    /// A device that can be reached is asked, unless it was a moment ago.
    pub(super) fn contacted(&mut self, now: u64) {
        if self.work.outstanding.is_some() {
            return;
        }
        let soonest = self.work.asked_at.saturating_add(millis(ASK_SOON));
        if soonest <= now {
            self.begin_round(now);
        } else {
            self.work.ask_at = self.work.ask_at.map(|at| at.min(soonest));
        }
    }

    /// A notification says that it is worth while to ask. States that pass by are seen here only.
    pub(super) fn notified(&mut self, now: u64, value: Value<'_>) {
        let said = self.work.round.as_ref().map_or(&self.work.said, |round| &round.said);
        let is_news = match value {
            Value::State(state) => {
                let is_news = said.state != Some(state);
                self.saw_state(state);
                is_news && !matches!(state, state::DOWNLOADING | state::UPDATING)
            }
            Value::Result(result) => said.result != Some(result),
            Value::Version(version) => said.version.as_deref() != Some(version),
            Value::Reason(_) => false,
        };
        if is_news {
            self.ask_now_or_after(now);
        }
    }

    pub(super) fn answered(&mut self, now: u64, token: u64, answer: Answer<'_>) {
        if self.work.outstanding.as_ref().is_none_or(|(expected, _)| *expected != token) {
            return;
        }
        let Some((_, action)) = self.work.outstanding.take() else { return };
        match action {
            Action::Observe(path) => self.observed(path, answer),
            Action::Read(path) => self.read(now, path, answer),
            Action::Reset => self.reset(now, answer),
            Action::WriteUri(_) | Action::Push(_) => self.ordered(now, &action, answer),
            Action::Execute => self.executed(now, answer),
        }
        if std::mem::take(&mut self.work.ask_anew) && !self.has_ended() {
            self.begin_round(now);
        }
    }

    /// A device need not let its state be observed; it is asked too.
    fn observed(&mut self, path: Path, answer: Answer<'_>) {
        if let (STATE, Answer::Value(Value::State(state))) = (path, answer) {
            self.saw_state(state);
        }
    }

    fn read(&mut self, now: u64, path: Path, answer: Answer<'_>) {
        let is_last = self.work.last_words_until.is_some();
        match answer {
            // Most devices have no such resource.
            Answer::Refused { .. } | Answer::Unanswered { .. } | Answer::Done if path == REASON => {}
            Answer::Value(value) => self.heard(value),
            Answer::Done => self.not_told(now, path, "the answer cannot be read"),
            Answer::Refused { code, reason } if !is_passing(code) => self.not_told(now, path, reason),
            // What is known by then has to do.
            _ if is_last => {}
            Answer::Refused { .. } | Answer::Unanswered { .. } => self.void_round(),
        }
    }

    fn heard(&mut self, value: Value<'_>) {
        match value {
            Value::State(state) => self.saw_state(state),
            Value::Result(result) if self.facts.stage != Stage::Inspecting => {
                let mut since = self.facts.since;
                since.saw_result(result);
                self.set_since(since);
            }
            _ => {}
        }
        let Some(round) = &mut self.work.round else { return };
        match value {
            Value::State(state) => {
                // It moves: what was said before may be of before.
                if round.said.state.is_some_and(|before| before != state) {
                    round.is_void = true;
                    self.work.pause = Duration::ZERO;
                }
                round.said.state = Some(state);
            }
            Value::Result(result) => round.said.result = Some(result),
            Value::Version(version) => round.said.version = Some(shortened(version)),
            Value::Reason("") => {}
            Value::Reason(reason) => round.reason = Some(shortened(reason)),
        }
        self.work.said = round.said.clone();
    }

    /// A device that never tells its state or its version cannot be followed; one that is booting may be busy.
    fn not_told(&mut self, now: u64, path: Path, reason: &str) {
        match self.facts.stage {
            Stage::Inspecting if path != RESULT => {
                self.end(now, End::Failed { reason: format!("{path}: {reason}") });
            }
            _ if path == STATE && self.work.last_words_until.is_none() => self.void_round(),
            _ => {}
        }
    }

    fn reset(&mut self, now: u64, answer: Answer<'_>) {
        match answer {
            Answer::Done | Answer::Value(_) => {
                self.work.resets = 1;
                self.begin_round(now);
            }
            Answer::Refused { code, reason } if !is_passing(code) => {
                let state = told_state(self.work.said.state);
                let reason =
                    format!("the device holds another package ({state}) and refuses to drop it: {reason}");
                self.end(now, End::Failed { reason });
            }
            Answer::Refused { .. } | Answer::Unanswered { .. } => self.ask_later(now),
        }
    }

    fn ordered(&mut self, now: u64, action: &Action, answer: Answer<'_>) {
        match answer {
            Answer::Done | Answer::Value(_) => {
                self.enter(now, Stage::Downloading);
                self.begin_round(now);
            }
            // The device lost what it had of the body; it may be sent again from the start (RFC 7959 section 2.9.2).
            Answer::Refused { code: INCOMPLETE, reason } if matches!(action, Action::Push(_)) => {
                self.order_again(now, &format!("{}: {reason}", action.path()));
            }
            Answer::Refused { code, .. } if is_passing(code) => self.ask_later(now),
            // The answer that says so may be the second, to an order that the device took the first time.
            Answer::Refused { reason, .. } => {
                self.work.refusal = Some(format!("{}: {reason}", action.path()));
                self.begin_round(now);
            }
            Answer::Unanswered { .. } => self.ask_later(now),
        }
    }

    fn executed(&mut self, now: u64, answer: Answer<'_>) {
        let registered = std::mem::take(&mut self.work.registered_meanwhile);
        match answer {
            Answer::Done | Answer::Value(_) => {
                self.enter(now, Stage::Installing);
                self.ask_later(now);
            }
            Answer::Refused { reason, .. } if self.facts.executes <= 1 => {
                self.end(now, End::Failed { reason: format!("{UPDATE}: {reason}") });
            }
            // It may have taken the one before, whose answer was lost.
            Answer::Refused { .. } => {
                self.enter(now, Stage::Installing);
                self.begin_round(now);
            }
            Answer::Unanswered { .. } if registered => {
                self.facts_mut().since.registered = true;
                self.enter(now, Stage::Confirming);
                self.begin_round(now);
            }
            Answer::Unanswered { .. } => self.ask_later(now),
        }
    }

    /// A device that has the order is told to forget it: an empty URI takes it back in every version of the object.
    pub(super) fn cancelled(&mut self, now: u64, steps: &mut Vec<Step>) {
        let has_order = matches!(self.facts.stage, Stage::Ordering | Stage::Downloading | Stage::Executing);
        self.withdraw(steps);
        self.end(now, End::Cancelled);
        if has_order {
            steps.push(Step::Submit(self.next_token(), Action::Reset));
        }
    }

    /// Before the time is over the device is asked once more, and has the last word.
    pub(super) fn timed_out(&mut self, now: u64, steps: &mut Vec<Step>) {
        match self.work.last_words_until {
            Some(until) if until <= now => {
                self.withdraw(steps);
                self.end_as_timed_out(now);
            }
            Some(_) => {}
            // What is so is known; only the reason is not.
            None if self.facts.limit_at <= now && self.is_busy_with(&Action::Read(REASON)) => {
                self.withdraw(steps);
                if let Some(round) = self.work.round.take() {
                    self.judge(now, round);
                }
            }
            None if self.facts.limit_at <= now => {
                if self.facts.stage == Stage::Inspecting {
                    self.withdraw(steps);
                    return self.end_as_timed_out(now);
                }
                let patience = self.patience_of(&self.facts.stage).unwrap_or(self.facts.patience.install);
                let last_words = patience.clamp(LAST_WORDS_AT_LEAST, LAST_WORDS);
                self.work.last_words_until = Some(now.saturating_add(millis(last_words)));
                self.work.agenda.clear();
                if !matches!(self.work.outstanding, Some((_, Action::Read(_)))) {
                    self.withdraw(steps);
                }
                self.ask_now_or_after(now);
            }
            None => {}
        }
        if self.work.ask_at.is_some_and(|at| at <= now) {
            self.ask_now_or_after(now);
        }
    }
}

/// Whether the same request may be answered otherwise a little later.
fn is_passing(code: u8) -> bool {
    matches!(code, TOO_MANY | UNAVAILABLE)
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
