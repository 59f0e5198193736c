//! Builds of the `no_std` crates for a target without an operating system.
//!
//! The target's core library comes from rustup where rustup can get it. Else it is built from source: Debian has a toolchain with
//! the sources, and so may rustup's nightly.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use cargo_metadata::MetadataCommand;

use crate::command::Run;
use crate::outcome::Outcome;

/// The crates that a device runs, and their features. One that is not written yet is left out.
const BUILDS: [(&str, &str); 19] = [
    ("buoy-time", ""),
    ("buoy-coap", ""),
    // With pre-shared keys alone, and with everything but what needs an operating system.
    ("buoy-dtls", ""),
    ("buoy-dtls", "gcm,server,x509"),
    // Without any format that can go, and with each alone.
    ("buoy-lwm2m", ""),
    ("buoy-lwm2m", "json"),
    ("buoy-lwm2m", "lwm2m-cbor"),
    ("buoy-lwm2m", "tlv"),
    // As in a boot loader, and with all kinds of signatures.
    ("buoy-ota", ""),
    ("buoy-ota", "ed25519,rsa4096"),
    // The engine bare, whole, and with each of its parts alone.
    ("buoy-client", ""),
    ("buoy-client", "access-control"),
    ("buoy-client", "bootstrap"),
    ("buoy-client", "bootstrap,lwm2m-1-2"),
    ("buoy-client", "composite"),
    ("buoy-client", "tls-settings"),
    ("buoy-client", "words"),
    ("buoy-client", "engine,json,lwm2m-cbor,words"),
    ("buoy-portal", ""),
];
pub(crate) const TARGET: &str = "riscv32imac-unknown-none-elf";
/// rustup may have no way to its server, and not know it.
const PATIENCE: Duration = Duration::from_secs(120);
const DEBIAN: [&str; 3] = ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/lib/rustlib/src/rust/library"];
pub(crate) const HOW_TO_GET: &str = "rustup target add riscv32imac-unknown-none-elf, or on Debian: apt-get install rustc-web cargo-web rust-web-src";
/// By these a cargo and a rustup speak to the ones that they start.
const OF_THE_OTHER_CARGO: [&str; 4] = ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC"];

/// The bytes of flash that a program took when that was last looked at.
#[derive(Clone, Copy)]
pub(crate) struct Flash {
    /// With a `core` that is built from source, for size.
    pub(crate) with_small_core: u64,
    /// With the one that rustup has.
    pub(crate) with_ready_core: u64,
}

/// How to build for the target.
pub(crate) enum Toolchain {
    /// The toolchain in use has the target.
    Installed,
    /// Debian's, from source.
    Debian,
    /// rustup's nightly, from source.
    Nightly,
}

pub(crate) fn step() -> Result<Outcome> {
    let Some(toolchain) = Toolchain::find()? else {
        return Ok(Outcome::skipped("no_std builds", HOW_TO_GET));
    };
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let exists = |(name, _): &(&str, &str)| metadata.packages.iter().any(|package| package.name == *name);
    let mut outcome = Outcome::default();
    for (name, features) in BUILDS.into_iter().filter(exists) {
        let arguments = ["build", "--package", name, "--no-default-features", "--features", features];
        let run = toolchain.cargo(&arguments).args(&["--target", TARGET, "--target-dir", "target/no_std"]);
        let name = if features.is_empty() { name.to_owned() } else { format!("{name} with {features}") };
        let finished = run.log(&format!("no_std-{}", name.replace([' ', ','], "-"))).finish()?;
        outcome.check(&name, finished.success, finished.output);
    }
    outcome.summary = format!("{} builds for {TARGET} by {}", outcome.passed, toolchain.name());
    Ok(outcome)
}

impl Toolchain {
    pub(crate) fn find() -> Result<Option<Self>> {
        Self::find_for(TARGET)
    }

    /// How to build for another target.
    pub(crate) fn find_for(target: &str) -> Result<Option<Self>> {
        if has_target(target)? {
            return Ok(Some(Self::Installed));
        }
        if Self::Debian.is_there() {
            return Ok(Some(Self::Debian));
        }
        let added = Run::new("rustup", &["target", "add", target]).limit(PATIENCE).finish();
        if added.is_ok_and(|added| added.success) && has_target(target)? {
            return Ok(Some(Self::Installed));
        }
        let sources = sysroot("nightly").map(|root| Path::new(&root).join("lib/rustlib/src/rust/library"));
        Ok(sources.is_some_and(|sources| sources.exists()).then_some(Self::Nightly))
    }

    /// Whether it is installed, as far as it has a fixed place; the others are found by asking rustup.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Debian) || DEBIAN.iter().all(|path| Path::new(path).exists())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Installed => "the toolchain in use",
            Self::Debian => "Debian's toolchain, core from source",
            Self::Nightly => "nightly, core from source",
        }
    }

    pub(crate) fn cargo(&self, arguments: &[&str]) -> Run {
        const FROM_SOURCE: [&str; 2] = ["-Z", "build-std=core,alloc"];
        match self {
            Self::Installed => Run::cargo(arguments),
            Self::Debian => Run::new(DEBIAN[0], arguments)
                .args(&FROM_SOURCE)
                .without_env(&OF_THE_OTHER_CARGO)
                .env("RUSTC", DEBIAN[1])
                .env("RUSTC_BOOTSTRAP", "1"),
            Self::Nightly => Run::new("rustup", &["run", "nightly", "cargo"])
                .args(arguments)
                .args(&FROM_SOURCE)
                .without_env(&OF_THE_OTHER_CARGO),
        }
    }
}

impl Toolchain {
    /// The flash that was recorded with this toolchain: a `core` that comes ready is not built for size.
    pub(crate) fn recorded(&self, flash: Flash) -> u64 {
        match self {
            Self::Installed => flash.with_ready_core,
            Self::Debian | Self::Nightly => flash.with_small_core,
        }
    }

    /// What has `core` built for size, where it is built at all.
    pub(crate) fn small_core(&self) -> &'static [&'static str] {
        match self {
            Self::Installed => &[],
            Self::Debian | Self::Nightly => &["-Z", "build-std-features=optimize_for_size"],
        }
    }
}

fn has_target(target: &str) -> Result<bool> {
    let printed = Run::new("rustc", &["--print", "target-libdir", "--target", target]).finish()?;
    Ok(printed.success && Path::new(printed.output.trim()).exists())
}

fn sysroot(toolchain: &str) -> Option<String> {
    let printed = Run::new("rustup", &["run", toolchain, "rustc", "--print", "sysroot"]).finish().ok()?;
    printed.success.then(|| printed.output.trim().to_owned())
}
