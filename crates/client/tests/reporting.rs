//! Information reporting, driven by hand (int-301 to int-311).

mod world;

use buoy_client::{ClientConfig, Event, SendRefused, Server};
use buoy_coap::endpoint::reject;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::Kind;
use buoy_lwm2m::format::decode;
use buoy_lwm2m::path::Path;
use world::{FIRST, Sent, World};

const TEXT: ContentFormat = ContentFormat::TEXT;
const TEMPERATURE: &str = "/3303/0/5700";

fn observing(attributes: &[&str]) -> World {
    let mut world = World::registered();
    if !attributes.is_empty() {
        assert_eq!(world.write_attributes(TEMPERATURE, attributes), Code::CHANGED);
    }
    let first = world.observe(TEMPERATURE, b"obs", TEXT);
    assert_eq!((first.code(), first.text().as_str()), (Code::CONTENT, "20"));
    assert!(first.uint(OptionNumber::OBSERVE).is_some());
    world
}

#[test]
fn int_301_observe_and_notify() {
    let mut world = observing(&[]);
    world.set_temperature(21.5);
    world.set_temperature(22.5);
    let notifications = world.notifications();
    let numbers: Vec<_> =
        notifications.iter().map(|sent| sent.uint(OptionNumber::OBSERVE).unwrap()).collect();
    assert_eq!(notifications.iter().map(|sent| sent.text()).collect::<Vec<_>>(), ["21.5", "22.5"]);
    assert!(numbers[0] < numbers[1]);
    assert!(notifications.iter().all(|sent| sent.message().token() == b"obs"));
    world.set_temperature(22.5);
    assert!(world.notified().is_empty(), "nothing new, nothing to tell");
}

#[test]
fn int_302_a_reset_ends_the_observation() {
    let mut world = observing(&[]);
    world.set_temperature(21.0);
    let notification = world.notifications().remove(0);
    world.deliver(FIRST, &reject(notification.message().message_id()));
    assert!(world.saw(Event::ObservationEnded(FIRST, Path::resource(3303, 0, 5700))));
    world.set_temperature(22.0);
    assert!(world.notified().is_empty());
}

#[test]
fn int_302_a_reset_of_a_confirmable_notification_ends_the_observation() {
    let mut world = observing(&["con=1"]);
    world.set_temperature(21.0);
    let notification = world.pop();
    assert_eq!(notification.kind(), Kind::Confirmable);
    world.deliver(FIRST, &reject(notification.message().message_id()));
    world.set_temperature(22.0);
    assert!(world.notified().is_empty());
}

#[test]
fn int_303_a_get_with_observe_1_ends_the_observation() {
    let mut world = observing(&[]);
    let answer = world.ask_with(
        FIRST,
        b"obs",
        Code::GET,
        TEMPERATURE,
        &[(OptionNumber::OBSERVE, &[1]), (OptionNumber::ACCEPT, &[])],
        b"",
    );
    assert_eq!((answer.code(), answer.uint(OptionNumber::OBSERVE)), (Code::CONTENT, None));
    world.set_temperature(22.0);
    assert!(world.notified().is_empty());
}

#[test]
fn an_unacknowledged_confirmable_notification_ends_the_observation_and_the_device_registers_anew() {
    let mut world = observing(&["con=1"]);
    world.write_text("/1/0/1", "86400");
    world.accept_update();
    world.set_temperature(21.0);
    world.wait(100);
    assert!(world.saw(Event::ObservationEnded(FIRST, Path::resource(3303, 0, 5700))));
    assert_eq!(world.request().path(), "rd");
}

const COMPOSITE: &[u8] = br#"[{"n":"/3303/0/5700"},{"n":"/3311/0/5850"}]"#;

fn observe_composite(world: &mut World) -> Sent {
    let options = [(OptionNumber::OBSERVE, &b""[..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    world.ask_with(FIRST, b"comp", Code::FETCH, "", &options, COMPOSITE)
}

#[test]
fn int_304_and_310_a_composite_observation_tells_of_each_of_its_paths() {
    let mut world = World::registered();
    let first = observe_composite(&mut world);
    assert_eq!(first.text(), r#"[{"n":"/3303/0/5700","v":20},{"n":"/3311/0/5850","vb":false}]"#);
    world.set_temperature(21.0);
    assert_eq!(world.notified(), [r#"[{"n":"/3303/0/5700","v":21},{"n":"/3311/0/5850","vb":false}]"#]);
    world.write_text("/3311/0/5850", "1");
    assert_eq!(world.notified(), [r#"[{"n":"/3303/0/5700","v":21},{"n":"/3311/0/5850","vb":true}]"#]);
}

#[test]
fn int_305_a_composite_observation_is_cancelled() {
    let mut world = World::registered();
    observe_composite(&mut world);
    let options = [(OptionNumber::OBSERVE, &[1][..]), (OptionNumber::CONTENT_FORMAT, &[110])];
    assert_eq!(world.ask_with(FIRST, b"comp", Code::FETCH, "", &options, COMPOSITE).code(), Code::CONTENT);
    world.set_temperature(21.0);
    assert!(world.notified().is_empty());
}

fn send(world: &mut World, paths: &[Path]) -> Result<(), SendRefused> {
    let (client, now) = (&mut world.device.client, world.now);
    let sent = world.device.objects.with(|objects| client.send(now, FIRST, paths, objects));
    world.settle();
    sent
}

#[test]
fn int_306_and_311_values_are_sent_unasked() {
    let mut world = World::registered();
    send(&mut world, &[Path::resource(3303, 0, 5700), Path::resource(3, 0, 0)]).unwrap();
    let request = world.request().clone();
    assert_eq!((request.code(), request.path().as_str()), (Code::POST, "dp"));
    assert_eq!(request.format(), Some(ContentFormat::SENML_CBOR));
    let items = decode(ContentFormat::SENML_CBOR, Path::ROOT, request.payload()).unwrap();
    assert_eq!(items.count(), 2);
    world.answer(&request, Code::CHANGED, &[]);
    assert!(world.saw(Event::SendDone(FIRST, Code::CHANGED)));
    assert_eq!(send(&mut world, &[Path::resource(9999, 0, 0)]), Err(SendRefused::NothingThere));
}

#[test]
fn int_307_a_muted_device_sends_nothing() {
    let mut world = World::registered();
    assert_eq!(world.write_text("/1/0/23", "1"), Code::CHANGED);
    assert_eq!(send(&mut world, &[Path::resource(3303, 0, 5700)]), Err(SendRefused::Muted));
    world.write_text("/1/0/23", "0");
    assert_eq!(send(&mut world, &[Path::resource(3303, 0, 5700)]), Ok(()));
}

#[test]
fn pmin_holds_notifications_back_and_the_last_value_is_told() {
    let mut world = observing(&["pmin=10"]);
    world.wait(20);
    world.set_temperature(21.0);
    assert_eq!(world.notified(), ["21"]);
    world.set_temperature(22.0);
    world.set_temperature(23.0);
    world.wait(9);
    assert!(world.notified().is_empty());
    world.wait(2);
    assert_eq!(world.notified(), ["23"]);
}

#[test]
fn pmax_tells_the_value_again() {
    let mut world = observing(&["pmax=30"]);
    world.wait(29);
    assert!(world.notified().is_empty());
    world.wait(2);
    assert_eq!(world.notified(), ["20"]);
    world.wait(61);
    assert_eq!(world.notified(), ["20", "20"]);
}

#[test]
fn thresholds_and_steps_decide_what_is_told() {
    let mut world = observing(&["gt=30", "lt=10", "st=8"]);
    for celsius in [25.0, 29.0, 31.0, 35.0, 29.0, 22.0, 9.0, 8.0, 11.0] {
        world.set_temperature(celsius);
    }
    // 29 is a step of 8 away from nothing that was told: from 20 it is 9.
    assert_eq!(world.notified(), ["29", "31", "29", "9", "11"]);
}

#[test]
fn the_edge_of_a_flag_is_told() {
    let mut world = World::registered();
    assert_eq!(world.write_attributes("/3311/0/5850", &["edge=1"]), Code::CHANGED);
    world.observe("/3311/0/5850", b"o", TEXT);
    for on in ["1", "0", "1", "0"] {
        world.write_text("/3311/0/5850", on);
    }
    assert_eq!(world.notified(), ["1", "1"], "each time that it goes on");
    assert_eq!(world.write_attributes("/3311/0/5850", &["edge=0"]), Code::CHANGED);
    for on in ["1", "0", "0", "1", "1", "0"] {
        world.write_text("/3311/0/5850", on);
    }
    assert_eq!(world.notified(), ["0", "0"], "each time that it goes off");
}

#[test]
fn attributes_are_inherited_and_defaults_come_from_the_server_object() {
    let mut world = World::registered();
    world.write_attributes("/3303", &["pmax=100"]);
    world.write_attributes("/3303/0", &["pmax=50"]);
    world.observe(TEMPERATURE, b"o", TEXT);
    world.wait(51);
    assert_eq!(world.notified().len(), 1);
    world.write_attributes("/3303/0", &["pmax"]);
    world.write_attributes("/3303", &["pmax"]);
    world.write_text("/1/0/3", "20");
    world.wait(21);
    assert_eq!(world.notified().len(), 1);
}

#[test]
fn evaluation_periods_rule_when_the_value_is_looked_at() {
    let mut world = observing(&["epmin=10"]);
    world.set_temperature(21.0);
    assert!(world.notified().is_empty(), "the first look was less than epmin ago");
    world.wait(11);
    assert_eq!(world.notified(), ["21"]);
    let mut world = observing(&["epmax=5"]);
    // The application doesn't say that the value changed; the engine looks for itself.
    let mut other = buoy_client::objects::Temperature::new(33.0, None);
    std::mem::swap(&mut world.device.objects.temperature, &mut other);
    world.wait(6);
    assert_eq!(world.notified(), ["33"]);
}

#[test]
fn a_notification_is_confirmable_once_a_day() {
    let mut world = observing(&["pmax=3600"]);
    world.write_text("/1/0/1", "1000000");
    world.accept_update();
    let mut confirmable = 0;
    for _ in 0..49 {
        world.wait(3600);
        confirmable += world.notifications().iter().filter(|sent| sent.kind() == Kind::Confirmable).count();
    }
    assert_eq!(confirmable, 2);
}

#[test]
fn notifications_are_kept_while_there_is_no_network_and_come_with_their_times() {
    let mut world = World::registered();
    world.device.client.set_utc(world.now, 1_700_000_000);
    world.observe(TEMPERATURE, b"o", ContentFormat::SENML_JSON);
    set_online(&mut world, false);
    for celsius in [21.0, 22.0, 23.0] {
        world.wait(10);
        world.set_temperature(celsius);
    }
    assert!(world.sent.is_empty());
    world.wait(10);
    set_online(&mut world, true);
    assert_eq!(world.request().path(), "rd/5a3f");
    assert!(world.notified().is_empty(), "the Update goes first");
    world.accept_update();
    world.settle();
    let notified = world.notified();
    assert_eq!(
        notified,
        [concat!(
            r#"[{"bn":"/3303/0/5700","t":1700000010,"v":21},{"t":1700000020,"v":22},{"t":1700000030,"v":23},"#,
            r#"{"t":1700000040,"v":23}]"#
        )]
    );
    world.set_temperature(24.0);
    assert_eq!(world.notified(), [r#"[{"bn":"/3303/0/5700","v":24}]"#]);
}

#[test]
fn hqmax_limits_what_is_kept_and_1_x_6_forbids_it() {
    for (attributes, storing, kept) in
        [(&["hqmax=2"][..], "1", 3), (&["hqmax=2"], "0", 1), (&["hqmax=0"], "1", 1), (&[], "1", 5)]
    {
        let mut world = World::registered();
        world.write_attributes(TEMPERATURE, attributes);
        world.write_text("/1/0/6", storing);
        world.observe(TEMPERATURE, b"o", ContentFormat::SENML_JSON);
        set_online(&mut world, false);
        for celsius in [21.0, 22.0, 23.0, 24.0] {
            world.wait(1);
            world.set_temperature(celsius);
        }
        set_online(&mut world, true);
        world.sent.retain(|sent| sent.path() == "rd/5a3f");
        let update = world.request().clone();
        world.answer(&update, Code::CHANGED, &[]);
        world.settle();
        let notified = world.notified();
        assert_eq!(notified.len(), 1);
        assert_eq!(notified[0].matches("\"v\":").count(), kept, "{notified:?}");
    }
}

fn set_online(world: &mut World, online: bool) {
    let (client, now) = (&mut world.device.client, world.now);
    world.device.objects.with(|objects| client.set_online(now, online, objects));
    world.settle();
}

#[test]
fn a_sleeping_device_updates_before_it_notifies() {
    let config = ClientConfig { queue_mode: true, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[Server::new(101, 86_400)]);
    world.start();
    world.accept_registration(FIRST, "1");
    world.observe(TEMPERATURE, b"o", TEXT);
    world.wait(200);
    assert!(world.device.client.sleep_until(world.now).is_some());
    world.set_temperature(25.0);
    assert_eq!(world.request().path(), "rd/1");
    assert!(world.notified().is_empty());
    world.accept_update_at("rd/1");
    assert_eq!(world.notified(), ["25"]);
}

#[test]
fn a_large_notification_comes_in_blocks() {
    let mut world = World::with(small_blocks(), &[Server::new(101, 300)]);
    world.start();
    // The list of objects doesn't fit one block either.
    let mut list = String::new();
    loop {
        let request = world.request().clone();
        assert!(request.payload().len() <= 64);
        list += &request.text();
        let block = request.uint(OptionNumber::BLOCK1).expect("a block");
        let option = block.to_be_bytes();
        world.sent.clear();
        if block & 8 == 0 {
            let options = [
                (OptionNumber::LOCATION_PATH, &b"rd"[..]),
                (OptionNumber::LOCATION_PATH, b"1"),
                (OptionNumber::BLOCK1, &option[3..]),
            ];
            world.answer(&request, Code::CREATED, &options);
            break;
        }
        world.answer(&request, Code::CONTINUE, &[(OptionNumber::BLOCK1, &option[3..])]);
    }
    assert!(list.ends_with("</3303/1>,</3311/0>"), "{list}");
    let accept = ContentFormat::SENML_JSON;
    world.observe("/3303/0", b"big", accept);
    world.set_temperature(50.0);
    let notification = world.notifications().remove(0);
    let mut text = notification.text();
    assert_eq!(notification.uint(OptionNumber::BLOCK2), Some(8 | 2));
    for number in 1u8.. {
        let option = [number << 4 | 2];
        let next = world.ask(
            Code::GET,
            "/3303/0",
            &[(OptionNumber::ACCEPT, &[110]), (OptionNumber::BLOCK2, &option)],
            b"",
        );
        assert_eq!(next.code(), Code::CONTENT);
        text += &next.text();
        if next.uint(OptionNumber::BLOCK2).unwrap() & 8 == 0 {
            break;
        }
    }
    assert!(text.starts_with("[{\"bn\":\"/3303/0/\"") && text.ends_with("}]"), "{text}");
}

fn small_blocks() -> ClientConfig {
    ClientConfig {
        block_size: buoy_coap::block::BlockSize::at_most(64),
        ..ClientConfig::new("buoy-1").unwrap()
    }
}
