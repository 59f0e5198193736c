//! `cargo xtask bench against PROGRAM [PART]`: this build beside another one, as one of an earlier commit, in one run.
//!
//! Both are measured in turn, several times each, and the typical value counts: the machine is not as fast at all times. What is compared is
//! the processor's time that the server takes for an exchange, which says more than a rate where the load shares the machine.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::devices::Devices;
use crate::measured::Measured;
use crate::peer::Buoy;
use crate::secure::{self, Mode, SecureDevices};
use crate::{WINDOW, free_address, http, table};

const DEVICES: u32 = 200_000;
const FEW_DEVICES: u32 = 1000;
const MANY_DEVICES: u32 = 300_000;
const READS: u32 = 100_000;
const NOTIFICATIONS: u32 = 300_000;
const HANDSHAKES: usize = 30_000;
/// How often each is measured.
const ROUNDS: usize = 3;

/// What one program did, by name.
type Values = Vec<(&'static str, f64)>;
/// Measures a program.
type Measure = fn(&Path) -> Result<Values>;

/// What is compared.
const PARTS: [(&str, Measure); 4] =
    [("register", registrations), ("talk", talk), ("handshakes", handshakes), ("memory", memory_and_start)];

/// Compares, and writes the table into the page, unless it is of one part alone.
pub(crate) fn run(this: &Path, other: &Path, part: Option<&str>, page: &Path) -> Result<()> {
    ensure!(other.exists(), "{} is not there", other.display());
    let parts = PARTS.into_iter().filter(|(name, _)| part.is_none_or(|part| part == *name));
    let names = PARTS.map(|(name, _)| name).join(", ");
    ensure!(parts.clone().next().is_some(), "there is no such part; the parts are {names}");
    let mut text = table::machine();
    let _ = writeln!(text, "\n| | this build | the other | this to the other |\n|---|---:|---:|---:|");
    for (part, measure) in parts {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            println!("… {part}, round {round} of {ROUNDS}");
            theirs.push(measure(other).context("the other program")?);
            ours.push(measure(this).context("this build")?);
        }
        for (place, (name, _)) in ours[0].iter().enumerate() {
            let typical = |rounds: &[Values]| {
                let mut values: Vec<f64> = rounds.iter().map(|round| round[place].1).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            let (ours, theirs) = (typical(&ours), typical(&theirs));
            let row = format!("| {name} | {ours:.2} | {theirs:.2} | {:.2} |", ours / theirs);
            println!("{row}");
            let _ = writeln!(text, "{row}");
        }
    }
    if part.is_some() { Ok(()) } else { table::put(page, "cargo xtask bench against", &text) }
}

fn micros(measured: &Measured) -> Result<f64> {
    measured.server_micros().context("the server's time was not measured")
}

fn registrations(program: &Path) -> Result<Values> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, DEVICES)?;
    devices.register(WINDOW)?;
    let again = server.process().during(|| devices.register(WINDOW))?;
    devices.rename("other");
    let new = server.process().during(|| devices.register(WINDOW))?;
    let update = server.process().during(|| devices.update(WINDOW, 2))?;
    Ok(vec![
        ("Register of a new device, µs", micros(&new)?),
        ("Register of a known device, µs", micros(&again)?),
        ("Update, µs", micros(&update)?),
    ])
}

fn talk(program: &Path) -> Result<Values> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, FEW_DEVICES)?;
    devices.register(WINDOW)?;
    let serving = devices.serve();
    http::reads(server.http, WINDOW, FEW_DEVICES, READS / 3)?;
    let read = server.process().during(|| http::reads(server.http, WINDOW, FEW_DEVICES, READS))?;
    http::observe_all(server.http, FEW_DEVICES)?;
    let mut devices = serving.stop()?;
    devices.notify(WINDOW, NOTIFICATIONS / 4)?;
    let notify = server.process().during(|| devices.notify(WINDOW, NOTIFICATIONS))?;
    Ok(vec![("Read through REST, µs", micros(&read)?), ("notification, confirmable, µs", micros(&notify)?)])
}

fn handshakes(program: &Path) -> Result<Values> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start_secure(program, folder.path(), &free_address()?)?;
    secure::import(program, &server, folder.path(), &secure::list(Mode::Psk, HANDSHAKES)?)?;
    SecureDevices::new(server.coap, HANDSHAKES / 4)?.connect(Mode::Psk, WINDOW)?;
    let mut devices = SecureDevices::new(server.coap, HANDSHAKES)?;
    let handshake = server.process().during(|| devices.connect(Mode::Psk, WINDOW))?;
    let register = server.process().during(|| devices.register(WINDOW))?;
    Ok(vec![
        ("full handshake with a PSK, µs", micros(&handshake)?),
        ("Register within a session, µs", micros(&register)?),
    ])
}

fn memory_and_start(program: &Path) -> Result<Values> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let before = server.resident_bytes()?;
    let mut devices = Devices::new(server.coap, MANY_DEVICES)?;
    devices.register(WINDOW)?;
    let bytes = server.resident_bytes()?.saturating_sub(before) / u64::from(MANY_DEVICES);
    drop((devices, server));
    let started = Instant::now();
    let server = Buoy::start(program, folder.path())?;
    http::wait_until_ready(server.http, Duration::from_secs(60))?;
    Ok(vec![
        ("memory for a device, bytes", bytes as f64),
        ("start with 300,000 devices after a kill, s", started.elapsed().as_secs_f64()),
    ])
}
