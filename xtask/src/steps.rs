//! `cargo xtask test`: the steps, in the order in which a mistake is found soonest.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::outcome::Outcome;
use crate::{
    cargo_test, coverage_map, embedded, footprint, fuzz, interop, layers, lints, no_std, package, postgres,
    web,
};

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Outcome>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the code is formatted", run: lints::fmt },
    Step {
        name: "layers",
        about: "crates depend on each other in one direction; licences",
        run: layers::step,
    },
    Step { name: "deny", about: "licences, bans and sources by cargo-deny", run: lints::deny },
    Step {
        name: "coverage-map",
        about: "docs/protocol-coverage.md names real tests",
        run: coverage_map::step,
    },
    Step { name: "clippy", about: "no warning in any target", run: lints::clippy },
    Step { name: "doc", about: "the documentation builds without a warning", run: lints::doc },
    Step { name: "test", about: "unit, contract, doc and integration tests", run: cargo_test::step },
    Step { name: "postgres", about: "the store and the program on PostgreSQL", run: postgres::step },
    Step { name: "web", about: "the web page: types, unit tests, and in Chromium", run: web::step },
    Step {
        name: "package",
        about: "the Debian package is unpacked, and its program starts",
        run: package::step,
    },
    Step { name: "no_std", about: "the no_std crates build for a bare target", run: no_std::step },
    Step { name: "footprint", about: "flash and RAM of a device within limits", run: footprint::step },
    Step { name: "qemu", about: "boot loader and application on an emulated board", run: embedded::step },
    Step {
        name: "esp32c3",
        about: "the application with Wi-Fi as an image for the ESP32-C3",
        run: embedded::esp32c3::step,
    },
    Step { name: "fuzz", about: "a short run of every fuzz target", run: fuzz::step },
    Step { name: "interop", about: "other people's implementations", run: interop::step },
];

/// The steps for the help.
pub(crate) fn list() -> String {
    STEPS.iter().map(|step| format!("  {:<14} {}\n", step.name, step.about)).collect()
}

/// Runs the steps of these names, or all.
///
/// # Errors
/// If there is no step of a name.
pub(crate) fn run(names: &[&str]) -> Result<ExitCode> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("there is no step `{unknown}`; the steps are:\n{}", list());
    }
    let chosen = STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name));
    let outcomes: Vec<Outcome> = chosen.map(run_one).collect();
    let passed: usize = outcomes.iter().map(|outcome| outcome.passed).sum();
    let failed: usize = outcomes.iter().map(|outcome| outcome.failures.len()).sum();
    let skipped: usize = outcomes.iter().map(|outcome| outcome.skipped.len()).sum();
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_one(step: &Step) -> Outcome {
    print!("{:<14}", step.name);
    // Nobody is told less if the name comes late.
    let _ = std::io::stdout().flush();
    let started = Instant::now();
    let mut outcome = (step.run)().unwrap_or_else(|error| Outcome::failed(step.name, format!("{error:#}\n")));
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        outcome = outcome.without_skips();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:<8}{seconds:>7.1} s   {}", outcome.word(), outcome.summary);
    for skip in &outcome.skipped {
        println!("    skipped {}: {}", skip.what, skip.how_to_get);
    }
    for failure in &outcome.failures {
        println!("---- {}: {} ----\n{}", step.name, failure.what, failure.output.trim_end());
    }
    outcome
}
