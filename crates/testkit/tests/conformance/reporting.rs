//! int-301 to int-311: information reporting.

use buoy_client::{Event, SendRefused};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::Kind;
use buoy_lwm2m::format::encode_paths;
use buoy_lwm2m::operation::{Content, Downlink};
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};
use buoy_server::{ObservationId, ReportSource};
use buoy_testkit::{Exchange, ONLY_SERVER, World};

use crate::{SENML_CBOR, SENML_JSON, TEXT, both, encoded, paths_in, value_in, with_container};

const TEMPERATURE: &str = "/3303/0/5700";

fn observing() -> (World, ObservationId) {
    let mut world = World::registered();
    let observe = world.observe(TEMPERATURE, TEXT);
    let id = observe.reply().observing.expect("an observation");
    (world, id)
}

#[test]
fn int_301_the_server_observes_and_the_device_notifies() {
    let mut world = World::registered();
    world.write_attributes(TEMPERATURE, &["pmin=5", "pmax=15"]);
    let observe = world.observe(TEMPERATURE, TEXT);
    assert_eq!(observe.lines(), both("GET /3303/0/5700 Observe=0 Accept=0", "2.05 Observe Content-Format=0"));
    assert_eq!(observe.text(), "20");
    world.network.log.clear();
    world.measure(21.5);
    assert!(world.reported().is_empty(), "pmin holds it back");
    world.wait(5);
    assert_eq!(world.reported_text(), ["21.5"]);
    let notification = world.from_device().next().unwrap();
    assert_eq!(notification.line(), "2.05 Observe Content-Format=0");
    assert_eq!(notification.message().token(), observe.request.message().token());
    world.wait(16);
    assert_eq!(world.reported_text(), ["21.5"], "pmax tells it again");
}

#[test]
fn int_302_the_server_cancels_by_a_reset() {
    let (mut world, id) = observing();
    let outbox = &mut world.server.outbox;
    world.server.shard.forget_observation(id, outbox).unwrap();
    assert!(world.server.shard.observations("buoy-1").is_empty());
    world.network.log.clear();
    world.measure(21.0);
    assert_eq!(world.from_server().next().unwrap().kind(), Kind::Reset);
    assert!(world.device().saw(Event::ObservationEnded(ONLY_SERVER, Path::resource(3303, 0, 5700))));
    world.network.log.clear();
    world.measure(22.0);
    assert_eq!(world.from_device().count(), 0);
    assert!(world.reported().is_empty());
}

#[test]
fn int_303_the_server_cancels_by_observe_1() {
    let (mut world, id) = observing();
    let path = TEMPERATURE.parse().unwrap();
    let cancel = world.cancel_observation(&Downlink::CancelObserve { path, accept: Some(TEXT) }, id);
    assert_eq!(cancel.lines(), both("GET /3303/0/5700 Observe=1 Accept=0", "2.05 Content-Format=0"));
    assert!(world.server.shard.observations("buoy-1").is_empty());
    world.network.log.clear();
    world.measure(22.0);
    assert_eq!(world.from_device().count(), 0, "the device has forgotten it");
}

const PATHS: [&str; 2] = [TEMPERATURE, "/3311/0/5850"];

fn observe_composite(world: &mut World) -> Exchange {
    world.observe_composite(&PATHS, SENML_JSON)
}

#[test]
fn int_304_the_server_observes_several_paths_at_once() {
    let mut world = World::registered();
    let observe = observe_composite(&mut world);
    assert_eq!(
        observe.lines(),
        both("FETCH / Observe=0 Content-Format=110 Accept=110", "2.05 Observe Content-Format=110")
    );
    assert_eq!(observe.text(), r#"[{"n":"/3303/0/5700","v":20},{"n":"/3311/0/5850","vb":false}]"#);
    world.measure(21.0);
    assert_eq!(world.reported_text(), [r#"[{"n":"/3303/0/5700","v":21},{"n":"/3311/0/5850","vb":false}]"#]);
}

#[test]
fn int_305_the_server_cancels_an_observation_of_several_paths() {
    let mut world = World::registered();
    let id = observe_composite(&mut world).reply().observing.unwrap();
    let mut buffer = [0; 100];
    let length = encode_paths(SENML_JSON, PATHS.map(|path| path.parse().unwrap()), &mut buffer).unwrap();
    let paths = Content { format: SENML_JSON, payload: &buffer[..length] };
    let request = Downlink::CancelObserveComposite { paths, accept: Some(SENML_JSON) };
    let cancel = world.cancel_observation(&request, id);
    assert_eq!(
        cancel.lines(),
        both("FETCH / Observe=1 Content-Format=110 Accept=110", "2.05 Content-Format=110")
    );
    assert!(world.server.shard.observations("buoy-1").is_empty());
    world.network.log.clear();
    world.measure(22.0);
    assert_eq!(world.from_device().count(), 0);
}

fn send(world: &mut World, paths: &[Path]) -> Result<(), SendRefused> {
    world.network.log.clear();
    let now = world.now;
    let device = world.device();
    let sent = device.objects.with(|objects| device.client.send(now, ONLY_SERVER, paths, objects));
    world.wait(1);
    sent
}

#[test]
fn int_306_the_device_sends_values_unasked() {
    let mut world = World::registered();
    send(&mut world, &[Path::resource(3303, 0, 5700), Path::resource(3, 0, 0)]).unwrap();
    let request = world.from_device().next().unwrap();
    assert_eq!(request.line(), "POST /dp Content-Format=112");
    assert_eq!(world.from_server().next().unwrap().line(), "2.04");
    let report = world.server.store.reports[0].clone();
    assert_eq!((report.source, report.format), (ReportSource::Send, SENML_CBOR));
    let value = value_in(SENML_CBOR, "/", &report.payload, TEMPERATURE, ValueType::Float);
    assert_eq!(value, "Float(20.0)");
    assert!(world.device().saw(Event::SendDone(ONLY_SERVER, Code::CHANGED)));
}

#[test]
fn int_307_a_device_that_the_server_muted_sends_nothing() {
    let mut world = World::registered();
    let temperature = [Path::resource(3303, 0, 5700)];
    let mute = world.write_text("/1/0/23", "1");
    assert_eq!(mute.lines(), both("PUT /1/0/23 Content-Format=0", "2.04"));
    assert_eq!(send(&mut world, &temperature), Err(SendRefused::Muted));
    assert_eq!(world.from_device().count(), 0);
    world.write_text("/1/0/23", "0");
    assert_eq!(send(&mut world, &temperature), Ok(()));
    assert_eq!(world.reported().len(), 1);
}

/// Lets the server make an instance of the container, which is observed together with the temperature.
fn observing_containers() -> World {
    let mut world = with_container();
    let observe = world.observe_composite(&["/19", TEMPERATURE], SENML_JSON);
    assert!(observe.reply().observing.is_some());
    world
}

fn create(world: &mut World) {
    let payload = encoded(SENML_JSON, "/19", &[("/19/1/3", Value::String("second"))]);
    let content = Content { format: SENML_JSON, payload: &payload };
    assert_eq!(world.perform(&Downlink::Create { path: Path::object(19), content }).code(), Code::CREATED);
    world.wait(1);
}

fn last_reported_paths(world: &mut World) -> Vec<String> {
    paths_in(SENML_JSON, "/", world.reported().last().expect("a notification"))
}

#[test]
fn int_308_a_composite_observation_tells_of_a_new_instance() {
    let mut world = observing_containers();
    create(&mut world);
    let expected = ["/19/0/0/0", "/19/0/0/1", "/19/0/3", "/19/1/3", TEMPERATURE];
    assert_eq!(last_reported_paths(&mut world), expected);
}

#[test]
fn int_309_a_composite_observation_tells_that_an_instance_is_gone() {
    let mut world = observing_containers();
    create(&mut world);
    world.reported();
    assert_eq!(world.perform(&Downlink::Delete { path: Path::instance(19, 1) }).code(), Code::DELETED);
    world.wait(1);
    assert_eq!(last_reported_paths(&mut world), ["/19/0/0/0", "/19/0/0/1", "/19/0/3", TEMPERATURE]);
}

#[test]
fn int_310_a_composite_observation_tells_of_changed_values() {
    let mut world = observing_containers();
    world.write_text("/19/0/3", "changed");
    world.wait(1);
    let reports = world.reported_text();
    assert!(reports.last().unwrap().contains(r#""vs":"changed""#), "{reports:?}");
    world.measure(30.0);
    let reports = world.reported_text();
    assert!(reports.last().unwrap().contains(r#"{"n":"/3303/0/5700","v":30}"#), "{reports:?}");
}

#[test]
fn int_311_a_send_of_an_instance_brings_all_its_values() {
    let mut world = World::registered();
    send(&mut world, &[Path::instance(3303, 0)]).unwrap();
    let request = world.from_device().next().unwrap();
    assert_eq!((request.code(), request.uint(OptionNumber::CONTENT_FORMAT)), (Code::POST, Some(112)));
    let report = world.server.store.reports[0].clone();
    assert_eq!(paths_in(SENML_CBOR, "/", &report.payload).len(), 7);
    let stranger = send(&mut world, &[Path::object(9999)]);
    assert_eq!(stranger, Err(SendRefused::NothingThere));
}
