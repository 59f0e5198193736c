//! Cuts the power at every operation of a life, and again at every operation of each recovery.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

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

/// A device that has just lost its power, and the cuts that brought it there.
struct Node {
    flash: SimFlash,
    model: Model,
    cuts: Vec<Cut>,
}

/// Plays every life of the plan.
///
/// # Errors
/// What was broken, and by which cuts.
pub(crate) fn explore(story: &Story, plan: &Plan) -> Result<Counts, Violation> {
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    let mut sessions_seen = HashSet::new();
    let mut level = vec![Node { flash: story.flash.clone(), model: Model::new(story), cuts: Vec::new() }];
    for depth in 0..=plan.cuts {
        let mut next = Vec::new();
        for node in level {
            let blame =
                |cuts: &[Cut], violation: Violation| format!("{}: {violation}, after {cuts:?}", story.name);
            let mut sessions = Vec::new();
            let (mut flash, mut model) = (node.flash, node.model);
            let before = flash.counters().operations;
            counts.recoveries += usize::from(depth > 0);
            live(story, &mut flash, &mut model, |flash, model| sessions.push((flash.clone(), model.clone())))
                .map_err(|violation| blame(&node.cuts, violation))?;
            if depth == 0 {
                counts.operations += (flash.counters().operations - before) as usize;
            }
            if depth == plan.cuts || plan.until.is_some_and(|until| Instant::now() >= until) {
                continue;
            }
            let moments = if depth == 0 { plan.first } else { plan.later };
            for (mut flash, model) in sessions {
                if !sessions_seen.insert(state(&mut flash, &model)) {
                    continue;
                }
                let first = flash.counters().operations;
                let (mut whole, mut ignored) = (flash.clone(), model.clone());
                whole.take_log();
                // It was played once without a complaint.
                start(story, &mut whole, &mut ignored).map_err(|violation| blame(&node.cuts, violation))?;
                let log = whole.take_log();
                let last = (first + log.len() as u64).saturating_sub(1);
                for (operation, logged) in (first..).zip(log) {
                    for moment in moments_of(logged, moments, plan.seed.wrapping_add(operation)) {
                        // Else it is the same as before the next one.
                        if moment == Moment::After && moments == Moments::Some && operation != last {
                            continue;
                        }
                        let (mut flash, mut model) = (flash.clone(), model.clone());
                        flash.plan_cut(Cut { operation, moment });
                        let cuts: Vec<Cut> =
                            node.cuts.iter().copied().chain([Cut { operation, moment }]).collect();
                        start(story, &mut flash, &mut model).map_err(|violation| blame(&cuts, violation))?;
                        flash.restore_power();
                        if depth == 0 {
                            counts.cuts += 1
                        } else {
                            counts.nested += 1
                        }
                        if seen.insert(state(&mut flash, &model)) {
                            next.push(Node { flash, model, cuts });
                        }
                    }
                }
            }
        }
        level = next;
    }
    Ok(counts)
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
