//! What an update does next: it asks, judges what was answered by the table in [`verdict`], and orders.

use std::time::Duration;

use super::{
    ASK_SOON, Action, Delivery, End, FIRMWARE_VERSION, REASON, RESULT, Round, STATE, Stage, Step, UPDATE,
    Update, millis,
};
use crate::verdict::{self, DownloadVerdict, InstallVerdict, Running, Said, Since, state};

/// How often a package is ordered, or pushed, before it is given up.
pub(super) const MAX_ORDERS: u8 = 4;
/// How often the order to install is given to a device that still has the package and did not answer.
pub(super) const MAX_EXECUTES: u8 = 3;
/// A device that did not answer that order, and still has the package, may yet begin in this time.
const EXECUTE_AGAIN: Duration = Duration::from_secs(60);
/// Rounds of questions in which a download of somebody else's may go on after it was cancelled.
const MAX_RESETS: u8 = 3;

impl Update {
    /// Does what is next, if nothing is under way.
    pub(super) fn go_on(&mut self, now: u64, steps: &mut Vec<Step>) {
        while self.work.outstanding.is_none() && !self.has_ended() {
            let next = match self.work.agenda.pop_front() {
                Some(action) => Some(action),
                None => self.next_question(),
            };
            if let Some(action) = next {
                let token = self.next_token();
                self.work.outstanding = Some((token, action.clone()));
                steps.push(Step::Submit(token, action));
            } else if let Some(round) = self.work.round.take() {
                self.judge(now, round);
            } else {
                return;
            }
        }
        if self.has_ended() {
            self.withdraw(steps);
        }
    }

    /// State first: who downloads or installs is not asked more. The version after the result, and the state again, so that a reboot
    /// between two answers cannot mix what was before with what is after.
    fn next_question(&mut self) -> Option<Action> {
        let wants_all = self.facts.stage == Stage::Inspecting || self.work.last_words_until.is_some();
        let is_after_execute = self.is_after_execute();
        let round = self.work.round.as_mut().filter(|round| !round.is_void)?;
        let state = round.said.state;
        let (asked, path) = if !round.asked_state {
            (&mut round.asked_state, STATE)
        } else if matches!(state, Some(state::DOWNLOADING | state::UPDATING)) && !wants_all {
            return None;
        } else if !round.asked_result {
            (&mut round.asked_result, RESULT)
        } else if state == Some(state::DOWNLOADED) && !wants_all && !is_after_execute {
            return None;
        } else if !round.asked_version {
            (&mut round.asked_version, FIRMWARE_VERSION)
        } else if state == Some(state::IDLE) && is_after_execute && !round.asked_state_again {
            (&mut round.asked_state_again, STATE)
        } else {
            return None;
        };
        *asked = true;
        Some(Action::Read(path))
    }

    pub(super) fn judge(&mut self, now: u64, round: Round) {
        let Some(state) = round.said.state.filter(|_| !round.is_void) else {
            return self.judged_nothing(now);
        };
        let (said, reason) = (&round.said, round.reason.clone());
        if !round.asked_reason && self.will_fail(state, said) {
            self.work.agenda.push_back(Action::Read(REASON));
            self.work.round = Some(Round { asked_reason: true, ..round });
            return;
        }
        let said = round.said;
        match self.facts.stage {
            Stage::Inspecting => self.inspected(now, state, said),
            Stage::Ordering => self.order_is_doubtful(now, state, said),
            Stage::Downloading => self.download_reported(now, state, said),
            Stage::Executing | Stage::Installing | Stage::Deferred | Stage::Confirming => {
                self.installation_reported(now, state, said);
            }
            Stage::Ended(_) => {}
        }
        if self.has_ended() {
            self.facts.reason = reason;
        }
        let has_plan =
            !self.work.agenda.is_empty() || self.work.round.is_some() || self.work.ask_at.is_some();
        if !has_plan && !self.has_ended() {
            self.judged_nothing(now);
        }
    }

    /// Whether the update ends now because the device reports that it failed. While there is time, the device is asked for the reason first.
    fn will_fail(&self, state: i64, said: &Said) -> bool {
        if self.work.last_words_until.is_some() || !said.result.is_some_and(verdict::is_failure) {
            return false;
        }
        let (running, since) = (self.running(said), self.facts.since);
        match self.facts.stage {
            Stage::Ordering | Stage::Downloading => {
                let verdict = verdict::download(running, state, said.result, since);
                matches!(verdict, DownloadVerdict::Refused(_))
            }
            Stage::Executing | Stage::Installing | Stage::Deferred | Stage::Confirming => {
                let verdict = verdict::install(running, state, said.result, since);
                !matches!(verdict, InstallVerdict::Wait | InstallVerdict::Deferred | InstallVerdict::Updated)
            }
            Stage::Inspecting | Stage::Ended(_) => false,
        }
    }

    fn judged_nothing(&mut self, now: u64) {
        match self.work.last_words_until {
            Some(_) => self.end_as_timed_out(now),
            None => self.ask_later(now),
        }
    }

    fn inspected(&mut self, now: u64, state: i64, said: Said) {
        let runs_it = self.running(&said) == Running::New;
        match state {
            // It is busy with another update, whose end will show what it runs.
            state::UPDATING => {}
            state::IDLE if runs_it => self.end(now, End::AlreadyRunning),
            state::IDLE => self.order(now, said, true),
            state::DOWNLOADING | state::DOWNLOADED if self.work.resets == 0 => {
                self.work.agenda.push_back(Action::Reset);
            }
            state::DOWNLOADING | state::DOWNLOADED if runs_it => self.end(now, End::AlreadyRunning),
            // It said that it drops the package, which may take a moment.
            state::DOWNLOADING | state::DOWNLOADED if self.work.resets < MAX_RESETS => self.work.resets += 1,
            // The order counts once it is seen to begin anew.
            state::DOWNLOADED => self.order(now, said, false),
            state::DOWNLOADING => {
                let reason =
                    "the device goes on downloading another package, which it was told to drop".into();
                self.end(now, End::Failed { reason });
            }
            unknown => {
                let reason = format!("the device reports the unknown update state {unknown}");
                self.end(now, End::Failed { reason });
            }
        }
    }

    fn order(&mut self, now: u64, said: Said, is_ours: bool) {
        let facts = self.facts_mut();
        facts.old_version = facts.old_version.take().or(said.version);
        facts.since = Since::order(said.result, is_ours);
        facts.orders = facts.orders.saturating_add(1);
        self.enter(now, Stage::Ordering);
        if !self.work.is_observed {
            self.observe();
        }
        let order = match &self.facts.goal.delivery {
            // A path of its own tells how far this device has come.
            Delivery::Pull(base) => Action::WriteUri(format!("{base}/{}", self.facts.id)),
            Delivery::Push => Action::Push(self.facts.goal.digest.clone()),
        };
        self.work.agenda.push_back(order);
    }

    pub(super) fn order_again(&mut self, now: u64, reason: &str) {
        if self.facts.orders >= MAX_ORDERS {
            let reason = format!("{reason}, {} times", self.facts.orders);
            return self.end(now, End::Failed { reason });
        }
        let said =
            Said { result: self.work.said.result.or(self.facts.since.result_before), ..Said::default() };
        let is_ours = self.facts.since.is_ours;
        self.order(now, said, is_ours);
    }

    /// The order was refused, or not answered: what counts is what the device does.
    fn order_is_doubtful(&mut self, now: u64, state: i64, said: Said) {
        let verdict = verdict::download(self.running(&said), state, said.result, self.facts.since);
        let is_pull = matches!(self.facts.goal.delivery, Delivery::Pull(_));
        let has_begun = state == state::DOWNLOADING && self.facts.since.is_ours && is_pull;
        match (verdict, self.work.refusal.take()) {
            (DownloadVerdict::Wait | DownloadVerdict::Lost, _) if has_begun => {
                self.enter(now, Stage::Downloading);
                self.ask_later(now);
            }
            (DownloadVerdict::Wait | DownloadVerdict::Lost, Some(reason)) => {
                self.end(now, End::Failed { reason });
            }
            (DownloadVerdict::Wait | DownloadVerdict::Lost, None) if self.work.last_words_until.is_some() => {
            }
            (DownloadVerdict::Wait | DownloadVerdict::Lost, None) => {
                self.order_again(now, "the device did not answer the order of the package");
            }
            (verdict, _) => self.follow_download(now, verdict, said),
        }
    }

    fn download_reported(&mut self, now: u64, state: i64, said: Said) {
        let verdict = verdict::download(self.running(&said), state, said.result, self.facts.since);
        if verdict != DownloadVerdict::Lost {
            self.work.at_rest_since = None;
        }
        self.follow_download(now, verdict, said);
    }

    fn follow_download(&mut self, now: u64, verdict: DownloadVerdict, said: Said) {
        match verdict {
            DownloadVerdict::Wait => {}
            DownloadVerdict::Lost => self.download_was_lost(now),
            DownloadVerdict::Downloaded => self.execute(now, said.result),
            DownloadVerdict::Installing => {
                let result = self.facts.since.result_before;
                self.facts_mut().since =
                    Since { result_before: result, state_changed: true, ..Since::default() };
                self.enter(now, Stage::Installing);
                self.ask_later(now);
            }
            DownloadVerdict::Updated => self.end(now, End::Updated),
            DownloadVerdict::Refused(result) => self.end(now, End::Refused { result }),
        }
    }

    /// A result may come a moment after its state, so the device is asked twice before it is ordered again.
    fn download_was_lost(&mut self, now: u64) {
        if self.has_stayed(now, ASK_SOON) {
            self.order_again(now, "the device dropped the package without a result");
        }
    }

    /// Whether the device was seen doing nothing so long ago already; if not, it is asked again soon.
    fn has_stayed(&mut self, now: u64, time: Duration) -> bool {
        let since = *self.work.at_rest_since.get_or_insert(now);
        let has_stayed = now.saturating_sub(since) >= millis(time);
        if has_stayed {
            self.work.at_rest_since = None;
        } else {
            self.work.pause = Duration::ZERO;
        }
        has_stayed
    }

    fn execute(&mut self, now: u64, result: Option<i64>) {
        let facts = self.facts_mut();
        facts.since = Since::order(result, true);
        facts.executes = facts.executes.saturating_add(1);
        self.enter(now, Stage::Executing);
        self.work.agenda.push_back(Action::Execute);
    }

    fn installation_reported(&mut self, now: u64, state: i64, said: Said) {
        let (running, since) = (self.running(&said), self.facts.since);
        let mut verdict = verdict::install(running, state, said.result, since);
        if verdict == InstallVerdict::Wait && self.work.last_words_until.is_some() {
            verdict = verdict::install_at_last(running, state, said.result);
        }
        let version = said.version.unwrap_or_default();
        match verdict {
            InstallVerdict::Wait if self.facts.stage == Stage::Executing => {
                self.execute_is_doubtful(now, state)
            }
            InstallVerdict::Wait => {}
            InstallVerdict::Deferred => self.enter(now, Stage::Deferred),
            InstallVerdict::Updated => self.end(now, End::Updated),
            InstallVerdict::RolledBack => {
                self.end(now, End::RolledBack { running: version, result: said.result });
            }
            InstallVerdict::Unexpected => {
                let expected = self.facts.goal.version.clone();
                self.end(now, End::UnexpectedVersion { running: version, expected });
            }
            InstallVerdict::Refused(result) => self.end(now, End::Refused { result }),
        }
    }

    /// The order to install was not answered. Who still says Downloaded does not install, and is told again.
    fn execute_is_doubtful(&mut self, now: u64, state: i64) {
        match state {
            _ if self.work.last_words_until.is_some() => {}
            state::UPDATING => self.enter(now, Stage::Installing),
            state::DOWNLOADED if !self.has_stayed(now, EXECUTE_AGAIN) => {}
            state::DOWNLOADED if self.facts.executes < MAX_EXECUTES => {
                let result = self.facts.since.result_before;
                self.execute(now, result);
            }
            state::DOWNLOADED => {
                let reason = format!("{UPDATE}: the device did not answer, {MAX_EXECUTES} times");
                self.end(now, End::Failed { reason });
            }
            _ => {}
        }
    }
}
