//! The web page: its types, its unit tests, its client, and the page in a browser on a real server.

use std::path::Path;

use anyhow::Result;

use crate::command::{Run, is_installed};
use crate::outcome::Outcome;

const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

pub(crate) fn step() -> Result<Outcome> {
    if !is_installed("npm", "--version") {
        return Ok(Outcome::skipped("web", "install Node.js 20.19 or later with npm"));
    }
    // The build of the program installs the packages and builds the page.
    let build = Run::cargo(&["build", "--quiet", "--package", "buoy"]).log("web-build");
    let built = build.finish()?;
    if !built.success {
        return Ok(Outcome::failed("web", built.output));
    }
    let mut outcome = Outcome::default();
    for (name, script) in [("types", "check"), ("unit tests", "test"), ("client", "client:check")] {
        let finished = npm(script).log(&format!("web-{}", script.replace(':', "-"))).finish()?;
        outcome.check(&format!("web: {name}"), finished.success, finished.output);
    }
    if has_chromium() {
        let browser = npm("e2e").log("web-e2e").finish()?;
        let passed = browser.output.lines().filter(|line| line.starts_with("ok ")).count();
        outcome.passed += passed;
        if !browser.success {
            outcome.fail("web: browser", browser.output);
        }
        outcome.summary = format!("{passed} tests in Chromium");
    } else {
        outcome.skip("the page in a browser", "apt-get install chromium, or set CHROMIUM to its path");
    }
    Ok(outcome)
}

fn npm(script: &str) -> Run {
    Run::new("npm", &["--prefix", "web", "run", "--silent", script])
}

pub(crate) fn has_chromium() -> bool {
    let named = std::env::var_os("CHROMIUM");
    named.is_some_and(|path| Path::new(&path).exists())
        || CHROMIUM.iter().any(|path| Path::new(path).exists())
}
