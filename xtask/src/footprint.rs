//! `cargo xtask footprint`: what a crate costs on a chip, as the difference of two programs that are the same but for it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use crate::no_std::{TARGET, Toolchain};

const PROGRAM: &str = "target/footprint/riscv32imac-unknown-none-elf/release/buoy-footprint";

/// What is weighed, each by itself.
const WEIGHED: [Weighed; 2] = [
    Weighed {
        feature: "dtls",
        what: "a client with pre-shared keys",
        symbol: "CONNECTION",
        in_line: "an established connection",
    },
    Weighed {
        feature: "client",
        what: "the engine of a device with objects 0 to 3, 3303, 3311 and 3333",
        symbol: "ENGINE",
        in_line: "an engine in the shape for a chip",
    },
];

struct Weighed {
    /// Of the program.
    feature: &'static str,
    what: &'static str,
    /// As large as what is kept in line.
    symbol: &'static str,
    /// What is kept in line.
    in_line: &'static str,
}

pub(crate) fn run() -> Result<ExitCode> {
    let Some(toolchain) = Toolchain::find()? else {
        bail!("there is no toolchain for {TARGET}; {}", crate::no_std::HOW_TO_GET);
    };
    let without = Size::of_build(&toolchain, "", None)?;
    println!("for {TARGET} with opt-level \"s\":");
    for weighed in WEIGHED {
        let with = Size::of_build(&toolchain, weighed.feature, Some(weighed.symbol))?;
        println!("{}, {}", weighed.feature, weighed.what);
        println!("  flash  {} bytes of code and constants", with.flash - without.flash);
        println!("  RAM    {} bytes in line for {}, none on the heap", with.in_line, weighed.in_line);
    }
    println!("(a program without them has {} bytes of flash)", without.flash);
    Ok(ExitCode::SUCCESS)
}

struct Size {
    flash: u64,
    in_line: u64,
}

impl Size {
    fn of_build(toolchain: &Toolchain, features: &str, symbol: Option<&str>) -> Result<Self> {
        let arguments =
            ["build", "--release", "--manifest-path", "embedded/Cargo.toml", "--features", features];
        let mut run =
            toolchain.cargo(&arguments).args(&["--target", TARGET, "--target-dir", "target/footprint"]);
        if let Some(linker) = linker() {
            run = run.env("CARGO_TARGET_RISCV32IMAC_UNKNOWN_NONE_ELF_LINKER", &linker);
        }
        let finished = run.log(&format!("footprint-{features}")).finish()?;
        if !finished.success {
            bail!("the program cannot be built:\n{}", finished.output);
        }
        let bytes = std::fs::read(PROGRAM).with_context(|| PROGRAM.to_owned())?;
        let file = object::File::parse(&*bytes)?;
        let symbol = symbol.and_then(|name| file.symbols().find(|symbol| symbol.name() == Ok(name)));
        let in_line = symbol.as_ref().map_or(0, ObjectSymbol::size);
        let flash: u64 = file.sections().filter(is_in_flash).map(|section| section.size()).sum();
        // What tells the size is no part of what a device carries.
        let told = symbol.and_then(|symbol| symbol.section_index());
        let told = told.and_then(|index| file.section_by_index(index).ok());
        let flash = flash - if told.as_ref().is_some_and(is_in_flash) { in_line } else { 0 };
        Ok(Self { flash, in_line })
    }
}

/// Whether a section is loaded from flash.
fn is_in_flash<'a>(section: &impl ObjectSection<'a>) -> bool {
    let is_loaded = match section.flags() {
        SectionFlags::Elf { sh_flags } => sh_flags & u64::from(elf::SHF_ALLOC) != 0,
        _ => false,
    };
    is_loaded && section.kind() != SectionKind::UninitializedData
}

/// The linker that comes with the toolchain in use, for one that brings none.
fn linker() -> Option<String> {
    let root = crate::command::Run::new("rustc", &["--print", "sysroot"]).finish().ok()?;
    let linker = Path::new(root.output.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    linker.exists().then(|| linker.display().to_string())
}
