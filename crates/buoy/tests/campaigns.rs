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
