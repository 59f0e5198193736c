//! A short run of every fuzz target.
//!
//! libFuzzer with coverage feedback, but without a sanitizer: our crates forbid unsafe code, and so the toolchain in use will do,
//! no nightly is needed. For a long run see CONTRIBUTING.md.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::command::Run;
use crate::outcome::Outcome;

const MANIFEST: &str = "fuzz/Cargo.toml";
/// What `cargo fuzz --sanitizer none` gives rustc.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";
/// Whichever comes first ends a target's run. The seed makes a failure repeat itself.
const BOUNDS: [&str; 6] =
    ["-seed=1", "-runs=50000", "-max_total_time=5", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"];

pub(crate) fn step() -> Result<Outcome> {
    if !Path::new(MANIFEST).exists() {
        return Ok(Outcome::skipped("fuzz targets", "there is no fuzz/Cargo.toml"));
    }
    let host = host()?;
    let build = Run::cargo(&["build", "--release", "--manifest-path", MANIFEST, "--target", &host]);
    let build = build.env("RUSTFLAGS", COVERAGE).log("fuzz-build").finish()?;
    if !build.success {
        return Ok(Outcome::failed("build", build.output));
    }
    let mut outcome = Outcome::default();
    for target in targets()? {
        let finished = run(&host, &target)?;
        outcome.check(&target, finished.success, finished.output);
    }
    outcome.summary = format!("{} targets", outcome.passed);
    Ok(outcome)
}

fn run(host: &str, target: &str) -> Result<crate::command::Finished> {
    let program = format!("fuzz/target/{host}/release/{target}");
    // New inputs go to the first folder; the corpus in the repository stays as it is.
    let (found, failures) = (format!("target/xtask/fuzz/{target}"), "fuzz/artifacts");
    let _ = fs::remove_dir_all(&found);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(failures)?;
    let corpus = format!("fuzz/corpus/{target}");
    let run = Run::new(&program, &BOUNDS).args(&[&format!("-artifact_prefix={failures}/{target}-"), &found]);
    let run = if Path::new(&corpus).exists() { run.args(&[&corpus]) } else { run };
    run.log(&format!("fuzz-{target}")).finish()
}

fn targets() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new().manifest_path(MANIFEST).no_deps().exec()?;
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    Ok(targets.filter(|target| target.is_bin()).map(|target| target.name.clone()).collect())
}

fn host() -> Result<String> {
    let printed = Run::new("rustc", &["-vV"]).finish()?.output;
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc doesn't say for which host it is")?.to_owned())
}
