//! `cargo xtask bench operator [PART]`: what an operator does with a large fleet, while its devices go on.
//!
//! 300,000 devices renew their registrations at half of the highest rate. Meanwhile filters are answered, devices are counted, and the members
//! of a group are read right after a value of theirs has changed. A campaign for 100,000 devices is planned. Ten thousand devices of
//! `buoy swarm` are given a desired state.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::devices::{Devices, endpoint};
use crate::measured::Measured;
use crate::peer::Buoy;
use crate::updates::{Swarm, image, wait_for};
use crate::{WINDOWS, http, table};

const DEVICES: u32 = 300_000;
/// Kinds of devices, by an object that each kind has alone.
const KINDS: u32 = 16;
/// Devices of one import.
const IMPORTED: u32 = 10_000;
/// How long the filters are asked.
const AT_LEAST: Duration = Duration::from_secs(40);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// Devices of the campaign.
const IN_CAMPAIGN: u32 = 100_000;
/// How often they register, before it and while it runs.
const ROUNDS: usize = 5;
/// Devices of the desired states.
const DESIRED: u64 = 10_000;
/// What is asked, with what it looks at.
const FILTERS: [(&str, &str); 5] = [
    ("a tag and an object", "tag = blue and object = 3404"),
    ("a field of one's own, as a number", "field.depth > 4990"),
    ("a pattern of names", "name ~ \"*-01*7\""),
    ("a group of 75,000, and when devices were heard", "group = north and seen within 1h"),
    ("what no device is", "not (state = online)"),
];

/// Measures a part, and adds its table to the text.
type Measure = fn(&Path, &mut String) -> Result<()>;

const PARTS: [(&str, Measure); 3] = [("lists", lists), ("campaign", campaign), ("desired", desired)];

/// Measures, and writes the tables into the page, unless it is one part alone.
pub(crate) fn run(program: &Path, part: Option<&str>, page: &Path) -> Result<()> {
    let parts = PARTS.into_iter().filter(|(name, _)| part.is_none_or(|part| part == *name));
    let names = PARTS.map(|(name, _)| name).join(", ");
    ensure!(parts.clone().next().is_some(), "there is no such part; the parts are {names}");
    let mut text = table::machine();
    for (_, measure) in parts {
        measure(program, &mut text)?;
    }
    if part.is_some() { Ok(()) } else { table::put(page, "cargo xtask bench operator", &text) }
}

fn say(text: &mut String, line: &str) {
    println!("{line}");
    let _ = writeln!(text, "{line}");
}

/// Filters, counts and groups beside Updates.
fn lists(program: &Path, text: &mut String) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, DEVICES)?.of_kinds(KINDS);
    println!("… {DEVICES} devices register, and get tags, groups and fields");
    devices.register(WINDOWS[1])?;
    let mut connection = http::Connection::open(server.http)?;
    connection.put("/api/v1/groups/north", &json!({ "description": "a quarter of all" }))?;
    for first in (0..DEVICES).step_by(IMPORTED as usize) {
        connection.send("POST", "/api/v1/devices/import", "text/csv", &csv(first, first + IMPORTED))?;
    }
    connection.put("/api/v1/groups/odd", &json!({ "filter": "field.mark = odd" }))?;
    let full = devices.update(WINDOWS[1], 1)?;
    let half = full.rate() / 2.0;
    println!("… {half:.0} Updates a second");
    let alone = devices.update_at_for(half, AT_LEAST)?;
    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (stop, server) = (stop.clone(), server.http);
        std::thread::spawn(move || ask(server, &stop))
    };
    let beside = devices.update_at_for(half, AT_LEAST);
    stop.store(true, Ordering::Relaxed);
    let asked = asking.join().map_err(|_| anyhow!("the thread that asks panicked"))??;
    let beside = beside?;
    say(
        text,
        &format!(
            "\n| {DEVICES} devices, {half:.0} Updates a second | p50 ms | p99 ms | longest ms |\n|---|---:|---:|---:|"
        ),
    );
    let alone = ("an Update, while nobody asks", &alone);
    let beside = ("an Update, meanwhile", &beside);
    for (name, measured) in asked.iter().map(|(name, it)| (name.as_str(), it)).chain([alone, beside]) {
        let [middle, most, all] = [50.0, 99.0, 100.0].map(|percent| measured.percentile(percent));
        say(text, &format!("| {name} | {middle:.2} | {most:.2} | {all:.1} |"));
    }
    Ok(())
}

/// What is noted of devices: a tag of three, a depth, and a group for each fourth.
fn csv(first: u32, end: u32) -> Vec<u8> {
    let mut csv = "endpoint,tags,groups,field.depth,field.mark\n".to_owned();
    for number in first..end {
        let tag = ["red", "blue", "white"][number as usize % 3];
        let group = if number % 4 == 0 { "north" } else { "" };
        let name = endpoint(number as usize);
        let _ = writeln!(csv, "{name},{tag},{group},{},even", number.wrapping_mul(7919) % 5000);
    }
    csv.into_bytes()
}

/// Asks until it is stopped.
fn ask(server: SocketAddr, stopped: &AtomicBool) -> Result<Vec<(String, Measured)>> {
    let mut connection = http::Connection::open(server)?;
    let mut pages = FILTERS.map(|_| Measured::new());
    let (mut counts, mut members) = (Measured::new(), Measured::new());
    let mut turn = 0_usize;
    while !stopped.load(Ordering::Relaxed) {
        let place = turn % FILTERS.len();
        let filter = encoded(FILTERS[place].1);
        // A step that meets all places of the list in the long run.
        let after = endpoint(turn.wrapping_mul(61_803) % DEVICES as usize);
        let began = Instant::now();
        connection.call("GET", &format!("/api/v1/devices?limit=100&after={after}&filter={filter}"))?;
        pages[place].record(began.elapsed());
        let began = Instant::now();
        connection.call("GET", "/api/v1/device-counts?by=state")?;
        counts.record(began.elapsed());
        if turn.is_multiple_of(10) {
            members.record(joins(&mut connection, &endpoint(turn % DEVICES as usize))?);
        }
        turn += 1;
        std::thread::sleep(PAUSE);
    }
    let pages = FILTERS.iter().zip(pages);
    let named =
        pages.map(|((name, filter), measured)| (format!("a page of 100 by {name}: `{filter}`"), measured));
    Ok(named
        .chain([
            ("a count by state".to_owned(), counts),
            ("from a changed field to the device in the list of its group".to_owned(), members),
        ])
        .collect())
}

/// How long it takes until a device whose field has changed is in the group of a filter.
fn joins(connection: &mut http::Connection, name: &str) -> Result<Duration> {
    let path = format!("/api/v1/devices/{name}");
    let began = Instant::now();
    connection.send(
        "PATCH",
        &path,
        "application/json",
        json!({ "fields": { "mark": "odd" } }).to_string().as_bytes(),
    )?;
    let list = format!("/api/v1/devices?limit=1&filter={}&prefix={name}", encoded("group = odd"));
    while !connection.call("GET", &list)?.contains(name) {
        ensure!(began.elapsed() < Duration::from_secs(30), "{name} does not join its group");
    }
    Ok(began.elapsed())
}

fn encoded(filter: &str) -> String {
    filter.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A campaign over devices that register again and again meanwhile.
fn campaign(program: &Path, text: &mut String) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, IN_CAMPAIGN)?;
    println!("… a campaign for {IN_CAMPAIGN} devices");
    devices.register(WINDOWS[1])?;
    let mut connection = http::Connection::open(server.http)?;
    let image = image(program, folder.path(), "2.0.0")?;
    let firmware: Value = serde_json::from_str(&http::upload(server.http, "/api/v1/firmware", &image)?)?;
    let digest = firmware["digest"].as_str().context("no digest")?;
    let plan = json!({
        "name": "bench", "firmware": digest, "filter": "", "concurrent": 100,
        "waves": [{ "count": 100 }, { "percent": 10.0 }, { "percent": 100.0 }],
    });
    let before = again_and_again(&server, &mut devices)?;
    let began = Instant::now();
    let preview: Value = serde_json::from_str(&connection.post("/api/v1/campaigns/preview", &plan)?)?;
    let previewed = began.elapsed();
    ensure!(preview["devices"] == IN_CAMPAIGN, "the preview is of {} devices", preview["devices"]);
    let made: Value = serde_json::from_str(&connection.post("/api/v1/campaigns", &plan)?)?;
    let id = made["id"].as_u64().context("no id")?;
    let began = Instant::now();
    connection.post(&format!("/api/v1/campaigns/{id}/start"), &json!({}))?;
    let state = || -> Result<Value> {
        let campaign =
            http::Connection::open(server.http)?.call("GET", &format!("/api/v1/campaigns/{id}"))?;
        Ok(serde_json::from_str(&campaign)?)
    };
    wait_for(|| Ok(state()?["counts"]["updating"].as_u64().is_some_and(|updating| updating > 0)))?;
    let planned = began.elapsed();
    let meanwhile = again_and_again(&server, &mut devices)?;
    let cost = 1.0 - meanwhile.rate() / before.rate();
    let micros = |measured: &Measured| measured.server_micros().context("the server's time was not measured");
    say(text, &format!("\n| a campaign for {IN_CAMPAIGN} devices | |\n|---|---:|"));
    say(text, &format!("| preview, s | {:.2} |", previewed.as_secs_f64()));
    say(
        text,
        &format!("| from its start to the first updates under way, s | {:.2} |", planned.as_secs_f64()),
    );
    say(text, &format!("| Registers a second before it | {:.0} |", before.rate()));
    say(
        text,
        &format!("| Registers a second while it runs, 100 updates at a time | {:.0} |", meanwhile.rate()),
    );
    say(text, &format!("| less, % | {:.0} |", cost * 100.0));
    say(text, &format!("| processor of the server for a Register before it, µs | {:.2} |", micros(&before)?));
    say(text, &format!("| the same while it runs, µs | {:.2} |", micros(&meanwhile)?));
    Ok(())
}

/// All devices register, several times.
fn again_and_again(server: &Buoy, devices: &mut Devices) -> Result<Measured> {
    server.process().during(|| {
        let mut all = devices.register(WINDOWS[1])?;
        for _ in 1..ROUNDS {
            all = all.and(&devices.register(WINDOWS[1])?);
        }
        Ok(all)
    })
}

/// A desired state for the devices of a swarm, and another value for all of them.
fn desired(program: &Path, text: &mut String) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let _swarm = Swarm::start(program, &server, DESIRED)?;
    println!("… a desired state for {DESIRED} devices");
    wait_for(|| Ok(http::registered_devices(server.http)? >= DESIRED))?;
    let mut connection = http::Connection::open(server.http)?;
    say(
        text,
        &format!(
            "\n| a desired state of {DESIRED} devices | all in sync after s | devices a second | processor of the server for one, ms |\n|---|---:|---:|---:|"
        ),
    );
    for (name, lifetime) in
        [("a value that they don't have: read, write, read", 7200), ("another value", 3600)]
    {
        let before = server.process().processor_time()?;
        let began = Instant::now();
        let wanted = json!({ "filter": "", "settings": [{ "path": "/1/0/1", "value": lifetime }] });
        connection.put("/api/v1/desired-states/bench", &wanted)?;
        wait_for(|| {
            let state = http::Connection::open(server.http)?.call("GET", "/api/v1/desired-states/bench")?;
            let state: Value = serde_json::from_str(&state)?;
            Ok(state["counts"]["in_sync"].as_u64().is_some_and(|count| count >= DESIRED))
        })?;
        let all = began.elapsed().as_secs_f64();
        let processor = (server.process().processor_time()? - before).as_secs_f64();
        let (rate, each) = (DESIRED as f64 / all, processor * 1000.0 / DESIRED as f64);
        say(text, &format!("| {name} | {all:.1} | {rate:.0} | {each:.2} |"));
    }
    Ok(())
}
