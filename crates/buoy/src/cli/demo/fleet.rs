//! A fleet with a life of its own beside the story: simulated devices of three models, and what operators would have set up for them. The
//! devices run the engines of real ones; all else goes through the REST interface.

use std::time::Duration;

use anyhow::Context;
use buoy_api::client::{Client, encode};
use buoy_api::{Alert, Campaign, Device, Page};
use buoy_services::hex;
use buoy_sim::account::behind_scheme;
use buoy_sim::swarm::{self, Credential, End, Keys, Names, Proof, SwarmSettings};
use serde_json::{Value, json};
use ureq::http::Method;

use super::cast::Cast;
use super::population::{BAD, DRIFTER, GOOD, HARBOUR, Inhabitant, TIDE, WEATHER, WORKSHOP, inhabitants};
use super::wait_for;

/// Longer than any demo.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// What is noted of devices is of the fleet; those of the story have no notes.
const FLEET: &str = "field.site is set";
const TWO_HOURS: u64 = 2 * 60 * 60 * 1000;

/// Switches so many devices on and waits until they are registered; then sets up what operators would have.
pub(super) fn launch(cast: &Cast, client: &Client, devices: u32) -> anyhow::Result<()> {
    let inhabitants = inhabitants(devices);
    set_up_groups(client)?;
    import(client, &inhabitants)?;
    switch_on(cast, client, &inhabitants)?;
    set_up_alerts(client)?;
    set_up_desired_states(client)?;
    wait_for("the devices of the fleet", || are_known(client, &inhabitants))?;
    start_jobs(client)?;
    start_campaigns(cast, client)
}

/// Waits until the weak battery has been noticed, and takes note of it as an operator would.
pub(super) fn take_note(client: &Client) -> anyhow::Result<()> {
    let rule = "battery-low";
    let subject = "drifter-03";
    wait_for("the alert of a weak battery", || {
        let firing: Page<Alert> =
            client.get(&format!("/api/v1/alerts?state=firing&rule={rule}&limit=100"))?;
        Ok(firing.items.iter().any(|alert| alert.endpoint.as_deref() == Some(subject)).then_some(()))
    })?;
    let note =
        json!({"rule": rule, "subject": subject, "comment": "A new battery goes out with the next boat."});
    post(client, "alerts/acknowledge", &note)
}

fn import(client: &Client, inhabitants: &[Inhabitant]) -> anyhow::Result<()> {
    let noted = inhabitants.iter().map(|Inhabitant { character, site, tags, notes }| {
        json!({"endpoint": character.endpoint, "tags": tags, "notes": notes, "fields": {"site": site}})
    });
    // One that is expected, and not delivered yet.
    let expected = json!({"endpoint": "tide-99", "tags": ["spare"], "fields": {"site": "Kiel"}});
    post(client, "devices", &json!({"devices": noted.chain([expected]).collect::<Vec<_>>()}))
}

fn switch_on(cast: &Cast, client: &Client, inhabitants: &[Inhabitant]) -> anyhow::Result<()> {
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret)?;
    let mut csv = String::from("endpoint,kind,identity,key\n");
    for Inhabitant { character, .. } in inhabitants {
        let name = &character.endpoint;
        let Credential::Psk(key) = Credential::psk(&secret, name) else { continue };
        csv += &format!("{name},psk,{name},{}\n", hex::encode(&key));
    }
    client.import_credentials(csv.as_bytes())?;
    let server = behind_scheme(&cast.coaps, "coaps").unwrap_or(&cast.coaps);
    let settings = SwarmSettings {
        server: server.parse().with_context(|| format!("{server} is no IPv4 address with a port"))?,
        keys: Some(Keys::Derived { secret, proof: Proof::Psk }),
        names: Names { devices: 0, prefix: String::new() },
        characters: inhabitants.iter().map(|it| it.character.clone()).collect(),
        run: FOR_EVER,
        window: 16,
        lifetime: 120,
        queue_mode: false,
        measure_every: MEASURE_EVERY,
        resume: false,
        takes_updates: true,
        flaw: None,
        offline: 0.0,
        link: None,
        end: End::Vanish,
    };
    std::thread::Builder::new().name("fleet".into()).spawn(move || {
        if let Err(error) = swarm::run(&settings, &|_| ()) {
            eprintln!("buoy: the fleet has ended: {error}");
        }
    })?;
    Ok(())
}

/// Whether the server knows what the devices are that campaigns start with. Those that sleep or have flaky links may take longer.
fn are_known(client: &Client, inhabitants: &[Inhabitant]) -> anyhow::Result<Option<()>> {
    let known: Vec<Device> =
        client.all(&format!("/api/v1/devices?limit=500&filter={}", encode("model is set")))?;
    let is_known = |it: &&Inhabitant| known.iter().any(|device| device.endpoint == it.character.endpoint);
    let sound = inhabitants.iter().filter(|it| it.character.loses == 0 && !it.character.sleeps);
    Ok((sound.clone().filter(is_known).count() == sound.count()).then_some(()))
}

fn set_up_groups(client: &Client) -> anyhow::Result<()> {
    let groups = [
        (
            "coast",
            "All that can be reached by car.",
            "field.site != \"North Sea\" and field.site is set",
            None,
        ),
        ("harbours", "Gauges at quays.", &format!("tag = {HARBOUR}"), Some("coast")),
        ("north-sea", "All that drifts.", "field.site = \"North Sea\"", None),
        ("pilots", "They get a new release first.", "tag = pilot", None),
    ];
    for (name, description, filter, parent) in groups {
        put(
            client,
            &format!("groups/{name}"),
            &json!({"description": description, "filter": filter, "parent": parent}),
        )?;
    }
    for (name, filter) in [
        ("weak-batteries", "battery < 20"),
        ("cold-water", "value(/3303/0/5700) < 10"),
        ("gauges-behind", &format!("model = \"{TIDE}\" and firmware < {GOOD}")),
    ] {
        put(client, &format!("filters/{name}"), &json!({"filter": filter}))?;
    }
    Ok(())
}

fn set_up_alerts(client: &Client) -> anyhow::Result<()> {
    client.call::<Value>(Method::POST, "/api/v1/alert-rules/defaults", "", &[])?;
    let rule = |name: &str, filter: &str, severity: &str, hold: u64, description: &str| {
        let condition = json!({"kind": "filter", "filter": filter});
        let rule =
            json!({"condition": condition, "severity": severity, "for": hold, "description": description});
        put(client, &format!("alert-rules/{name}"), &rule)
    };
    // As the usual rules, but nobody wants to wait for minutes here.
    rule(
        "offline",
        "state = offline",
        "warning",
        5,
        "The device was not heard for its lifetime, or it deregistered.",
    )?;
    rule("battery-low", "battery < 15", "warning", 5, "Put a new battery into it with the next trip.")?;
    let warm = "No water of these coasts is so warm: look whether the sensor lies dry.";
    rule("too-warm", "value(/3303/0/5700) > 28", "critical", 5, warm)?;
    rule(
        "weak-signal",
        "signal < -112",
        "info",
        5,
        "Messages get lost. Turn the antenna, or move the device.",
    )?;
    let until = now() + TWO_HOURS;
    let comment = "They are tested on the bench.";
    post(
        client,
        "alert-silences",
        &json!({"filter": format!("tag = {WORKSHOP}"), "until": until, "comment": comment}),
    )
}

fn set_up_desired_states(client: &Client) -> anyhow::Result<()> {
    let observe =
        |path: &str, pmin: &str| json!({"path": path, "observe": true, "attributes": {"pmin": pmin}});
    let settings = [observe("/3303/0/5700", "5"), observe("/3/0/9", "30"), observe("/4/0/2", "30")];
    put(client, "desired-states/reports", &json!({"filter": FLEET, "settings": settings}))?;
    // A device that reports is awake: those at sea shall sleep for most of the time.
    let rarely = [observe("/3303/0/5700", "60")];
    put(
        client,
        "desired-states/reports-at-sea",
        &json!({"filter": "field.site = \"North Sea\"", "priority": 10, "settings": rarely}),
    )?;
    let on = json!({"path": "/3311/0/5850", "value": true});
    let filter = format!("tag = {HARBOUR}");
    put(client, "desired-states/harbour-lights", &json!({"filter": filter, "priority": 10, "settings": [on]}))
}

fn start_jobs(client: &Client) -> anyhow::Result<()> {
    let time = json!({"name": "What time is it there?", "filter": format!("model = \"{WEATHER}\""), "request": {"read": {"path": "/3/0/13"}}});
    post(client, "jobs", &time)?;
    let value = json!([{"path": "/3303/0/5750", "value": "water, 1 m below the surface"}]);
    let label = json!({"name": "Name the sensors", "filter": format!("tag = {HARBOUR}"), "request": {"write": {"path": "/3303/0", "values": value}}});
    post(client, "jobs", &label)
}

/// One campaign goes well but for one device, one stops itself, and one is prepared.
fn start_campaigns(cast: &Cast, client: &Client) -> anyhow::Result<()> {
    let upload = |version: &str| -> anyhow::Result<String> {
        let release = cast.release(version)?;
        let firmware = client.upload_firmware(Some(&release.name), &release.image)?;
        Ok(client.upload_signature(&firmware.digest, &release.signature)?.digest)
    };
    let (good, bad) = (upload(GOOD)?, upload(BAD)?);
    let make = |plan: &Value| client.send_json::<Campaign>(Method::POST, "/api/v1/campaigns", plan);
    let start = |campaign: &Campaign| {
        let path = format!("/api/v1/campaigns/{}/start", campaign.id);
        client.call::<Campaign>(Method::POST, &path, "", &[])
    };
    let gauges = make(&json!({
        "name": format!("{GOOD} for the tide gauges"), "filter": format!("model = \"{TIDE}\""), "firmware": good,
        "waves": [{"count": 6, "gate": {"success": 80.0}}, {"percent": 100.0}], "stop": {"rate": 20.0, "minimum": 10}, "retries": 0,
    }))?;
    start(&gauges)?;
    let buoys = make(&json!({
        "name": format!("{BAD} for the weather buoys"), "filter": format!("model = \"{WEATHER}\""), "firmware": bad,
        "waves": [{"filter": "group = pilots"}, {"percent": 30.0}, {"percent": 100.0}], "stop": {"rate": 25.0, "minimum": 4}, "retries": 0,
    }))?;
    start(&buoys)?;
    make(&json!({
        "name": format!("{GOOD} for the drifters"), "filter": format!("model = \"{DRIFTER}\""), "firmware": good,
        "waves": [{"count": 2, "gate": {"success": 100.0, "healthy": "battery > 5"}}, {"percent": 100.0}],
    }))?;
    Ok(())
}

fn post(client: &Client, what: &str, body: &Value) -> anyhow::Result<()> {
    let sent = client.send_json::<Value>(Method::POST, &format!("/api/v1/{what}"), body);
    sent.map(drop).with_context(|| format!("{what}: {body}"))
}

fn put(client: &Client, what: &str, body: &Value) -> anyhow::Result<()> {
    let sent = client.send_json::<Value>(Method::PUT, &format!("/api/v1/{what}"), body);
    sent.map(drop).with_context(|| format!("{what}: {body}"))
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
