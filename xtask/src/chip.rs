//! Programs for a chip: how they are built, by the flags of `embedded/.cargo/config.toml`, and what is in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind, elf};

use crate::command::Run;
use crate::no_std::{TARGET, Toolchain};

/// The workspace of what is built for chips.
const WORKSPACE: &str = "embedded/Cargo.toml";
/// Cargo doesn't read it by itself from here.
const FLAGS: &str = "embedded/.cargo/config.toml";
const LINKER: &str = "CARGO_TARGET_RISCV32IMAC_UNKNOWN_NONE_ELF_LINKER";

/// A program to build.
pub(crate) struct Program<'a> {
    pub(crate) package: &'a str,
    pub(crate) name: &'a str,
    pub(crate) features: &'a str,
    /// The target folder.
    pub(crate) folder: &'a str,
    /// Variables of the environment that it is built with.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// More flags for rustc.
    pub(crate) flags: &'a [&'a str],
}

impl Program<'_> {
    /// Builds it. Gives its file.
    pub(crate) fn build(&self, toolchain: &Toolchain) -> Result<PathBuf> {
        let Self { package, name, features, folder, .. } = *self;
        let arguments = ["build", "--release", "--config", FLAGS, "--manifest-path", WORKSPACE, "--locked"];
        let more = format!("target.{TARGET}.rustflags={:?}", self.flags);
        let mut run = toolchain
            .cargo(&arguments)
            .args(toolchain.small_core())
            .args(&["--config", &more, "--package", package, "--bin", name, "--features", features])
            .args(&["--target", TARGET, "--target-dir", folder])
            .without_env(&["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]);
        if let Some(linker) = linker() {
            run = run.env(LINKER, &linker);
        }
        if !self.flags.is_empty() {
            // Flags that a stable compiler has only for those who say that they know.
            run = run.env("RUSTC_BOOTSTRAP", "1");
        }
        for (variable, value) in self.variables {
            run = run.env(variable, value);
        }
        let finished = run.log(&format!("chip-{name}-{}", features.replace([',', '/'], "-"))).finish()?;
        if !finished.success {
            bail!("{name} can't be built:\n{}", finished.output);
        }
        Ok(Path::new(folder).join(TARGET).join("release").join(name))
    }
}

/// What a linked program has in it.
pub(crate) struct Contents {
    /// Bytes of code and constants, and of the first values of variables.
    pub(crate) flash: u64,
    /// Bytes of variables.
    pub(crate) ram: u64,
    /// Functions and constants, with their bytes, by name.
    pub(crate) in_flash: Vec<(String, u64)>,
    /// Variables, with their bytes.
    pub(crate) in_ram: Vec<(String, u64)>,
}

impl Contents {
    pub(crate) fn of(program: &[u8]) -> Result<Self> {
        let file = object::File::parse(program)?;
        let (mut flash, mut ram) = (0, 0);
        for section in file.sections().filter(is_loaded) {
            if section.kind() != SectionKind::UninitializedData {
                flash += section.size();
            }
            if is_variable(&section) {
                ram += section.size();
            }
        }
        let (mut in_flash, mut in_ram) = (Vec::new(), Vec::new());
        // What the linker has merged has several names at one address.
        let mut seen = BTreeMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
            let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
            let Some(section) = section.filter(is_loaded) else { continue };
            let is_thing = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown);
            if !is_thing || seen.insert((symbol.address(), symbol.size()), ()).is_some() {
                continue;
            }
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
            if name.starts_with(".L_MergedGlobals") {
                // Variables that have names of their own.
                continue;
            }
            let list = if is_variable(&section) { &mut in_ram } else { &mut in_flash };
            list.push((name, symbol.size()));
        }
        for list in [&mut in_flash, &mut in_ram] {
            list.sort_by(|(one, bytes), (other, more)| more.cmp(bytes).then_with(|| one.cmp(other)));
        }
        Ok(Self { flash, ram, in_flash, in_ram })
    }

    /// Bytes of flash by crate, the largest first. A generic function counts for the crate that has it.
    pub(crate) fn by_crate(&self) -> Vec<(String, u64)> {
        let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, bytes) in &self.in_flash {
            *sizes.entry(crate_of(name)).or_default() += bytes;
        }
        let named: u64 = sizes.values().sum();
        *sizes.entry("(without a name)").or_default() += self.flash.saturating_sub(named);
        let mut sizes: Vec<_> = sizes.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        sizes
    }
}

/// The linker that comes with the toolchain in use, for one that brings none.
pub(crate) fn linker() -> Option<String> {
    let root = Run::new("rustc", &["--print", "sysroot"]).finish().ok()?;
    let linker = Path::new(root.output.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    linker.exists().then(|| linker.display().to_string())
}

/// How many bytes of flash a program takes.
pub(crate) fn flash_of(program: &Path) -> Result<u64> {
    let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    Ok(Contents::of(&bytes)?.flash)
}

/// Whether a section is loaded.
fn is_loaded<'a>(section: &impl ObjectSection<'a>) -> bool {
    has(section, elf::SHF_ALLOC)
}

/// Whether a section is written while the program runs.
fn is_variable<'a>(section: &impl ObjectSection<'a>) -> bool {
    has(section, elf::SHF_WRITE)
}

fn has<'a>(section: &impl ObjectSection<'a>, flag: u32) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags } if sh_flags & u64::from(flag) != 0)
}

/// The crate of a name such as `<alloc::vec::Vec<T> as core::ops::Drop>::drop` or `<u8 as buoy_lwm2m::Read>::read`.
fn crate_of(name: &str) -> &str {
    if name.starts_with("OUTLINED_FUNCTION") {
        return "(shared by several functions)";
    }
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("::") {
        let start = before.rfind(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        let first = &before[start.map_or(0, |start| start + 1)..];
        if !first.is_empty() && first.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        {
            return first;
        }
        rest = after;
    }
    "(without a crate)"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_a_function_is_found_in_its_name() {
        for (name, expected) in [
            ("sha2::sha256::compress256", "sha2"),
            ("<buoy_client::client::Client<R>>::answer", "buoy_client"),
            ("<u8 as buoy_lwm2m::format::Read>::read", "buoy_lwm2m"),
            ("<&[u8] as core::cmp::PartialEq>::eq", "core"),
            ("<alloc::vec::Vec<buoy_dtls::Tunnel>>::push", "alloc"),
            ("OUTLINED_FUNCTION_12", "(shared by several functions)"),
            ("memcpy", "(without a crate)"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
