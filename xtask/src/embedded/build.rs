//! The programs of the emulated board, and releases of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::chip::{self, Program};
use crate::command::Run;
use crate::no_std::Toolchain;

/// Where everything goes.
pub(super) const FOLDER: &str = "target/embedded/qemu";
const PROGRAMS: &str = "target/embedded/riscv32imac-unknown-none-elf/release";
/// The program that the walk is made with.
const BUOY: &str = "target/debug/buoy";
/// The board's number in place of a chip's, as in `boards/qemu-riscv32`.
const CHIP: &str = "45280";
/// The most bytes that the boot loader may have in flash: with its vector it fits in front of the partition table.
const MOST_BOOT: u64 = 31_500;
/// What an image says of its behaviour, and the bytes that it has for that.
const BEHAVIOUR: &[u8; 40] = b"buoy-behaviour=good;                    ";

/// What the walk needs.
pub(super) struct Built {
    pub(super) buoy: PathBuf,
    pub(super) flash: PathBuf,
    pub(super) boot_bytes: u64,
    /// The release key.
    pub(super) key: PathBuf,
}

/// A release, and how it behaves.
pub(super) struct Release {
    pub(super) version: &'static str,
    behaviour: &'static str,
}

/// The releases, the factory's first.
pub(super) const RELEASES: [Release; 9] = [
    Release::new("1.0.0", "good"),
    Release::new("1.0.1", "good"),
    Release::new("1.0.2", "good"),
    Release::new("1.1.0", "good"),
    Release::new("1.2.0", "crash-early"),
    Release::new("1.3.0", "hang"),
    Release::new("1.4.0", "mute"),
    Release::new("1.5.0", "fail-self-test"),
    Release::new("1.6.0", "crash-late"),
];

/// Signed with a key that no device trusts.
pub(super) const FORGED: Release = Release::new("1.7.0", "good");

impl Release {
    const fn new(version: &'static str, behaviour: &'static str) -> Self {
        Self { version, behaviour }
    }
}

pub(super) fn image(version: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{version}.bin"))
}

/// Builds the boot loader, the application and its releases, and a flash with the first of them.
pub(super) fn build(toolchain: &Toolchain) -> Result<Built> {
    fs::create_dir_all(FOLDER)?;
    done(Run::cargo(&["build", "--quiet"]).log("embedded-buoy"), "buoy")?;
    let buoy = fs::canonicalize(BUOY)?;
    let key = keys(&buoy, Path::new(FOLDER), "release")?;
    keys(&buoy, Path::new(FOLDER), "other")?;
    // They are built apart, since features that one has would be the other's too.
    program(toolchain, "boot", "boot", &key)?;
    program(toolchain, "app", "app,behaviours", &key)?;
    let boot = Path::new(PROGRAMS).join("boot");
    let boot_bytes = chip::flash_of(&boot)?;
    if boot_bytes > MOST_BOOT {
        bail!("the boot loader has {boot_bytes} bytes of flash, and may have {MOST_BOOT}");
    }
    let app = fs::read(Path::new(PROGRAMS).join("app"))?;
    for release in &RELEASES {
        make(&buoy, &app, release, "release")?;
    }
    make(&buoy, &app, &FORGED, "other")?;
    let flash = Path::new(FOLDER).join("flash.bin");
    let mut command = Run::new(path(&buoy)?, &["fw", "flash", "--base", "0x20000000", "--size", "0x2000000"]);
    command = command.args(&["--factory", path(&image("1.0.0"))?, "--boot", path(&boot)?, path(&flash)?]);
    done(command.log("embedded-flash"), "the flash")?;
    Ok(Built { buoy, flash, boot_bytes, key })
}

/// What the engines answer to fixed questions: on this machine, and the program that answers them on the board.
pub(super) fn answers(toolchain: &Toolchain, key: &Path) -> Result<(String, PathBuf)> {
    let here = here()?;
    program(toolchain, "answers", "answers", key)?;
    Ok((here, Path::new(PROGRAMS).join("answers")))
}

/// What the engines answer on this machine.
pub(super) fn here() -> Result<String> {
    let arguments =
        ["run", "--quiet", "--manifest-path", "embedded/Cargo.toml", "--locked", "--example", "host"];
    let run = Run::cargo(&arguments).args(&["--package", "buoy-answers", "--target-dir", "target/embedded"]);
    let finished = run.log("embedded-answers-here").finish()?;
    if !finished.success {
        bail!("the engines give no answers here:\n{}", finished.output);
    }
    Ok(finished.output)
}

/// A release is the same program under another name, which behaves as its image says.
fn make(buoy: &Path, app: &[u8], release: &Release, key: &str) -> Result<()> {
    let mut elf = app.to_vec();
    let at = elf.windows(BEHAVIOUR.len()).position(|window| window == BEHAVIOUR);
    let at =
        at.context("the application has no text that says how it behaves; is the feature `behaviours` on?")?;
    let text = format!("buoy-behaviour={};", release.behaviour);
    elf.iter_mut().skip(at).zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    let named = Path::new(FOLDER).join(format!("{}.elf", release.version));
    fs::write(&named, elf)?;
    let image = image(release.version);
    let arguments =
        ["fw", "build", "--elf", path(&named)?, "--chip", CHIP, "--project", "buoy-qemu", "--release"];
    done(
        Run::new(path(buoy)?, &arguments).args(&[release.version, path(&image)?]).log("embedded-image"),
        "an image",
    )?;
    sign(buoy, key, release.version, &image.with_extension("bin.sig"))
}

fn sign(buoy: &Path, key: &str, version: &str, output: &Path) -> Result<()> {
    let key = Path::new(FOLDER).join(format!("{key}.key.pem"));
    let image = image(version);
    let arguments = ["fw", "sign", "--key", path(&key)?, "--output", path(output)?, path(&image)?];
    done(Run::new(path(buoy)?, &arguments).log("embedded-sign"), "a signature")
}

/// The release key, the same one each time: a new one would have everything built again. Gives the public key in DER.
pub(super) fn keys(buoy: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let prefix = folder.join(name);
    let (public, der) = (prefix.with_extension("pub.pem"), prefix.with_extension("pub.der"));
    if !public.exists() {
        let arguments = ["fw", "keygen", "--kind", "p256", path(&prefix)?];
        done(Run::new(path(buoy)?, &arguments).log("embedded-key"), "a key")?;
    }
    let arguments = ["pkey", "-pubin", "-in", path(&public)?, "-outform", "DER", "-out", path(&der)?];
    if !der.exists() {
        done(Run::new("openssl", &arguments).log("embedded-der"), "a key in DER")?;
    }
    Ok(fs::canonicalize(der)?)
}

fn program(toolchain: &Toolchain, name: &str, features: &str, key: &Path) -> Result<()> {
    let variables = [("BUOY_RELEASE_KEY", path(key)?)];
    let program = Program {
        package: "buoy-qemu-riscv32",
        name,
        features,
        folder: "target/embedded",
        variables: &variables,
        flags: &[],
    };
    program.build(toolchain).map(drop)
}

pub(super) fn done(run: Run, what: &str) -> Result<()> {
    let finished = run.finish()?;
    if !finished.success {
        bail!("{what} failed:\n{}", finished.output);
    }
    Ok(())
}

pub(super) fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}
