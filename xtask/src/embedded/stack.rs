//! The deepest stack of a program for riscv32, from the sizes of frames that the compiler has noted and the calls that its code makes.
//!
//! A call through a pointer counts as the deepest of all functions whose address is in a table, such as the methods of objects. What such a function
//! itself calls through pointers is not counted: most of that is a writer of few bytes, and with it the objects would call each other for ever. So the
//! result is not a proof, but it grows when the code's need grows. Code that calls itself is refused.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// What shared prologues take of the stack begins with this name, followed by the number of registers.
const SAVE: &str = "__riscv_save_";
/// A jump through a register is a call in place of a return if the frame was given back so few instructions before.
const AFTER_RELEASE: u32 = 8;

/// The deepest path.
pub(crate) struct Stacks {
    /// Bytes.
    pub(crate) deepest: u64,
    /// Functions on it, with the bytes of their frames.
    pub(crate) path: Vec<(String, u64)>,
}

#[derive(Default)]
struct Function {
    name: String,
    frame: u64,
    /// Addresses of the functions that it calls.
    calls: BTreeSet<u64>,
    calls_by_pointer: bool,
}

/// How deep the stack gets from a function on, and by which call.
#[derive(Clone, Copy)]
struct Depth {
    bytes: u64,
    next: Option<u64>,
}

impl Stacks {
    /// The deepest path from the function of this name on.
    pub(crate) fn of(program: &[u8], entry: &str) -> Result<Self> {
        let functions = functions(program)?;
        let is_entry = |(_, function): &(&u64, &Function)| function.name == entry;
        let (entry, _) =
            functions.iter().find(is_entry).with_context(|| format!("the program has no {entry}"))?;
        let mut depths = BTreeMap::new();
        for address in functions.keys() {
            depth(&functions, *address, None, &mut depths, &mut Vec::new())?;
        }
        let in_tables = in_tables(program, &functions)?;
        let by_pointer = in_tables.iter().max_by_key(|address| depths[address].bytes).copied();
        let by_pointer = by_pointer.map(|address| (address, depths[&address].bytes));
        let mut from_entry = BTreeMap::new();
        let deepest = depth(&functions, *entry, by_pointer, &mut from_entry, &mut Vec::new())?;
        let mut path = Vec::new();
        let (mut at, mut is_behind_pointer) = (Some(*entry), false);
        while let Some(address) = at {
            let function = &functions[&address];
            path.push((function.name.clone(), function.frame));
            let next = if is_behind_pointer { depths[&address].next } else { from_entry[&address].next };
            let by_pointer = by_pointer.map(|(target, _)| target);
            is_behind_pointer |=
                next == by_pointer && next.is_some_and(|next| !function.calls.contains(&next));
            at = next;
        }
        Ok(Self { deepest: deepest.bytes, path: path.into_iter().filter(|(_, frame)| *frame > 0).collect() })
    }
}

/// How deep it gets from `address` on. `by_pointer` is what a call through a pointer leads to, and how deep that gets.
fn depth(
    functions: &BTreeMap<u64, Function>,
    address: u64,
    by_pointer: Option<(u64, u64)>,
    known: &mut BTreeMap<u64, Depth>,
    above: &mut Vec<u64>,
) -> Result<Depth> {
    if let Some(depth) = known.get(&address) {
        return Ok(*depth);
    }
    let function = &functions[&address];
    if above.contains(&address) {
        bail!("{} calls itself: nobody can say how deep the stack gets", function.name);
    }
    above.push(address);
    let by_pointer_here = by_pointer.filter(|_| function.calls_by_pointer);
    let mut deepest = Depth { bytes: 0, next: None };
    if let Some((target, bytes)) = by_pointer_here {
        deepest = Depth { bytes, next: Some(target) };
    }
    for call in &function.calls {
        let below = depth(functions, *call, by_pointer, known, above)?;
        if below.bytes > deepest.bytes {
            deepest = Depth { bytes: below.bytes, next: Some(*call) };
        }
    }
    above.pop();
    let result = Depth { bytes: deepest.bytes + function.frame, next: deepest.next };
    known.insert(address, result);
    Ok(result)
}

/// All functions by their addresses.
fn functions(program: &[u8]) -> Result<BTreeMap<u64, Function>> {
    let file = object::File::parse(program)?;
    let mut saves = BTreeMap::new();
    for symbol in file.symbols() {
        if let Some(registers) = symbol.name()?.strip_prefix(SAVE) {
            let registers: u64 = registers.parse().context("a routine that saves registers has no number")?;
            saves.insert(symbol.address(), 16 * (registers / 4 + 1));
        }
    }
    let frames = frames(&file)?;
    let mut functions: BTreeMap<u64, (u64, Function)> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let (address, name) = (symbol.address(), format!("{:#}", rustc_demangle::demangle(symbol.name()?)));
        let frame = frames.get(&address).copied().unwrap_or_default();
        functions.insert(address, (symbol.size(), Function { name, frame, ..Function::default() }));
    }
    let starts: BTreeSet<u64> = functions.keys().copied().collect();
    // What a panic needs is not counted: the device ends there.
    for (address, (size, function)) in
        functions.iter_mut().filter(|(_, (_, function))| !is_panic(&function.name))
    {
        let code = file
            .sections()
            .find(|section| (section.address()..section.address() + section.size()).contains(address));
        let bytes = code.and_then(|section| section.data_range(*address, *size).ok().flatten());
        let Some(bytes) = bytes else { continue };
        let mut reader = Code { bytes, address: *address, at: 0, pages: [None; 32], since_release: u32::MAX };
        while let Some(step) = reader.next() {
            match step {
                Step::To(target) if saves.contains_key(&target) => function.frame += saves[&target],
                Step::To(target) if (*address..*address + *size).contains(&target) => {}
                Step::To(target) => {
                    // What is not the begin of a function is a part of one that has none: a routine without a frame.
                    function.calls.extend(starts.get(&target));
                }
                Step::ByPointer => function.calls_by_pointer = true,
                Step::JumpByPointer => {
                    function.calls_by_pointer |= function.frame == 0 || reader.since_release < AFTER_RELEASE;
                }
            }
        }
    }
    Ok(functions.into_iter().map(|(address, (_, function))| (address, function)).collect())
}

/// Whether a function of `core` ends in a panic.
fn is_panic(name: &str) -> bool {
    let name = name.split("::").last().unwrap_or(name);
    name.contains("panic") || name.ends_with("_fail") || name.ends_with("_failed")
}

/// The sizes of frames that the compiler has noted: an address of four bytes, and a number in groups of seven bits.
fn frames(file: &object::File<'_>) -> Result<BTreeMap<u64, u64>> {
    let section =
        file.section_by_name(".stack_sizes").context("the compiler has noted no sizes of frames")?;
    let mut rest = section.data()?;
    let mut frames = BTreeMap::new();
    while let Some((address, behind)) = rest.split_first_chunk::<4>() {
        let end =
            behind.iter().position(|byte| byte & 0x80 == 0).context("a size of a frame has no end")? + 1;
        let (number, behind) = behind.split_at(end);
        let frame = number.iter().rev().fold(0, |frame, byte| frame << 7 | u64::from(byte & 0x7F));
        frames.insert(u32::from_le_bytes(*address).into(), frame);
        rest = behind;
    }
    Ok(frames)
}

/// The functions whose address is in a table.
fn in_tables(program: &[u8], functions: &BTreeMap<u64, Function>) -> Result<BTreeSet<u64>> {
    let file = object::File::parse(program)?;
    let mut found = BTreeSet::new();
    for section in file.sections() {
        if !matches!(section.kind(), SectionKind::ReadOnlyData | SectionKind::Data) {
            continue;
        }
        let skipped = section.address().wrapping_neg() as usize % 4;
        let words = section.data()?.get(skipped..).unwrap_or_default().chunks_exact(4);
        let words = words.map(|word| u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        found.extend(words.filter(|word| functions.contains_key(word)));
    }
    Ok(found)
}

/// The instructions of a function.
struct Code<'a> {
    bytes: &'a [u8],
    address: u64,
    at: usize,
    /// What `auipc` has put into registers.
    pages: [Option<u64>; 32],
    /// Instructions since the stack pointer was raised.
    since_release: u32,
}

/// An instruction that goes somewhere else.
enum Step {
    To(u64),
    ByPointer,
    JumpByPointer,
}

/// Registers: the return address, the stack pointer, and the other return address of shared prologues.
const RA: usize = 1;
const SP: usize = 2;
const T0: usize = 5;

impl Code<'_> {
    /// The next one.
    fn next(&mut self) -> Option<Step> {
        loop {
            let here = self.address + self.at as u64;
            let half = u32::from(u16::from_le_bytes(self.bytes.get(self.at..self.at + 2)?.try_into().ok()?));
            self.since_release = self.since_release.saturating_add(1);
            let step = if half & 3 == 3 {
                let word = u32::from_le_bytes(self.bytes.get(self.at..self.at + 4)?.try_into().ok()?);
                self.at += 4;
                self.long(here, word)
            } else {
                self.at += 2;
                self.short(here, half)
            };
            if step.is_some() {
                return step;
            }
        }
    }

    fn long(&mut self, here: u64, word: u32) -> Option<Step> {
        let (to, from) = ((word >> 7 & 31) as usize, (word >> 15 & 31) as usize);
        match word & 0x7F {
            // auipc
            0x17 => self.pages[to] = Some(relative(here, (word & 0xFFFF_F000).cast_signed())),
            // jal
            0x6F => {
                let offset = (word >> 31 & 1) << 20
                    | (word >> 12 & 0xFF) << 12
                    | (word >> 20 & 1) << 11
                    | (word >> 21 & 0x3FF) << 1;
                return Some(Step::To(relative(here, signed(offset, 21))));
            }
            // jalr
            0x67 => match self.pages[from].take() {
                Some(page) => return Some(Step::To(relative(page, signed(word >> 20, 12)))),
                None if to != 0 => return Some(Step::ByPointer),
                None if from != RA && from != T0 => return Some(Step::JumpByPointer),
                None => {}
            },
            // addi sp, sp
            0x13 if to == SP && from == SP && word >> 31 == 0 => self.since_release = 0,
            _ => {}
        }
        None
    }

    fn short(&mut self, here: u64, half: u32) -> Option<Step> {
        let register = (half >> 7 & 31) as usize;
        match (half & 3, half >> 13) {
            // c.jal and c.j
            (1, 1 | 5) => {
                let bit = |from: u32, to: u32| (half >> from & 1) << to;
                let offset =
                    bit(12, 11) | bit(11, 4) | bit(10, 9) | bit(9, 8) | bit(8, 10) | bit(7, 6) | bit(6, 7);
                let offset = offset | bit(5, 3) | bit(4, 2) | bit(3, 1) | bit(2, 5);
                Some(Step::To(relative(here, signed(offset, 12))))
            }
            // c.addi16sp, and c.addi of the stack pointer
            (1, 0 | 3) if register == SP && half >> 12 & 1 == 0 => {
                self.since_release = 0;
                None
            }
            // c.jr and c.jalr
            (2, 4) if half >> 2 & 31 == 0 && register != 0 => match half >> 12 & 1 {
                1 => Some(Step::ByPointer),
                _ if register != RA && register != T0 => Some(Step::JumpByPointer),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A number of so many bits with a sign.
fn signed(number: u32, bits: u32) -> i32 {
    (number << (32 - bits)).cast_signed() >> (32 - bits)
}

fn relative(here: u64, offset: i32) -> u64 {
    u64::from((here as u32).wrapping_add_signed(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(words: &[u16]) -> Vec<u64> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut code = Code { bytes: &bytes, address: 0x1000, at: 0, pages: [None; 32], since_release: 0 };
        let mut steps = Vec::new();
        while let Some(step) = code.next() {
            steps.push(match step {
                Step::To(target) => target,
                Step::ByPointer => 1,
                Step::JumpByPointer => 2,
            });
        }
        steps
    }

    #[test]
    fn calls_and_jumps_are_told_from_other_instructions() {
        // jal ra, +8; jal t0, -16
        assert_eq!(steps(&[0x00EF, 0x0080, 0xF2EF, 0xFF1F]), [0x1008, 0x1004 - 16]);
        // c.jal +4; c.j -2; c.jalr a5; c.jr a5; ret
        assert_eq!(steps(&[0x2011, 0xBFFD, 0x9782, 0x8782, 0x8082]), [0x1004, 0x1000, 1, 2]);
        // auipc t1, 0x1; jalr ra, 4(t1)
        assert_eq!(steps(&[0x1317, 0x0000, 0x00E7, 0x0043]), [0x2004]);
        // addi a0, a0, 1; c.addi16sp sp, 16; c.li a0, 0
        assert!(steps(&[0x0513, 0x0015, 0x6141, 0x4501]).is_empty());
    }

    #[test]
    fn the_deepest_path_is_the_sum_of_its_frames_and_recursion_is_refused() {
        let function = |name: &str, frame, calls: &[u64]| Function {
            name: name.to_owned(),
            frame,
            calls: calls.iter().copied().collect(),
            calls_by_pointer: false,
        };
        let mut functions = BTreeMap::from([
            (1, function("a", 16, &[2, 3])),
            (2, function("b", 100, &[])),
            (3, function("c", 32, &[4])),
            (4, function("d", 80, &[])),
        ]);
        let deepest = depth(&functions, 1, None, &mut BTreeMap::new(), &mut Vec::new()).unwrap();
        assert_eq!((deepest.bytes, deepest.next), (128, Some(3)));
        functions.insert(4, function("d", 80, &[1]));
        assert!(depth(&functions, 1, None, &mut BTreeMap::new(), &mut Vec::new()).is_err());
    }
}
