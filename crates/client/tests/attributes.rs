//! The attributes of paths (LwM2M Core 1.2, section 7.3.2): which go together, at which level they stand, and whose hold.

mod world;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::Kind;
use buoy_testkit::Container;
use world::{FIRST, World};

const TEXT: ContentFormat = ContentFormat::TEXT;
const TEMPERATURE: &str = "/3303/0/5700";

fn discover(world: &mut World, path: &str) -> String {
    world.read(path, ContentFormat::LINK).text()
}

/// A device that has a resource with several instances.
fn with_container() -> World {
    let mut world = World::new();
    let mut container = Container::default();
    container.instances.insert(0, ([(0, b"one".to_vec()), (1, b"two".to_vec())].into(), "first".into()));
    world.device.objects.container = Some(container);
    world.start();
    world.accept_registration(FIRST, "5a3f");
    world
}

#[test]
fn attributes_that_contradict_each_other_are_refused_and_change_nothing() {
    for wrong in [
        &["lt=30", "gt=20"][..],
        &["lt=20", "gt=20"],
        &["lt=10", "gt=20", "st=5"],
        &["epmin=10", "epmax=10"],
        &["pmin=-1"],
        &["st=-1"],
        &["gt=1e3"],
        &["con=2"],
        &["edge=1"],
        &["hqmax=many"],
        &["dim=3"],
        &["ver=1.1"],
        &["ssid=101"],
        &["uri=coap://example.org"],
    ] {
        let mut world = World::registered();
        assert_eq!(world.write_attributes(TEMPERATURE, wrong), Code::BAD_REQUEST, "{wrong:?}");
        assert_eq!(discover(&mut world, TEMPERATURE), "</3303/0/5700>", "{wrong:?}");
    }
    let mut world = World::registered();
    for right in [&["lt=10", "gt=20", "st=4.9"][..], &["pmin=60", "pmax=10"], &["epmin=9", "epmax=10"]] {
        assert_eq!(world.write_attributes(TEMPERATURE, right), Code::CHANGED, "{right:?}");
    }
    assert_eq!(world.write_attributes(TEMPERATURE, &["st=5"]), Code::BAD_REQUEST, "with what is set already");
}

#[test]
fn what_is_inherited_may_not_contradict_what_is_set_below() {
    let mut world = World::registered();
    assert_eq!(world.write_attributes("/3303", &["epmax=10"]), Code::CHANGED);
    assert_eq!(world.write_attributes("/3303/0", &["epmin=20"]), Code::BAD_REQUEST);
    assert_eq!(world.write_attributes("/3303/0", &["epmin=20", "epmax=30"]), Code::CHANGED);
}

#[test]
fn thresholds_stand_at_numbers_and_edges_at_flags() {
    let mut world = with_container();
    for (path, attribute, code) in [
        (TEMPERATURE, "gt=1", Code::CHANGED),
        ("/3303/0", "gt=1", Code::BAD_REQUEST),
        ("/3303", "st=1", Code::BAD_REQUEST),
        ("/3/0/0", "lt=1", Code::BAD_REQUEST),
        ("/3311/0/5850", "edge=0", Code::CHANGED),
        ("/3311/0", "edge=0", Code::BAD_REQUEST),
        ("/3311/0/5851", "edge=0", Code::BAD_REQUEST),
        ("/3/0/11/0", "gt=1", Code::CHANGED),
        ("/19/0/0/0", "gt=1", Code::BAD_REQUEST),
        ("/3303", "con=1", Code::CHANGED),
        ("/3303/0", "hqmax=5", Code::CHANGED),
    ] {
        assert_eq!(world.write_attributes(path, &[attribute]), code, "{path} {attribute}");
    }
}

#[test]
fn the_lowest_level_wins_and_what_is_unset_there_is_inherited_again() {
    let mut world = with_container();
    world.write_attributes("/19", &["pmin=1", "pmax=100", "con=1"]);
    world.write_attributes("/19/0", &["pmin=2"]);
    world.write_attributes("/19/0/0", &["pmin=3", "pmax=50"]);
    world.write_attributes("/19/0/0/1", &["pmin=4"]);
    let lowest = "</19/0/0/1>;pmin=4;pmax=50;con=1";
    assert_eq!(
        discover(&mut world, "/19/0/0").split(',').next(),
        Some("</19/0/0>;dim=2;pmin=3;pmax=50;con=1")
    );
    let first = world.observe("/19/0/0/1", b"o", ContentFormat::OCTET_STREAM);
    assert_eq!(first.code(), Code::CONTENT);
    world.wait(49);
    assert!(world.notifications().is_empty());
    world.wait(2);
    let repeated = world.notifications();
    assert_eq!(repeated.len(), 1, "pmax of {lowest}");
    assert_eq!(repeated[0].kind(), Kind::Confirmable, "con of {lowest}");
    world.write_attributes("/19/0/0", &["pmax"]);
    world.wait(60);
    assert!(world.notifications().is_empty(), "the object's pmax holds again");
    world.wait(40);
    assert_eq!(world.notifications().len(), 1);
}

#[test]
fn attributes_of_an_observe_hold_for_it_alone_and_before_those_of_the_path() {
    let mut world = World::registered();
    world.write_attributes(TEMPERATURE, &["pmax=100", "gt=50"]);
    let options = [
        (OptionNumber::OBSERVE, &b""[..]),
        (OptionNumber::URI_QUERY, b"pmax=10"),
        (OptionNumber::ACCEPT, b""),
    ];
    let first = world.ask_with(FIRST, b"own", Code::GET, TEMPERATURE, &options, b"");
    assert_eq!(first.code(), Code::CONTENT);
    world.wait(11);
    assert_eq!(world.notified(), ["20"]);
    world.set_temperature(30.0);
    assert!(world.notified().is_empty(), "gt of the path");
    assert_eq!(discover(&mut world, TEMPERATURE), "</3303/0/5700>;pmax=100;gt=50");
}

#[test]
fn a_maximum_below_the_minimum_is_passed_over() {
    let mut world = World::registered();
    assert_eq!(world.write_attributes(TEMPERATURE, &["pmin=20", "pmax=10"]), Code::CHANGED);
    world.observe(TEMPERATURE, b"o", TEXT);
    world.wait(100);
    assert!(world.notified().is_empty());
    world.set_temperature(21.0);
    assert_eq!(world.notified(), ["21"]);
}

#[test]
fn a_threshold_that_was_crossed_and_crossed_back_is_told_once_pmin_is_over() {
    let mut world = World::registered();
    world.write_attributes(TEMPERATURE, &["pmin=10", "gt=30"]);
    world.observe(TEMPERATURE, b"o", TEXT);
    world.set_temperature(35.0);
    world.set_temperature(25.0);
    assert!(world.notified().is_empty());
    world.wait(11);
    assert_eq!(world.notified(), ["25"]);
}

#[test]
fn object_versions_and_dimensions_are_discovered() {
    let mut world = with_container();
    assert!(discover(&mut world, "/3").starts_with("</3>;ver=1.1,</3/0>"));
    assert!(discover(&mut world, "/3303").starts_with("</3303>;ver=1.1,</3303/0>"));
    assert!(discover(&mut world, "/3311").starts_with("</3311>,</3311/0>"), "1.0 is not said");
    assert!(discover(&mut world, "/19/0").contains("</19/0/0>;dim=2,"));
}

#[test]
fn each_server_has_attributes_of_its_own() {
    use buoy_client::{ClientConfig, Server};
    let servers = [Server::new(101, 300), Server::new(102, 300)];
    let mut world = World::with(ClientConfig::new("buoy-1").unwrap(), &servers);
    world.start();
    world.accept_registration(FIRST, "1");
    world.accept_registration(world::SECOND, "2");
    world.write_attributes(TEMPERATURE, &["pmax=10"]);
    let accept = [(OptionNumber::ACCEPT, &[40][..])];
    let other = world.ask_from(world::SECOND, Code::GET, TEMPERATURE, &accept, b"");
    assert_eq!(other.text(), "</3303/0/5700>");
}
