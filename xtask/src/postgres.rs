//! The store and the program on PostgreSQL.

use std::path::Path;

use anyhow::Result;

use crate::cargo_test;
use crate::command::Run;
use crate::outcome::Outcome;

/// Tests of the program that ask most of a store.
const TESTS: [&str; 10] = [
    "alerts",
    "crash",
    "desired",
    "faults",
    "jobs",
    "story",
    "ctl",
    "postgres",
    "postgres_away",
    "postgres_tls",
];

pub(crate) fn step() -> Result<Outcome> {
    if !is_installed() {
        return Ok(Outcome::skipped("PostgreSQL", "apt-get install postgresql"));
    }
    let store = [
        "test",
        "--package",
        "buoy-store",
        "--all-features",
        "--no-fail-fast",
        "--",
        "--show-output",
        "postgres",
    ];
    let mut program = vec!["test", "--package", "buoy", "--no-fail-fast"];
    program.extend(TESTS.iter().flat_map(|test| ["--test", test]));
    program.extend(["--", "--show-output"]);
    let runs = [
        Run::cargo(&store).log("postgres-store"),
        Run::cargo(&program).env("BUOY_TEST_STORE", "postgres").log("postgres"),
    ];
    let (mut output, mut success) = (String::new(), true);
    for run in runs {
        let finished = run.finish()?;
        output.push_str(&finished.output);
        success &= finished.success;
    }
    let mut outcome = cargo_test::read(&output);
    if !success && outcome.failures.is_empty() {
        outcome.fail("cargo test", output);
    }
    Ok(outcome)
}

/// In Debian's place, or in the path: where the tests look.
fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Path::new("/usr/lib/postgresql").exists()
        || std::env::split_paths(&path).any(|folder| folder.join("initdb").exists())
}
