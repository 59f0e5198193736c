//! The pictures of the README and of the guide: made by Chromium from `buoy demo`, so that they show what there is.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::{Run, is_installed};
use crate::web::has_chromium;

/// Makes all pictures, or those that are named.
pub(crate) fn run(names: &[&str]) -> Result<ExitCode> {
    if !is_installed("npm", "--version") {
        bail!("pictures need Node.js 20.19 or later with npm");
    }
    if !has_chromium() {
        bail!("pictures need Chromium: apt-get install chromium, or set CHROMIUM to its path");
    }
    let steps = [
        // It installs the packages of the page and builds it.
        Run::cargo(&["build", "--package", "buoy"]).env("BUOY_WEB", "require"),
        Run::new("npm", &["--prefix", "web", "run", "--silent", "pictures", "--"]).args(names),
    ];
    for step in steps {
        if !step.in_the_open()?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
