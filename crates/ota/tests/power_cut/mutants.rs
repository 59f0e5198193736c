//! The sweep can fail: it finds the harm when a safeguard is switched off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use buoy_ota::safeguard::Safeguard;

use crate::explore::{Moments, Plan, explore};
use crate::stories::stories;
use crate::story::Story;

/// First without a cut, then with one.
const PLANS: [Plan; 2] = [
    Plan { cuts: 0, first: Moments::Some, later: Moments::Some, seed: 1, until: None },
    Plan { cuts: 1, first: Moments::Some, later: Moments::Some, seed: 1, until: None },
];

/// What goes wrong without the safeguard; `None` if nothing does.
fn harm(stories: &[Story], safeguard: Safeguard) -> Option<String> {
    PLANS.iter().find_map(|plan| {
        stories.iter().find_map(|story| {
            let _off = safeguard.switch_off();
            match catch_unwind(AssertUnwindSafe(|| explore(story, plan))) {
                Ok(explored) => explored.err(),
                Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
            }
        })
    })
}

#[test]
fn every_safeguard_that_is_switched_off_is_missed() {
    let stories = stories();
    // With all of them on nothing goes wrong.
    for (story, plan) in stories.iter().flat_map(|story| PLANS.iter().map(move |plan| (story, plan))) {
        explore(story, plan).unwrap_or_else(|violation| panic!("{violation}"));
    }
    // Misuse of the flash panics, and is expected here.
    let quiet = std::panic::take_hook();
    let own = std::thread::current().id();
    let others = std::sync::Arc::new(quiet);
    let hook = std::sync::Arc::clone(&others);
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != own {
            hook(info);
        }
    }));
    let harms = Safeguard::ALL.map(|safeguard| {
        let harm = harm(&stories, safeguard);
        println!("{:28} {}", format!("{safeguard:?}"), harm.as_deref().unwrap_or("NOT MISSED"));
        (safeguard, harm)
    });
    std::panic::set_hook(Box::new(move |info| others(info)));
    let missed = harms.iter().filter(|(_, harm)| harm.is_some()).count();
    println!("mutants: {missed} of {} caught", harms.len());
    assert_eq!(missed, harms.len());
}
