//! Campaigns over a swarm: through `buoy serve`, `/api/v1` and `buoy ctl`.
#![cfg(target_os = "linux")]

mod common;

use std::time::{Duration, Instant};

use buoy_api::{Campaign, CampaignDevice, CampaignState, Device, Page};
use common::{Server, Swarm, Workshop, wait_until};

fn swarm(server: &Server, devices: usize, more: &[&str]) -> Swarm {
    let always = ["--updates", "--lifetime", "600", "--seconds", "900"];
    let swarm = Swarm::start(server, devices, &[&always[..], more].concat());
    wait_until("all are registered", || {
        let counts = server.client().get::<serde_json::Value>("/api/v1/device-counts?by=state").unwrap();
        counts["items"][0]["count"].as_u64() == Some(devices as u64)
    });
    swarm
}

fn campaign(server: &Server) -> Campaign {
    server.client().get("/api/v1/campaigns/1").unwrap()
}

/// Waits until a campaign is so, for as long as a slow machine needs.
fn wait_for(server: &Server, what: &str, is_so: impl Fn(&Campaign) -> bool) -> Campaign {
    let began = Instant::now();
    loop {
        let campaign = campaign(server);
        if is_so(&campaign) {
            return campaign;
        }
        assert!(began.elapsed() < Duration::from_secs(400), "{what}: {campaign:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn blanks_as_one(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A thousand devices, of which three in a hundred crash on the release.
#[test]
fn a_campaign_stops_itself_survives_kills_and_ends_with_a_mended_release() {
    const DEVICES: usize = 1000;
    let workshop = Workshop::new();
    let (bad, mended) = (workshop.release("2.0.0", "good"), workshop.release("2.0.1", "good"));
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let _swarm = swarm(&server, DEVICES, &["--crash", "3%", "--on", "2.0.0"]);
    for image in [&bad, &mended] {
        server.says(&["firmware", "upload", image.to_str().unwrap()]);
    }
    let plan = [
        "--firmware",
        "2.0.0.bin",
        "--waves",
        "1%,20%,100%",
        "--stop-rate",
        "2",
        "--stop-minimum",
        "50",
        "--concurrent",
        "300",
    ];
    let preview = server.says(&[&["campaign", "preview", "all on 2"], &plan[..]].concat());
    assert!(preview.contains("10, 200, 790"), "{preview}");
    let made = server.says(&[&["campaign", "add", "all on 2", "--start"], &plan[..]].concat());
    assert!(made.contains("campaign 1 is running"), "{made}");

    // It goes on after each kill.
    for confirmed in [1, 40] {
        wait_for(&server, "it goes on", |it| {
            it.counts.confirmed >= confirmed || it.state == CampaignState::Paused
        });
        let coap = server.coap.clone();
        server.kill();
        server = Server::start_at(&coap, &data, &[]);
    }
    let stopped = wait_for(&server, "it stops itself", |it| {
        it.state == CampaignState::Paused && it.counts.updating == 0
    });
    assert!(stopped.reason.contains("stopped itself"), "{}", stopped.reason);
    assert!(stopped.waves[1].open && !stopped.waves[2].open, "{stopped:?}");
    assert_eq!(stopped.failures[0].kind, "rolled_back", "{stopped:?}");
    // Those that crashed run what they ran before.
    let failed: Page<CampaignDevice> =
        server.client().get("/api/v1/campaigns/1/devices?stage=failed&limit=1000").unwrap();
    assert_eq!(failed.items.len() as u64, stopped.counts.failed);
    for device in &failed.items {
        assert_eq!(server.says(&["read", &device.endpoint, "/3/0/3"]), "1.0.0\n");
    }
    assert!(server.refuses(&["campaign", "watch", "1"]).contains("stopped itself"));

    let resumed = server.says(&["campaign", "resume", "1", "--firmware", "2.0.1.bin"]);
    assert!(resumed.contains("is running"), "{resumed}");
    wait_for(&server, "it goes on", |it| it.counts.confirmed >= 100);
    let coap = server.coap.clone();
    server.kill();
    server = Server::start_at(&coap, &data, &[]);
    let done = wait_for(&server, "it ends", |it| it.state == CampaignState::Done);
    assert_eq!(done.counts.confirmed + done.counts.had_it, DEVICES as u64, "{done:?}");
    let path = format!("/api/v1/devices?limit=1000&filter={}", buoy_api::client::encode("firmware = 2.0.1"));
    let on_version: Page<Device> = server.client().get(&path).unwrap();
    assert_eq!(on_version.items.len(), DEVICES);
    let report = server.says(&["campaign", "report", "1"]);
    assert!(report.contains("1000 of 1000 devices run the version (100.0 %)"), "{report}");
    assert!(report.contains("resumed by local with 2.0.1"), "{report}");
    let audit = server.says(&["audit", "--action", "campaign"]);
    assert!(audit.contains("campaign.resume") && audit.contains("campaign.start"), "{audit}");
    let of_campaign = server.says(&["audit", "--principal", "campaign 1 (all on 2)"]);
    assert!(of_campaign.contains("update.start"), "{of_campaign}");
    server.says(&["campaign", "remove", "1"]);
    assert!(server.refuses(&["campaign", "show", "1"]).contains("there is no campaign 1"));
}

#[test]
fn campaigns_are_commanded_by_persons_and_what_is_wrong_is_refused() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _swarm = swarm(&server, 20, &[]);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let add =
        |more: &[&str]| server.ctl(&[&["campaign", "add", "x", "--firmware", "2.0.0.bin"], more].concat());
    let refused = |more: &[&str]| String::from_utf8(add(more).stderr).unwrap();
    assert!(refused(&["--filter", "modell = x"]).contains("at character 1"));
    assert!(refused(&["--filter", "group = nowhere"]).contains("there is no group nowhere"));
    assert!(refused(&["--waves", "200%,100%"]).contains("a percentage is 0 to 100"));
    assert!(refused(&["--waves", "many,100%"]).contains("no number of devices"));
    assert!(refused(&["--waves", "1%,10%"]).contains("end --waves with 100%"));
    assert!(refused(&["--stop-rate", "0"]).contains("stop.rate"));
    assert!(server.says(&["campaign", "list"]).lines().count() == 1);

    assert!(add(&["--waves", "2,100%", "--manual", "--filter", "name ~ \"swarm-*\""]).status.success());
    assert!(server.refuses(&["campaign", "pause", "1"]).contains("the campaign is draft"));
    server.says(&["campaign", "start", "1"]);
    wait_for(&server, "a person is asked", |it| it.reason.contains("approval"));
    assert_eq!(campaign(&server).counts.confirmed, 2);
    assert!(server.refuses(&["campaign", "watch", "1"]).contains("campaign approve 1"));
    server.says(&["campaign", "pause", "1"]);
    server.says(&["campaign", "approve", "1"]);
    assert_eq!(campaign(&server).state, CampaignState::Paused);
    assert!(server.refuses(&["campaign", "remove", "1"]).contains("can't be done now"));
    server.says(&["campaign", "resume", "1"]);
    server.says(&["campaign", "watch", "1"]);
    let done = campaign(&server);
    assert_eq!((done.state, done.counts.confirmed), (CampaignState::Done, 20));

    // Devices that run it are done without a download.
    assert!(add(&["--start"]).status.success());
    let had_it: Campaign = loop {
        let second: Campaign = server.client().get("/api/v1/campaigns/2").unwrap();
        if second.state == CampaignState::Done {
            break second;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!((had_it.counts.had_it, had_it.counts.confirmed), (20, 0));
    assert!(refused(&["--filter", "state = offline", "--start"]).contains("no device matches"));
}

#[test]
fn a_rehearsal_says_where_a_campaign_would_stop_and_when_it_would_end() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let plan =
        ["--firmware", "2.0.0.bin", "--waves", "1%,20%,100%", "--stop-rate", "2", "--stop-minimum", "50"];
    server.says(&[&["campaign", "add", "all on 2"], &plan[..]].concat());

    let good = server.says(&["campaign", "rehearse", "1", "--devices", "2000", "--sleep", "1d"]);
    assert!(good.contains("the campaign would end"), "{good}");
    assert!(good.contains("2000 of 2000 run the release"), "{good}");
    let crash = ["--devices", "2000", "--crash", "5%", "--on", "2.0.0", "--slow", "64kbit"];
    let bad = server.says(&[&["campaign", "rehearse", "1"], &crash[..]].concat());
    assert!(bad.contains("the campaign would stop itself in wave 2"), "{bad}");
    assert!(bad.contains("rolled_back"), "{bad}");
    let offline = server.says(&["campaign", "rehearse", "1", "--devices", "500", "--offline", "3%"]);
    assert!(
        offline.contains("would not end") && offline.contains("give the campaign a deadline"),
        "{offline}"
    );
    let report = server.says(&["campaign", "rehearse", "1", "--devices", "100", "--report"]);
    assert!(report.contains("100 of 100 devices run the version (100.0 %)"), "{report}");

    let stored = campaign(&server);
    assert_eq!((stored.state, stored.counts.confirmed), (CampaignState::Draft, 0));
    let file = workshop.path("plan.json");
    std::fs::write(&file, serde_json::to_vec(&stored.plan).unwrap()).unwrap();
    let of_file = server.says(&["campaign", "rehearse", file.to_str().unwrap(), "--devices", "100"]);
    assert!(of_file.contains("the campaign would end"), "{of_file}");
    let too_many = server.refuses(&["campaign", "rehearse", "1", "--devices", "100001"]);
    assert!(too_many.contains("1 to 100000 devices"), "{too_many}");
    let rate = server.ctl(&["campaign", "rehearse", "1", "--slow", "64"]);
    assert!(String::from_utf8(rate.stderr).unwrap().contains("64kbit"));
    assert!(server.refuses(&["campaign", "rehearse", "9"]).contains("there is no campaign 9"));
}

/// Of which half crash on the release: the wave that was updated goes back, the rest was never tried.
#[test]
fn a_campaign_that_stops_itself_puts_its_wave_back_on_the_version_before() {
    const DEVICES: usize = 40;
    let workshop = Workshop::new();
    let (first, second) = (workshop.release("1.0.0", "good"), workshop.release("2.0.0", "good"));
    let data = workshop.path("data");
    let mut server = Server::start(&data);
    let _swarm = swarm(&server, DEVICES, &["--crash", "50%", "--on", "2.0.0"]);
    for image in [&first, &second] {
        server.says(&["firmware", "upload", image.to_str().unwrap()]);
    }
    let plan =
        ["--firmware", "2.0.0.bin", "--waves", "20,100%", "--stop-failures", "3", "--on-stop", "roll-back"];
    server.says(&[&["campaign", "add", "back", "--start"], &plan[..]].concat());
    wait_for(&server, "it stops itself", |it| it.state == CampaignState::Paused);
    // The way back goes on after a kill.
    let coap = server.coap.clone();
    server.kill();
    server = Server::start_at(&coap, &data, &[]);
    let is_back =
        |it: &Campaign| it.events.iter().any(|event| event.text.contains("run the version before again"));
    let back = wait_for(&server, "its wave is back", is_back);
    assert!(back.reason.contains("stopped itself"), "{}", back.reason);
    let wave = back.waves[0].counts;
    assert!(wave.put_back > 0 && wave.failed >= 3, "{wave:?}");
    assert_eq!((wave.confirmed, wave.put_back + wave.failed), (0, 20));
    assert_eq!(back.waves[1].counts.waiting, 20);
    let put_back: Page<CampaignDevice> =
        server.client().get("/api/v1/campaigns/1/devices?stage=put_back&limit=1000").unwrap();
    assert_eq!(put_back.items.len() as u64, wave.put_back);
    for device in &put_back.items {
        assert_eq!(server.says(&["read", &device.endpoint, "/3/0/3"]), "1.0.0\n");
        let update: Page<buoy_api::Update> =
            server.client().get(&format!("/api/v1/updates?endpoint={}&limit=1", device.endpoint)).unwrap();
        assert_eq!((update.items[0].version.as_str(), update.items[0].state.as_str()), ("1.0.0", "updated"));
    }
    assert!(server.says(&["campaign", "report", "1"]).contains("put back"));
}

#[test]
fn devices_are_told_for_how_long_they_may_put_the_installation_off() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _swarm = swarm(&server, 1, &[]);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let plan = ["--firmware", "2.0.0.bin", "--defer", "2h", "--severity", "optional", "--start"];
    server.says(&[&["campaign", "add", "later"], &plan[..]].concat());
    let done = wait_for(&server, "it ends", |it| it.state == CampaignState::Done);
    assert_eq!(done.counts.confirmed, 1);
    let operations: Page<buoy_api::Operation> = server.client().get("/api/v1/operations?limit=1000").unwrap();
    for path in ["/5/0/11", "/5/0/13"] {
        let told = operations.items.iter().find(|it| it.path == path);
        let told = told.unwrap_or_else(|| panic!("{path}: {operations:?}"));
        assert_eq!(told.state, buoy_api::OperationState::Succeeded, "{path}");
    }
    let refused = server.refuses(&["campaign", "add", "x", "--firmware", "2.0.0.bin", "--defer", "31d"]);
    assert!(refused.contains("a deferral is at most"), "{refused}");
}

#[test]
fn devices_are_updated_in_their_own_windows_and_only_if_the_release_is_for_them() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    let _swarm = swarm(&server, 4, &[]);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    // In six hours in UTC, and now where the clocks are six hours ahead.
    let now = jiff::Timestamp::now().as_second();
    let time = |minutes: i64| {
        let minutes = (now / 60 + minutes).rem_euclid(24 * 60);
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    };
    let window = format!("{}-{}", time(5 * 60), time(8 * 60));
    server.says(&["note", "swarm-000000", "--field", "timezone=Etc/GMT-6"]);
    server.says(&["note", "swarm-000001", "--field", "timezone=Etc/GMT-6", "--field", "project=lamp"]);
    let plan = ["--firmware", "2.0.0.bin", "--window", &window, "--zone", "UTC"];
    let preview = server.says(&[&["campaign", "preview", "x"], &plan[..]].concat());
    assert!(blanks_as_one(&preview).contains("incompatible 1"), "{preview}");
    assert!(preview.contains("its project is lamp"), "{preview}");
    server.says(&[&["campaign", "add", "x", "--start"], &plan[..]].concat());
    let so_far = wait_for(&server, "the first is updated", |it| it.counts.confirmed == 1);
    assert_eq!((so_far.counts.skipped, so_far.counts.waiting, so_far.counts.failed), (1, 2, 0), "{so_far:?}");
    let device = |stage: &str| -> Vec<CampaignDevice> {
        let path = format!("/api/v1/campaigns/1/devices?stage={stage}");
        server.client().get::<Page<CampaignDevice>>(&path).unwrap().items
    };
    assert_eq!(device("confirmed")[0].endpoint, "swarm-000000");
    let skipped = &device("skipped")[0];
    assert!(skipped.endpoint == "swarm-000001" && skipped.detail.contains("incompatible"), "{skipped:?}");
    for waiting in device("waiting") {
        assert!(waiting.detail.contains("its maintenance window opens at"), "{waiting:?}");
        assert!(waiting.detail.contains("UTC"), "{waiting:?}");
    }
    let wrong = |more: &[&str]| {
        server.refuses(&[&["campaign", "add", "y", "--firmware", "2.0.0.bin"], more].concat())
    };
    assert!(wrong(&["--window", "22:00-05:00", "--zone", "Mars/Olympus"]).contains("no time zone"));
    assert!(wrong(&["--window", "25:00-05:00"]).contains("\"25:00\" is no time of day"));
    assert!(wrong(&["--window", "22:00-22:00"]).contains("another end"));
    let refused = server.says(&["campaign", "preview", "z", "--firmware", "2.0.0.bin", "--refuse-unknown"]);
    assert!(blanks_as_one(&refused).contains("incompatible 4"), "{refused}");
    assert!(refused.contains("not known of it"), "{refused}");
}

#[test]
fn two_operators_who_edit_the_same_thing_notice_it_and_a_repeated_request_makes_one_campaign() {
    let workshop = Workshop::new();
    let image = workshop.release("2.0.0", "good");
    let server = Server::start(&workshop.path("data"));
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let firmware: Page<serde_json::Value> = server.client().get("/api/v1/firmware").unwrap();
    let plan = |name: &str| serde_json::json!({"name": name, "firmware": firmware.items[0]["digest"]});
    let client = server.client();

    let made = |plan| client.send_json_once::<Campaign>("key-1", "/api/v1/campaigns", &plan);
    let (first, again) = (made(plan("a")).unwrap(), made(plan("a")).unwrap());
    assert_eq!((first.id, again.id), (1, 1));
    assert!(made(plan("b")).unwrap_err().to_string().contains("was used for another request"));

    // Whatever has a revision: where it is, and two ways to change it.
    let put = |path: &str, revision: Option<&str>, body: &serde_json::Value| {
        let answer = client.send_json_if::<serde_json::Value>(revision, ureq::http::Method::PUT, path, body);
        answer.map(|value| value["revision"].as_str().unwrap().to_owned()).map_err(|error| error.to_string())
    };
    let things = [
        ("/api/v1/campaigns/1", plan("ada's"), plan("bob's")),
        (
            "/api/v1/groups/north",
            serde_json::json!({"description": "ada's"}),
            serde_json::json!({"description": "bob's"}),
        ),
        (
            "/api/v1/desired-states/s",
            serde_json::json!({"settings": [{"path": "/1/0/1", "value": 300}]}),
            serde_json::json!({"settings": [{"path": "/1/0/1", "value": 600}]}),
        ),
    ];
    for (path, ada, bob) in things {
        let read = put(path, None, &ada).unwrap();
        let of_ada = put(path, Some(&read), &bob).unwrap();
        assert_ne!(read, of_ada, "{path}");
        let refused = put(path, Some(&read), &ada).unwrap_err();
        assert!(refused.contains("somebody else has changed it"), "{path}: {refused}");
        put(path, Some(&of_ada), &ada).unwrap();
        // The entity tag of the answer begins with the revision.
        let url = format!("{}{path}", server.http);
        let answer = ureq::get(&url).call().unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with(&format!("\"{read}-")), "{path}: {tag}");
        let known = ureq::get(&url).header("If-None-Match", &tag).call().unwrap();
        assert_eq!(known.status(), 304, "{path}");
        let delete = |tag: &str| {
            let request = ureq::delete(&url).header("If-Match", tag);
            request.config().http_status_as_error(false).build().call().unwrap().status().as_u16()
        };
        assert_eq!(delete("\"000000000000\""), 412, "{path}");
        assert_eq!(delete(&tag), 204, "{path}");
    }
    let create = |expected: u16| {
        let request = ureq::put(&format!("{}/api/v1/groups/new", server.http)).header("If-None-Match", "*");
        let request = request.header("Content-Type", "application/json");
        let request = request.config().http_status_as_error(false).build();
        assert_eq!(request.send("{}").unwrap().status().as_u16(), expected);
    };
    create(200);
    create(412);
    let shown = server.says(&["group", "show", "new"]);
    let revision = shown.lines().find_map(|line| line.strip_prefix("revision")).unwrap().trim().to_owned();
    server.says(&["group", "set", "new", "--description", "x", "--revision", &revision]);
    let late = server.refuses(&["group", "set", "new", "--description", "y", "--revision", &revision]);
    assert!(late.contains("somebody else has changed it"), "{late}");
}
