//! `cargo xtask embedded size`: whole devices as linked programs, and what takes how much of their flash and RAM.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::stack::Stacks;
use crate::chip::{Contents, Program};
use crate::no_std::{Flash, HOW_TO_GET, TARGET, Toolchain};
use crate::outcome::Outcome;

const FOLDER: &str = "target/footprint";
/// Names in the program: where it begins, and what it does again and again.
const START: &str = "_start";
const TURN: &str = "whole_turn";
/// Functions that are listed.
const LISTED: usize = 20;
/// What a figure may be above its recorded value: compilers differ by that.
pub(crate) const TOLERANCE_PERCENT: u64 = 3;

/// A device, by what it has, and what it took when that was last looked at.
struct Shape {
    name: &'static str,
    what: &'static str,
    /// Of the program.
    features: &'static str,
    flash: Flash,
    /// The same with each toolchain.
    memory: Memory,
}

#[derive(Clone, Copy)]
struct Memory {
    ram: u64,
    /// While it runs.
    stack: u64,
    /// While it starts, before anything else is on the stack.
    start: u64,
}

struct Figures {
    flash: u64,
    memory: Memory,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "client",
        what: "one server, 8 observations; all operations, Send, queue mode; TLV, SenML CBOR, CBOR, text, opaque; DTLS with a shared key and connection ID",
        features: "whole",
        flash: Flash { with_small_core: 115_436, with_ready_core: 121_738 },
        memory: Memory { ram: 10_576, stack: 6_208, start: 6_272 },
    },
    Shape {
        name: "small",
        what: "the same with firmware updates: pull, push, resumption, deltas, ECDSA P-256, manifest, trial and roll-back",
        features: "update",
        flash: Flash { with_small_core: 169_146, with_ready_core: 177_008 },
        memory: Memory { ram: 14_720, stack: 9_728, start: 10_592 },
    },
    Shape {
        name: "full",
        what: "three servers, 16 observations, bootstrap, access control, LwM2M 1.2, all formats, kept notifications, saved sessions, RSA-4096 and Ed25519 as well, words of refusals",
        features: "full",
        flash: Flash { with_small_core: 247_638, with_ready_core: 258_220 },
        memory: Memory { ram: 25_688, stack: 17_504, start: 17_568 },
    },
];

/// Others, linked once with the same target; see `docs/comparison.md`. Flash and RAM in bytes.
const OTHERS: [(&str, u64, &str); 3] = [
    ("Wakaama with tinydtls", 105_000, "1,900, and heap"),
    ("Anjay Lite with mbedTLS", 106_200, "14,300, and heap"),
    ("Anjay 3 with mbedTLS", 197_700, "600, and up to 12,300 of heap"),
];

/// `cargo xtask embedded size`.
pub(crate) fn run() -> Result<ExitCode> {
    let Some(toolchain) = Toolchain::find()? else {
        bail!("there is no toolchain for {TARGET}: {HOW_TO_GET}")
    };
    let (mut table, mut excesses) = (String::new(), String::new());
    for shape in &SHAPES {
        let weighed = Weighed::of(shape, &toolchain)?;
        println!("{}", weighed.report(shape)?);
        writeln!(table, "{}", weighed.line(shape))?;
        excesses.push_str(&weighed.excesses(shape, &toolchain)?);
    }
    println!("whole            flash      RAM    stack at start");
    print!("{table}");
    for (name, flash, ram) in OTHERS {
        println!("{name}: {flash} of flash, {ram} of RAM");
    }
    print!("{excesses}");
    Ok(if excesses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is checked in `cargo xtask test`: that no figure has grown.
pub(crate) fn check(toolchain: &Toolchain, outcome: &mut Outcome) -> Result<()> {
    for shape in &SHAPES {
        let weighed = Weighed::of(shape, toolchain)?;
        let excesses = weighed.excesses(shape, toolchain)?;
        outcome.check(
            &format!("the device `{}`", shape.name),
            excesses.is_empty(),
            format!("{}\n{excesses}", weighed.report(shape)?),
        );
    }
    Ok(())
}

struct Weighed {
    contents: Contents,
    running: Stacks,
    starting: Stacks,
}

impl Weighed {
    fn of(shape: &Shape, toolchain: &Toolchain) -> Result<Self> {
        let program = Program {
            package: "buoy-footprint",
            name: "buoy-footprint",
            features: shape.features,
            folder: FOLDER,
            variables: &[],
            flags: &["-Zemit-stack-sizes"],
        };
        let file = program.build(toolchain)?;
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(Self {
            contents: Contents::of(&bytes)?,
            running: Stacks::of(&bytes, TURN)?,
            starting: Stacks::of(&bytes, START)?,
        })
    }

    fn figures(&self) -> Figures {
        let (stack, start) = (self.running.deepest, self.starting.deepest);
        Figures { flash: self.contents.flash, memory: Memory { ram: self.contents.ram, stack, start } }
    }

    fn line(&self, shape: &Shape) -> String {
        let Figures { flash, memory: Memory { ram, stack, start } } = self.figures();
        format!("{:<12} {flash:>9} {ram:>8} {stack:>8} {start:>8}", shape.name)
    }

    fn report(&self, shape: &Shape) -> Result<String> {
        let Self { contents, running, starting } = self;
        let mut report = format!("{}: {}\n  flash by crate\n", shape.name, shape.what);
        for (name, bytes) in contents.by_crate().iter().take(LISTED) {
            writeln!(report, "    {bytes:>7}  {name}")?;
        }
        writeln!(report, "  the largest functions and constants")?;
        for (name, bytes) in contents.in_flash.iter().take(LISTED) {
            writeln!(report, "    {bytes:>7}  {}", shortened(name))?;
        }
        writeln!(report, "  static RAM")?;
        for (name, bytes) in &contents.in_ram {
            writeln!(report, "    {bytes:>7}  {name}")?;
        }
        for (when, stacks) in [("runs", running), ("starts", starting)] {
            writeln!(
                report,
                "  the deepest stack while it {when}: {} bytes, by these frames",
                stacks.deepest
            )?;
            for (name, bytes) in &stacks.path {
                writeln!(report, "    {bytes:>7}  {}", shortened(name))?;
            }
        }
        Ok(report)
    }

    fn excesses(&self, shape: &Shape, toolchain: &Toolchain) -> Result<String> {
        let (Figures { flash, memory: now }, recorded) = (self.figures(), shape.memory);
        let mut excesses = String::new();
        for (what, now, recorded) in [
            ("flash", flash, toolchain.recorded(shape.flash)),
            ("static RAM", now.ram, recorded.ram),
            ("stack while it runs", now.stack, recorded.stack),
            ("stack while it starts", now.start, recorded.start),
        ] {
            if now * 100 > recorded * (100 + TOLERANCE_PERCENT) {
                writeln!(
                    excesses,
                    "`{}` takes {now} bytes of {what}, more than {TOLERANCE_PERCENT} % above the {recorded} of xtask/src/embedded/size.rs",
                    shape.name
                )?;
            }
        }
        Ok(excesses)
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(130).collect()
}
