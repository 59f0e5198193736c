//! A device in this process: its boot loader, its flash, and what it tells.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use buoy_ota::boot::BootReason;
use buoy_ota::host::{self, ImageBuilder, PrivateKey};
use buoy_ota::signature::Algorithm;
use buoy_sim::account::Account;
use buoy_sim::device::{
    Behaviour, Device, DeviceError, DeviceEvent, DeviceSettings, FactoryImage, Transcript,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A release key, a folder, and a server that never answers.
struct World {
    folder: tempfile::TempDir,
    key: PrivateKey,
    server: UdpSocket,
}

impl World {
    fn new() -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { folder: tempfile::tempdir().unwrap(), key, server }
    }

    fn settings(&self, endpoint: &str, behaviour: Behaviour) -> DeviceSettings {
        let image = ImageBuilder::new("buoy-sim", "1.0.0").payload(behaviour.marker().as_bytes()).build();
        let signature = host::sign_detached(&image, &self.key).unwrap();
        let mut settings = DeviceSettings::new(endpoint, self.folder.path().join(endpoint)).unwrap();
        settings.factory = Some(FactoryImage { image, signature });
        settings.trust.trust(self.key.public_key().unwrap()).unwrap();
        let uri = format!("coap://{}", self.server.local_addr().unwrap());
        settings.accounts.server = Some(Account::none(&uri).unwrap());
        settings
    }
}

fn start(settings: DeviceSettings) -> (Device, Arc<Transcript>) {
    let transcript = Arc::new(Transcript::new());
    (Device::start(settings, transcript.clone()).unwrap(), transcript)
}

/// A device that ran once, so that its flash and the state beside it are there.
fn run_once(settings: DeviceSettings) {
    let (device, transcript) = start(settings);
    assert!(transcript.wait_for(PATIENCE, is_connecting).is_some(), "{:?}", transcript.events());
    device.cut_power().unwrap();
}

fn is_connecting(event: &DeviceEvent) -> bool {
    matches!(event, DeviceEvent::Connecting { .. })
}

#[test]
fn a_new_flash_boots_its_factory_image_which_goes_to_the_server() {
    let world = World::new();
    let (device, transcript) = start(world.settings("buoy-1", Behaviour::Good));
    world.server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut register = [0; 1500];
    let (length, _) = world.server.recv_from(&mut register).unwrap();
    device.cut_power().unwrap();

    assert!(register[..length].windows(9).any(|bytes| bytes == b"ep=buoy-1"));
    let [DeviceEvent::Boot { version, reason: BootReason::Factory, .. }, DeviceEvent::Connecting { uri }] =
        &transcript.events()[..]
    else {
        panic!("{:?}", transcript.events())
    };
    assert_eq!(
        (version.as_str(), uri.ends_with(&world.server.local_addr().unwrap().to_string())),
        ("1.0.0", true)
    );
}

#[test]
fn an_image_that_crashes_is_told_and_started_again() {
    let world = World::new();
    let (device, transcript) = start(world.settings("buoy-1", Behaviour::Crash));
    let crash = transcript.wait_for(PATIENCE, |event| matches!(event, DeviceEvent::Crash { .. })).unwrap();
    assert_eq!(crash.to_string(), "CRASH the image aborted");
    let before = transcript.len();
    let boots = |event: &DeviceEvent| matches!(event, DeviceEvent::Boot { .. });
    assert!(transcript.wait_from(before, PATIENCE, boots).is_some());
    device.cut_power().unwrap();
}

#[test]
fn an_image_that_hangs_is_ended_by_the_watchdog_and_started_again() {
    let world = World::new();
    let (device, transcript) = start(world.settings("buoy-1", Behaviour::Hang));
    let bites = |event: &DeviceEvent| matches!(event, DeviceEvent::Watchdog(_));
    assert!(transcript.wait_for(PATIENCE, bites).is_some());
    let before = transcript.len();
    let boots = |event: &DeviceEvent| matches!(event, DeviceEvent::Boot { .. });
    assert!(transcript.wait_from(before - 1, PATIENCE, boots).is_some());
    // Power can be cut while it hangs, too.
    device.cut_power().unwrap();
}

#[test]
fn two_devices_do_not_share_a_flash() {
    let world = World::new();
    let settings = world.settings("buoy-1", Behaviour::Good);
    let (device, _) = start(settings.clone());
    let second = Device::start(settings.clone(), Arc::new(Transcript::new())).unwrap_err();
    assert!(matches!(second, DeviceError::FlashInUse { .. }), "{second}");
    device.cut_power().unwrap();
    run_once(settings);
}

#[test]
fn a_blank_flash_needs_a_factory_image_with_a_signature() {
    let world = World::new();
    let refused = |settings| Device::start(settings, Arc::new(Transcript::new())).unwrap_err();
    let settings = world.settings("buoy-1", Behaviour::Good);
    assert!(matches!(
        refused(DeviceSettings { factory: None, ..settings.clone() }),
        DeviceError::NoFactoryImage { .. }
    ));
    let image = settings.factory.clone().unwrap().image;
    let factory = Some(FactoryImage { image, signature: b"none".to_vec() });
    let error = refused(DeviceSettings { factory, ..settings.clone() });
    assert!(matches!(error, DeviceError::FactorySignature(_)), "{error}");
    assert!(Device::is_blank(&settings.flash), "nothing is left of the attempts");
}

#[test]
fn an_image_that_nobody_trusts_is_not_started() {
    let world = World::new();
    let settings = world.settings("buoy-1", Behaviour::Good);
    let distrusting = DeviceSettings { trust: Default::default(), ..settings.clone() };
    let refused = Device::start(distrusting.clone(), Arc::new(Transcript::new())).unwrap_err();
    assert!(matches!(refused, DeviceError::FactoryRefused(_)), "{refused}");
    assert!(Device::is_blank(&settings.flash), "no flash is made of it");

    run_once(settings);
    let (device, transcript) = start(distrusting);
    let is_dead = |event: &DeviceEvent| matches!(event, DeviceEvent::Dead { .. });
    assert!(transcript.wait_for(PATIENCE, is_dead).is_some(), "{:?}", transcript.events());
    // It ended by itself: cutting its power only collects the reason.
    let error = device.cut_power().unwrap_err();
    assert!(matches!(error, DeviceError::Boot(_)), "{error}");
}

#[test]
fn a_lifetime_that_the_flash_has_already_is_kept_and_told() {
    let world = World::new();
    let settings = world.settings("buoy-1", Behaviour::Good);
    run_once(DeviceSettings { lifetime: Some(60), ..settings.clone() });

    let (device, transcript) = start(DeviceSettings { lifetime: Some(120), ..settings.clone() });
    let kept = transcript.wait_for(PATIENCE, |event| matches!(event, DeviceEvent::Kept { .. })).unwrap();
    device.cut_power().unwrap();
    assert!(kept.to_string().starts_with("KEPT --lifetime is 60 s"), "{kept}");

    for lifetime in [Some(60), None] {
        let (device, transcript) = start(DeviceSettings { lifetime, ..settings.clone() });
        assert!(transcript.wait_for(PATIENCE, is_connecting).is_some());
        device.cut_power().unwrap();
        assert_eq!(transcript.len(), 2, "nothing else is to be told: {:?}", transcript.events());
    }
}

#[test]
fn sixty_devices_run_in_one_process() {
    let world = World::new();
    let names = (0..60).map(|number| format!("buoy-{number}"));
    let devices: Vec<_> = names.map(|name| start(world.settings(&name, Behaviour::Good))).collect();
    for (_, transcript) in &devices {
        assert!(transcript.wait_for(PATIENCE, is_connecting).is_some());
    }
    for (device, _) in devices {
        device.cut_power().unwrap();
    }
}
