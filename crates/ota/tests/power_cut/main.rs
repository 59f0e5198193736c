//! Cuts the power before, inside and after every flash operation of a device's life, and again during the recovery, and shows that this
//! notices: each safeguard of the crate is switched off in turn, and each time the sweep finds the harm.

mod explore;
mod life;
mod mutants;
mod stories;
mod story;
mod torn_otadata;

use std::time::{Duration, Instant};

use explore::{Counts, Moments, Plan, explore};
use stories::stories;

/// Two cuts in one life, at all moments and then at some of them.
const NESTED: Plan = Plan { cuts: 2, first: Moments::All, later: Moments::Some, seed: 1, until: None };

#[test]
fn no_cut_and_no_second_cut_during_the_recovery_breaks_the_invariant() {
    let begun = Instant::now();
    let mut counts = Counts::default();
    let only = std::env::var("BUOY_POWERCUT_STORY").ok();
    for story in stories().into_iter().filter(|story| only.as_ref().is_none_or(|only| story.name == only)) {
        let begun = Instant::now();
        let tried = explore(&story, &NESTED).unwrap_or_else(|violation| panic!("{violation}"));
        println!("{:44} {:6.1} s {tried:?}", story.name, begun.elapsed().as_secs_f64());
        counts += tried;
    }
    let Counts { operations, cuts, nested, recoveries } = counts;
    println!(
        "power cuts: {operations} operations, {cuts} cut points, {nested} nested cuts, {recoveries} different recoveries, in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(only.is_some() || cuts > 5_000 && nested > 50_000, "{counts:?}: the sweep is not what it was");
}

/// Started by `cargo xtask powercut --hours N`: up to four cuts in a life, with another seed each time.
#[test]
#[ignore = "runs for as long as BUOY_POWERCUT_SECONDS says"]
fn for_hours() {
    let seconds =
        std::env::var("BUOY_POWERCUT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let first_seed = std::env::var("BUOY_POWERCUT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut counts = Counts::default();
    for seed in first_seed.. {
        let plan = Plan {
            cuts: 2 + seed as usize % 3,
            first: Moments::All,
            later: Moments::Some,
            seed,
            until: Some(until),
        };
        for story in stories() {
            counts += explore(&story, &plan).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        }
        println!("seed {seed}: {counts:?}");
        if Instant::now() >= until {
            return;
        }
    }
}
