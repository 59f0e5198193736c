//! `cargo xtask embedded xtensa`: the engines' answers on the instruction set of the ESP32.
//!
//! Debian's compiler has LLVM's back end for Xtensa, but neither its assembler nor a linker does all that is needed: LLVM 22 puts a function's
//! literals into the section of the function before. So the compiler writes assembly, each function's literals get a section of their own in front
//! of it, and LLVM's assembler and the linker of GNU's binutils do the rest. At other levels of optimisation than these the back end gives up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::build::{done, here, path};
use crate::command::{Run, is_installed};
use crate::no_std::Toolchain;

const BOARD: &str = "embedded/boards/sim-xtensa";
const TARGET_FOLDER: &str = "target/embedded-xtensa";
const OBJECTS: &str = "target/embedded-xtensa/xtensa-buoy-none-elf/release/deps";
const ASSEMBLER: &str = "llvm-mc-22";
const LINKER: &str = "xtensa-lx106-elf-ld";
const QEMU: &str = "qemu-system-xtensa";
const HOW_TO_GET: &str = "on Debian: apt-get install rustc-web cargo-web rust-web-src llvm-22 binutils-xtensa-lx106 qemu-system-misc";
const FLAGS: &str = "--emit=asm -Ccodegen-units=1 --cfg=sha2_backend=\"soft\" --cfg=sha2_backend_soft=\"compact\" --cfg=aes_backend=\"soft\" --cfg=aes_backend_soft=\"compact\"";
/// Miscompiled, so a program must not use it: division of 128 bits.
const MISCOMPILED: &[u8] = b"__udivti3";
/// The program takes a second.
const LONGEST: Duration = Duration::from_secs(120);

pub(crate) fn run() -> Result<ExitCode> {
    let has_tools = [ASSEMBLER, LINKER, QEMU].iter().all(|tool| is_installed(tool, "--version"));
    if !has_tools || !Toolchain::Debian.is_there() {
        bail!("some of the tools for Xtensa are missing; {HOW_TO_GET}");
    }
    let program = link(&assembly()?)?;
    let here = here()?;
    let arguments = ["-M", "sim", "-cpu", "dc233c", "-m", "128M", "-semihosting", "-nographic"];
    let run =
        Run::new(QEMU, &arguments).args(&["-monitor", "none", "-serial", "none", "-kernel", path(&program)?]);
    let there = run.limit(LONGEST).log("embedded-xtensa").finish()?.output.replace('\r', "");
    if here.trim() != there.trim() || !here.ends_with("end\n") {
        bail!("the engines answer otherwise on Xtensa.\nHere:\n{here}\nThere:\n{there}");
    }
    println!("{}on Xtensa (dc233c, windowed registers) as here", there);
    Ok(ExitCode::SUCCESS)
}

/// Compiles all to assembly. Gives the files that are linked: the program with all that it uses, and what the compiler calls.
fn assembly() -> Result<[PathBuf; 2]> {
    let manifest = ["build", "--release", "--manifest-path", "embedded/Cargo.toml", "--locked"];
    let target = format!("{BOARD}/xtensa-buoy-none-elf.json");
    let run = Toolchain::Debian
        .cargo(&manifest)
        .args(&["-Z", "json-target-spec", "--target", &target, "--target-dir", TARGET_FOLDER])
        .args(&["--package", "buoy-sim-xtensa"])
        .args(&["--config", "profile.release.package.buoy-sim-xtensa.opt-level=1"])
        .without_env(&["CARGO_ENCODED_RUSTFLAGS"])
        .env("RUSTFLAGS", FLAGS);
    let finished = run.log("chip-xtensa").finish()?;
    if !finished.success {
        bail!("the answers can't be built for Xtensa:\n{}", finished.output);
    }
    Ok([newest("buoy_sim_xtensa-")?, newest("compiler_builtins-")?])
}

/// The last file of assembly that was written for a crate.
fn newest(name: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(OBJECTS)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with(name) && file.ends_with(".s") && !file.ends_with(".rcgu.s") {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    found.pop().map(|(_, path)| path).with_context(|| format!("{OBJECTS} has no assembly of {name}"))
}

fn link(assembly: &[PathBuf; 2]) -> Result<PathBuf> {
    let folder = Path::new(TARGET_FOLDER);
    let program = folder.join("answers");
    let mut objects = vec![assemble(&Path::new(BOARD).join("start.S"), &folder.join("start.o"))?];
    // Number 0 is the start's.
    let mut number = 1;
    for (index, file) in assembly.iter().enumerate() {
        let source = folder.join(format!("{index}.s"));
        fs::write(&source, with_literals_apart(&fs::read_to_string(file)?, &mut number)?)?;
        objects.push(assemble(&source, &folder.join(format!("{index}.o")))?);
    }
    let script = format!("{BOARD}/sim.x");
    let mut run =
        Run::new(LINKER, &["-z", "noexecstack", "--no-warn-rwx-segments", "--gc-sections", "-T", &script]);
    for object in &objects {
        run = run.args(&[path(object)?]);
    }
    done(run.args(&["-o", path(&program)?]).log("embedded-xtensa-link"), "the program for Xtensa")?;
    let bytes = fs::read(&program)?;
    if bytes.windows(MISCOMPILED.len()).any(|window| window == MISCOMPILED) {
        bail!("the program divides numbers of 128 bits, which the back end for Xtensa compiles wrongly");
    }
    Ok(program)
}

fn assemble(source: &Path, object: &Path) -> Result<PathBuf> {
    let arguments = ["-triple=xtensa", "-mcpu=esp32", "-filetype=obj", path(source)?, "-o", path(object)?];
    done(Run::new(ASSEMBLER, &arguments).log("embedded-xtensa-assemble"), "an object for Xtensa")?;
    Ok(object.to_owned())
}

/// Puts the literals of each function into a section in front of the function's own.
fn with_literals_apart(assembly: &str, number: &mut u32) -> Result<String> {
    let mut out = String::new();
    let mut literals = Vec::new();
    for line in assembly.lines() {
        if line == "\t.literal_position" {
            continue;
        }
        if let Some(literal) = line.strip_prefix("\t.literal ") {
            literals.push(
                literal.split_once(", ").with_context(|| format!("a literal without a value: {line}"))?,
            );
            continue;
        }
        if !(line.starts_with("\t.section\t.text.") && line.ends_with(",\"ax\",@progbits")) {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        if !literals.is_empty() {
            out.push_str(&format!("\t.section .text.f{number:05}.a,\"ax\",@progbits\n\t.p2align 2\n"));
            for (name, value) in literals.drain(..) {
                out.push_str(&format!("{name}:\n\t.long {value}\n"));
            }
        }
        out.push_str(&format!("\t.section .text.f{number:05}.b,\"ax\",@progbits\n"));
        *number += 1;
    }
    if !literals.is_empty() {
        bail!("the compiler wrote literals without a function");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_get_a_section_in_front_of_their_function() {
        let assembly = "\t.literal_position\n\t.literal .LCPI0_0, name\n\t.text\n\t.section\t.text.one,\"ax\",@progbits\none:\n\tl32r\ta8, .LCPI0_0\n\t.section\t.text.two,\"ax\",@progbits\ntwo:\n";
        let mut number = 7;
        let out = with_literals_apart(assembly, &mut number).unwrap();
        assert_eq!(
            out,
            "\t.text\n\t.section .text.f00007.a,\"ax\",@progbits\n\t.p2align 2\n.LCPI0_0:\n\t.long name\n\t.section .text.f00007.b,\"ax\",@progbits\none:\n\tl32r\ta8, .LCPI0_0\n\t.section .text.f00008.b,\"ax\",@progbits\ntwo:\n"
        );
        assert_eq!(number, 9);
        assert!(with_literals_apart("\t.literal .LCPI0_0, name\n", &mut number).is_err());
    }
}
