//! Observation (RFC 7641): the device notifies, the server observes.

use buoy_client::{ClientConfig, Event};
use buoy_coap::block::BlockSize;
use buoy_coap::number::{Code, ContentFormat};
use buoy_coap::wire::Kind;
use buoy_lwm2m::operation::Downlink;
use buoy_lwm2m::path::Path;
use buoy_server::{Durability, Intent, ObservationId};
use buoy_testkit::{DEVICE, Datagram, ONLY_SERVER, World};

const TEMPERATURE: Path = Path::resource(3303, 0, 5700);
const TEXT: ContentFormat = ContentFormat::TEXT;

fn observing(attributes: &[&str]) -> (World, ObservationId) {
    let mut world = World::registered();
    world.write_text("/1/0/1", "1000000");
    if !attributes.is_empty() {
        world.write_attributes("/3303/0/5700", attributes);
    }
    let id = world.observe("/3303/0/5700", TEXT).reply().observing.unwrap();
    world.network.log.clear();
    (world, id)
}

fn notifications(world: &World, kind: Kind) -> usize {
    world.from_device().filter(|sent| sent.code() == Code::CONTENT && sent.kind() == kind).count()
}

#[test]
fn a_notification_is_confirmable_at_least_once_a_day_and_the_server_acknowledges_it() {
    let (mut world, _) = observing(&["pmax=3600"]);
    world.wait(3 * 24 * 3600 + 7200);
    assert_eq!(notifications(&world, Kind::Confirmable), 3);
    assert!(notifications(&world, Kind::NonConfirmable) > 60);
    let acknowledgements = world.from_server().filter(|sent| sent.kind() == Kind::Acknowledgement).count();
    assert_eq!(acknowledgements, 3);
    assert_eq!(world.server.shard.observations("buoy-1").len(), 1);
}

#[test]
fn an_observer_that_acknowledges_nothing_is_notified_no_more() {
    let (mut world, _) = observing(&["con=1"]);
    world.network.faults.loss = 100;
    world.measure(21.0);
    world.wait(100);
    assert!(world.device().saw(Event::ObservationEnded(ONLY_SERVER, TEMPERATURE)));
}

/// What is sent when the value changes after an observation has ended.
fn sent_after(world: &mut World) -> Vec<Datagram> {
    world.network.log.clear();
    world.measure(40.0);
    world.from_device().cloned().collect()
}

#[test]
fn an_observation_is_cancelled_in_three_ways() {
    // By a Reset of a notification, confirmable or not, and by a request that says so.
    for con in ["con=0", "con=1"] {
        let (mut world, id) = observing(&[con]);
        world.server.shard.forget_observation(id, &mut world.server.outbox).unwrap();
        world.measure(21.0);
        let said: Vec<_> = world.from_server().map(Datagram::kind).collect();
        assert_eq!(said, [Kind::Reset], "{con}");
        assert_eq!(sent_after(&mut world), [], "{con}");
    }
    let (mut world, id) = observing(&[]);
    let request = Downlink::CancelObserve { path: TEMPERATURE, accept: Some(TEXT) };
    assert_eq!(world.cancel_observation(&request, id).code(), Code::CONTENT);
    assert_eq!(sent_after(&mut world), []);
}

#[test]
fn a_second_observation_of_a_path_takes_the_place_of_the_first() {
    let (mut world, first) = observing(&[]);
    let second = world.observe("/3303/0/5700", TEXT).reply().observing.unwrap();
    assert_ne!(first, second);
    world.measure(21.0);
    assert_eq!(world.reported_text(), ["21"]);
    assert_eq!(world.server.shard.observations("buoy-1").len(), 1);
}

#[test]
fn an_observation_whose_answer_and_notifications_come_in_blocks_holds() {
    let block_size = BlockSize::at_most(32);
    let mut world = World::registered_with(ClientConfig { block_size, ..ClientConfig::new(DEVICE).unwrap() });
    let observe = world.observe("/3303/0", ContentFormat::SENML_JSON);
    assert!(observe.reply().observing.is_some() && observe.text().ends_with("}]"), "{}", observe.text());
    world.measure(30.0);
    let told = world.reported_text();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(r#""n":"5700","v":30}"#) && told[0].ends_with("}]"), "{told:?}");
}

#[test]
fn a_change_while_the_first_answer_still_comes_makes_the_server_ask_anew() {
    let block_size = BlockSize::at_most(32);
    let mut world = World::registered_with(ClientConfig { block_size, ..ClientConfig::new(DEVICE).unwrap() });
    let path = Path::instance(3303, 0);
    let accept = Some(ContentFormat::SENML_JSON);
    let request = Downlink::Observe { path, accept, attributes: Default::default() };
    let intent = Intent::Observe { paths: [path].into(), composite: false };
    let id = world.submit(&request, intent, Durability::Transient);
    world.run_until(10, |world| world.from_server().any(|sent| sent.line().contains("Block2=2/0/32")));
    world.measure(30.0);
    world.wait(10);
    let reply = world.server.outcome(id).unwrap().as_ref().unwrap();
    assert!(reply.observing.is_some());
    let text = String::from_utf8(reply.payload.clone()).unwrap();
    assert!(text.contains(r#""n":"5700","v":30}"#), "{text}");
    world.reported();
    world.measure(31.0);
    world.measure(32.0);
    assert_eq!(world.reported().len(), 2);
}

#[test]
fn notifications_that_overtook_each_other_are_told_in_order() {
    let (mut world, _) = observing(&[]);
    world.network.faults.delay = std::time::Duration::ZERO..std::time::Duration::from_secs(5);
    let mut told = Vec::new();
    for celsius in 21..60 {
        world.measure(f64::from(celsius));
        told.extend(world.reported_text());
    }
    world.wait(10);
    told.extend(world.reported_text());
    let told: Vec<u32> = told.iter().map(|text| text.parse().unwrap()).collect();
    assert!(told.is_sorted() && told.last() == Some(&59) && told.len() < 39, "{told:?}");
}
