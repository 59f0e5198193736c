//! `cargo xtask powercut --hours N`: the power-cut sweep of `ota` for as long as one likes, with another seed in each round.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::Run;

const USAGE: &str = "cargo xtask powercut [--hours N] [--seed N]";

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let (mut hours, mut seed) = (1.0, 1_u64);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a number; {USAGE}"))?;
        match *argument {
            "--hours" => hours = value.parse().with_context(|| format!("--hours {value} is no number"))?,
            "--seed" => seed = value.parse().with_context(|| format!("--seed {value} is no whole number"))?,
            other => bail!("there is no option {other}; {USAGE}"),
        }
    }
    if !(hours > 0.0 && hours < 10_000.0) {
        bail!("--hours is more than 0 and less than 10000");
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let test = ["test", "--release", "--package", "buoy-ota", "--all-features", "--test", "power_cut", "--"];
    let status = Run::new(&cargo, &test)
        .args(&["--ignored", "--exact", "for_hours", "--nocapture"])
        .env("BUOY_POWERCUT_SECONDS", &format!("{:.0}", hours * 3600.0))
        .env("BUOY_POWERCUT_SEED", &seed.to_string())
        .in_the_open()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
