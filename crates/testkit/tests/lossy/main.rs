//! Every operation over a link that loses three of ten datagrams, repeats two, and takes up to five seconds for each, so that
//! they overtake each other. Whatever happens, an operation ends: with what was asked for, or with a reason.

mod bootstrap;
mod chaos;

use std::time::Duration;

use buoy_client::firmware::{FirmwareUpdate, Protocol, State};
use buoy_client::{ClientConfig, Server as Account};
use buoy_coap::block::BlockSize;
use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::operation::{Content, Downlink, WriteMode};
use buoy_lwm2m::path::Path;
use buoy_server::{Durability, Failure, Intent};
use buoy_testkit::{Container, Counter, DEVICE, Device, Faults, ONLY_SERVER, Shelf, World};

/// Worlds for each test.
const SEEDS: std::ops::Range<u64> = 1..41;
const SLOWEST: Duration = Duration::from_secs(5);
/// Longer than any operation may take: each of its messages ends within 93 seconds and the wait for a separate response.
const LIMIT: u64 = 3600;

const TEXT: ContentFormat = ContentFormat::TEXT;
const OPAQUE: ContentFormat = ContentFormat::OCTET_STREAM;
const SENML_CBOR: ContentFormat = ContentFormat::SENML_CBOR;

/// Plays a story in many worlds. Each begins with a registered device, whose link then gets bad.
fn in_many_worlds(story: impl Fn(&mut World)) {
    for seed in SEEDS {
        let mut world = World::new(seed);
        let mut container = Container::default();
        container.instances.insert(0, Default::default());
        world.device().objects.container = Some(container);
        world.device().objects.counter = Some(Counter::default());
        world.start();
        world.write_text("/3311/0/5850", "1");
        world.network.faults = Faults::lossy(SLOWEST);
        story(&mut world);
        assert_nothing_is_left(&mut world);
    }
}

/// Once everything has ended, nothing of it is kept on either side.
fn assert_nothing_is_left(world: &mut World) {
    world.network.faults = Faults::none();
    world.wait(600);
    let seed = world.seed;
    assert_eq!(world.server.shard.outstanding(), 0, "seed {seed}: messages or operations of the server's");
    assert_eq!(world.device().client.outstanding(), 0, "seed {seed}: messages of the device's");
    assert_eq!(world.network.under_way(), 0, "seed {seed}: datagrams");
}

/// How an operation ended; that it does is the point.
fn outcome(world: &mut World, request: &Downlink<'_>) -> Result<Code, Failure> {
    let id = world.submit(request, Intent::Once, Durability::Transient);
    end_of(world, id)
}

fn end_of(world: &mut World, id: u64) -> Result<Code, Failure> {
    let ended = world.run_until(LIMIT, |world| world.server.outcome(id).is_some());
    assert!(ended, "seed {}: operation {id} hangs", world.seed);
    world.server.outcome_code(id).unwrap()
}

/// Nearly everything succeeds: a message and its answer get through once in five tries at four out of five.
fn assert_mostly(successes: usize) {
    let worlds = SEEDS.count();
    assert!(successes * 10 >= worlds * 6, "{successes} of {worlds}");
}

fn count(test: impl Fn(&mut World) -> bool) -> usize {
    let successes = std::cell::Cell::new(0);
    in_many_worlds(|world| successes.set(successes.get() + usize::from(test(world))));
    successes.get()
}

fn write<'a>(path: &str, format: ContentFormat, payload: &'a [u8]) -> Downlink<'a> {
    let content = Content { format, payload };
    Downlink::Write { path: path.parse().unwrap(), mode: WriteMode::Replace, content }
}

fn read(path: &str, accept: ContentFormat) -> Downlink<'static> {
    Downlink::Read { path: path.parse().unwrap(), accept: Some(accept) }
}

/// Bytes that no two places of have in common.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8)) as u8).collect()
}

#[test]
fn a_device_registers_in_the_end() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.network.faults = Faults::lossy(SLOWEST);
        world.server.commit_time = Duration::from_millis(300);
        world.start();
        assert_eq!(world.server.shard.len(), 1);
        assert_eq!(world.server.store.registrations.len(), 1, "seed {seed}");
        world.wait(3600);
        world.network.faults = Faults::none();
        world.wait(400);
        assert!(world.is_registered(), "seed {seed}");
        assert_eq!(world.server.store.registrations.len(), 1, "seed {seed}");
    }
}

#[test]
fn a_device_with_small_blocks_registers_in_the_end() {
    for seed in SEEDS {
        let mut world = World::with(seed, small_blocks());
        world.network.faults = Faults::lossy(SLOWEST);
        world.start();
        let objects = &world.server.shard.registration(DEVICE).unwrap().objects;
        let objects = objects.text();
        assert!(objects.starts_with("</>;rt=") && objects.ends_with("</3311/0>"), "seed {seed}: {objects}");
    }
}

fn small_blocks() -> ClientConfig {
    ClientConfig { block_size: BlockSize::at_most(32), ..ClientConfig::new(DEVICE).unwrap() }
}

#[test]
fn notifications_in_blocks_are_told_whole_or_not_at_all() {
    let told = std::cell::Cell::new(0);
    for seed in SEEDS {
        let mut world = World::with(seed, small_blocks());
        world.start();
        let path = Path::instance(3303, 0);
        let attributes = Attributes { con: Some(true), ..Attributes::default() };
        let accept = Some(ContentFormat::SENML_JSON);
        let request = Downlink::Observe { path, accept, attributes };
        let intent = Intent::Observe { paths: [path].into(), composite: false };
        let id = world.submit(&request, intent, Durability::Transient);
        assert_eq!(end_of(&mut world, id), Ok(Code::CONTENT));
        world.network.faults = Faults::lossy(SLOWEST);
        for celsius in 0..20 {
            world.measure(f64::from(celsius));
            world.wait(celsius as u64 % 9 * 10);
        }
        world.network.faults = Faults::none();
        world.wait(600);
        for report in world.reported_text() {
            let is_whole =
                report.starts_with(r#"[{"bn":"/3303/0/","n":"5601","v":"#) && report.ends_with("}]");
            assert!(is_whole && report.matches("\"n\":").count() == 7, "seed {seed}: {report}");
            told.set(told.get() + 1);
        }
        assert_nothing_is_left(&mut world);
    }
    assert!(told.get() > SEEDS.count() * 4, "{}", told.get());
}

#[test]
fn reads_end() {
    assert_mostly(count(|world| outcome(world, &read("/3/0/0", TEXT)) == Ok(Code::CONTENT)));
}

#[test]
fn writes_end_and_are_true() {
    assert_mostly(count(|world| {
        let write = outcome(world, &write("/3/0/15", TEXT, b"Europe/Berlin"));
        let zone = world.device().objects.device.zone().1.to_owned();
        assert!(write.is_err() || zone == "Europe/Berlin", "seed {}: {write:?} and {zone}", world.seed);
        write == Ok(Code::CHANGED)
    }));
}

#[test]
fn a_later_write_is_never_undone_by_an_earlier_one() {
    in_many_worlds(|world| {
        let mut done = 0;
        for level in 1..=10u8 {
            let text = level.to_string();
            if outcome(world, &write("/3311/0/5851", TEXT, text.as_bytes())) == Ok(Code::CHANGED) {
                done = level;
                assert_eq!(world.device().objects.light.level(0), Some(level), "seed {}", world.seed);
            }
        }
        world.wait(30);
        let level = world.device().objects.light.level(0).unwrap();
        assert!(level >= done, "seed {}: {level} after {done}", world.seed);
    });
}

#[test]
fn large_writes_in_blocks_end_and_arrive_whole() {
    let body = body(3500);
    assert_mostly(count(|world| {
        let write = outcome(world, &write("/19/0/0/0", OPAQUE, &body));
        let container = world.device().objects.container.as_ref().unwrap();
        let data = container.instances[&0].0.get(&0);
        assert!(data.is_none_or(|data| *data == body), "seed {}: another body", world.seed);
        assert!(write.is_err() || data.is_some(), "seed {}: {write:?}", world.seed);
        write == Ok(Code::CHANGED)
    }));
}

#[test]
fn two_large_writes_are_never_mixed() {
    let (first, second) = (vec![1; 3000], vec![2; 3000]);
    in_many_worlds(|world| {
        for body in [&first, &second, &first, &second] {
            let write = outcome(world, &write("/19/0/0/0", OPAQUE, body));
            let container = world.device().objects.container.as_ref().unwrap();
            let data = container.instances[&0].0.get(&0);
            assert!(data.is_none_or(|data| *data == first || *data == second), "seed {}", world.seed);
            assert!(write != Ok(Code::CHANGED) || data == Some(body), "seed {}: {write:?}", world.seed);
        }
    });
}

#[test]
fn large_reads_in_blocks_end_and_arrive_whole() {
    let body = body(3500);
    assert_mostly(count(|world| {
        let container = world.device().objects.container.as_mut().unwrap();
        container.instances.get_mut(&0).unwrap().0.insert(0, body.clone());
        let id = world.submit(&read("/19/0/0/0", OPAQUE), Intent::Once, Durability::Transient);
        let read = end_of(world, id);
        if let Ok(reply) = world.server.outcome(id).unwrap() {
            assert_eq!(reply.payload, body, "seed {}", world.seed);
        }
        read == Ok(Code::CONTENT)
    }));
}

#[test]
fn discover_and_composites_end() {
    assert_mostly(count(|world| {
        let path = Path::object(3303);
        let discover = outcome(world, &Downlink::Discover { path, depth: None });
        let paths =
            Content { format: ContentFormat::SENML_JSON, payload: br#"[{"n":"/3/0"},{"n":"/3303"}]"# };
        let read = outcome(world, &Downlink::ReadComposite { paths, accept: Some(SENML_CBOR) });
        let values = br#"[{"n":"/3/0/14","vs":"+03:00"},{"n":"/3311/0/5851","v":7}]"#;
        let content = Content { format: ContentFormat::SENML_JSON, payload: values };
        let write = outcome(world, &Downlink::WriteComposite { content });
        [discover, read, write].iter().all(|end| end.is_ok_and(Code::is_success))
    }));
}

#[test]
fn an_execute_is_carried_out_once_if_it_is_answered_and_never_twice() {
    for durability in [Durability::Transient, Durability::Patient, Durability::Durable] {
        in_many_worlds(|world| {
            let execute = Downlink::Execute { path: Path::resource(32769, 0, 0), arguments: "" };
            let mut answered = 0;
            for _ in 0..8 {
                let id = world.submit(&execute, Intent::Once, durability);
                answered += u32::from(end_of(world, id) == Ok(Code::CHANGED));
            }
            world.wait(60);
            let executed = world.device().objects.counter.unwrap().executed;
            assert!(
                (answered..=8).contains(&executed),
                "seed {}: {answered} answered, {executed} carried out",
                world.seed
            );
        });
    }
}

#[test]
fn instances_are_created_and_deleted_once() {
    in_many_worlds(|world| {
        let mut created = 0;
        for _ in 0..3 {
            let content = Content { format: SENML_CBOR, payload: &[] };
            let create = outcome(world, &Downlink::Create { path: Path::object(19), content });
            created += usize::from(create == Ok(Code::CREATED));
        }
        world.wait(60);
        let instances = world.device().objects.container.as_ref().unwrap().instances.len() - 1;
        assert!((created..=3).contains(&instances), "seed {}: {created} of {instances}", world.seed);
        let delete = outcome(world, &Downlink::Delete { path: Path::instance(19, 0) });
        let is_there = world.device().objects.container.as_ref().unwrap().instances.contains_key(&0);
        assert!(delete.is_err() || !is_there, "seed {}: {delete:?}", world.seed);
    });
}

#[test]
fn an_observation_tells_the_last_value_in_the_end_and_never_an_older_one_after_a_newer() {
    in_many_worlds(|world| {
        let path = Path::resource(3303, 0, 5700);
        let attributes = Attributes { con: Some(true), ..Attributes::default() };
        let request = Downlink::Observe { path, accept: Some(TEXT), attributes };
        let intent = Intent::Observe { paths: [path].into(), composite: false };
        let id = world.submit(&request, intent, Durability::Patient);
        if end_of(world, id).is_err() {
            return;
        }
        for celsius in 21..=40u32 {
            world.measure(f64::from(celsius));
            world.wait(u64::from(celsius) % 7);
        }
        world.network.faults = Faults::none();
        world.wait(100);
        let told: Vec<u32> = world.reported_text().iter().map(|text| text.parse().unwrap()).collect();
        assert!(told.is_sorted(), "seed {}: {told:?}", world.seed);
        let has_ended =
            world.device().events.iter().any(|it| matches!(it, buoy_client::Event::ObservationEnded(..)));
        assert!(has_ended || told.last() == Some(&40), "seed {}: {told:?}", world.seed);
    });
}

#[test]
fn a_send_ends_and_is_taken_once() {
    assert_mostly(count(|world| {
        let now = world.now;
        let device = world.device();
        let paths = [Path::resource(3303, 0, 5700)];
        device.objects.with(|objects| device.client.send(now, ONLY_SERVER, &paths, objects)).unwrap();
        world.wait(LIMIT);
        let seed = world.seed;
        let is_done = world.device().saw(buoy_client::Event::SendDone(ONLY_SERVER, Code::CHANGED));
        let has_failed = world.device().saw(buoy_client::Event::SendFailed(ONLY_SERVER));
        assert!(is_done != has_failed, "seed {seed}");
        let taken = world.reported().len();
        assert!(taken <= 1 && (has_failed || taken == 1), "seed {seed}: taken {taken} times");
        is_done
    }));
}

#[test]
fn firmware_is_pulled_whole() {
    let image = body(20_000);
    for seed in SEEDS {
        let mut world = World::new(seed);
        let firmware = FirmwareUpdate::new(Shelf::default(), &[Protocol::Coap]);
        world.device().objects.firmware = Some(firmware);
        world.server.offer("fw/image", &image);
        world.start();
        world.network.faults = Faults::lossy(SLOWEST);
        let id = world.submit(
            &write("/5/0/1", TEXT, b"coap://192.0.2.1/fw/image"),
            Intent::Once,
            Durability::Patient,
        );
        assert_eq!(end_of(&mut world, id), Ok(Code::CHANGED), "seed {seed}");
        world.run_until(100_000, |world| world.firmware().0 != State::Downloading);
        let (state, is_same) = (world.firmware().0, world.firmware().1 == image);
        assert_eq!((state, is_same), (State::Downloaded, true), "seed {seed}");
    }
}

#[test]
fn firmware_is_pushed_whole_or_not_at_all() {
    let image = body(6_000);
    let mut whole = 0;
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.device().objects.firmware = Some(FirmwareUpdate::new(Shelf::default(), &[Protocol::Coap]));
        world.start();
        world.network.faults = Faults::lossy(SLOWEST);
        let id = world.submit(&write("/5/0/0", OPAQUE, &image), Intent::Once, Durability::Patient);
        let push = end_of(&mut world, id);
        let (state, package) = world.firmware();
        let is_there = state == State::Downloaded && package == image;
        assert!(state != State::Downloaded || is_there, "seed {seed}: another package");
        assert!(push != Ok(Code::CHANGED) || is_there, "seed {seed}: {push:?} and {state:?}");
        whole += usize::from(is_there);
    }
    assert_mostly(whole);
}

#[test]
fn many_devices_at_once_are_served() {
    const DEVICES: usize = 10;
    for seed in SEEDS.take(5) {
        let mut world = World::new(seed);
        for n in 2..=DEVICES {
            let config = ClientConfig::new(&format!("buoy-{n}")).unwrap();
            world.add_device(Device::new(config, &[Account::new(101, 300)], seed + 1000 * n as u64));
        }
        world.network.faults = Faults::lossy(SLOWEST);
        world.start_all();
        assert!(world.run_until(LIMIT, |world| world.server.shard.len() == DEVICES), "seed {seed}");
        world.wait(LIMIT);
        assert_eq!(world.server.shard.len(), DEVICES, "seed {seed}");
        assert_eq!(world.server.store.registrations.len(), DEVICES, "seed {seed}");
    }
}

trait Firmware {
    fn firmware(&self) -> (State, &[u8]);
}

impl Firmware for World {
    fn firmware(&self) -> (State, &[u8]) {
        let firmware = self.first_device().objects.firmware.as_ref().unwrap();
        (firmware.state(), &firmware.target().package)
    }
}
