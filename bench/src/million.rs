//! `cargo xtask bench million`: a million registered devices, whose list is read and counted while they renew their registrations.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::devices::Devices;
use crate::measured::Measured;
use crate::peer::Buoy;
use crate::{WINDOWS, http, table};

const DEVICES: u32 = 1_000_000;
/// Kinds of devices, by an object that each kind has alone.
const KINDS: u32 = 16;
/// How long Updates are measured, alone and watched.
const AT_LEAST: Duration = Duration::from_secs(180);
/// Between two questions of the one who looks at the list.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures, and writes the table into the page.
pub(crate) fn run(program: &Path, page: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, DEVICES)?.of_kinds(KINDS);
    println!("… a million devices register");
    let register = server.process().during(|| devices.register(WINDOWS[1]))?;
    let resident = server.resident_bytes()?;
    println!("  {:.0} a second, {} MB", register.rate(), resident >> 20);
    println!("… Update, as many as it takes");
    let full = devices.update(WINDOWS[1], 1)?;
    let half = full.rate() / 2.0;
    println!("  {:.0} a second; from here on half of that", full.rate());
    let alone = devices.update_at_for(half, AT_LEAST)?;
    println!("  alone: p99 {:.2} ms, longest {:.1} ms", alone.percentile(99.0), alone.percentile(100.0));
    let looking = Looking::start(server.http);
    let watched = devices.update_at_for(half, AT_LEAST)?;
    let (pages, counts) = looking.stop()?;
    println!(
        "  watched: p99 {:.2} ms, longest {:.1} ms",
        watched.percentile(99.0),
        watched.percentile(100.0)
    );
    drop((devices, server));
    println!("… start after a kill");
    let started = Instant::now();
    let server = Buoy::start(program, folder.path())?;
    http::wait_until_ready(server.http, Duration::from_secs(120))?;
    let start = started.elapsed();

    let mut text = table::machine();
    let _ = writeln!(
        text,
        "\n| 1,000,000 devices | a second | p50 ms | p99 ms | longest ms |\n|---|---:|---:|---:|---:|"
    );
    for (name, measured) in [
        ("Register, as many as it takes", &register),
        ("Update, as many as it takes", &full),
        ("Update at half of that", &alone),
        ("the same while the list is read and counted", &watched),
        ("a page of 100 devices, from anywhere in the list, filtered or not, meanwhile", &pages),
        ("a count by state, model, firmware or object, meanwhile", &counts),
    ] {
        let row = format!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.1} |",
            measured.rate(),
            measured.percentile(50.0),
            measured.percentile(99.0),
            measured.percentile(100.0)
        );
        println!("{row}");
        let _ = writeln!(text, "{row}");
    }
    let minutes = (alone.elapsed + watched.elapsed).as_secs_f64() / 60.0;
    let _ = writeln!(
        text,
        "\nMemory with all of them: {} MB. Start after a kill: {:.1} s. The two lines at half rate took {minutes:.1} minutes.",
        resident >> 20,
        start.as_secs_f64()
    );
    table::put(page, "cargo xtask bench million", &text)
}

/// One who looks at the list and counts, until it is stopped.
struct Looking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Measured, Measured)>>,
}

impl Looking {
    fn start(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || look(server, &stopped));
        Self { stop, thread }
    }

    fn stop(self) -> Result<(Measured, Measured)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that looks at the list panicked"))?
    }
}

fn look(server: SocketAddr, stopped: &AtomicBool) -> Result<(Measured, Measured)> {
    let (mut pages, mut counts) = (Measured::new(), Measured::new());
    let mut connection = http::Connection::open(server)?;
    let started = Instant::now();
    let mut turn = 0u64;
    while !stopped.load(Ordering::Relaxed) {
        // A step that meets all places of the list in the long run.
        let after = format!("bench-{:07}", turn.wrapping_mul(618_033) % u64::from(DEVICES));
        let object = 3400 + turn % u64::from(KINDS);
        let filter = match turn % 3 {
            0 => String::new(),
            1 => format!("&object={object}"),
            _ => "&state=online".to_owned(),
        };
        let began = Instant::now();
        connection.call("GET", &format!("/api/v1/devices?limit=100&after={after}{filter}"))?;
        pages.record(began.elapsed());
        let by = ["state", "model", "firmware", "object"][turn as usize % 4];
        let began = Instant::now();
        connection.call("GET", &format!("/api/v1/device-counts?by={by}"))?;
        counts.record(began.elapsed());
        turn += 1;
        std::thread::sleep(PAUSE);
    }
    (pages.elapsed, counts.elapsed) = (started.elapsed(), started.elapsed());
    Ok((pages, counts))
}
