//! What cargo's own tools check.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::command::Run;
use crate::outcome::Outcome;

/// Workspaces beside the main one.
const OTHER_WORKSPACES: [&str; 4] =
    ["fuzz/Cargo.toml", "embedded/Cargo.toml", "embedded/boards/esp32c3/Cargo.toml", "bench/Cargo.toml"];

pub(crate) fn fmt() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let others = OTHER_WORKSPACES.into_iter().filter(|manifest| Path::new(manifest).exists());
    for manifest in std::iter::once("Cargo.toml").chain(others) {
        let finished = Run::cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]).finish()?;
        let places = finished.output.lines().filter_map(|line| line.strip_prefix("Diff in "));
        let files: BTreeSet<&str> = places.filter_map(|place| place.split(':').next()).collect();
        let output = if files.is_empty() {
            finished.output.clone()
        } else {
            let files: String = files.iter().map(|file| format!("{file}\n")).collect();
            format!("`cargo fmt --all --manifest-path {manifest}` changes:\n{files}")
        };
        outcome.check(manifest, finished.success, output);
    }
    Ok(outcome)
}

pub(crate) fn clippy() -> Result<Outcome> {
    let flags = ["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    whole("clippy", Run::cargo(&["clippy", "--quiet"]).args(&flags))
}

pub(crate) fn doc() -> Result<Outcome> {
    let run = Run::cargo(&["doc", "--quiet", "--keep-going", "--workspace", "--all-features", "--no-deps"]);
    whole("doc", run.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The same rules as in `layers` and more, by a tool that many know. Advisories need a database from the network, so they are
/// left to whoever has it: `cargo deny check advisories`.
pub(crate) fn deny() -> Result<Outcome> {
    if !Run::cargo(&["deny", "--version"]).finish()?.success {
        return Ok(Outcome::skipped("cargo-deny", "cargo install --locked cargo-deny"));
    }
    whole("deny", Run::cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]).log("deny"))
}

fn whole(name: &str, run: Run) -> Result<Outcome> {
    let finished = run.finish()?;
    let passed = || Outcome::passed("");
    Ok(if finished.success { passed() } else { Outcome::failed(name, finished.output) })
}
