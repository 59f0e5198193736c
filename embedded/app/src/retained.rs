//! Why the last run ended: a record in memory that outlives a reset. The next run reports it (3/0/26241).
//!
//! | Offset | Bytes | |
//! |---|---|---|
//! | 0 | 4 | `BUOY` |
//! | 4 | 1 | how the run ended; [`End`] |
//! | 5 | 1 | length of the version |
//! | 6 | 32 | the version that ran |
//! | 38 | 1 | length of the text |
//! | 39 | 88 | text, such as the place of a panic |
//! | 127 | 1 | sum of the bytes before |

use core::fmt::{self, Write};

use buoy_client::text::Text;

/// Bytes of the record.
pub const LEN: usize = 128;
const MAGIC: &[u8; 4] = b"BUOY";
const VERSION: usize = 32;
const TEXT: usize = 88;

/// How a run ended, or that it didn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It runs. Who finds this was reset from outside.
    Running = 1,
    /// A server ordered a reboot, or an update.
    Reboot = 2,
    /// A server ordered a factory reset.
    FactoryReset = 3,
    /// It panicked.
    Panic = 4,
    /// The processor refused an instruction or an access.
    Fault = 5,
    /// An image on trial could not register in time.
    NotRegistered = 6,
    /// An image on trial failed its self-test.
    SelfTest = 7,
    /// It sleeps until something is due.
    Sleep = 8,
}

/// What is known of the last run.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// How it ended; `None` if power was off since.
    pub end: Option<End>,
    /// Whether the watchdog ended it.
    pub by_watchdog: bool,
    /// What else the chip knows of its reset.
    pub cause: Option<&'static str>,
    version: Text<VERSION>,
    text: Text<TEXT>,
}

impl LastRun {
    /// Reads the record.
    #[must_use]
    pub fn read(memory: &[u8], by_watchdog: bool, cause: Option<&'static str>) -> Self {
        let record = parse(memory);
        Self {
            end: record.map(|(end, ..)| end),
            by_watchdog: by_watchdog && record.is_some(),
            cause,
            version: Text::clipped(record.map_or("", |(_, version, _)| version)),
            text: Text::clipped(record.map_or("", |(.., text)| text)),
        }
    }

    /// The version that ran.
    #[must_use]
    pub fn version(&self) -> &str {
        self.version.as_str()
    }
}

impl fmt::Display for LastRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.version.is_empty() { "the image" } else { self.version.as_str() };
        match (self.end, self.cause) {
            (None | Some(End::Running), Some(cause)) => return f.write_str(cause),
            _ => {}
        }
        match self.end {
            None => f.write_str("power on"),
            Some(End::Panic) => write!(f, "{version} crashed at {}", self.text.as_str()),
            Some(End::Fault) => write!(f, "{version} crashed: {}", self.text.as_str()),
            Some(End::Running) if self.by_watchdog => write!(f, "watchdog: {version} gave no sign of life"),
            Some(End::Running) => f.write_str("reset"),
            Some(End::Reboot) => f.write_str("reboot"),
            Some(End::FactoryReset) => f.write_str("factory reset"),
            Some(End::NotRegistered) => write!(f, "{version} could not register in its trial"),
            Some(End::SelfTest) => write!(f, "{version} failed its self-test"),
            Some(End::Sleep) => f.write_str("woke up"),
        }
    }
}

/// Notes that a version runs.
pub fn begin(memory: &mut [u8], version: &str) {
    put(memory, End::Running, version, "");
}

/// Notes how the run ends.
pub fn end(memory: &mut [u8], how: End) {
    end_at(memory, how, format_args!(""));
}

/// Notes how the run ends, and where. For panic handlers: it needs no memory but that of the record, and can't panic.
pub fn end_at(memory: &mut [u8], how: End, place: fmt::Arguments<'_>) {
    let version: Text<VERSION> = Text::clipped(parse(memory).map_or("", |(_, version, _)| version));
    let mut text = Clipped(Text::EMPTY);
    // What doesn't fit is cut off.
    let _ = text.write_fmt(place);
    put(memory, how, version.as_str(), text.0.as_str());
}

/// Notes where a panic was.
pub fn panicked(memory: &mut [u8], info: &core::panic::PanicInfo<'_>) {
    match info.location() {
        Some(place) => {
            let file = place.file().rsplit('/').next().unwrap_or_default();
            end_at(memory, End::Panic, format_args!("{file}:{}: {}", place.line(), info.message()));
        }
        None => end_at(memory, End::Panic, format_args!("{}", info.message())),
    }
}

struct Clipped(Text<TEXT>);

impl Write for Clipped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|letter| self.0.push_str(letter.encode_utf8(&mut [0; 4])).map_err(|_| fmt::Error))
    }
}

fn parse(memory: &[u8]) -> Option<(End, &str, &str)> {
    let record: &[u8; LEN] = memory.first_chunk()?;
    let (body, sum) = record.split_at(LEN - 1);
    if sum != [sum_of(body)] {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let (end, rest) = rest.split_first()?;
    let (version_len, rest) = rest.split_first()?;
    let (version, rest) = rest.split_at_checked(VERSION)?;
    let (text_len, text) = rest.split_first()?;
    let ends = [
        End::Running,
        End::Reboot,
        End::FactoryReset,
        End::Panic,
        End::Fault,
        End::NotRegistered,
        End::SelfTest,
        End::Sleep,
    ];
    let end = ends.into_iter().find(|known| *known as u8 == *end)?;
    let text_of = |bytes: &'_ [u8], len: &u8| bytes.get(..usize::from(*len)).map(<[u8]>::len);
    let version = version.get(..text_of(version, version_len)?)?;
    let text = text.get(..text_of(text, text_len)?)?;
    Some((end, core::str::from_utf8(version).ok()?, core::str::from_utf8(text).ok()?))
}

fn put(memory: &mut [u8], end: End, version: &str, text: &str) {
    let Some(record) = memory.first_chunk_mut::<LEN>() else { return };
    *record = [0; LEN];
    let version = Text::<VERSION>::clipped(version);
    let text = Text::<TEXT>::clipped(text);
    let (version, text) = (version.as_str().as_bytes(), text.as_str().as_bytes());
    let head = MAGIC.iter().copied().chain([end as u8, version.len() as u8]);
    let padded = version.iter().copied().chain(core::iter::repeat(0)).take(VERSION);
    let all = head.chain(padded).chain([text.len() as u8]).chain(text.iter().copied());
    record.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
    let sum = sum_of(record.get(..LEN - 1).unwrap_or_default());
    if let Some(last) = record.last_mut() {
        *last = sum;
    }
}

/// Memory that has no record is 0, or anything.
fn sum_of(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0x5A, |sum, byte| sum.rotate_left(1) ^ byte)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn the_next_run_knows_how_the_last_one_ended() {
        let mut memory = [0; LEN];
        assert_eq!(LastRun::read(&memory, false, None).to_string(), "power on");
        assert_eq!(LastRun::read(&memory, true, None).to_string(), "power on");
        begin(&mut memory, "1.2.0");
        assert_eq!(LastRun::read(&memory, false, None).to_string(), "reset");
        assert_eq!(LastRun::read(&memory, true, None).to_string(), "watchdog: 1.2.0 gave no sign of life");
        end_at(&mut memory, End::Panic, format_args!("device.rs:7: {}", "x".repeat(200)));
        let last = LastRun::read(&memory, true, None).to_string();
        assert!(last.starts_with("1.2.0 crashed at device.rs:7: xxx"), "{last}");
        end(&mut memory, End::Reboot);
        assert_eq!(LastRun::read(&memory, false, None).to_string(), "reboot");
        begin(&mut memory, "1.2.0");
        assert_eq!(LastRun::read(&memory, false, Some("brown-out")).to_string(), "brown-out");
        end(&mut memory, End::Sleep);
        assert_eq!(LastRun::read(&memory, false, None).to_string(), "woke up");
        memory[20] ^= 1;
        assert_eq!(
            LastRun::read(&memory, false, None).to_string(),
            "power on",
            "a damaged record says nothing"
        );
    }
}
