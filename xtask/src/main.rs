//! The project's own tasks. `cargo xtask help` says which.

mod cargo_test;
mod chip;
mod circles;
mod command;
mod coverage_map;
mod embedded;
mod footprint;
mod fuzz;
mod interop;
mod layers;
mod licence;
mod lints;
mod no_std;
mod outcome;
mod package;
mod postgres;
mod powercut;
mod secrets;
mod steps;
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::Run;

const HELP: &str = "\
cargo xtask TASK

  test [STEP…]   runs every step, or those named; the last line counts what passed, failed and was skipped
  layers         which crate may depend on which, that no files import each other in a circle, and licences
  interop        other people's implementations against ours; the same as `test interop`
  embedded       builds for bare targets; the same as `test no_std`
  embedded qemu [--kills N] [--seed N]
                 boot loader and application on an emulated board, in the hands of a server, through updates and N power cuts
  embedded esp32c3 [--release VERSION] [--emulated-ethernet]
                 the application for the ESP32-C3: a signed image, the content of a new flash, and what takes the flash
  embedded size  three devices as whole programs for a chip: flash by crate and function, RAM, the deepest stack
  embedded xtensa
                 the engines' answers on the instruction set of the ESP32, in QEMU; needs Debian's compiler and tools
  bench [ARG…]   measures against peers, and writes docs/performance.md
  footprint      what DTLS and the device engine cost on a chip: flash and memory
  package deb    builds the Debian package: target/package/buoy_VERSION_ARCHITECTURE.deb
  powercut       cuts the power of a simulated device: `powercut --hours 8`, and `--seed N` to repeat a finding
  help           this text

A step whose tool is missing is skipped, with a word on how to get it. With CI=true in the environment that is a failure.
The full output of each command is kept in target/xtask/.

Steps of `test`:
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode> {
    // Every path in the tasks is relative to the workspace.
    std::env::set_current_dir(root()).context("the workspace is gone")?;
    match arguments {
        [] | ["help" | "--help" | "-h", ..] | [_, "--help" | "-h", ..] => {
            print!("{HELP}{}", steps::list());
            Ok(ExitCode::SUCCESS)
        }
        ["test", names @ ..] => steps::run(names),
        ["layers"] => steps::run(&["layers"]),
        ["interop"] => steps::run(&["interop"]),
        ["embedded"] => steps::run(&["no_std"]),
        ["embedded", "size"] => embedded::size::run(),
        ["embedded", "esp32c3", arguments @ ..] => embedded::esp32c3::run(arguments),
        ["embedded", "qemu", arguments @ ..] => embedded::qemu(arguments),
        ["embedded", "xtensa"] => embedded::xtensa::run(),
        ["bench", arguments @ ..] => bench(arguments),
        ["footprint"] => footprint::run(),
        ["package", "deb"] => package::deb(),
        ["powercut", arguments @ ..] => powercut::run(arguments),
        [task, ..] => bail!("there is no task `{task}`; `cargo xtask help` lists them"),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn bench(arguments: &[&str]) -> Result<ExitCode> {
    let maven = ["-q", "-B", "-f", "interop/leshan/pom.xml", "package"];
    // Without Leshan the rest is measured all the same.
    let has_leshan = Run::new("mvn", &maven).in_the_open().is_ok_and(|status| status.success());
    if !has_leshan {
        println!("Leshan's server cannot be built, and is left out: it needs Maven and a JDK");
    }
    let steps = [
        Run::cargo(&["build", "--release", "--package", "buoy"]),
        Run::cargo(&["run", "--release", "--package", "buoy-bench", "--"]).args(arguments),
    ];
    for step in steps {
        if !step.in_the_open()?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
