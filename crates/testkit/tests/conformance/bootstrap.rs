//! int-0 to int-9: bootstrap, over CoAP without DTLS.

use buoy_client::{BootstrapFailure, ClientConfig, Event, Security, Server};
use buoy_coap::number::Code;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_server::{
    AclConfig, BootstrapEvent, BootstrapFailure as Failed, BootstrapVerdict, ConfigValue, ResourceWrite,
    SecurityConfig, SecurityMode,
};
use buoy_testkit::{Container, DEVICE, Device, ONLY_SERVER, World, one_server, unsecured, wanting};

use crate::{TEXT, both, config};

/// A device that knows only the bootstrap server, which has a configuration for it.
fn blank() -> World {
    let mut world = World::blank(7);
    world.bootstrap.configure(DEVICE, one_server(101));
    world
}

/// A registered device that also knows the bootstrap server.
fn registered() -> World {
    let mut world = World::new(7);
    world.device().client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.bootstrap.configure(DEVICE, one_server(101));
    world.start();
    world.network.log.clear();
    world
}

fn short_ids(world: &World) -> Vec<u16> {
    world.first_device().client.servers().map(|(_, _, server)| server.short_server_id).collect()
}

#[test]
fn int_0_a_blank_device_asks_for_its_configuration_and_registers_with_it() {
    let mut world = blank();
    world.start();
    let expected = [
        "POST /bs?ep=buoy-1&pct=112",
        "2.04",
        "DELETE /",
        "2.02",
        "PUT /0/1 Content-Format=112",
        "2.04",
        "PUT /1/0 Content-Format=112",
        "2.04",
        "POST /bs",
        "2.04",
    ];
    assert_eq!(world.bootstrap_lines(), expected);
    assert!(world.device().saw(Event::BootstrapFinished) && world.bootstrap.finished() == 1);
    assert_eq!(short_ids(&world), [101]);
    assert_eq!(world.read("/1/0/1", TEXT).text(), "300");
    assert_eq!((world.bootstrap.shard.len(), world.bootstrap.shard.outstanding()), (0, 0));
}

#[test]
fn int_0_a_device_that_leaves_the_factory_with_accounts_needs_no_bootstrap() {
    let mut world = World::new(7);
    world.device().client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.start();
    world.wait(3600);
    assert!(world.bootstrap_lines().is_empty());
}

#[test]
fn int_0_the_hold_off_time_passes_before_the_device_asks() {
    let mut world = blank();
    let account = Security { hold_off: 500, ..Security::none("coap://192.0.2.2").unwrap() };
    world.device().client.set_bootstrap_server(account).unwrap();
    world.start_all();
    world.wait(499);
    assert!(world.bootstrap_lines().is_empty());
    assert!(world.run_until(10, |world| world.is_registered()));
}

#[test]
fn int_0_a_device_of_1_0_is_configured_in_tlv() {
    let mut world = World::blank_with(7, ClientConfig { version: LwM2mVersion::V1_0, ..config() });
    world.bootstrap.configure(DEVICE, one_server(101));
    world.start();
    let lines = world.bootstrap_lines();
    assert_eq!(lines[0], "POST /bs?ep=buoy-1");
    assert!(lines.contains(&"PUT /0/1 Content-Format=11542".to_owned()), "{lines:?}");
}

#[test]
fn int_0_a_device_of_1_2_takes_its_configuration_in_one_pack() {
    let mut world = World::blank_with(7, ClientConfig { version: LwM2mVersion::V1_2, ..config() });
    world.bootstrap.configure(DEVICE, one_server(101));
    world.start();
    let lines = world.bootstrap_lines();
    let get = "GET /bspack?ep=buoy-1 Accept=112";
    assert!(lines[0].starts_with(get) && lines.iter().all(|line| !line.contains("/bs?")), "{lines:?}");
    assert_eq!(short_ids(&world), [101]);
    let sent = |event: &BootstrapEvent| matches!(event, BootstrapEvent::PackSent { .. });
    assert!(world.bootstrap.events.iter().any(sent));
}

#[test]
fn int_0_a_device_that_nobody_knows_is_refused_and_asks_again_ever_more_seldom() {
    let mut world = World::blank(7);
    world.start_all();
    world.wait(3600);
    let asked = world.bootstrap_lines().iter().filter(|line| line.starts_with("POST /bs")).count();
    assert!((5..9).contains(&asked), "{asked}");
    assert!(world.device().saw(Event::BootstrapFailed(BootstrapFailure::ServerRefused(Code::BAD_REQUEST))));
    world.bootstrap.configure(DEVICE, one_server(101));
    assert!(world.run_until(7200, |world| world.is_registered()));
}

#[test]
fn int_0_a_device_waits_until_a_person_has_said_yes() {
    let mut world = World::blank(7);
    world.bootstrap.verdicts.insert(DEVICE.to_owned(), BootstrapVerdict::Pending);
    world.start_all();
    world.wait(60);
    let pending = |event: &BootstrapEvent| matches!(event, BootstrapEvent::Pending { .. });
    assert!(world.bootstrap.events.iter().any(pending));
    world.bootstrap.configure(DEVICE, one_server(101));
    assert!(world.run_until(600, |world| world.is_registered()));
}

/// The keys are written and kept; that DTLS uses them is not shown here.
#[test]
fn int_1_the_values_of_a_shared_key_reach_the_device() {
    let mut world = World::blank(7);
    let mut config = one_server(101);
    let account = SecurityConfig {
        mode: SecurityMode::Psk,
        identity: b"buoy-1".to_vec(),
        secret_key: vec![0xa5; 16],
        ..unsecured("coaps://192.0.2.1:5684", 101)
    };
    config.security.insert(1, account);
    world.bootstrap.configure(DEVICE, config);
    world.start();
    let device = world.first_device();
    let (_, security, _) = device.client.servers().next().unwrap();
    assert_eq!(security.mode, buoy_client::SecurityMode::PreSharedKey);
    assert_eq!(
        (security.identity.as_slice(), security.secret_key.as_slice()),
        (&b"buoy-1"[..], &[0xa5; 16][..])
    );
    assert_eq!(world.read("/0/1/5", TEXT).code(), Code::UNAUTHORIZED);
}

/// As for the shared key: the certificates are written and kept.
#[test]
fn int_2_the_values_of_a_certificate_reach_the_device() {
    let mut world = World::blank(7);
    let mut config = one_server(101);
    let account = SecurityConfig {
        mode: SecurityMode::X509,
        identity: vec![0x30; 90],
        server_key: vec![0x31; 90],
        secret_key: vec![0x32; 32],
        ..unsecured("coaps://192.0.2.1:5684", 101)
    };
    config.security.insert(1, account);
    world.bootstrap.configure(DEVICE, config);
    world.start();
    let device = world.first_device();
    let (_, security, _) = device.client.servers().next().unwrap();
    assert_eq!(security.mode, buoy_client::SecurityMode::Certificate);
    assert_eq!(
        (security.identity.as_slice(), security.server_key.as_slice()),
        (&[0x30; 90][..], &[0x31; 90][..])
    );
}

#[test]
fn int_4_a_delete_takes_everything_but_the_bootstrap_server_s_account_and_the_device_object() {
    let mut world = registered();
    let mut container = Container::default();
    container.instances.insert(3, Default::default());
    world.device().objects.container = Some(container);
    let mut config = one_server(102);
    config.auto_security_ids = true;
    world.bootstrap.configure(DEVICE, config);
    world.execute("/1/0/9");
    assert!(world.run_until(60, |world| world.bootstrap.finished() == 1));
    assert_eq!(short_ids(&world), [102]);
    assert!(world.device().client.bootstrap_server().is_some());
    assert!(world.device().objects.container.as_ref().unwrap().instances.is_empty());
    assert!(world.run_until(60, |world| world.is_registered()));
    assert_eq!(world.read("/3/0/0", TEXT).text(), "Buoy");
}

#[test]
fn int_5_a_server_makes_the_device_ask_for_a_bootstrap() {
    let mut world = registered();
    world.bootstrap.configure(DEVICE, one_server(7));
    let trigger = world.execute("/1/0/9");
    assert_eq!(trigger.lines(), both("POST /1/0/9", "2.04"));
    assert!(world.run_until(60, |world| short_ids(world) == [7]));
    assert!(world.bootstrap_lines()[0].starts_with("POST /bs?ep=buoy-1"));
    assert!(world.run_until(60, |world| world.is_registered()));
}

#[test]
fn int_5_a_device_without_a_bootstrap_server_says_that_it_needs_one() {
    let mut world = World::registered();
    assert_eq!(world.execute("/1/0/9").code(), Code::CHANGED);
    world.wait(5);
    assert!(world.device().saw(Event::BootstrapNeeded) && !world.device().client.is_bootstrapping());
    assert!(world.is_registered());
}

#[test]
fn int_6_the_sequence_is_discover_read_delete_write_and_finish() {
    let mut world = registered();
    let mut config = one_server(101);
    config.discover = true;
    config.read = vec!["/1".to_owned()];
    config.auto_security_ids = true;
    config.writes =
        vec![ResourceWrite { path: "/3/0/14".into(), value: ConfigValue::String("+02:00".into()) }];
    world.bootstrap.configure(DEVICE, config);
    world.execute("/1/0/9");
    assert!(world.run_until(60, |world| world.bootstrap.finished() == 1), "{:?}", world.bootstrap.events);
    let steps = [
        "2.05 Bootstrap-Discover /",
        "2.05 Bootstrap-Read /1",
        "2.05 Bootstrap-Discover /0",
        "2.02 Bootstrap-Delete /",
        "2.04 Bootstrap-Write /0/0",
        "2.04 Bootstrap-Write /1/0",
        "2.04 Bootstrap-Write /3/0/14",
        "2.04 Bootstrap-Finish",
    ];
    assert_eq!(world.bootstrap.steps(), steps);
    assert!(world.run_until(60, |world| world.is_registered()));
    assert_eq!(world.read("/3/0/14", TEXT).text(), "+02:00");
}

#[test]
fn int_6_discover_tells_the_accounts_with_their_servers() {
    let mut world = registered();
    let mut config = one_server(101);
    config.discover = true;
    world.bootstrap.configure(DEVICE, config);
    world.execute("/1/0/9");
    assert!(world.run_until(60, |world| world.bootstrap.finished() == 1));
    let links = payload_of(&world, "Bootstrap-Discover /");
    let accounts = r#"</>;lwm2m=1.1,</0/0>;ssid=101;uri="coap://192.0.2.1",</0/1>,</1/0>;ssid=101,"#;
    assert!(links.starts_with(accounts) && links.contains("</3/0>"), "{links}");
}

fn payload_of(world: &World, wanted: &str) -> String {
    let payload = |event: &BootstrapEvent| match event {
        BootstrapEvent::StepDone { step, payload, .. } if **step == *wanted => Some(payload.to_vec()),
        _ => None,
    };
    String::from_utf8(world.bootstrap.events.iter().find_map(payload).unwrap()).unwrap()
}

#[test]
fn int_7_a_device_that_cannot_register_falls_back_to_bootstrap() {
    let mut world = World::new(7);
    let account = Server { retry_count: 2, retry_timer: 10, ..Server::new(101, 300) };
    let device = world.device();
    device.client.add_server(Security::none("coap://192.0.2.1").unwrap(), account).unwrap();
    device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.bootstrap.configure(DEVICE, one_server(102));
    world.server.unreachable = true;
    world.start_all();
    assert!(world.run_until(1000, |world| world.bootstrap.finished() == 1));
    assert_eq!(short_ids(&world), [102]);
    world.server.unreachable = false;
    assert!(world.run_until(600, |world| world.is_registered()));
}

#[test]
fn int_7_an_account_that_forbids_it_causes_no_bootstrap() {
    let mut world = World::new(7);
    let account =
        Server { retry_count: 2, retry_timer: 10, bootstrap_on_failure: false, ..Server::new(101, 300) };
    let device = world.device();
    device.client.add_server(Security::none("coap://192.0.2.1").unwrap(), account).unwrap();
    device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.bootstrap.configure(DEVICE, one_server(102));
    world.server.unreachable = true;
    world.start_all();
    world.wait(3600);
    assert!(world.bootstrap_lines().is_empty());
}

#[test]
fn int_8_the_bootstrap_server_reads_accounts_and_access_rights() {
    let mut world = registered();
    let mut config = one_server(101);
    config.read = vec!["/1/0".to_owned(), "/1".to_owned(), "/2".to_owned()];
    world.bootstrap.configure(DEVICE, config);
    world.execute("/1/0/9");
    assert!(world.run_until(60, |world| world.bootstrap.finished() == 1));
    let reads = ["GET /1/0 Accept=112", "GET /1 Accept=112", "GET /2 Accept=112"].map(str::to_owned);
    let lines = world.bootstrap_lines();
    assert!(reads.iter().all(|read| lines.contains(read)), "{lines:?}");
    assert_eq!(world.bootstrap.steps()[..2], ["2.05 Bootstrap-Read /1/0", "2.05 Bootstrap-Read /1"]);
}

#[test]
fn int_9_a_configuration_that_makes_no_sense_is_refused_and_the_old_one_stays() {
    let mut world = registered();
    let mut config = one_server(102);
    // Our own check would refuse this: a server without an account.
    config.security.clear();
    world.bootstrap.configure(DEVICE, config);
    world.execute("/1/0/9");
    let failed = |world: &World| {
        world.bootstrap.events.iter().any(|event| matches!(event, BootstrapEvent::Failed { .. }))
    };
    assert!(world.run_until(60, failed));
    let reason = world.bootstrap.events.iter().find_map(|event| match event {
        BootstrapEvent::Failed { reason, step, .. } => Some((reason.clone(), step.to_string())),
        _ => None,
    });
    let (Failed::DeviceRefused { code, words }, step) = reason.unwrap() else { panic!() };
    assert_eq!((code, step.as_str()), (Code::NOT_ACCEPTABLE, "Bootstrap-Finish"));
    assert!(words.contains("no account in object 0"), "{words}");
    world.bootstrap.verdicts.clear();
    world.wait(600);
    assert_eq!(short_ids(&world), [101]);
    assert!(
        world.is_registered() && world.device().saw(Event::BootstrapFailed(BootstrapFailure::ServerBrokeOff))
    );
}

#[test]
fn int_9_several_servers_get_their_access_rights() {
    let mut world = World::blank(7);
    let mut config = one_server(101);
    config.security.insert(2, unsecured("coap://192.0.2.3", 102));
    config.servers.insert(1, wanting(102));
    let acl = AclConfig { object: 3, instance: 0, rights: [(101, 1)].into(), owner: 102 };
    config.acls.insert(0, acl);
    world.bootstrap.configure(DEVICE, config);
    world.start();
    assert_eq!(short_ids(&world), [101, 102]);
    assert_eq!(world.read("/3/0/0", TEXT).text(), "Buoy");
    assert_eq!(world.execute("/3/0/4").code(), Code::UNAUTHORIZED);
    assert_eq!(world.read("/1/0/1", TEXT).text(), "300");
    assert_eq!(world.write_text("/1/1/1", "60").code(), Code::UNAUTHORIZED, "the other server's account");
}

#[test]
fn a_server_is_refused_while_the_bootstrap_goes_on() {
    let mut world = registered();
    let mut config = one_server(101);
    config.discover = true;
    world.bootstrap.configure(DEVICE, config);
    let now = world.now;
    let device = world.device();
    device.objects.with(|objects| device.client.request_bootstrap(now, objects));
    assert!(world.device().client.is_bootstrapping());
    assert_eq!(world.read("/3/0/0", TEXT).code(), Code::SERVICE_UNAVAILABLE);
    assert!(world.run_until(60, |world| world.bootstrap.finished() == 1 && world.is_registered()));
    assert_eq!(world.read("/3/0/0", TEXT).code(), Code::CONTENT);
}

#[test]
fn the_bootstrap_server_s_account_goes_when_its_time_has_come() {
    let mut world = blank();
    let account = Security { account_timeout: 1000, ..Security::none("coap://192.0.2.2").unwrap() };
    world.device().client.set_bootstrap_server(account).unwrap();
    world.start();
    world.wait(900);
    assert!(world.device().client.bootstrap_server().is_some());
    world.wait(200);
    assert!(world.device().client.bootstrap_server().is_none());
    assert!(world.device().saw(Event::BootstrapAccountExpired) && world.is_registered());
}

#[test]
fn a_configuration_survives_a_reboot() {
    let mut world = blank();
    world.start();
    world.reboot_device();
    world.wait(10);
    world.network.log.clear();
    assert_eq!(short_ids(&world), [101]);
    assert!(world.run_until(60, |world| world.is_registered()));
    assert!(world.bootstrap_lines().is_empty());
}

#[test]
fn many_devices_are_configured_at_once() {
    let mut world = World::blank(7);
    for number in 1..40 {
        let name = format!("buoy-{}", number + 1);
        world.add_device(Device::blank(ClientConfig::new(&name).unwrap(), number));
        world.bootstrap.configure(&name, one_server(101));
    }
    world.bootstrap.configure(DEVICE, one_server(101));
    world.start_all();
    world.wait(60);
    assert_eq!((world.bootstrap.finished(), world.server.shard.len()), (40, 40));
    assert!(world.is_registered() && world.first_device().client.is_registered(ONLY_SERVER));
}
