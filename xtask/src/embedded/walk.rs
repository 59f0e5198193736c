//! The life of an emulated board: bootstrap, registration, operations, updates of every kind, releases that misbehave, power cuts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::Kills;
use super::build::{self, Built, FOLDER, FORGED, RELEASES};
use super::machine::{self, Machine};
use super::parties::{HOST, Server, TimeServer};
use crate::command::Run;
use crate::no_std::Toolchain;

const ENDPOINT: &str = "buoy-qemu";
const KEY: &str = "0f0e0d0c0b0a09080706050403020100";
/// Seconds in which an image on trial has to register.
const TRIAL: u32 = 10;
/// So much faster the clock runs where an hour has to pass.
const FAST: u32 = 120;
/// For what takes a moment on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// A power cut comes at latest so long after the start, in milliseconds.
const LONGEST_LIFE: u64 = 5_000;

struct Walk {
    server: Server,
    machine: Option<Machine>,
    flash: PathBuf,
    settings: PathBuf,
    log: PathBuf,
    /// What the instants of the power cuts follow from.
    seed: u64,
    /// Authentic images that were started after power cuts.
    starts: u32,
    _time: TimeServer,
}

/// Builds everything and walks. Gives a line for people.
pub(super) fn run(toolchain: &Toolchain, kills: Kills) -> Result<String> {
    let built = build::build(toolchain)?;
    compare_answers(toolchain, &built)?;
    let started = Instant::now();
    let Kills { count: kills, seed } = kills;
    let mut walk = Walk::new(&built, seed)?;
    let outcome = walk.everything(kills);
    let lines = walk.machine.as_mut().map(Machine::last_lines).unwrap_or_default();
    outcome.with_context(|| format!("the board's last lines ({}):\n{lines}", walk.log.display()))?;
    drop(walk.machine.take());
    // The same board in the hands of `buoy demo`.
    let arguments = ["demo", "--board", "qemu", "--once", "--board-files", FOLDER];
    let buoy = built.buoy.to_str().context("a path is no text")?;
    build::done(Run::new(buoy, &arguments).log("embedded-demo"), "buoy demo --board qemu")?;
    let (bytes, seconds, seed) = (built.boot_bytes, started.elapsed().as_secs(), walk.seed);
    Ok(format!(
        "boot loader {bytes} bytes; 5 bad releases given up; {}kills: {kills} of {kills} survived (seed {seed}), {} images started by then, in {seconds} s",
        sweep(),
        walk.starts
    ))
}

/// What the last run of the sweep of `ota` tried, so that all counts stand on one line.
fn sweep() -> String {
    let log = fs::read_to_string("target/xtask/test.log").unwrap_or_default();
    let told = ["power cuts: ", "mutants: "].map(|name| log.lines().rfind(|line| line.starts_with(name)));
    told.into_iter().flatten().map(|line| format!("{line}; ")).collect()
}

/// The engines answer on the board as they do here.
fn compare_answers(toolchain: &Toolchain, built: &Built) -> Result<()> {
    let (here, program) = build::answers(toolchain, &built.key)?;
    let there = machine::run_alone(&program)?;
    if here.trim() != there.trim() || !here.ends_with("end\n") {
        bail!("the engines answer otherwise on the board.\nHere:\n{here}\nThere:\n{there}");
    }
    Ok(())
}

impl Walk {
    fn new(built: &Built, seed: u64) -> Result<Self> {
        let folder = fs::canonicalize(FOLDER)?;
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let log = folder.join("console.log");
        fs::write(&log, "")?;
        let flash = folder.join("flash.running");
        fs::copy(&built.flash, &flash)?;
        let server = Server::start(&built.buoy, &data, &folder.join("server.log"))?;
        let time = TimeServer::start()?;
        let settings = folder.join("settings");
        fs::write(
            &settings,
            format!(
                "endpoint={ENDPOINT}\nbootstrap=coaps://{HOST}:{}\nidentity={ENDPOINT}\nkey={KEY}\nntp={HOST}:{}\ntrial={TRIAL}\n",
                server.bootstrap, time.port
            ),
        )?;
        Ok(Self { server, machine: None, flash, settings, log, seed, starts: 0, _time: time })
    }

    fn everything(&mut self, kills: u32) -> Result<()> {
        self.step("bootstrap and registration over DTLS", Self::register)?;
        self.step("reading, the clock, observing, the light", Self::operate)?;
        self.step("factory reset, and another bootstrap", Self::reset_to_factory)?;
        for release in &RELEASES[1..] {
            self.upload(&build::image(release.version))?;
        }
        for (version, delivery) in [("1.0.1", "pull-coap"), ("1.0.2", "pull-http"), ("1.1.0", "push")] {
            self.step(&format!("an update to {version} by {delivery}"), |walk| {
                walk.update(version, delivery)
            })?;
        }
        for (version, reason, last) in [
            ("1.2.0", "crashed in its trials", "1.2.0 crashed at device.rs"),
            ("1.3.0", "hung in its trials", "watchdog: 1.3.0"),
            ("1.4.0", "could not register in its trials", "1.4.0 could not register"),
            ("1.5.0", "failed its self-test", "1.5.0 failed its self-test"),
        ] {
            self.step(&format!("{version}, which is given up: {reason}"), |walk| {
                walk.give_up(version, reason, last)
            })?;
        }
        self.step("1.6.0, which crashes an hour after its confirmation", Self::crash_late)?;
        self.step("an image that another key has signed", Self::refuse_forgery)?;
        self.step("a power cut in the middle of a download", Self::resume)?;
        self.step(&format!("{kills} power cuts at random instants of updates"), |walk| walk.kill(kills))
    }

    fn step(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let started = Instant::now();
        run(self).with_context(|| name.to_owned())?;
        let line = format!("    {name}: {:.1} s\n", started.elapsed().as_secs_f64());
        // Steps that take minutes are followed in this file.
        let progress = Path::new(FOLDER).join("progress");
        let before = fs::read_to_string(&progress).unwrap_or_default();
        Ok(fs::write(progress, before + &line)?)
    }

    fn power_on(&mut self, speed: u32) -> Result<()> {
        self.machine = Some(Machine::start(&self.flash, &self.settings, speed, &self.log)?);
        Ok(())
    }

    fn cut_power(&mut self) {
        if let Some(machine) = self.machine.take() {
            machine.cut_power();
        }
    }

    /// Waits for a line of the board's.
    fn sees(&mut self, text: &str, patience: Duration) -> Result<String> {
        self.machine.as_mut().context("the board is off")?.says(text, patience)
    }

    /// Uploads an image and the signature that lies beside it.
    fn upload(&self, image: &Path) -> Result<()> {
        let image = image.to_str().context("a path is no text")?;
        self.server.says(&["firmware", "upload", image]).map(drop)
    }

    fn register(&mut self) -> Result<()> {
        self.server.says(&["credentials", "add", ENDPOINT, "--purpose", "bootstrap", "--key", KEY])?;
        self.server.says(&["bootstrap", "add", ENDPOINT])?;
        self.power_on(1)?;
        self.sees("boot: starts version 1.0.0 in factory: factory", PATIENCE)?;
        self.sees("app: bootstrapped", PATIENCE)?;
        self.sees("app: registered", PATIENCE)?;
        self.server.waits_for(ENDPOINT, "/3/0/3", "1.0.0", PATIENCE)?;
        self.server.waits_for(ENDPOINT, "/3/0/26241", "power on", PATIENCE).map(drop)
    }

    fn operate(&mut self) -> Result<()> {
        self.server.waits_for(ENDPOINT, "/4/0/4/0", "10.0.2.15", PATIENCE)?;
        let told: u64 =
            self.server.says(&["--json", "read", ENDPOINT, "/3/0/13"]).and_then(|said| number(&said))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        if told.abs_diff(now) > 120_000 {
            bail!("the device's clock says {told}, and it is {now} (milliseconds since 1970)");
        }
        let values = self.server.says(&["observe", ENDPOINT, "/3303/0/5700", "--count", "3"])?;
        if values.lines().count() < 3 {
            bail!("an observation brought {values:?}");
        }
        for (value, level) in [("true", "100"), ("false", "0")] {
            self.server.says(&["write", ENDPOINT, &format!("/3311/0/5850={value}")])?;
            self.sees(&format!("board: the light is at {level} %"), PATIENCE)?;
        }
        Ok(())
    }

    fn reset_to_factory(&mut self) -> Result<()> {
        self.server.says(&["write", ENDPOINT, "/3311/0/5750=lamp of the buoy"])?;
        self.server.says(&["execute", ENDPOINT, "/3/0/5"])?;
        self.sees("after: factory reset", PATIENCE)?;
        // Its keys of before are gone, so it has to be said yes to again.
        self.server.says(&["credentials", "remove", ENDPOINT, "--purpose", "lwm2m"])?;
        self.sees("app: bootstrapped", PATIENCE)?;
        self.sees("app: registered", PATIENCE)?;
        self.server.waits_for(ENDPOINT, "/3/0/26241", "factory reset", PATIENCE)?;
        let application = self.server.says(&["read", ENDPOINT, "/3311/0/5750"])?;
        if application.contains("lamp") {
            bail!("what a server wrote outlived the factory reset: {application:?}");
        }
        Ok(())
    }

    fn update(&mut self, version: &str, delivery: &str) -> Result<()> {
        let image = format!("{version}.bin");
        let said = self.server.says(&["update", ENDPOINT, &image, "--delivery", delivery])?;
        if !said.contains("updated") {
            bail!("the update ended with {said:?}");
        }
        self.runs(version)
    }

    fn runs(&self, version: &str) -> Result<()> {
        self.server.waits_for(ENDPOINT, "/3/0/3", version, PATIENCE).map(drop)
    }

    fn give_up(&mut self, version: &str, reason: &str, last: &str) -> Result<()> {
        let said = self.server.refuses(&["update", ENDPOINT, &format!("{version}.bin")])?;
        if !said.contains("rolled back") || !said.contains(reason) {
            bail!("the server should say {reason:?}, and says {said:?}");
        }
        self.sees("boot: starts version 1.1.0", PATIENCE)?;
        self.runs("1.1.0")?;
        self.server.waits_for(ENDPOINT, "/5/0/26241", reason, PATIENCE)?;
        self.server.waits_for(ENDPOINT, "/3/0/26241", last, PATIENCE).map(drop)
    }

    fn crash_late(&mut self) -> Result<()> {
        self.update("1.6.0", "pull-coap")?;
        self.cut_power();
        self.power_on(FAST)?;
        self.sees("boot: starts version 1.6.0", PATIENCE)?;
        self.sees("crashed at app/src/device.rs", Duration::from_secs(180))?;
        self.sees("boot: starts version 1.6.0", PATIENCE)?;
        self.server.waits_for(
            ENDPOINT,
            "/3/0/26241",
            "1.6.0 crashed at device.rs",
            Duration::from_secs(25),
        )?;
        self.cut_power();
        self.power_on(1)?;
        self.runs("1.6.0")?;
        self.update("1.1.0", "pull-coap")
    }

    fn refuse_forgery(&mut self) -> Result<()> {
        self.upload(&build::image(FORGED.version))?;
        let said = self.server.refuses(&["update", ENDPOINT, &format!("{}.bin", FORGED.version)])?;
        if !said.contains("not updated") {
            bail!("the server says {said:?}");
        }
        self.sees("app: the package is refused", PATIENCE)?;
        self.runs("1.1.0")
    }

    fn resume(&mut self) -> Result<()> {
        let update = self.server.start_verb(&["update", ENDPOINT, "1.0.1.bin"])?;
        self.sees("bytes of the package", PATIENCE)?;
        self.cut_power();
        self.power_on(1)?;
        self.sees("app: the download goes on at byte", PATIENCE)?;
        let (success, said) = update.end()?;
        if !success {
            bail!("the update did not go on: {said}");
        }
        self.runs("1.0.1")
    }

    fn kill(&mut self, kills: u32) -> Result<()> {
        let seed = self.seed;
        let mut random = Random(seed);
        let mut targets = ["1.1.0.bin", "1.0.1.bin"].into_iter().cycle();
        let mut update = None;
        for kill in 0..kills {
            let survived = self.survive(&mut random, &mut update, &mut targets);
            survived.with_context(|| format!("power cut {kill} of those that follow from {seed}"))?;
        }
        // In the end everything is as it should be.
        drop(update);
        self.runs("1.")
    }

    /// One power cut: the board starts an authentic image all the same.
    fn survive(
        &mut self,
        random: &mut Random,
        update: &mut Option<super::parties::Verb>,
        targets: &mut impl Iterator<Item = &'static str>,
    ) -> Result<()> {
        if update.as_mut().map_or(Ok(true), super::parties::Verb::is_over)? {
            let next = targets.next().unwrap_or_default();
            *update = Some(self.server.start_verb(&["update", ENDPOINT, next])?);
        }
        std::thread::sleep(Duration::from_millis(random.below(LONGEST_LIFE)));
        self.cut_power();
        self.power_on(1)?;
        let line = self.sees("boot: ", PATIENCE)?;
        if !["version 1.1.0", "version 1.0.1", "version 1.0.0"].iter().any(|good| line.contains(good)) {
            bail!("after a power cut the boot loader said {line:?}");
        }
        self.starts += 1;
        self.sees("app: version", PATIENCE)?;
        // Every other time it is cut off before it has registered.
        if random.below(2) == 0 {
            return Ok(());
        }
        self.sees("app: registered", PATIENCE).map(drop)
    }
}

fn number(json: &str) -> Result<u64> {
    let mut digits = json.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() >= 10);
    digits.next_back().context("no number of ten digits in the answer")?.parse().context("a number")
}

/// Numbers that follow from a seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 |= 1;
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
