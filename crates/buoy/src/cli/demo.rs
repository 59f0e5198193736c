//! `buoy demo`: the whole story on one machine, narrated. Server and devices are processes of this program; what the demo does, it does
//! through the REST interface, as anybody could.

mod cast;

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use buoy_api::client::{Client, ClientError};
use buoy_api::{Delivery, DeviceState, Firmware, Registration, StartUpdate, Update};
use buoy_lwm2m::text::harmless;
use serde_json::{Value, json};

use cast::{Cast, Device};

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends after the story, with exit code 0 only if every step held.
    #[arg(long)]
    once: bool,
    /// Where the server's state is to be: an empty database, as in postgres://user:password@host/database [default: a file]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// Plays the story.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let started = Instant::now();
    let cast = Cast::assemble(args.store.as_deref())?;
    let client = Client::new(&cast.http);
    say(&format!(
        "The server runs: CoAP over DTLS at {}, bootstrap at {}, REST at {}",
        cast.coaps, cast.bootstraps, cast.http
    ));
    let mut story = Story { client: &client, steps: 0 };
    story.step("two devices are claimed by the keys that they leave the factory with", claim)?;
    let mut buoy1 = cast.device("buoy-1", &[])?;
    let buoy2 = cast.device("buoy-2", &["--queue", "--awake", "2"])?;
    story.step("they are bootstrapped: each gets a key of its own, which nobody has typed", |client| {
        buoy1.wait_for_line("BOOTSTRAPPED", PATIENCE)?;
        buoy2.wait_for_line("BOOTSTRAPPED", PATIENCE)?;
        minted(client)
    })?;
    story.step("they register over DTLS, one of them sleeps between its contacts", |client| {
        let first = wait_for("buoy-1", || registration(client, "buoy-1"))?;
        let second = wait_for("buoy-2", || registration(client, "buoy-2"))?;
        ensure!(first.secure && second.secure, "both should speak over DTLS");
        ensure!(!first.queue_mode && second.queue_mode, "buoy-2 should be in queue mode");
        Ok(format!("buoy-1 at {}, buoy-2 at {} (queue mode)", first.address, second.address))
    })?;
    story.step("reads", |client| {
        let maker = read(client, "buoy-1", "3/0/0")?;
        let time = read(client, "buoy-1", "3/0/13")?;
        let version = read(client, "buoy-1", "3/0/3")?;
        ensure!(version == "1.0.0", "buoy-1 should run 1.0.0, and runs {version}");
        Ok(format!("manufacturer {maker}, clock {time} ms, firmware {version}"))
    })?;
    story.step("a live observation", observe)?;
    story.step("the light goes on and off", |client| {
        for on in [true, false] {
            write(
                client,
                "buoy-1",
                "3311/0/5850",
                &json!({"kind": "singleResource", "id": 5850, "value": on}),
            )?;
            let is = read(client, "buoy-1", "3311/0/5850")?;
            ensure!(is == on, "the light should be {on}, and is {is}");
        }
        Ok("on, off".into())
    })?;
    story.step("an operation waits for the sleeping device, and is delivered when it wakes", wake)?;
    let good = upload(&client, &cast, "1.1.0")?;
    story.step("signed 1.1.0 rolls out", |client| {
        let update = update(client, "buoy-1", &good, Delivery::PullCoap)?;
        ended(&update, "updated")
    })?;
    let crashing = upload(&client, &cast, "1.2.0")?;
    story.step("1.2.0 crashes and is rolled back", |client| {
        let update = update(client, "buoy-1", &crashing, Delivery::Push)?;
        ended(&update, "rolled_back")
    })?;
    let tampered = upload(&client, &cast, "1.3.0")?;
    story.step("a tampered image is refused", |client| {
        let update = update(client, "buoy-1", &tampered, Delivery::PullCoap)?;
        ensure!(
            update.detail.contains("result 5"),
            "the refusal should be an integrity failure: {}",
            update.detail
        );
        ended(&update, "refused")
    })?;
    let large = upload(&client, &cast, "1.4.0")?;
    story.step("power is cut in a download, and it goes on where it stopped", |client| {
        cut_power(client, &cast, &mut buoy1, &large)
    })?;

    println!("\nAll {} steps held, in {} s.", story.steps, started.elapsed().as_secs());
    if !args.once {
        println!("The REST interface stays at {}/api/v1/devices until Ctrl-C.", cast.http);
        wait_for_interrupt()?;
    }
    drop((buoy1, buoy2));
    Ok(())
}

struct Story<'a> {
    client: &'a Client,
    steps: usize,
}

impl Story<'_> {
    fn step(
        &mut self,
        name: &str,
        act: impl FnOnce(&Client) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        self.steps += 1;
        println!("\n{}. {name}", self.steps);
        let outcome =
            act(self.client).with_context(|| format!("step {} did not hold: {name}", self.steps))?;
        println!("   ok: {}", harmless(&outcome));
        Ok(())
    }
}

fn say(line: &str) {
    println!("{}", harmless(line));
}

/// Tries until there is an answer.
fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{what}: nothing after {} s", PATIENCE.as_secs())
}

fn registration(client: &Client, endpoint: &str) -> anyhow::Result<Option<Registration>> {
    match client.device(endpoint) {
        Ok(device) => Ok(device.registration),
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells the server the devices' factory keys, and how they are to be configured.
fn claim(client: &Client) -> anyhow::Result<String> {
    for (endpoint, lifetime, binding) in [("buoy-1", 300, "U"), ("buoy-2", 12, "UQ")] {
        let key = cast::factory_key(endpoint);
        let claim = json!({"endpoint": endpoint, "purpose": "bootstrap", "proof": {"psk": {"key": key}}});
        client.send_json::<Value>(ureq::http::Method::POST, "/api/v1/credentials", &claim)?;
        let server = json!({"lifetime": lifetime, "binding": binding, "credentials": "mint_psk"});
        let config = json!({"pattern": endpoint, "servers": [server]});
        client.send_json::<Value>(ureq::http::Method::PUT, "/api/v1/bootstrap/configs", &config)?;
    }
    Ok("buoy-1, buoy-2".into())
}

/// The identities under which the devices are known now.
fn minted(client: &Client) -> anyhow::Result<String> {
    let listed = client.all::<buoy_api::Credential>("/api/v1/credentials?purpose=lwm2m&limit=100")?;
    let identities: Vec<_> = listed.into_iter().filter_map(|credential| credential.identity).collect();
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

fn wake(client: &Client) -> anyhow::Result<String> {
    wait_for(
        "buoy-2 to sleep",
        || Ok((client.device("buoy-2")?.state == DeviceState::Asleep).then_some(())),
    )?;
    let started = Instant::now();
    let answer: Value = client.get("/api/clients/buoy-2/3/0/0")?;
    ensure!(answer["delayed"] == true, "a sleeping device's answer should be delayed: {answer}");
    let operation = wait_for("the operation", || {
        let newest = client.operations(Some("buoy-2"), None, 1)?.items.into_iter().next();
        Ok(newest.filter(|operation| operation.state == "succeeded"))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(format!("{} {} was queued, and answered {seconds:.1} s later", operation.method, operation.path))
}

fn upload(client: &Client, cast: &Cast, version: &str) -> anyhow::Result<Firmware> {
    let (image, signature) = cast.release(version)?;
    let firmware = client.upload_firmware(Some(&format!("demo {version}")), &image)?;
    Ok(client.upload_signature(&firmware.digest, &signature)?)
}

fn start(client: &Client, endpoint: &str, firmware: &Firmware, delivery: Delivery) -> anyhow::Result<Update> {
    Ok(client.start_update(&StartUpdate {
        endpoint: endpoint.into(),
        firmware: firmware.digest.clone(),
        delivery,
        version: None,
        install_timeout: None,
        download_timeout: None,
    })?)
}

fn update(
    client: &Client,
    endpoint: &str,
    firmware: &Firmware,
    delivery: Delivery,
) -> anyhow::Result<Update> {
    let update = start(client, endpoint, firmware, delivery)?;
    follow(client, update.id)
}

/// Tells the stages of an update until it ends.
fn follow(client: &Client, id: u64) -> anyhow::Result<Update> {
    let mut told = 0;
    wait_for("the update", || {
        let update = client.update(id)?;
        for stage in update.history.iter().skip(told) {
            println!("   … {}", harmless(&stage.detail));
        }
        told = update.history.len();
        Ok(update.ended.then_some(update))
    })
}

fn ended(update: &Update, expected: &str) -> anyhow::Result<String> {
    ensure!(update.state == expected, "the update should end as {expected}, and ended: {}", update.detail);
    let old = update.old_version.as_deref().unwrap_or("?");
    Ok(format!("{old} → {}: {}", update.version, update.detail))
}

fn cut_power(
    client: &Client,
    cast: &Cast,
    device: &mut Device,
    firmware: &Firmware,
) -> anyhow::Result<String> {
    let update = start(client, "buoy-1", firmware, Delivery::PullCoap)?;
    device.wait_for_line("PROGRESS 262144", PATIENCE)?;
    device.cut_power()?;
    println!("   … power off");
    *device = cast.device("buoy-1", &[])?;
    println!("   … power on");
    let resumed = device.wait_for_line("RESUME ", PATIENCE)?;
    let update = follow(client, update.id)?;
    Ok(format!("{} (download: {})", ended(&update, "updated")?, resumed.to_lowercase()))
}

fn wait_for_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}
