//! `cargo test`, and what its output says.
//!
//! A test that lacks a tool prints `skipped: ` and how to get the tool, and counts as skipped. An `#[ignore]`d test belongs to
//! another step (see `interop`), or is for a person's patience; it counts as nothing.

use anyhow::Result;

use crate::command::{Finished, Run};
use crate::outcome::Outcome;

pub(crate) fn step() -> Result<Outcome> {
    let run = Run::cargo(&["test", "--workspace", "--all-features", "--no-fail-fast", "--", "--show-output"]);
    let finished = run.finish()?;
    let (on_boards, small) = (on_boards()?, with_small_p256()?);
    let mut outcome = read(&format!("{}\n{}\n{}", finished.output, on_boards.output, small.output));
    if !(finished.success && on_boards.success && small.success) && outcome.failures.is_empty() {
        outcome.fail("cargo test", finished.output + &on_boards.output + &small.output);
    }
    Ok(outcome)
}

/// The tests of the application for boards, which run here: its workspace is another one.
fn on_boards() -> Result<Finished> {
    let arguments = ["test", "--manifest-path", "embedded/Cargo.toml", "--locked", "--package", "buoy-app"];
    let run = Run::cargo(&arguments).args(&["--target-dir", "target/embedded", "--no-fail-fast"]);
    run.args(&["--", "--show-output"]).log("test-boards").finish()
}

/// Signatures and updates once more, verified by the code that a chip has in place of the crate `p256`.
fn with_small_p256() -> Result<Finished> {
    let features = "ed25519,host,mutants,rsa4096,simflash";
    let arguments = ["test", "--package", "buoy-ota", "--no-default-features", "--features", features];
    let tests = ["--lib", "--test", "openssl", "--test", "update", "--no-fail-fast", "--", "--show-output"];
    Run::cargo(&arguments).args(&tests).log("test-small-p256").finish()
}

/// Reads the output of one or more test programs.
pub(crate) fn read(output: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut passed, mut ignored) = (0, 0);
    let mut section = "";
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            section = name;
        } else if let Some(how_to_get) = line.strip_prefix("skipped: ") {
            outcome.skip(section, how_to_get);
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            passed += count(counts, "passed");
            ignored += count(counts, "ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            outcome.fail(name, words_of(output, name));
        }
    }
    outcome.passed = usize::saturating_sub(passed, outcome.skipped.len());
    outcome.summary = format!("{} tests passed", outcome.passed);
    // What the sweep of `ota` tried is a result of its own.
    let told =
        output.lines().filter(|line| line.starts_with("power cuts: ") || line.starts_with("mutants: "));
    told.for_each(|line| outcome.summary.push_str(&format!("; {line}")));
    if ignored > 0 {
        outcome.summary.push_str(&format!(", {ignored} ignored"));
    }
    outcome
}

/// The number before `word` in "ok. 12 passed; 0 failed; 1 ignored; …".
fn count(counts: &str, word: &str) -> usize {
    let before = counts.split([';', '.']).filter_map(|part| part.trim().strip_suffix(word));
    before.filter_map(|number| number.trim().parse::<usize>().ok()).sum()
}

/// What a test printed.
fn words_of(output: &str, name: &str) -> String {
    let start = format!("---- {name} stdout ----");
    let lines = output.lines().skip_while(|line| *line != start).skip(1);
    let is_end = |line: &&str| line.starts_with("---- ") || *line == "failures:" || *line == "successes:";
    lines.take_while(|line| !is_end(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test a ... ok
test b ... FAILED
test c ... ok
test d ... ignored, interop

successes:

---- c stdout ----
skipped: pip install esptool

successes:
    a

failures:

---- b stdout ----
it is 5
and not 4

failures:
    b

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s
     Running tests/other.rs
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s
";

    #[test]
    fn tests_are_counted_over_all_programs_and_one_that_lacks_its_tool_is_skipped() {
        let outcome = read(OUTPUT);
        assert_eq!((outcome.passed, outcome.failures.len()), (13, 1));
        assert_eq!(outcome.skipped[0].what, "c");
        assert_eq!(outcome.skipped[0].how_to_get, "pip install esptool");
        assert_eq!(outcome.summary, "13 tests passed, 1 ignored");
    }

    #[test]
    fn a_failed_test_is_shown_with_its_own_words_alone() {
        assert_eq!(read(OUTPUT).failures[0].output, "it is 5\nand not 4\n\n");
    }
}
