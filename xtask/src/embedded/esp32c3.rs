//! `cargo xtask embedded esp32c3`: the application for the real chip, as a signed image and as the content of a new flash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::build::{done, keys, path};
use crate::chip::{Contents, linker};
use crate::command::{Run, is_installed};
use crate::no_std::Toolchain;
use crate::outcome::Outcome;

const TARGET: &str = "riscv32imc-unknown-none-elf";
const LINKER: &str = "CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER";
const BOARD: &str = "embedded/boards/esp32c3";
const TARGET_FOLDER: &str = "target/embedded-esp";
/// Where images and keys go.
const FOLDER: &str = "target/embedded/esp32c3";
const BUOY: &str = "target/debug/buoy";
/// The number of the chip (ESP-IDF's `esp_chip_id_t`).
const CHIP: &str = "5";
/// The whole image with Wi-Fi.
const MOST_BYTES: u64 = 1 << 20;
/// What the size table shows.
const CRATES: usize = 14;
/// The minor version of Rust that esp-hal asks for.
const EARLIEST: u32 = 95;
const HOW_TO_GET: &str = "rustup target add riscv32imc-unknown-none-elf with Rust 1.95 or later, or on Debian: apt-get install rustc-web cargo-web rust-web-src lld-22";
const USAGE: &str = "cargo xtask embedded esp32c3 [--release VERSION] [--emulated-ethernet]";
const ESPTOOLS: [&str; 2] = ["interop/venv/bin/esptool", "esptool"];
const HOW_TO_GET_ESPTOOL: &str =
    "esptool, which checks images; in an environment of Python's: pip install 'esptool>=5,<6'";

/// What is built.
struct Options {
    release: String,
    network: &'static str,
}

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let mut options = Options { release: env!("CARGO_PKG_VERSION").to_owned(), network: "wifi" };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--release" => {
                let version =
                    arguments.next().with_context(|| format!("--release needs a version; {USAGE}"))?;
                options.release = (*version).to_owned();
            }
            "--emulated-ethernet" => options.network = "emulated-ethernet",
            other => bail!("there is no option {other}; {USAGE}"),
        }
    }
    let Some(toolchain) = toolchain()? else { bail!("{HOW_TO_GET}") };
    let made = make(&toolchain, &options)?;
    print!("{}", made.table);
    match check(&made.image)? {
        Some(said) => println!("{said}"),
        None => println!("not checked by esptool: get {HOW_TO_GET_ESPTOOL}"),
    }
    println!(
        "{}\n{}\nthe release key: {}",
        made.image.display(),
        made.flash.display(),
        Path::new(FOLDER).join("release.key.pem").display()
    );
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn step() -> Result<Outcome> {
    let Some(toolchain) = toolchain()? else {
        return Ok(Outcome::skipped("the image for the ESP32-C3", HOW_TO_GET));
    };
    let options = Options { release: env!("CARGO_PKG_VERSION").to_owned(), network: "wifi" };
    let made = make(&toolchain, &options)?;
    let mut outcome = Outcome::passed(format!("an image of {} bytes with Wi-Fi", made.bytes));
    match check(&made.image)? {
        Some(_) => outcome.passed += 1,
        None => outcome.skip("esptool on the image for the ESP32-C3", HOW_TO_GET_ESPTOOL),
    }
    Ok(outcome)
}

/// The toolchain in use if it has the target and is late enough, else Debian's.
fn toolchain() -> Result<Option<Toolchain>> {
    let found = Toolchain::find_for(TARGET)?;
    if !matches!(found, Some(Toolchain::Installed)) || is_late_enough()? {
        return Ok(found);
    }
    Ok(Some(Toolchain::Debian).filter(Toolchain::is_there))
}

/// Whether the compiler in use is one that esp-hal takes.
fn is_late_enough() -> Result<bool> {
    let printed = Run::new("rustc", &["--version"]).finish()?.output;
    let minor = printed.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    Ok(minor.is_some_and(|minor| minor >= EARLIEST))
}

struct Made {
    image: PathBuf,
    flash: PathBuf,
    bytes: u64,
    table: String,
}

fn make(toolchain: &Toolchain, options: &Options) -> Result<Made> {
    fs::create_dir_all(FOLDER)?;
    done(Run::cargo(&["build", "--quiet"]).log("embedded-buoy"), "buoy")?;
    let buoy = fs::canonicalize(BUOY)?;
    let key = keys(&buoy, Path::new(FOLDER), "release")?;
    let program = program(toolchain, options, &key)?;
    let image = Path::new(FOLDER).join(format!("{}.bin", options.release));
    let flash = Path::new(FOLDER).join("flash-from-8000.bin");
    let elf = path(&program)?;
    let arguments = ["fw", "build", "--elf", elf, "--chip", CHIP, "--project", "buoy-esp32c3", "--release"];
    let build = Run::new(path(&buoy)?, &arguments).args(&[&options.release, path(&image)?]);
    done(build.log("esp32c3-image"), "the image")?;
    let bytes = fs::metadata(&image)?.len();
    if bytes >= MOST_BYTES {
        bail!("the image has {bytes} bytes, and may have {}", MOST_BYTES - 1);
    }
    let private = Path::new(FOLDER).join("release.key.pem");
    let arguments = ["fw", "sign", "--key", path(&private)?, path(&image)?];
    done(Run::new(path(&buoy)?, &arguments).log("esp32c3-sign"), "the signature")?;
    // The boot loader in front is ESP-IDF's, and other tools write it.
    let arguments =
        ["fw", "flash", "--factory", path(&image)?, "--size", "0x400000", "--skip", "0x8000", path(&flash)?];
    done(Run::new(path(&buoy)?, &arguments).log("esp32c3-flash"), "the flash")?;
    Ok(Made { table: table(&program, bytes)?, image, flash, bytes })
}

fn program(toolchain: &Toolchain, options: &Options, key: &Path) -> Result<PathBuf> {
    let (flags, manifest) = (format!("{BOARD}/.cargo/config.toml"), format!("{BOARD}/Cargo.toml"));
    let arguments = ["build", "--release", "--config", &flags, "--manifest-path", &manifest, "--locked"];
    let run = toolchain
        .cargo(&arguments)
        .args(&["--bin", "app", "--features", options.network])
        .args(&["--target", TARGET, "--target-dir", TARGET_FOLDER])
        .without_env(&["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"])
        .env("BUOY_RELEASE_KEY", path(key)?)
        // Debian's compiler brings no linker.
        .env(LINKER, &linker().unwrap_or_else(|| "ld.lld-22".to_owned()));
    let finished = run.log("chip-esp32c3").finish()?;
    if !finished.success {
        bail!("the application can't be built:\n{}", finished.output);
    }
    Ok(Path::new(TARGET_FOLDER).join(TARGET).join("release/app"))
}

/// What takes the flash, by crate.
fn table(program: &Path, image: u64) -> Result<String> {
    let contents = Contents::of(&fs::read(program)?)?;
    let mut table = format!("{:<32} {:>9}\n", "crate", "flash");
    for (name, bytes) in contents.by_crate().into_iter().take(CRATES) {
        table.push_str(&format!("{name:<32} {bytes:>9}\n"));
    }
    table.push_str(&format!("{:<32} {:>9}   of {MOST_BYTES} at most\n", "the whole image", image));
    Ok(table)
}

/// What `esptool` says of an image; `None` if there is none.
fn check(image: &Path) -> Result<Option<String>> {
    let Some(esptool) = ESPTOOLS.into_iter().find(|tool| is_installed(tool, "version")) else {
        return Ok(None);
    };
    let finished = Run::new(esptool, &["--chip", "esp32c3", "image-info", path(image)?]).finish()?;
    let lines: Vec<&str> = finished.output.lines().filter(|line| line.contains("(valid)")).collect();
    if !finished.success || lines.len() < 2 {
        bail!("esptool finds the image wrong:\n{}", finished.output);
    }
    Ok(Some(lines.join("\n")))
}
