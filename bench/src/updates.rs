//! `cargo xtask bench updates`: ten thousand devices of `buoy swarm` are updated at once.
//!
//! How long it takes is decided by the devices too: each fetches or is sent its package, reboots for a second and registers. What the server
//! does is how many updates end in a second, with how many commits, and with how much of the processor.

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::peer::Buoy;
use crate::{http, table};

const DEVICES: u64 = 10_000;
/// Bytes of code and data of the image.
const PAYLOAD: usize = 16 << 10;
/// Connections over which the updates are started.
const STARTERS: usize = 8;
/// The version of the devices at the end.
const VERSIONS: [(&str, &str); 2] = [("push", "2.0.0"), ("pull_coap", "3.0.0")];
const LONGEST: Duration = Duration::from_secs(600);

/// Measures, and writes the table into the page.
pub(crate) fn run(program: &Path, page: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let _swarm = Swarm::start(program, &server, DEVICES)?;
    println!("… {DEVICES} devices register");
    wait_for(|| Ok(http::registered_devices(server.http)? >= DEVICES))?;
    let mut text = table::machine();
    let _ = writeln!(
        text,
        "\n| {DEVICES} updates at once, of {} kB | started in s | half ended after s | all after s | updates a second | commits a second | changes in a commit | processor of the server for one, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|",
        PAYLOAD >> 10
    );
    for (delivery, version) in VERSIONS {
        println!("… {delivery}");
        let image = image(program, folder.path(), version)?;
        let answer: Value = serde_json::from_str(&http::upload(server.http, "/api/v1/firmware", &image)?)?;
        let digest = answer["digest"].as_str().context("no digest")?;
        let before = Counters::read(&server)?;
        let started = Instant::now();
        start_all(&server, delivery, digest)?;
        let starting = started.elapsed();
        wait_for(|| Ok(running(&server, version)? >= DEVICES / 2))?;
        let half = started.elapsed();
        wait_for(|| Ok(running(&server, version)? >= DEVICES))?;
        let all = started.elapsed().as_secs_f64();
        let after = Counters::read(&server)?;
        let commits = (after.commits - before.commits) as f64;
        let row = format!(
            "| {delivery} | {:.1} | {:.1} | {all:.1} | {:.0} | {:.0} | {:.0} | {:.2} |",
            starting.as_secs_f64(),
            half.as_secs_f64(),
            DEVICES as f64 / all,
            commits / all,
            (after.changes - before.changes) as f64 / commits,
            (after.processor - before.processor).as_secs_f64() * 1000.0 / DEVICES as f64,
        );
        println!("{row}");
        let _ = writeln!(text, "{row}");
    }
    table::put(page, "cargo xtask bench updates", &text)
}

/// A swarm whose devices take updates.
pub(crate) struct Swarm(Child);

impl Swarm {
    /// So many of them, that renew their registrations once an hour.
    pub(crate) fn start(program: &Path, server: &Buoy, devices: u64) -> Result<Self> {
        let swarm = Command::new(program)
            .args(["swarm", "--server", &format!("coap://{}", server.coap), "--updates", "--keep"])
            .args(["--devices", &devices.to_string(), "--lifetime", "3600", "--measure", "3600"])
            .args(["--seconds", &LONGEST.as_secs().to_string()])
            .stdout(Stdio::null())
            .spawn();
        Ok(Self(swarm?))
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Counters {
    commits: u64,
    changes: u64,
    processor: Duration,
}

impl Counters {
    fn read(server: &Buoy) -> Result<Self> {
        Ok(Self {
            commits: http::metric(server.http, "buoy_store_commits_total")?,
            changes: http::metric(server.http, "buoy_store_changes_total")?,
            processor: server.process().processor_time()?,
        })
    }
}

/// An image that runs nowhere but in a swarm.
pub(crate) fn image(program: &Path, folder: &Path, version: &str) -> Result<Vec<u8>> {
    let file = folder.join(format!("{version}.bin"));
    let made = Command::new(program)
        .args(["fw", "build", "--release", version, "--size", &PAYLOAD.to_string()])
        .arg(&file)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(std::fs::read(&file)?)
}

fn start_all(server: &Buoy, delivery: &str, digest: &str) -> Result<()> {
    std::thread::scope(|scope| {
        let starting = (0..STARTERS as u64).map(|first| {
            scope.spawn(move || {
                let mut connection = http::Connection::open(server.http)?;
                for number in (first..DEVICES).step_by(STARTERS) {
                    let endpoint = format!("swarm-{number:06}");
                    let order = json!({ "endpoint": endpoint, "firmware": digest, "delivery": delivery });
                    connection.post("/api/v1/updates", &order)?;
                }
                Ok(())
            })
        });
        let starting: Vec<_> = starting.collect();
        let mut ended = starting.into_iter().map(|starting| starting.join());
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a starter panicked"))))
    })
}

/// How many devices have been updated, and have said so.
fn running(server: &Buoy, version: &str) -> Result<u64> {
    let counts = http::Connection::open(server.http)?.call("GET", "/api/v1/device-counts?by=firmware")?;
    let counts: Value = serde_json::from_str(&counts)?;
    let counts = counts["items"].as_array().context("no counts")?;
    let ours = counts.iter().find(|count| count["value"] == version);
    Ok(ours.and_then(|count| count["count"].as_u64()).unwrap_or(0))
}

pub(crate) fn wait_for(is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LONGEST;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "it takes longer than {} s", LONGEST.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
