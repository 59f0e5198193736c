//! `buoy demo`: the whole story on one machine, narrated. The server is a process of this program, the devices run in this one; what
//! the demo does, it does through the REST interface, and each step shows the `buoy ctl` line by which anybody can do the same.

mod board;
mod cast;
#[cfg(target_os = "linux")]
mod fleet;
mod operator;
#[cfg(target_os = "linux")]
mod population;
mod screen;
mod slots;
mod stage;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use buoy_api::client::{Client, ClientError};
use buoy_api::{
    Campaign, CampaignState, Delivery, DeviceState, Firmware, OperationState, Registration, StartUpdate,
    Update,
};
use buoy_services::store_place::StorePlace;
use buoy_sim::device::DeviceEvent;
use serde_json::{Value, json};

use cast::{Cast, Device, Ports};
use screen::Screen;
use slots::Flash;
use stage::Stage;

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where `buoy ctl` looks for a server by itself.
const USUAL_HTTP: &str = "http://127.0.0.1:8080";
/// Devices beside those of the story.
#[cfg(target_os = "linux")]
const FLEET: u32 = 60;
/// When power is cut in a download.
const CUT_AT: u32 = 256 << 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends after the story, with exit code 0 only if every step held.
    #[arg(long)]
    once: bool,
    /// Where the server's state is to be: an empty database, as in postgres://user:password@host/database. What the demo makes stays there,
    /// and is of no use without the demo's keys [default: a file that goes with the demo]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// How many devices live beside those of the story, on Linux: a fleet to click through. All that there is to see is there with 60 or more
    /// [default: 60, with --once 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    fleet: Option<u32>,
    /// Plays with an emulated board in place of simulated devices. It needs QEMU, and what `cargo xtask embedded qemu` builds.
    #[arg(long, value_enum, value_name = "BOARD")]
    board: Option<board::BoardKind>,
    /// Where that is.
    #[arg(long, value_name = "FOLDER", default_value = "target/embedded/qemu", requires = "board")]
    board_files: PathBuf,
}

/// Plays the story.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let stage = Stage::set_up()?;
    // A panic, as of a pipe that nobody reads any more, leaves nothing behind either.
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| play(args, &stage)));
    stage.leave_to_signal();
    stage.clear();
    played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn play(args: &Args, stage: &Arc<Stage>) -> anyhow::Result<()> {
    let started = Instant::now();
    let store = args.store.as_deref().map(StorePlace::parse);
    if let Some(store) = &store {
        let empty = store.check_is_empty();
        empty.context("the demo plays on an empty database; make one with `createdb`, and name that")?;
    }
    let ports = if args.once { Ports::Any } else { Ports::Usual };
    let files = args.board.map(|_| board::Files::find(&args.board_files)).transpose()?;
    let host = files.as_ref().map(|_| board::HOST);
    let cast = Cast::assemble(stage.clone(), args.store.as_deref(), ports, host)?;
    let client = operator::sign_up(&cast.http, cast.folder())?;
    let mut screen = Screen::of_terminal();
    introduce(&mut screen, &cast);
    if !args.once {
        show_link(&mut screen, &client)?;
    }
    let fleet = launch_fleet(&mut screen, &cast, &client, args)?;
    let flash = Arc::new(Flash::default());
    let mut story = Story { client: &client, cast: &cast, screen, steps: 0 };
    let told = match &files {
        Some(files) => board::tell(&mut story, files).map(Players::Board),
        None => tell(&mut story, &flash).map(Players::Simulated),
    };
    if told.is_err() {
        stage.leave_to_signal();
        story.screen.gap();
        story.screen.line("   What the devices told last:");
        cast.last_events().iter().for_each(|event| story.screen.detail(event));
    }
    let players = told?;
    fleet.into_iter().try_for_each(|noting| noting.join().unwrap_or(Ok(())))?;

    let Story { mut screen, steps, .. } = story;
    screen.gap();
    screen.line(&format!("All {steps} steps held, in {} s.", started.elapsed().as_secs()));
    if let Some(store) = store {
        screen.line(&format!("What the demo made stays in {store}, without its keys: drop that database."));
    }
    if !args.once {
        stage.story_is_over();
        propose(&mut screen);
        show_link(&mut screen, &client)?;
        // A signal clears the stage, and ends the program.
        loop {
            std::thread::park();
        }
    }
    match players {
        Players::Simulated(devices) => devices.into_iter().try_for_each(Device::cut_power),
        Players::Board(machine) => {
            // A power cut.
            drop(machine);
            Ok(())
        }
    }
}

/// Who has played, and runs on until the end of the demo.
enum Players {
    Simulated(Vec<Device>),
    Board(board::Machine),
}

fn introduce(screen: &mut Screen, cast: &Cast) {
    screen.line(&format!(
        "The server runs: CoAP over DTLS at {}, bootstrap at {}, REST at {}",
        cast.coaps, cast.bootstraps, cast.http
    ));
    screen.line("Each step shows the command that does the same; to type it in another terminal, first:");
    screen.line(&format!("   $ cd {}", cast.folder().display()));
    screen.line(&format!("   $ export BUOY_TOKEN=\"$(cat {})\"", operator::TOKEN_FILE));
    if cast.http != USUAL_HTTP {
        screen.line(&format!("   $ export BUOY_SERVER={}", cast.http));
    }
}

fn show_link(screen: &mut Screen, client: &Client) -> anyhow::Result<()> {
    let link = client.make_sign_in_link(operator::NAME)?;
    screen.gap();
    screen.line("The web page. This link signs in once, within ten minutes:");
    screen.line(&format!("   {}", link.address(client.base())));
    screen.line("Another one, or name and password:");
    screen.command(&format!("buoy ctl account link {}", operator::NAME));
    screen.line(&format!("   {}, and what is in {}", operator::NAME, operator::PASSWORD_FILE));
    Ok(())
}

/// An operator who takes note of what happens in the fleet.
type Noting = std::thread::JoinHandle<anyhow::Result<()>>;

#[cfg(target_os = "linux")]
fn launch_fleet(
    screen: &mut Screen,
    cast: &Cast,
    client: &Client,
    args: &Args,
) -> anyhow::Result<Option<Noting>> {
    let devices = args.fleet.unwrap_or(if args.once { 0 } else { FLEET });
    if devices == 0 {
        return Ok(None);
    }
    let started = Instant::now();
    fleet::launch(cast, client, devices).context("the fleet could not be launched")?;
    screen.gap();
    screen.line(&format!(
        "A fleet of {devices} devices of three models is there after {:.1} s. It has two campaigns under way, and one to start; the story has devices of its own.",
        started.elapsed().as_secs_f64()
    ));
    let client = client.clone();
    Ok((devices >= FLEET).then(|| std::thread::spawn(move || fleet::take_note(&client))))
}

#[cfg(not(target_os = "linux"))]
fn launch_fleet(_: &mut Screen, _: &Cast, _: &Client, args: &Args) -> anyhow::Result<Option<Noting>> {
    ensure!(
        args.fleet.unwrap_or(0) == 0,
        "--fleet needs Linux: each device has a loopback address of its own"
    );
    Ok(None)
}

fn propose(screen: &mut Screen) {
    screen.gap();
    screen.line("Server and devices run on until Ctrl-C. What to try next, in another terminal:");
    for (line, what) in NEXT {
        screen.gap();
        screen.line(&format!("   {what}"));
        screen.command(line);
    }
    screen.gap();
    screen.line(
        "For devices and firmware of your own: `buoy serve --help`, `buoy device --help`, `buoy fw --help`.",
    );
}

/// What is worth a look.
const NEXT: &[(&str, &str)] = &[
    ("buoy ctl devices", "who is registered, and what each device has:"),
    ("buoy ctl observe buoy-1 /3303/0/5700 --count 5", "a value that is followed live:"),
    (
        "buoy ctl execute buoy-1 /3/0/4",
        "a reboot: the device comes back with its DTLS session, without a handshake:",
    ),
    ("buoy ctl bootstrap trigger buoy-1", "a new key for a device that nobody visits:"),
    (
        "buoy ctl devices 'firmware >= 1.1.0 and seen within 1h'",
        "a filter, as groups and campaigns have them, too:",
    ),
    ("buoy ctl campaign report 1", "what a manager wants to know of a campaign:"),
    ("buoy ctl audit", "who changed what:"),
    ("buoy ctl events", "all that happens, as it happens:"),
];

/// The devices at the end of the story.
fn tell(story: &mut Story<'_>, flash: &Arc<Flash>) -> anyhow::Result<Vec<Device>> {
    let cast = story.cast;
    story.step("two devices are claimed by the keys that they leave the factory with", claim)?;
    let buoy1 = cast.device("buoy-1", false, flash)?;
    let buoy2 = cast.device("buoy-2", true, &Arc::default())?;
    story.step("they are bootstrapped: each gets a key of its own, which nobody has typed", |act| {
        for device in [&buoy1, &buoy2] {
            device.wait_for("the end of its bootstrap", PATIENCE, |it| *it == DeviceEvent::Bootstrapped)?;
        }
        act.command("buoy ctl credentials list --purpose lwm2m");
        minted(act.client)
    })?;
    story.step("they register over DTLS, one of them sleeps between its contacts", |act| {
        act.command("buoy ctl devices");
        let first = wait_for("buoy-1", || registration(act.client, "buoy-1"))?;
        let second = wait_for("buoy-2", || registration(act.client, "buoy-2"))?;
        ensure!(first.secure && second.secure, "both should speak over DTLS");
        ensure!(!first.queue_mode && second.queue_mode, "buoy-2 should be in queue mode");
        act.screen.slots(flash.slots());
        Ok(format!("buoy-1 at {}, buoy-2 at {} (queue mode)", first.address, second.address))
    })?;
    story.step("reads", |act| {
        act.command("buoy ctl read buoy-1 /3/0/0 /3/0/13 /3/0/3");
        let maker = read(act.client, "buoy-1", "3/0/0")?;
        let time = read(act.client, "buoy-1", "3/0/13")?;
        let version = read(act.client, "buoy-1", "3/0/3")?;
        ensure!(version == "1.0.0", "buoy-1 should run 1.0.0, and runs {version}");
        Ok(format!("manufacturer {maker}, clock {time} ms, firmware {version}"))
    })?;
    story.step("a live observation", |act| {
        act.command("buoy ctl observe buoy-1 /3303/0/5700 --count 3");
        observe(act.client)
    })?;
    story.step("the light goes on and off", |act| {
        for on in [true, false] {
            act.command(&format!("buoy ctl write buoy-1 /3311/0/5850={on}"));
            let node = json!({"kind": "singleResource", "id": 5850, "value": on});
            write(act.client, "buoy-1", "3311/0/5850", &node)?;
            let is = read(act.client, "buoy-1", "3311/0/5850")?;
            ensure!(is == on, "the light should be {on}, and is {is}");
        }
        Ok("on, off".into())
    })?;
    story.step("an operation waits for the sleeping device, and is delivered when it wakes", wake)?;
    story.step("signed 1.1.0 rolls out", |act| {
        let good = act.upload("1.1.0")?;
        let update = act.update("buoy-1", &good, Delivery::PullCoap, flash)?;
        ended(&update, "updated")
    })?;
    story.step("1.2.0 crashes and is rolled back", |act| {
        let crashing = act.upload("1.2.0")?;
        let update = act.update("buoy-1", &crashing, Delivery::Push, flash)?;
        ended(&update, "rolled_back")
    })?;
    story.step("a tampered image is refused", |act| {
        let tampered = act.upload("1.3.0")?;
        let update = act.update("buoy-1", &tampered, Delivery::PullCoap, flash)?;
        ensure!(
            update.detail.contains("result 5"),
            "the refusal should be an integrity failure: {}",
            update.detail
        );
        ended(&update, "refused")
    })?;
    story.step(
        "a campaign finds who is behind, and ends when each of them has reported the new version",
        campaign,
    )?;
    let mut after_the_cut = None;
    story.step("power is cut in a download, and it goes on where it stopped", |act| {
        let large = act.upload("1.4.0")?;
        let (device, outcome) = cut_power(act, buoy1, &large, flash)?;
        after_the_cut = Some(device);
        Ok(outcome)
    })?;
    Ok(after_the_cut.into_iter().chain([buoy2]).collect())
}

struct Story<'a> {
    client: &'a Client,
    cast: &'a Cast,
    screen: Screen,
    steps: usize,
}

/// What a step does.
struct Act<'s, 'a> {
    client: &'a Client,
    cast: &'a Cast,
    screen: &'s mut Screen,
}

impl Story<'_> {
    fn step(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Act<'_, '_>) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        self.steps += 1;
        self.screen.step(self.steps, name);
        let outcome = act(&mut Act { client: self.client, cast: self.cast, screen: &mut self.screen });
        let outcome = outcome.with_context(|| format!("step {} did not hold: {name}", self.steps))?;
        self.screen.ok(&outcome);
        Ok(())
    }
}

impl Act<'_, '_> {
    fn command(&mut self, line: &str) {
        self.screen.command(line);
    }

    fn upload(&mut self, version: &str) -> anyhow::Result<Firmware> {
        let release = self.cast.release(version)?;
        self.command(&format!("buoy ctl firmware upload {}", release.name));
        let firmware = self.client.upload_firmware(Some(&release.name), &release.image)?;
        Ok(self.client.upload_signature(&firmware.digest, &release.signature)?)
    }

    fn start(&mut self, endpoint: &str, firmware: &Firmware, delivery: Delivery) -> anyhow::Result<Update> {
        let how = if delivery == Delivery::Push { " --delivery push" } else { "" };
        self.command(&format!("buoy ctl update {endpoint} {}{how}", firmware.name));
        Ok(self.client.start_update(&StartUpdate {
            endpoint: endpoint.into(),
            firmware: firmware.digest.clone(),
            delivery,
            version: None,
            install_timeout: None,
            download_timeout: None,
        })?)
    }

    fn update(
        &mut self,
        endpoint: &str,
        firmware: &Firmware,
        delivery: Delivery,
        flash: &Flash,
    ) -> anyhow::Result<Update> {
        let update = self.start(endpoint, firmware, delivery)?;
        self.follow(update.id, flash)
    }

    /// Shows the stages of an update and how the slots fill, until it ends.
    fn follow(&mut self, id: u64, flash: &Flash) -> anyhow::Result<Update> {
        self.follow_within(PATIENCE, id, |screen| screen.slots(flash.slots()))
    }

    /// Shows the stages of an update, and what else there is to see after each look, until it ends.
    fn follow_within(
        &mut self,
        patience: Duration,
        id: u64,
        mut show: impl FnMut(&mut Screen),
    ) -> anyhow::Result<Update> {
        let mut told = 0;
        wait_within(patience, "the update", || {
            let update = self.client.update(id)?;
            for stage in update.history.iter().skip(told) {
                self.screen.detail(&stage.detail);
            }
            told = update.history.len();
            show(self.screen);
            Ok(update.ended.then_some(update))
        })
    }
}

/// Tries until there is an answer.
fn wait_for<T>(what: &str, attempt: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    wait_within(PATIENCE, what, attempt)
}

/// The same, for so long.
fn wait_within<T>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{what}: nothing after {} s", patience.as_secs())
}

fn registration(client: &Client, endpoint: &str) -> anyhow::Result<Option<Registration>> {
    match client.device(endpoint) {
        Ok(device) => Ok(device.registration),
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The identities under which the devices are known now.
fn minted(client: &Client) -> anyhow::Result<String> {
    let listed = client.all::<buoy_api::Credential>("/api/v1/credentials?purpose=lwm2m&limit=100")?;
    let of_story = listed.into_iter().filter(|credential| credential.endpoint.starts_with("buoy-"));
    let identities: Vec<_> = of_story.filter_map(|credential| credential.identity).collect();
    ensure!(identities.len() == 2, "each device should have one key of its own: {identities:?}");
    Ok(identities.join(", "))
}

/// The value of a single resource.
fn read(client: &Client, endpoint: &str, path: &str) -> anyhow::Result<Value> {
    let answer: Value = client.get(&format!("/api/clients/{endpoint}/{path}"))?;
    let value = answer.pointer("/content/value").cloned();
    value.with_context(|| format!("{endpoint} answered {answer} to the read of {path}"))
}

fn write(client: &Client, endpoint: &str, path: &str, node: &Value) -> anyhow::Result<()> {
    let path = format!("/api/clients/{endpoint}/{path}");
    let answer: Value = client.send_json(ureq::http::Method::PUT, &path, node)?;
    ensure!(answer["success"] == true, "the device answered {answer}");
    Ok(())
}

fn observe(client: &Client) -> anyhow::Result<String> {
    let answer: Value =
        client.call(ureq::http::Method::POST, "/api/clients/buoy-1/3303/0/5700/observe", "", &[])?;
    ensure!(answer["success"] == true, "the device answered {answer}");
    let mut values = Vec::new();
    client.follow("/api/event?ep=buoy-1", |name, data| {
        if name == "NOTIFICATION" {
            let data: Value = serde_json::from_str(data).unwrap_or_default();
            values.push(data["val"]["value"].as_str().unwrap_or("?").to_owned());
        }
        values.len() < 3
    })?;
    Ok(format!("temperature {} °C", values.join(", ")))
}

fn ended(update: &Update, expected: &str) -> anyhow::Result<String> {
    ensure!(update.state == expected, "the update should end as {expected}, and ended: {}", update.detail);
    let old = update.old_version.as_deref().unwrap_or("?");
    Ok(format!("{old} → {}: {}", update.version, update.detail))
}

fn cut_power(
    act: &mut Act<'_, '_>,
    device: Device,
    firmware: &Firmware,
    flash: &Arc<Flash>,
) -> anyhow::Result<(Device, String)> {
    let update = act.start("buoy-1", firmware, Delivery::PullCoap)?;
    let is_far =
        |event: &DeviceEvent| matches!(event, DeviceEvent::Progress { bytes, .. } if *bytes == CUT_AT);
    device.wait_for("how far its download is", PATIENCE, is_far)?;
    device.cut_power()?;
    act.screen.slots(flash.slots());
    act.screen.detail("power off");
    let device = act.cast.device("buoy-1", false, flash)?;
    act.screen.detail("power on");
    let is_resumed = |event: &DeviceEvent| matches!(event, DeviceEvent::Resume { .. });
    let resumed = device.wait_for("that its download goes on", PATIENCE, is_resumed)?;
    let update = act.follow(update.id, flash)?;
    let outcome =
        format!("{} (download: {})", ended(&update, "updated")?, resumed.to_string().to_lowercase());
    Ok((device, outcome))
}

fn campaign(act: &mut Act<'_, '_>) -> anyhow::Result<String> {
    // What runs 1.1.0 has said so after its update; of the sleeping device the version may not be known yet.
    let (name, filter) = ("1.1.0 for all who are behind", "name ~ \"buoy-*\" and firmware != 1.1.0");
    act.command(&format!(
        "buoy ctl campaign add '{name}' --filter '{filter}' --firmware release-1.1.0.bin --start"
    ));
    let images = act.client.firmware()?.items;
    let image = images.into_iter().find(|image| image.version == "1.1.0").context("1.1.0 is not there")?;
    let plan = json!({"name": name, "filter": filter, "firmware": image.digest});
    let made: Campaign = act.client.send_json(ureq::http::Method::POST, "/api/v1/campaigns", &plan)?;
    let path = format!("/api/v1/campaigns/{}", made.id);
    act.client.call::<Campaign>(ureq::http::Method::POST, &format!("{path}/start"), "", &[])?;
    act.command(&format!("buoy ctl campaign watch {}", made.id));
    let done = wait_for("the campaign", || {
        let campaign: Campaign = act.client.get(&path)?;
        Ok((campaign.state == CampaignState::Done).then_some(campaign))
    })?;
    ensure!(done.counts.confirmed == 1, "buoy-2 should run 1.1.0: {done:?}");
    Ok("buoy-2 took it when it woke, and has confirmed it".into())
}

/// Tells the server the devices' factory keys, and how they are to be configured.
fn claim(act: &mut Act<'_, '_>) -> anyhow::Result<String> {
    for (endpoint, lifetime, binding) in [("buoy-1", 300, "U"), ("buoy-2", 12, "UQ")] {
        let file = act.cast.factory_key_file(endpoint)?;
        act.command(&format!("buoy ctl credentials add {endpoint} --purpose bootstrap --key-file {file}"));
        let key = buoy_services::hex::encode(&cast::factory_key(endpoint));
        let claim = json!({"endpoint": endpoint, "purpose": "bootstrap", "proof": {"psk": {"key": key}}});
        act.client.send_json::<Value>(ureq::http::Method::POST, "/api/v1/credentials", &claim)?;
        act.command(&format!("buoy ctl bootstrap add {endpoint} --lifetime {lifetime} --binding {binding}"));
        let server = json!({"lifetime": lifetime, "binding": binding, "credentials": "mint_psk"});
        let config = json!({"pattern": endpoint, "servers": [server]});
        act.client.send_json::<Value>(ureq::http::Method::PUT, "/api/v1/bootstrap/configs", &config)?;
    }
    Ok("buoy-1, buoy-2".into())
}

fn wake(act: &mut Act<'_, '_>) -> anyhow::Result<String> {
    let client = act.client;
    wait_for(
        "buoy-2 to sleep",
        || Ok((client.device("buoy-2")?.state == DeviceState::Asleep).then_some(())),
    )?;
    let started = Instant::now();
    act.command("buoy ctl read buoy-2 /3/0/0 --wait 0");
    let answer: Value = client.get("/api/clients/buoy-2/3/0/0")?;
    ensure!(answer["delayed"] == true, "a sleeping device's answer should be delayed: {answer}");
    act.command("buoy ctl operations --endpoint buoy-2");
    let operation = wait_for("the operation", || {
        let newest = client.operations(Some("buoy-2"), None, 1)?.items.into_iter().next();
        Ok(newest.filter(|operation| operation.state == OperationState::Succeeded))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(format!("{} {} was queued, and answered {seconds:.1} s later", operation.method, operation.path))
}
