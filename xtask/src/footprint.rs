//! `cargo xtask footprint`: what a crate costs on a chip, as the difference of two programs that are the same but for it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use crate::no_std::{TARGET, Toolchain};

const PROGRAM: &str = "target/footprint/riscv32imac-unknown-none-elf/release/buoy-footprint";

pub(crate) fn run() -> Result<ExitCode> {
    let Some(toolchain) = Toolchain::find()? else {
        bail!("there is no toolchain for {TARGET}; {}", crate::no_std::HOW_TO_GET);
    };
    let without = Size::of_build(&toolchain, "")?;
    let with = Size::of_build(&toolchain, "dtls")?;
    println!("dtls, a client with pre-shared keys, for {TARGET} with opt-level \"s\":");
    println!("  flash  {} bytes of code and constants", with.flash - without.flash);
    println!("  RAM    {} bytes in line for an established connection, none on the heap", with.connection);
    println!("  (a program without it has {} bytes of flash)", without.flash);
    Ok(ExitCode::SUCCESS)
}

struct Size {
    flash: u64,
    connection: u64,
}

impl Size {
    fn of_build(toolchain: &Toolchain, features: &str) -> Result<Self> {
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
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok("CONNECTION"));
        let connection = symbol.as_ref().map_or(0, ObjectSymbol::size);
        let flash: u64 = file.sections().filter(is_in_flash).map(|section| section.size()).sum();
        // What tells the size of a connection is no part of what a device carries.
        let told = symbol.and_then(|symbol| symbol.section_index());
        let told = told.and_then(|index| file.section_by_index(index).ok());
        let flash = flash - if told.as_ref().is_some_and(is_in_flash) { connection } else { 0 };
        Ok(Self { flash, connection })
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
