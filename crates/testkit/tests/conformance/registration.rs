//! int-101 to int-109: registration.

use buoy_client::{ClientConfig, Event};
use buoy_coap::number::Code;
use buoy_lwm2m::operation::{Downlink, LwM2mVersion};
use buoy_server::{Durability, Intent, OperationState};
use buoy_testkit::{ONLY_SERVER, World};

use crate::{TEXT, both, config};

#[test]
fn int_101_a_device_registers_and_the_server_knows_what_it_said() {
    let mut world = World::registered();
    let (register, created) = (world.from_device().next().unwrap(), world.from_server().next().unwrap());
    assert_eq!(register.line(), "POST /rd?ep=buoy-1&lt=300&lwm2m=1.1&b=U Content-Format=40",);
    let id = world.server.shard.registration("buoy-1").unwrap().id().to_owned();
    assert_eq!(created.line(), format!("2.01 Location-Path=rd Location-Path={id}"));
    let view = world.server.shard.registration("buoy-1").unwrap();
    assert_eq!((view.lifetime, view.version, view.queue_mode), (300, (1, 1), false));
    assert!(
        view.objects.text().contains("</3>;ver=1.1,</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>"),
        "{:?}",
        view.objects
    );
    assert!(world.device().saw(Event::Registered(ONLY_SERVER)));
}

#[test]
fn int_102_the_registration_is_updated_before_it_ends() {
    let mut world = World::registered();
    let location = world.device().client.location(ONLY_SERVER).unwrap().to_string();
    world.network.log.clear();
    world.wait(3600);
    let updates: Vec<_> = world.from_device().map(|sent| sent.line()).collect();
    assert!(
        updates.len() > 10 && updates.iter().all(|line| *line == format!("POST {location}")),
        "{updates:?}"
    );
    assert!(world.from_server().all(|sent| sent.line() == "2.04"));
    assert!(world.is_registered());
}

#[test]
fn int_103_a_device_deregisters_and_the_server_forgets_it() {
    let mut world = World::registered();
    let location = world.device().client.location(ONLY_SERVER).unwrap().to_string();
    world.network.log.clear();
    let now = world.now;
    let device = world.device();
    device.objects.with(|objects| device.client.deregister(now, ONLY_SERVER, objects));
    world.wait(1);
    assert_eq!(world.from_device().next().unwrap().line(), format!("DELETE {location}"));
    assert_eq!(world.from_server().next().unwrap().line(), "2.02");
    assert!(world.server.shard.is_empty() && world.server.store.registrations.is_empty());
}

#[test]
fn int_104_the_server_triggers_an_update() {
    let mut world = World::registered();
    let location = world.device().client.location(ONLY_SERVER).unwrap().to_string();
    let trigger = world.execute("/1/0/8");
    assert_eq!(trigger.lines(), both("POST /1/0/8", "2.04"));
    world.wait(1);
    assert_eq!(world.from_device().last().unwrap().line(), format!("POST {location}"));
    assert_eq!(world.server.shard.counters().updated, 1);
    assert!(world.device().saw(Event::RegistrationUpdated(ONLY_SERVER)));
}

#[test]
fn int_105_a_device_whose_update_is_discarded_registers_anew() {
    let mut world = World::registered();
    world.network.faults.loss = 100;
    world.wait(300);
    assert!(!world.is_registered());
    world.network.faults.loss = 0;
    assert!(world.run_until(600, |world| world.is_registered()));
    let again = world.from_device().filter(|sent| sent.path() == "rd").count();
    assert!(again > 1, "a Register of its own after the Updates that nobody answered");
}

#[test]
fn int_107_the_server_extends_the_lifetime() {
    let mut world = World::registered();
    let write = world.write_text("/1/0/1", "6000");
    assert_eq!(write.lines(), both("PUT /1/0/1 Content-Format=0", "2.04"));
    world.wait(1);
    let update = world.from_device().last().unwrap();
    assert!(update.line().ends_with("?lt=6000"), "{}", update.line());
    assert_eq!(world.server.shard.registration("buoy-1").unwrap().lifetime, 6000);
    world.network.log.clear();
    world.wait(5000);
    assert!(world.is_registered() && world.from_device().count() == 0);
}

#[test]
fn int_108_the_server_turns_queue_mode_on() {
    let mut world = World::registered();
    let write = world.write_text("/1/0/7", "UQ");
    assert_eq!(write.lines(), both("PUT /1/0/7 Content-Format=0", "2.04"));
    world.wait(1);
    let register = world.from_device().last().unwrap().line();
    assert_eq!(register, "POST /rd?ep=buoy-1&lt=300&lwm2m=1.1&b=U&Q Content-Format=40");
    assert!(world.server.shard.registration("buoy-1").unwrap().queue_mode);
}

#[test]
fn int_108_in_lwm2m_1_0_an_update_turns_queue_mode_on() {
    let mut world = World::registered_with(ClientConfig { version: LwM2mVersion::V1_0, ..config() });
    world.write_text("/1/0/7", "UQ");
    world.wait(1);
    let update = world.from_device().last().unwrap().line();
    assert!(update.ends_with("?b=UQ"), "{update}");
    assert!(world.server.shard.registration("buoy-1").unwrap().queue_mode);
}

#[test]
fn int_109_operations_wait_until_the_device_wakes() {
    let mut world = World::registered_with(ClientConfig { queue_mode: true, ..config() });
    world.write_text("/1/0/1", "6000");
    world.wait(200);
    let now = world.now;
    assert!(world.device().client.sleep_until(now).is_some());
    assert!(world.server.shard.registration("buoy-1").unwrap().asleep);
    world.network.log.clear();
    let path = "/3/0/0".parse().unwrap();
    let read = Downlink::Read { path, accept: Some(TEXT) };
    let first = world.submit(&read, Intent::Once, Durability::Durable);
    let second = world.submit(&read, Intent::Once, Durability::Transient);
    world.wait(60);
    assert_eq!(world.from_server().count(), 0, "nobody speaks to a device that sleeps");
    assert_eq!(world.server.store.operations[&first].state, OperationState::Queued);
    let now = world.now;
    let device = world.device();
    device.objects.with(|objects| device.client.update_registration(now, ONLY_SERVER, objects));
    world.wait(2);
    for id in [first, second] {
        assert_eq!(world.server.outcome_code(id), Some(Ok(Code::CONTENT)));
    }
    let lines: Vec<_> = world.from_server().map(|sent| sent.line()).collect();
    assert_eq!(lines, ["2.04", "GET /3/0/0 Accept=0", "GET /3/0/0 Accept=0"]);
}
