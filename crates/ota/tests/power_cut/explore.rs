//! Cuts the power at every operation of a life, and again at every operation of each recovery.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use buoy_ota::boot::Attempts;
use buoy_ota::simflash::{Cut, Logged, Moment, SimFlash};

use crate::life::{Model, Violation, live, start};
use crate::story::Story;

/// How many cuts in one life, and at how many moments of each operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Cuts in one life, one in each recovery.
    pub(crate) cuts: usize,
    /// Moments of the first cut.
    pub(crate) first: Moments,
    /// Moments of those that follow.
    pub(crate) later: Moments,
    pub(crate) seed: u64,
    pub(crate) until: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moments {
    /// Each prefix of write units, each of them torn, and chance.
    All,
    /// Some of each kind.
    Some,
}

/// What was tried.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    /// Operations of lives without a cut.
    pub(crate) operations: usize,
    /// First cuts.
    pub(crate) cuts: usize,
    /// Cuts during a recovery.
    pub(crate) nested: usize,
    /// Recoveries that were played to their end; cuts that leave the same flash have the same one.
    pub(crate) recoveries: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.cuts += other.cuts;
        self.nested += other.nested;
        self.recoveries += other.recoveries;
    }
}

/// Plays every life of the plan.
///
/// # Errors
/// What was broken, and by which cuts.
pub(crate) fn explore(story: &Story, plan: &Plan) -> Result<Counts, Violation> {
    let mut explorer = Explorer {
        story,
        plan,
        counts: Counts::default(),
        recovered: HashMap::new(),
        sessions: HashMap::new(),
        cuts: Vec::new(),
    };
    let mut model = Model::new(story);
    let attempts = u8::try_from(plan.cuts + 1).ok().and_then(Attempts::new).unwrap_or(Attempts::DEFAULT);
    if attempts.get() > Attempts::DEFAULT.get() {
        model.attempts = attempts;
    }
    explorer
        .recover(story.flash.clone(), model, plan.cuts)
        .map_err(|violation| format!("{}: {violation}, after {:?}", story.name, explorer.cuts))?;
    Ok(explorer.counts)
}

struct Explorer<'a> {
    story: &'a Story,
    plan: &'a Plan,
    counts: Counts,
    /// Flashes that were recovered, with how many cuts during that. The same flash has the same future.
    recovered: HashMap<u64, usize>,
    /// Starts that were cut, with how many cuts afterwards.
    sessions: HashMap<u64, usize>,
    cuts: Vec<Cut>,
}

impl Explorer<'_> {
    /// Plays a life to its end without a cut, and then with so many.
    fn recover(&mut self, mut flash: SimFlash, mut model: Model, cuts: usize) -> Result<(), Violation> {
        let mut sessions = Vec::new();
        let before = flash.counters().operations;
        live(self.story, &mut flash, &mut model, |flash, model| {
            if cuts > 0 {
                sessions.push((flash.clone(), model.clone()));
            }
        })?;
        if self.cuts.is_empty() {
            self.counts.operations += (flash.counters().operations - before) as usize;
        } else {
            self.counts.recoveries += 1;
        }
        for (mut flash, model) in sessions {
            let state = state(&mut flash, &model);
            if is_new(&mut self.sessions, state, cuts) && !self.is_over() {
                self.cut(&flash, &model, cuts)?;
            }
        }
        Ok(())
    }

    /// Cuts one start at every operation.
    fn cut(&mut self, flash: &SimFlash, model: &Model, cuts: usize) -> Result<(), Violation> {
        let moments = if self.cuts.is_empty() { self.plan.first } else { self.plan.later };
        let first = flash.counters().operations;
        let mut whole = flash.clone();
        whole.take_log();
        // It was played once without a complaint.
        start(self.story, &mut whole, &mut model.clone())?;
        let log = whole.take_log();
        let last = first.saturating_add(log.len() as u64).saturating_sub(1);
        for (operation, logged) in (first..).zip(log) {
            for moment in moments_of(logged, moments, self.plan.seed.wrapping_add(operation)) {
                // Else it is the same as before the next one.
                if moment == Moment::After && moments == Moments::Some && operation != last {
                    continue;
                }
                let (mut flash, mut model) = (flash.clone(), model.clone());
                let cut = Cut { operation, moment };
                flash.plan_cut(cut);
                if self.cuts.is_empty() {
                    self.counts.cuts += 1
                } else {
                    self.counts.nested += 1
                }
                self.cuts.push(cut);
                start(self.story, &mut flash, &mut model)?;
                flash.restore_power();
                let state = state(&mut flash, &model);
                if is_new(&mut self.recovered, state, cuts) {
                    self.recover(flash, model, cuts - 1)?;
                }
                self.cuts.pop();
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.plan.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Whether a state was not met yet with so many cuts to come.
fn is_new(met: &mut HashMap<u64, usize>, state: u64, cuts: usize) -> bool {
    met.insert(state, cuts).is_none_or(|before| {
        met.insert(state, before.max(cuts));
        before < cuts
    })
}

fn state(flash: &mut SimFlash, model: &Model) -> u64 {
    let mut hasher = DefaultHasher::new();
    flash.hash_state(&mut hasher);
    model.hash(&mut hasher);
    hasher.finish()
}

fn moments_of(operation: Logged, moments: Moments, seed: u64) -> Vec<Moment> {
    let chance = |n: u64| Moment::RandomBits { seed: seed.wrapping_mul(31).wrapping_add(n) };
    let torn = |units| Moment::TornUnit { units, seed: seed.wrapping_mul(31).wrapping_add(u64::from(units)) };
    let mut list = vec![Moment::Before, Moment::After];
    match (operation.units, moments) {
        (None, Moments::All) => {
            list.extend((1..64).map(Moment::Prefix));
            list.extend((0..4).map(chance));
        }
        (None, Moments::Some) => list.push(chance(0)),
        (Some(units), Moments::All) => {
            list.extend((1..units).map(Moment::Prefix));
            list.extend((0..units).step_by(if units > 8 { 7 } else { 1 }).map(torn));
            list.extend((0..4).map(chance));
        }
        (Some(units), Moments::Some) => {
            let is_record = units <= 8;
            list.extend(
                is_record
                    .then(|| [Moment::Prefix(units / 2), torn(units.saturating_sub(1))])
                    .into_iter()
                    .flatten(),
            );
            list.extend(is_record.then(|| torn(0)));
        }
    }
    list
}
