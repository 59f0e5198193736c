//! A bootstrap server that is scripted: every order of its requests, and the wrong ones.

mod world;

use buoy_client::{
    BootstrapFailure, Chip, ClientConfig, Event, Host, Security, SecurityMode, ServerSlot, Storage,
};
use buoy_coap::block::{Block, BlockSize};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind};
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::Value;
use buoy_testkit::{Container, Memory};
use world::{FIRST, Sent, World};

const SERVER: ServerSlot = ServerSlot::BOOTSTRAP;
const TLV: ContentFormat = ContentFormat::TLV;
const SENML_JSON: ContentFormat = ContentFormat::SENML_JSON;
const SENML_CBOR: ContentFormat = ContentFormat::SENML_CBOR;
const LWM2M_CBOR: ContentFormat = ContentFormat::LWM2M_CBOR;

/// A device that is registered at server 101 and in the hands of its bootstrap server. Its own accounts are 0/0 and 1/0, and
/// 0/1 for the bootstrap server.
fn asked() -> World {
    let mut world = World::registered();
    world.device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.execute("/1/0/9");
    let request = world.request().clone();
    assert_eq!(request.queries(), "ep=buoy-1&pct=112");
    world.sent.clear();
    world.answer(&request, Code::CHANGED, &[]);
    world
}

fn encoded(format: ContentFormat, base: &str, values: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut encoder = Encoder::new(format, at(base), &mut buffer).unwrap();
    for (path, value) in values {
        encoder.push(at(path), value, None).unwrap();
    }
    let length = encoder.finish().unwrap();
    buffer.truncate(length);
    buffer
}

fn at(path: &str) -> Path {
    if path == "/" { Path::ROOT } else { path.parse().unwrap() }
}

fn write(world: &mut World, format: ContentFormat, base: &str, values: &[(&str, Value<'_>)]) -> Code {
    let payload = encoded(format, base, values);
    let format = format.0.to_be_bytes();
    world.ask_from(SERVER, Code::PUT, base, &[(OptionNumber::CONTENT_FORMAT, &format)], &payload).code()
}

fn security(world: &mut World, instance: u16, id: i64) -> Code {
    let path = |resource: u16| format!("/0/{instance}/{resource}");
    let values = [
        (path(0), Value::String("coap://192.0.2.9:5683")),
        (path(1), Value::Boolean(false)),
        (path(2), Value::Integer(3)),
        (path(10), Value::Integer(id)),
    ];
    let values: Vec<_> = values.iter().map(|(path, value)| (path.as_str(), *value)).collect();
    write(world, SENML_CBOR, &format!("/0/{instance}"), &values)
}

fn server(world: &mut World, instance: u16, id: i64) -> Code {
    let path = |resource: u16| format!("/1/{instance}/{resource}");
    let values = [
        (path(0), Value::Integer(id)),
        (path(1), Value::Integer(600)),
        (path(6), Value::Boolean(true)),
        (path(7), Value::String("U")),
    ];
    let values: Vec<_> = values.iter().map(|(path, value)| (path.as_str(), *value)).collect();
    write(world, TLV, &format!("/1/{instance}"), &values)
}

fn ask(world: &mut World, code: Code, path: &str) -> Code {
    world.ask_from(SERVER, code, path, &[], b"").code()
}

fn finish(world: &mut World) -> Code {
    ask(world, Code::POST, "/bs")
}

fn discover(world: &mut World, path: &str) -> String {
    let link = ContentFormat::LINK.0.to_be_bytes();
    let answer = world.ask_from(SERVER, Code::GET, path, &[(OptionNumber::ACCEPT, &link[1..])], b"");
    assert_eq!(answer.code(), Code::CONTENT);
    answer.text()
}

/// The short id and the instance of each server.
fn servers(world: &World) -> Vec<(u16, u16)> {
    world.device.client.servers().map(|(_, _, server)| (server.short_server_id, server.instance)).collect()
}

/// What the old configuration is, and the one that the scripts write.
const OLD: &[(u16, u16)] = &[(101, 0)];
const NEW: &[(u16, u16)] = &[(102, 0)];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Delete,
    Security,
    Server,
    Discover,
    Read,
}

fn orders(of: &[Step]) -> Vec<Vec<Step>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let rest = |first: Step| of.iter().copied().filter(|step| *step != first).collect::<Vec<_>>();
    of.iter()
        .flat_map(|first| orders(&rest(*first)).into_iter().map(|order| [vec![*first], order].concat()))
        .collect()
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Delete => assert_eq!(ask(world, Code::DELETE, "/"), Code::DELETED),
        Step::Security => assert_eq!(security(world, 0, 102), Code::CHANGED),
        Step::Server => assert_eq!(server(world, 0, 102), Code::CHANGED),
        Step::Discover => assert!(discover(world, "/").starts_with("</>;lwm2m=1.1,</0/")),
        Step::Read => assert!([Code::CONTENT, Code::NOT_FOUND].contains(&ask(world, Code::GET, "/1"))),
    }
}

#[test]
fn int_6_every_order_of_requests_leads_to_what_was_written_or_is_refused() {
    let orders = orders(&[Step::Delete, Step::Security, Step::Server, Step::Discover, Step::Read]);
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut world = asked();
        order.iter().for_each(|step| take(&mut world, *step));
        assert_eq!(servers(&world), OLD, "nothing holds before Finish");
        let place = |step: Step| order.iter().position(|known| *known == step).unwrap();
        let is_whole =
            place(Step::Delete) < place(Step::Security) && place(Step::Delete) < place(Step::Server);
        if !is_whole {
            assert_eq!(finish(&mut world), Code::NOT_ACCEPTABLE, "{order:?}");
            assert_eq!(servers(&world), OLD, "{order:?}");
            [Step::Security, Step::Server].iter().for_each(|step| take(&mut world, *step));
        }
        assert_eq!(finish(&mut world), Code::CHANGED, "{order:?}");
        assert_eq!(servers(&world), NEW, "{order:?}");
        assert!(world.device.client.bootstrap_server().is_some() && world.saw(Event::BootstrapFinished));
        assert_eq!(world.request().path(), "rd");
    }
}

#[test]
fn a_finish_without_anything_before_it_leaves_the_configuration_as_it_is() {
    let mut world = asked();
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), OLD);
    world.accept_registration(FIRST, "7");
}

#[test]
fn the_first_request_may_overtake_the_answer_to_the_bootstrap_request() {
    let mut world = World::registered();
    world.device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.execute("/1/0/9");
    assert_eq!(world.request().path(), "bs");
    [Step::Delete, Step::Security, Step::Server].iter().for_each(|step| take(&mut world, *step));
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), NEW);
}

#[test]
fn what_a_bootstrap_server_may_not_do_is_refused_and_changes_nothing() {
    let mut world = asked();
    let wrong = [
        (Code::DELETE, "/3", Code::BAD_REQUEST),
        (Code::DELETE, "/3/0", Code::BAD_REQUEST),
        (Code::DELETE, "/0/1", Code::BAD_REQUEST),
        (Code::DELETE, "/9999", Code::NOT_FOUND),
        (Code::DELETE, "/1/0/1", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/0", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/0/0", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/3/0", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/1/0/1", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/1/9", Code::NOT_FOUND),
        (Code::POST, "/3/0/4", Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/bs", Code::METHOD_NOT_ALLOWED),
        (Code::PUT, "/", Code::METHOD_NOT_ALLOWED),
    ];
    for (code, path, expected) in wrong {
        assert_eq!(ask(&mut world, code, path), expected, "{code} {path}");
    }
    let long = "x".repeat(200);
    let bad = [
        ("/0/5", vec![("/0/5/0", Value::String(&long))], Code::BAD_REQUEST),
        ("/0/5", vec![("/0/5/2", Value::Integer(9))], Code::BAD_REQUEST),
        ("/0/5", vec![("/0/5/17", Value::ObjectLink("21:0".parse().unwrap()))], Code::BAD_REQUEST),
        ("/1/0", vec![("/1/0/1", Value::Integer(-1))], Code::BAD_REQUEST),
        ("/1/0", vec![("/1/0/7", Value::String("nonsense"))], Code::BAD_REQUEST),
        ("/2/77", vec![("/2/77/0", Value::Integer(3))], Code::SERVICE_UNAVAILABLE),
        ("/4711/0", vec![("/4711/0/1", Value::Integer(1))], Code::NOT_FOUND),
        ("/3/0", vec![("/3/0/0", Value::String("Other"))], Code::METHOD_NOT_ALLOWED),
    ];
    for (base, values, expected) in bad {
        assert_eq!(write(&mut world, SENML_JSON, base, &values), expected, "{base} {values:?}");
    }
    let picture = 22u16.to_be_bytes();
    let options = [(OptionNumber::CONTENT_FORMAT, &picture[..])];
    let answer = world.ask_from(SERVER, Code::PUT, "/1/0", &options, b"GIF");
    assert_eq!(answer.code(), Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), OLD);
}

#[test]
fn resources_that_the_device_does_not_have_are_passed_over() {
    let mut world = asked();
    take(&mut world, Step::Security);
    let values = [
        ("/1/0/0", Value::Integer(102)),
        ("/1/0/1", Value::Integer(600)),
        ("/1/0/7", Value::String("U")),
        ("/1/0/22", Value::String("U")),
        ("/1/0/999", Value::Integer(1)),
    ];
    assert_eq!(write(&mut world, SENML_CBOR, "/1/0", &values), Code::CHANGED);
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), NEW);
}

#[test]
fn how_the_handshake_is_to_be_done_is_kept_with_the_account() {
    let mut world = asked();
    assert_eq!(ask(&mut world, Code::DELETE, "/"), Code::DELETED);
    let account = [
        ("/0/4/0", Value::String("coaps://server.example:5684")),
        ("/0/4/2", Value::Integer(2)),
        ("/0/4/3", Value::Opaque(b"own certificate")),
        ("/0/4/4", Value::Opaque(b"authority")),
        ("/0/4/5", Value::Opaque(b"key")),
        ("/0/4/10", Value::Integer(102)),
        ("/0/4/13", Value::UnsignedInteger(0)),
        ("/0/4/14", Value::String("server.example")),
        ("/0/4/15", Value::UnsignedInteger(2)),
        ("/0/4/16/0", Value::UnsignedInteger(0xc0ae)),
        ("/0/4/16/1", Value::UnsignedInteger(0xc02b)),
    ];
    assert_eq!(write(&mut world, SENML_CBOR, "/0/4", &account), Code::CHANGED);
    for (resource, wrong) in [(13, 2), (15, 4), (16, 70_000)] {
        let path = format!("/0/4/{resource}");
        let values = [(path.as_str(), Value::UnsignedInteger(wrong))];
        assert_eq!(write(&mut world, SENML_CBOR, &path, &values), Code::BAD_REQUEST, "{path}");
    }
    take(&mut world, Step::Server);
    assert_eq!(finish(&mut world), Code::CHANGED);
    for _ in 0..2 {
        let (_, security, _) = world.device.client.servers().next().unwrap();
        assert_eq!(security.tls.server_name.as_str(), "server.example");
        assert_eq!((security.tls.matching_type, security.tls.certificate_usage), (0, 2));
        assert_eq!(security.tls.suites, [Some(0xc0ae), Some(0xc02b), None, None]);
        assert_eq!(security.server_key.as_slice(), b"authority");
        world.device.reboot(world.now);
    }
}

#[test]
fn a_certificate_fits_a_host_and_not_a_chip() {
    let certificate = [0x30; 900];
    let made = Security::<Host>::certificate("coaps://192.0.2.1", &certificate, b"key", &certificate);
    assert_eq!(made.unwrap().identity.as_slice(), certificate);
    assert!(Security::<Chip>::certificate("coaps://192.0.2.1", &certificate, b"key", &certificate).is_err());
}

#[test]
fn accounts_are_written_in_every_format_and_on_every_level() {
    let formats = [TLV, SENML_JSON, SENML_CBOR, LWM2M_CBOR, ContentFormat::LWM2M_JSON];
    for (format, of_object) in formats.into_iter().flat_map(|format| [(format, false), (format, true)]) {
        let mut world = asked();
        assert_eq!(ask(&mut world, Code::DELETE, "/"), Code::DELETED);
        let keys: Vec<u8> = (0..16).collect();
        let account = [
            ("/0/4/0", Value::String("coaps://server.example:5684")),
            ("/0/4/1", Value::Boolean(false)),
            ("/0/4/2", Value::Integer(0)),
            ("/0/4/3", Value::Opaque(b"buoy-1")),
            ("/0/4/5", Value::Opaque(&keys)),
            ("/0/4/10", Value::Integer(7)),
        ];
        let wish =
            [("/1/9/0", Value::Integer(7)), ("/1/9/1", Value::Integer(60)), ("/1/9/7", Value::String("UQ"))];
        let (first, second) = if of_object { ("/0", "/1") } else { ("/0/4", "/1/9") };
        assert_eq!(write(&mut world, format, first, &account), Code::CHANGED, "{format:?} {first}");
        assert_eq!(write(&mut world, format, second, &wish), Code::CHANGED, "{format:?} {second}");
        let late = [("/1/9/13", Value::UnsignedInteger(5))];
        assert_eq!(write(&mut world, ContentFormat::TEXT, "/1/9/13", &late), Code::CHANGED);
        assert_eq!(finish(&mut world), Code::CHANGED);
        let (_, security, server) = world.device.client.servers().next().unwrap();
        assert_eq!((security.mode, security.instance), (SecurityMode::PreSharedKey, 4));
        assert_eq!(
            (security.identity.as_slice(), security.secret_key.as_slice()),
            (&b"buoy-1"[..], &keys[..])
        );
        assert_eq!((server.short_server_id, server.instance, server.lifetime), (7, 9, 60));
        assert_eq!((server.priority, server.binding.has_queue_flag()), (Some(5), true));
        world.device.reboot(world.now);
        assert_eq!(servers(&world), [(7, 9)], "after a reboot");
    }
}

#[test]
fn a_write_comes_in_blocks() {
    let mut world = asked();
    take(&mut world, Step::Security);
    let values =
        [("/1/0/0", Value::Integer(102)), ("/1/0/1", Value::Integer(600)), ("/1/0/7", Value::String("U"))];
    let payload = encoded(SENML_JSON, "/1/0", &values);
    let size = BlockSize::at_most(32);
    let format = SENML_JSON.0.to_be_bytes();
    for (number, piece) in payload.chunks(32).enumerate() {
        let more = (number + 1) * 32 < payload.len();
        let block = Block::at(number * 32, more, size).unwrap().to_uint() as u16;
        let block = block.to_be_bytes();
        let options = [(OptionNumber::CONTENT_FORMAT, &format[..]), (OptionNumber::BLOCK1, &block[..])];
        let answer = world.ask_from(SERVER, Code::PUT, "/1/0", &options, piece);
        assert_eq!(answer.code(), if more { Code::CONTINUE } else { Code::CHANGED });
    }
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), NEW);
}

#[test]
fn int_9_accounts_that_do_not_go_together_are_refused_at_the_end() {
    type Script = fn(&mut World) -> Code;
    let scripts: [(Script, &str); 9] = [
        (|world| ask(world, Code::DELETE, "/0/0"), "no account in object 0"),
        (|world| security(world, 5, 102), "no server in object 1"),
        (|world| ask(world, Code::DELETE, "/1"), "no server in this configuration"),
        (|world| security(world, 5, 101), "two instances of object 0"),
        (
            |world| {
                security(world, 5, 102);
                server(world, 5, 101)
            },
            "two instances of object 1",
        ),
        (
            |world| {
                security(world, 0, 0);
                server(world, 0, 0)
            },
            "not in 1 to 65534",
        ),
        (
            |world| write(world, ContentFormat::TEXT, "/0/0/0", &[("/0/0/0", Value::String("gopher://x"))]),
            "URI",
        ),
        (
            |world| {
                write(world, ContentFormat::TEXT, "/0/0/0", &[("/0/0/0", Value::String("coaps://x"))]);
                write(world, ContentFormat::TEXT, "/0/0/2", &[("/0/0/2", Value::Integer(0))])
            },
            "key or identity is missing",
        ),
        (
            |world| write(world, ContentFormat::TEXT, "/0/0/1", &[("/0/0/1", Value::Boolean(true))]),
            "two bootstrap servers",
        ),
    ];
    for (script, words) in scripts {
        let mut world = asked();
        script(&mut world);
        let answer = world.ask_from(SERVER, Code::POST, "/bs", &[], b"");
        assert_eq!(answer.code(), Code::NOT_ACCEPTABLE, "{words}");
        assert!(answer.text().contains(words), "{} is not about {words}", answer.text());
        assert_eq!(servers(&world), OLD);
        world.wait(300);
        assert!(world.saw(Event::BootstrapFailed(BootstrapFailure::ServerBrokeOff)));
        world.device.reboot(world.now);
        assert_eq!(servers(&world), OLD, "after a reboot");
    }
}

#[test]
fn a_bootstrap_that_breaks_off_leaves_everything_and_is_tried_again() {
    let mut world = asked();
    [Step::Delete, Step::Security].iter().for_each(|step| take(&mut world, *step));
    world.wait(247);
    assert!(world.saw(Event::BootstrapFailed(BootstrapFailure::ServerBrokeOff)));
    assert_eq!(servers(&world), OLD);
    assert!(world.device.client.is_registered(FIRST), "the registration has not ended");
    world.sent.clear();
    world.wait(60);
    assert_eq!(world.request().path(), "bs");
}

#[test]
fn only_the_bootstrap_server_is_heard_and_only_while_it_is_its_turn() {
    let mut world = asked();
    assert_eq!(world.read("/3/0/0", ContentFormat::TEXT).code(), Code::SERVICE_UNAVAILABLE);
    assert_eq!(world.write_text("/1/0/1", "60"), Code::SERVICE_UNAVAILABLE);
    assert_eq!(world.ask(Code::POST, "/bs", &[], b"").code(), Code::SERVICE_UNAVAILABLE);
    assert_eq!(finish(&mut world), Code::CHANGED);
    world.accept_registration(FIRST, "7");
    let header = Header { kind: Kind::Confirmable, code: Code::DELETE, message_id: 4000, token: b"x" };
    let late = buoy_testkit::message(header, &[], b"");
    assert!(world.deliver(SERVER, &late).is_none(), "nobody asked for it");
    assert_eq!(servers(&world), OLD);
    assert_eq!(world.read_text("/3/0/0"), "Buoy");
}

#[test]
fn other_objects_change_at_the_end_and_not_before() {
    let mut world = asked();
    let mut container = Container::default();
    container.instances.insert(3, Default::default());
    world.device.objects.container = Some(container);
    assert_eq!(ask(&mut world, Code::DELETE, "/19"), Code::DELETED);
    let values = [("/19/8/3", Value::String("fresh"))];
    assert_eq!(write(&mut world, SENML_CBOR, "/19/8", &values), Code::CHANGED);
    let before = world.device.objects.container.as_ref().unwrap();
    assert!(before.instances.contains_key(&3) && !before.instances.contains_key(&8));
    assert_eq!(finish(&mut world), Code::CHANGED);
    let after = world.device.objects.container.as_ref().unwrap();
    assert_eq!(after.instances.keys().collect::<Vec<_>>(), [&8]);
    assert_eq!(after.instances[&8].1, "fresh");
}

/// A storage whose power goes after so many records.
struct Failing {
    memory: Memory,
    saves: u32,
}

impl Storage for Failing {
    type Error = &'static str;

    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        self.memory.load(object, record).map_err(|never| match never {})
    }

    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), Self::Error> {
        self.saves = self.saves.checked_sub(1).ok_or("the power is gone")?;
        self.memory.save(object, record).map_err(|never| match never {})
    }

    fn wipe(&mut self) -> Result<(), Self::Error> {
        Err("nobody asked for it")
    }
}

#[test]
fn a_power_cut_at_any_record_leaves_the_old_accounts_or_the_new_ones_whole() {
    let mut outcomes = Vec::new();
    for saves in 0..7 {
        let mut world = asked();
        [Step::Delete, Step::Security, Step::Server].iter().for_each(|step| take(&mut world, *step));
        let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id: 5000, token: b"x" };
        let last = buoy_testkit::message(header, &[(OptionNumber::URI_PATH, b"bs")], b"");
        let mut storage = Failing { memory: world.device.storage.clone(), saves };
        let device = &mut world.device;
        let (now, client) = (world.now, &mut device.client);
        let mut out = [0; 1280];
        let saved = device.objects.with(|objects| {
            assert!(client.handle_datagram(now, SERVER, &last, objects, &mut out) > 0);
            client.persist(objects, &mut storage)
        });
        world.device.storage = storage.memory;
        for _ in 0..3 {
            world.device.reboot(world.now);
            world.settle();
            outcomes.push(servers(&world));
            let account = world.device.client.servers().next().unwrap().1.uri;
            let expected = if servers(&world) == OLD { "coap://192.0.2.1" } else { "coap://192.0.2.9:5683" };
            assert_eq!(account.as_str(), expected, "after {saves} records");
            assert!(world.device.client.bootstrap_server().is_some());
        }
        assert!(saved.is_err() || servers(&world) == NEW);
    }
    assert!(outcomes[..3].iter().all(|known| known == OLD));
    assert!(outcomes[3..].iter().all(|known| known == NEW), "{outcomes:?}");
}

#[test]
fn a_part_of_a_configuration_that_the_device_has_no_memory_for_is_refused_and_the_others_hold() {
    let mut world = asked();
    world.device.objects.container = Some(Container::default());
    for index in 0..4 {
        let path = format!("/19/8/0/{index}");
        let values = [(path.as_str(), Value::Opaque(&[7; 980]))];
        assert_eq!(write(&mut world, SENML_CBOR, "/19/8", &values), Code::CHANGED);
    }
    let more = [("/19/9/0/9", Value::Opaque(&[7; 1000][..]))];
    let refused = write(&mut world, SENML_CBOR, "/19/9", &more);
    assert_eq!(refused, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(finish(&mut world), Code::CHANGED, "what was accepted fits one record of the storage");
    assert_eq!(servers(&world), OLD);
    let container = world.device.objects.container.as_ref().unwrap();
    assert!(container.instances.keys().eq([&8]));
}

/// A device of LwM2M 1.2 that knows only its bootstrap server, and has asked for a pack.
fn asked_for_a_pack() -> (World, Sent) {
    let config = ClientConfig { version: LwM2mVersion::V1_2, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[]);
    world.device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.start();
    let request = world.request().clone();
    assert_eq!((request.code(), request.path()), (Code::GET, "bspack".to_owned()));
    (world, request)
}

fn answer_with(world: &mut World, request: &Sent, payload: &[u8]) {
    let asked = request.message();
    let header = Header {
        kind: Kind::Acknowledgement,
        code: Code::CONTENT,
        message_id: asked.message_id(),
        token: asked.token(),
    };
    let format = SENML_JSON.0.to_be_bytes();
    let answer = buoy_testkit::message(header, &[(OptionNumber::CONTENT_FORMAT, &format[1..])], payload);
    world.deliver(SERVER, &answer);
}

#[test]
fn a_bootstrap_server_without_packs_is_asked_the_other_way() {
    let (mut world, request) = asked_for_a_pack();
    world.answer(&request, Code::NOT_FOUND, &[]);
    let request = world.request().clone();
    assert_eq!((request.code(), request.path()), (Code::POST, "bs".to_owned()));
    world.answer(&request, Code::CHANGED, &[]);
    [Step::Security, Step::Server].iter().for_each(|step| take(&mut world, *step));
    assert_eq!(finish(&mut world), Code::CHANGED);
    assert_eq!(servers(&world), NEW);
}

#[test]
fn int_9_a_pack_that_makes_no_sense_changes_nothing() {
    let (mut world, request) = asked_for_a_pack();
    let pack = encoded(SENML_JSON, "/", &[("/1/0/0", Value::Integer(102)), ("/1/0/1", Value::Integer(60))]);
    answer_with(&mut world, &request, &pack);
    let failed = |event: &Event| {
        matches!(event, Event::BootstrapFailed(BootstrapFailure::ServerSentInconsistent(words))
            if words.contains("no account in object 0"))
    };
    assert!(world.device.events.iter().any(failed), "{:?}", world.device.events);
    assert!(servers(&world).is_empty() && world.device.client.bootstrap_server().is_some());
    let (mut world, request) = asked_for_a_pack();
    answer_with(&mut world, &request, b"[{");
    assert!(servers(&world).is_empty() && !world.device.client.is_bootstrapping());
}

#[test]
fn a_bootstrap_server_can_set_an_infinite_lifetime_where_the_version_knows_one() {
    let lifetime = [("/1/0/1", Value::Integer(0))];
    let mut world = asked();
    assert_eq!(write(&mut world, TLV, "/1/0", &lifetime), Code::BAD_REQUEST);

    let config = ClientConfig { version: LwM2mVersion::V1_2, ..ClientConfig::new("buoy-1").unwrap() };
    let mut world = World::with(config, &[buoy_client::Server::new(101, 300)]);
    world.start();
    world.accept_registration(FIRST, "5a3f");
    world.device.client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
    world.execute("/1/0/9");
    let request = world.request().clone();
    assert_eq!(request.path(), "bspack");
    world.sent.clear();
    world.answer(&request, Code::NOT_FOUND, &[]);
    let request = world.request().clone();
    world.answer(&request, Code::CHANGED, &[]);
    assert_eq!(write(&mut world, TLV, "/1/0/1", &lifetime), Code::CHANGED);
}
