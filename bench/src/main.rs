//! `cargo xtask bench`: Buoy beside a bare UDP echo, Leshan's server with Scandium, and OpenSSL, in one run on one machine.
//!
//! Load generator and server share the machine, so ratios count, not figures. Everything stays on loopback, is bounded in count, and ends
//! by itself. `abuse`, `million`, `operator`, `updates` and `against PROGRAM [PART]` are further tasks, with tables of their own. A table goes to standard output and
//! into `docs/performance.md`.

mod abuse;
mod against;
mod devices;
mod echo;
mod firmware;
mod http;
mod measured;
mod million;
mod operator;
mod peer;
mod records;
mod relay;
mod secure;
mod table;
mod updates;

use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use devices::Devices;
use measured::Measured;
use peer::{Buoy, Leshan, Process};
use secure::{Mode, SecureDevices};
use table::Table;

/// So many exchanges are under way at once; the server's better rate counts. Few are answered sooner, many share a commit.
const WINDOWS: [usize; 2] = [256, 1024];
/// Where the rate is not what matters.
const WINDOW: usize = WINDOWS[0];
/// Devices for rates.
const DEVICES: u32 = 100_000;
/// Devices for memory and start.
const MANY_DEVICES: u32 = 300_000;
/// Devices that are read and that notify.
const FEW_DEVICES: u32 = 1000;
/// Devices with sessions, for memory and start.
const SESSIONS: usize = 100_000;
/// Full handshakes with a server.
const HANDSHAKES: usize = 20_000;
/// Handshakes with raw public keys.
const ECDHE_HANDSHAKES: usize = 2_000;
/// How often an exchange is repeated with all devices, where that is to be long enough to measure.
const ROUNDS: u32 = 2;
const READS: u32 = 100_000;
const NOTIFICATIONS: u32 = 200_000;
/// The stream of notifications begins at this rate a second, lasts so long, and is raised by this factor.
const STREAM_FROM: f64 = 2_000.0;
const STREAM_FOR: Duration = Duration::from_secs(2);
const STREAM_STEP: f64 = 1.25;
/// Where the tables are.
const PAGE: &str = "docs/performance.md";
/// A server is warm when it has not become faster by this factor for so many rounds, or after so many in all.
const WARMER: f64 = 1.03;
const WARM_AFTER: u32 = 2;
const MOST_ROUNDS_TO_WARM: u32 = 12;

/// What is measured, in this order: what is compared comes one right after the other, since a machine is not as fast at all times.
const PARTS: [&str; 11] = [
    "echo",
    "rates",
    "leshan-rates",
    "talk",
    "leshan-talk",
    "sessions",
    "handshakes",
    "scandium",
    "memory",
    "firmware",
    "records",
];

fn main() -> Result<()> {
    let buoy = PathBuf::from("target/release/buoy");
    ensure!(buoy.exists(), "{} is not there; run `cargo xtask bench`, which builds it", buoy.display());
    let only: Vec<String> = std::env::args().skip(1).collect();
    let page = Path::new(PAGE);
    match &only[..] {
        [task] if task == "abuse" => return abuse::run(&buoy, page),
        [task] if task == "million" => return million::run(&buoy, page),
        [task, part @ ..] if task == "operator" && part.len() < 2 => {
            return operator::run(&buoy, part.first().map(String::as_str), page);
        }
        [task] if task == "updates" => return updates::run(&buoy, page),
        [task, other, part @ ..] if task == "against" && part.len() < 2 => {
            return against::run(&buoy, Path::new(other), part.first().map(String::as_str), page);
        }
        _ => {}
    }
    if let Some(unknown) = only.iter().find(|name| !PARTS.contains(&name.as_str())) {
        bail!("there is no part {unknown}; the parts are {}", PARTS.join(", "));
    }
    let jar = Leshan::jar();
    if jar.is_none() {
        println!("Leshan is left out: build it by `mvn -q -B -f interop/leshan/pom.xml package`");
    }
    let mut table = Table::new();
    for part in PARTS.into_iter().filter(|part| only.is_empty() || only.iter().any(|name| name == part)) {
        match (part, &jar) {
            ("echo", _) => {
                echo(&mut table)?;
                relay(&mut table)?;
            }
            ("rates", _) => rates_of_buoy(&buoy, &mut table)?,
            ("leshan-rates", Some(jar)) => rates_of_leshan(jar, &mut table)?,
            ("talk", _) => talk_with_buoy(&buoy, &mut table)?,
            ("leshan-talk", Some(jar)) => talk_with_leshan(jar, &mut table)?,
            ("sessions", _) => sessions_of_buoy(&buoy, &mut table)?,
            ("handshakes", _) => handshakes_of_buoy(&buoy, &mut table)?,
            ("scandium", Some(jar)) => scandium(jar, &mut table)?,
            ("memory", _) => memory_and_start_of_buoy(&buoy, &mut table)?,
            ("firmware", _) => firmware_of_buoy(&buoy, &mut table)?,
            ("records", _) => records(&mut table)?,
            _ => {}
        }
    }
    table.print();
    // A part alone is no comparison.
    if only.is_empty() { table.write_into(page) } else { Ok(()) }
}

fn say(what: &str) {
    println!("… {what}");
}

/// What a server does at the window at which it does better, once it is warm.
fn best(server: Process, mut measure: impl FnMut(usize) -> Result<Measured>) -> Result<Measured> {
    let [few, many] = WINDOWS;
    warm_up(|| measure(few))?;
    Ok(better(typical(server, || measure(few))?, typical(server, || measure(many))?))
}

/// Measures until the server becomes no faster: one with a just-in-time compiler takes its time to.
fn warm_up(mut measure: impl FnMut() -> Result<Measured>) -> Result<()> {
    let (mut fastest, mut no_faster) = (0.0, 0);
    for _ in 0..MOST_ROUNDS_TO_WARM {
        let rate = measure()?.rate();
        println!("  {rate:.0} a second, warming up");
        no_faster = if rate > fastest * WARMER { 0 } else { no_faster + 1 };
        fastest = f64::max(fastest, rate);
        if no_faster == WARM_AFTER {
            break;
        }
    }
    Ok(())
}

/// The round between a faster one and a slower one.
fn typical(server: Process, mut measure: impl FnMut() -> Result<Measured>) -> Result<Measured> {
    let mut round = || server.during(&mut measure);
    let mut rounds = [round()?, round()?, round()?];
    rounds.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    let [_, typical, _] = rounds;
    Ok(typical)
}

/// The same for a full handshake of each of so many devices, which come from other addresses each time.
fn handshakes(server: Process, coaps: SocketAddrV4, count: usize, mode: Mode) -> Result<Measured> {
    best(server, |window| SecureDevices::new(coaps, count)?.connect(mode, window))
}

fn better(one: Measured, other: Measured) -> Measured {
    if one.rate() > other.rate() { one } else { other }
}

fn told(measured: Measured) -> Option<Measured> {
    println!("  {:.0} a second, p99 {:.2} ms", measured.rate(), measured.percentile(99.0));
    Some(measured)
}

fn echo(table: &mut Table) -> Result<()> {
    say("UDP echo");
    let server = echo::start()?;
    let mut devices = Devices::new(server, DEVICES)?;
    table.echo = told(better(devices.echo(WINDOWS[0])?, devices.echo(WINDOWS[1])?));
    Ok(())
}

fn relay(table: &mut Table) -> Result<()> {
    say("relay between HTTP and CoAP");
    // Its devices answer whoever asks.
    let devices = Devices::new(SocketAddrV4::new([127, 0, 0, 1].into(), 9), FEW_DEVICES)?;
    let http = relay::start(devices.port()?, FEW_DEVICES)?;
    let serving = devices.serve();
    let [few, many] = WINDOWS.map(|window| http::reads(http, window, FEW_DEVICES, READS));
    serving.stop()?;
    table.relay = told(better(few?, many?));
    Ok(())
}

fn rates_of_buoy(program: &Path, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let mut devices = Devices::new(server.coap, DEVICES)?;
    say("Buoy: Register");
    table.buoy.register = told(register_anew(server.process(), &mut devices)?);
    say("Buoy: Update");
    table.buoy.update = told(best(server.process(), |window| devices.update(window, ROUNDS))?);
    let half = table.buoy.register.as_ref().context("no rate")?.rate() / 2.0;
    say("Buoy: Register at half of that");
    table.buoy.register_half = told(devices.register_again_at(half)?);
    let half = table.buoy.update.as_ref().context("no rate")?.rate() / 2.0;
    say("Buoy: Update at half of that");
    table.buoy.update_half = told(devices.update_at(half)?);
    Ok(())
}

/// Registers all devices, under other names in each window; in a window's later rounds they come again.
fn register_anew(server: Process, devices: &mut Devices) -> Result<Measured> {
    best(server, |window| {
        devices.rename(if window == WINDOW { "few" } else { "many" });
        devices.register(window)
    })
}

fn talk_with_buoy(program: &Path, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    say("Buoy: Read through REST, and notifications");
    let http = server.http;
    talk(server.process(), &mut table.buoy, server.coap, http, &mut || http::notifications(http))
}

fn rates_of_leshan(jar: &Path, table: &mut Table) -> Result<()> {
    let mut server = Leshan::start(jar)?;
    let before = server.heap()?;
    let mut devices = Devices::new(server.coap, DEVICES)?;
    say("Leshan: Register");
    devices.register(WINDOW)?;
    let per_device = server.heap()?.saturating_sub(before) / u64::from(DEVICES);
    table.leshan.bytes_per_device = Some(per_device);
    table.leshan.register = told(register_anew(server.process(), &mut devices)?);
    say("Leshan: Update");
    table.leshan.update = told(best(server.process(), |window| devices.update(window, ROUNDS))?);
    Ok(())
}

fn talk_with_leshan(jar: &Path, table: &mut Table) -> Result<()> {
    say("Leshan: Read through REST, and notifications");
    let mut server = Leshan::start(jar)?;
    let (process, coap, http) = (server.process(), server.coap, server.http);
    talk(process, &mut table.leshan, coap, http, &mut || server.notifications())
}

/// Reads, confirmable notifications, and the greatest stream of notifications of which nothing is lost.
fn talk(
    process: Process,
    server: &mut table::Server,
    coap: SocketAddrV4,
    http: SocketAddr,
    count: &mut dyn FnMut() -> Result<u64>,
) -> Result<()> {
    let mut devices = Devices::new(coap, FEW_DEVICES)?;
    devices.register(WINDOW)?;
    let serving = devices.serve();
    server.read = told(best(process, |window| http::reads(http, window, FEW_DEVICES, READS))?);
    http::observe_all(http, FEW_DEVICES)?;
    let mut devices = serving.stop()?;
    server.notify = told(best(process, |window| devices.notify(window, NOTIFICATIONS))?);
    server.stream = Some(stream(&mut devices, count)?);
    Ok(())
}

/// Raises the rate as long as the server takes 99 of 100.
fn stream(devices: &mut Devices, count: &mut dyn FnMut() -> Result<u64>) -> Result<f64> {
    let (mut rate, mut best) = (STREAM_FROM, 0.0);
    loop {
        let before = count()?;
        let sent = devices.stream(rate, STREAM_FOR)?;
        // What is still in its buffers counts.
        std::thread::sleep(Duration::from_millis(500));
        let taken = count()? - before;
        let actual = sent as f64 / STREAM_FOR.as_secs_f64();
        let share = taken as f64 / sent as f64;
        println!("  stream: {actual:.0} a second sent, {:.1} % taken", share * 100.0);
        if share < 0.99 {
            return Ok(best);
        }
        best = actual;
        // The generator is at its own end.
        if actual < rate * 0.95 {
            return Ok(best);
        }
        rate *= STREAM_STEP;
    }
}

fn memory_and_start_of_buoy(program: &Path, table: &mut Table) -> Result<()> {
    say("Buoy: memory of 300,000 devices");
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let before = server.resident_bytes()?;
    let mut devices = Devices::new(server.coap, MANY_DEVICES)?;
    devices.register(WINDOW)?;
    let after = server.resident_bytes()?;
    table.buoy.bytes_per_device = Some(after.saturating_sub(before) / u64::from(MANY_DEVICES));
    drop((devices, server));
    say("Buoy: start with 300,000 devices");
    let started = Instant::now();
    let server = Buoy::start(program, folder.path())?;
    http::wait_until_ready(server.http, Duration::from_secs(60))?;
    table.start_seconds = Some(started.elapsed().as_secs_f64());
    let there = http::registered_devices(server.http)?;
    ensure!(
        there == u64::from(MANY_DEVICES),
        "{there} devices are there after the restart, not {MANY_DEVICES}"
    );
    Ok(())
}

fn firmware_of_buoy(program: &Path, table: &mut Table) -> Result<()> {
    say("Buoy: firmware by CoAP blocks");
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start(program, folder.path())?;
    let image = firmware::upload(program, folder.path(), server.http)?;
    let one = firmware::download(server.coap, &image, 1)?;
    let before = server.resident_bytes()?;
    let many = firmware::download(server.coap, &image, 1000)?;
    let grown = server.peak_bytes()?.saturating_sub(before);
    table.firmware = Some(table::Firmware { bytes: image.length, one, many, grown });
    Ok(())
}

fn records(table: &mut Table) -> Result<()> {
    say("records of 200 bytes, AES-128-CCM-8");
    let records = records::measure()?;
    println!("  {:.0} a second, OpenSSL {:.0}", records.aws_lc, records.openssl);
    table.records = Some(records);
    Ok(())
}

fn sessions_of_buoy(program: &Path, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let coaps = free_address()?;
    let server = Buoy::start_secure(program, folder.path(), &coaps)?;
    secure::import(program, &server, folder.path(), &secure::list(Mode::Psk, SESSIONS)?)?;
    let before = server.resident_bytes()?;
    let mut devices = SecureDevices::new(server.coap, SESSIONS)?;
    say("Buoy: 100,000 sessions");
    devices.connect(Mode::Psk, WINDOW)?;
    let with_sessions = server.resident_bytes()?;
    table.buoy.bytes_per_session = Some(with_sessions.saturating_sub(before) / SESSIONS as u64);
    say("Buoy: Register within sessions");
    devices.register(WINDOW)?;
    table.buoy.resident_with_sessions = Some(server.resident_bytes()?);
    table.buoy.secure_register = told(best(server.process(), |window| devices.register_anew(window, 1))?);
    say("Buoy: killed, and started with 100,000 sessions");
    drop(server);
    let started = Instant::now();
    let server = Buoy::start_secure(program, folder.path(), &coaps)?;
    http::wait_until_ready(server.http, Duration::from_secs(60))?;
    table.secure_start_seconds = Some(started.elapsed().as_secs_f64());
    // Whatever is answered now is answered within the sessions from before.
    devices.register(WINDOW)?;
    Ok(())
}

fn handshakes_of_buoy(program: &Path, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start_secure(program, folder.path(), "127.0.0.1:0")?;
    secure::import(program, &server, folder.path(), &secure::list(Mode::Psk, HANDSHAKES)?)?;
    say("Buoy: full handshakes, PSK");
    table.buoy.psk = told(handshakes(server.process(), server.coap, HANDSHAKES, Mode::Psk)?);
    drop(server);

    let folder = tempfile::tempdir_in("target")?;
    let server = Buoy::start_secure(program, folder.path(), "127.0.0.1:0")?;
    let mode = Mode::Rpk(secure::server_key(folder.path())?);
    secure::import(program, &server, folder.path(), &secure::list(mode, ECDHE_HANDSHAKES)?)?;
    say("Buoy: full handshakes, ECDHE-ECDSA with raw public keys");
    table.buoy.ecdhe = told(handshakes(server.process(), server.coap, ECDHE_HANDSHAKES, mode)?);
    Ok(())
}

/// An address that is free.
fn free_address() -> Result<String> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn scandium(jar: &Path, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir_in("target")?;
    let keys = (0..HANDSHAKES).flat_map(|number| {
        let name = devices::endpoint(number);
        ["--psk".to_owned(), format!("{name}:{}", secure::shared_key())]
    });
    let mut server = Leshan::start_with(jar, &keys.collect::<Vec<_>>())?;
    say("Leshan: full handshakes, PSK");
    table.leshan.psk = told(handshakes(server.process(), server.coap, HANDSHAKES, Mode::Psk)?);
    let before = server.heap()?;
    let mut devices = SecureDevices::new(server.coap, HANDSHAKES)?;
    devices.connect(Mode::Psk, WINDOW)?;
    table.leshan.bytes_per_session = Some(server.heap()?.saturating_sub(before) / HANDSHAKES as u64);
    say("Leshan: Register within sessions");
    // As many as with Buoy, so that a datagram that is lost weighs as much.
    let rounds = SESSIONS / HANDSHAKES;
    table.leshan.secure_register =
        told(best(server.process(), |window| devices.register_anew(window, rounds))?);
    drop((devices, server));

    let (mode, arguments) = secure::leshan_keys(folder.path(), ECDHE_HANDSHAKES)?;
    let server = Leshan::start_with(jar, &arguments)?;
    say("Leshan: full handshakes, ECDHE-ECDSA with raw public keys");
    table.leshan.ecdhe = told(handshakes(server.process(), server.coap, ECDHE_HANDSHAKES, mode)?);
    Ok(())
}
