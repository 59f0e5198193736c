//! `cargo xtask footprint`: what a crate costs on a chip, as the difference of two programs that are the same but for it.
//!
//! Each has limits, so that nobody makes it larger without noticing.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use crate::chip::Program;
use crate::embedded::size;
use crate::no_std::{Flash, TARGET, Toolchain};
use crate::outcome::Outcome;

const FOLDER: &str = "target/footprint";

/// What is weighed, each by itself.
const WEIGHED: [Weighed; 2] = [
    Weighed {
        feature: "dtls",
        what: "a client with pre-shared keys",
        flash: Flash { with_small_core: 32_381, with_ready_core: 35_213 },
        in_line: &[InLine { what: "an established connection", symbol: "CONNECTION", most: 256 }],
    },
    Weighed {
        feature: "client,bootstrap,buoy-client/engine",
        what: "the engine of a device with objects 0 to 3, 3303, 3311 and 3333",
        flash: Flash { with_small_core: 111_984, with_ready_core: 115_662 },
        in_line: &[
            InLine { what: "a device with one server (`Sensor`)", symbol: "SENSOR", most: 8_192 },
            InLine { what: "a device with three servers (`Chip`)", symbol: "CHIP", most: 15_000 },
        ],
    },
];

struct Weighed {
    /// Of the program.
    feature: &'static str,
    what: &'static str,
    /// As recorded; it may be a little more.
    flash: Flash,
    in_line: &'static [InLine],
}

/// What is kept in line.
struct InLine {
    what: &'static str,
    /// As large as that.
    symbol: &'static str,
    /// The most bytes.
    most: u64,
}

pub(crate) fn run() -> Result<ExitCode> {
    let Some(toolchain) = Toolchain::find()? else {
        bail!("there is no toolchain for {TARGET}; {}", crate::no_std::HOW_TO_GET);
    };
    let (report, excesses) = weigh(&toolchain)?;
    print!("{report}{excesses}");
    Ok(if excesses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn step() -> Result<Outcome> {
    let Some(toolchain) = Toolchain::find()? else {
        return Ok(Outcome::skipped("what a device weighs", crate::no_std::HOW_TO_GET));
    };
    let (report, excesses) = weigh(&toolchain)?;
    let mut outcome = Outcome::default();
    outcome.check("what a device weighs", excesses.is_empty(), format!("{report}{excesses}"));
    size::check(&toolchain, &mut outcome)?;
    outcome.summary = "flash, RAM and stack of a device within their limits".to_owned();
    Ok(outcome)
}

/// A report, and what is too large.
fn weigh(toolchain: &Toolchain) -> Result<(String, String)> {
    let without = Size::of_build(toolchain, "", &[])?;
    let mut report = format!("for {TARGET} by the flags of embedded/.cargo/config.toml:\n");
    let mut excesses = String::new();
    for weighed in WEIGHED {
        let Weighed { feature, what, flash: recorded, in_line } = weighed;
        let most_flash = toolchain.recorded(recorded) * (100 + size::TOLERANCE_PERCENT) / 100;
        let symbols: Vec<&str> = in_line.iter().map(|in_line| in_line.symbol).collect();
        let with = Size::of_build(toolchain, feature, &symbols)?;
        let flash = with.flash - without.flash;
        writeln!(report, "{feature}: {what}")?;
        writeln!(report, "  flash  {flash} bytes of code and constants (at most {most_flash})")?;
        if flash > most_flash {
            writeln!(excesses, "{feature} has {flash} bytes of flash, and may have {most_flash}")?;
        }
        for (InLine { what, most, .. }, size) in in_line.iter().zip(with.in_line) {
            writeln!(report, "  RAM    {size} bytes in line for {what}, none on the heap (at most {most})")?;
            if size > *most {
                writeln!(excesses, "{feature} has {size} bytes of RAM for {what}, and may have {most}")?;
            }
        }
    }
    writeln!(report, "(a program without them has {} bytes of flash)", without.flash)?;
    Ok((report, excesses))
}

struct Size {
    flash: u64,
    /// Of the symbols that were asked for.
    in_line: Vec<u64>,
}

impl Size {
    fn of_build(toolchain: &Toolchain, features: &str, symbols: &[&str]) -> Result<Self> {
        let program = Program {
            package: "buoy-footprint",
            name: "buoy-footprint",
            features,
            folder: FOLDER,
            variables: &[],
            flags: &[],
        };
        let program = program.build(toolchain)?;
        let bytes = std::fs::read(&program).with_context(|| program.display().to_string())?;
        let file = object::File::parse(&*bytes)?;
        let mut flash: u64 = file.sections().filter(is_in_flash).map(|section| section.size()).sum();
        let mut in_line = Vec::new();
        for name in symbols {
            let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
            let symbol = symbol.with_context(|| format!("the program has no symbol {name}"))?;
            // What tells the size is no part of what a device carries.
            let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
            if section.as_ref().is_some_and(is_in_flash) {
                flash -= symbol.size();
            }
            in_line.push(symbol.size());
        }
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
