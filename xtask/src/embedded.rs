//! The boards of `embedded/`: building them, and the emulated one in the hands of a server.

mod build;
pub(crate) mod esp32c3;
mod machine;
mod parties;
pub(crate) mod size;
mod stack;
mod walk;
pub(crate) mod xtensa;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::command::is_installed;
use crate::no_std::Toolchain;
use crate::outcome::Outcome;

const QEMU: &str = "qemu-system-riscv32";
const HOW_TO_GET_QEMU: &str = "QEMU for riscv32; on Debian: apt-get install qemu-system-misc";
/// How often the power is cut at random in `cargo xtask test`.
const KILLS: u32 = 28;

/// Power cuts at random instants.
pub(crate) struct Kills {
    count: u32,
    /// What the instants follow from.
    seed: u64,
}

impl Kills {
    /// Other instants in each run.
    fn in_tests() -> Result<Self> {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into();
        Ok(Self { count: KILLS, seed })
    }
}

/// `cargo xtask embedded qemu`, with its arguments.
pub(crate) fn qemu(arguments: &[&str]) -> Result<ExitCode> {
    let mut kills = Kills::in_tests()?;
    for option in arguments.chunks(2) {
        match option {
            ["--kills", count] => {
                kills.count = count.parse().with_context(|| format!("--kills {count} is no number"))?;
            }
            ["--seed", seed] => {
                kills.seed = seed.parse().with_context(|| format!("--seed {seed} is no number"))?;
            }
            _ => bail!("cargo xtask embedded qemu [--kills NUMBER] [--seed NUMBER]"),
        }
    }
    let Some(toolchain) = Toolchain::find()? else {
        bail!("there is no toolchain for {}: {}", crate::no_std::TARGET, crate::no_std::HOW_TO_GET);
    };
    if !is_installed(QEMU, "--version") {
        bail!("{HOW_TO_GET_QEMU}");
    }
    let summary = walk::run(&toolchain, kills)?;
    println!("{summary}");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn step() -> Result<Outcome> {
    let Some(toolchain) = Toolchain::find()? else {
        return Ok(Outcome::skipped("the emulated board", crate::no_std::HOW_TO_GET));
    };
    if !is_installed(QEMU, "--version") {
        return Ok(Outcome::skipped("the emulated board", HOW_TO_GET_QEMU));
    }
    Ok(Outcome::passed(walk::run(&toolchain, Kills::in_tests()?)?))
}
