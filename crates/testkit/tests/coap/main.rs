//! CoAP as our two engines speak it: the server and the device each in both roles, against messages made by hand and against
//! each other.

mod blocks;
mod observe;

use buoy_coap::endpoint::reject;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind};
use buoy_server::Peer;
use buoy_testkit::{Datagram, ONLY_SERVER, World, message};

/// Who is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Device,
}

const BOTH: [Role; 2] = [Role::Server, Role::Device];

/// Delivers a message and returns what is said at once.
fn tell(world: &mut World, role: Role, bytes: &[u8]) -> Option<Datagram> {
    let now = world.now;
    match role {
        Role::Device => world.device().handle_datagram(now, ONLY_SERVER, bytes).map(|sent| sent.datagram),
        Role::Server => {
            let peer = Peer::plain(world.address());
            world.server.shard.handle_datagram(now, peer, bytes, &mut world.server.outbox);
            let sent = world.server.settle(now);
            sent.into_iter().next().map(|(_, bytes)| Datagram { bytes })
        }
    }
}

/// A request made by hand.
struct Asked<'a> {
    kind: Kind,
    code: Code,
    token: &'a [u8],
    path: &'a str,
    options: &'a [(OptionNumber, &'a [u8])],
    payload: &'a [u8],
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self { kind: Kind::Confirmable, code: Code::GET, token: b"t", path: "", options: &[], payload: b"" }
    }
}

fn ask(world: &mut World, role: Role, id: u16, asked: &Asked<'_>) -> Option<Datagram> {
    let header = Header { kind: asked.kind, code: asked.code, message_id: id, token: asked.token };
    let segments = asked.path.split('/').filter(|segment| !segment.is_empty());
    let mut options: Vec<_> = segments.map(|it| (OptionNumber::URI_PATH, it.as_bytes())).collect();
    options.extend_from_slice(asked.options);
    options.sort_by_key(|(number, _)| *number);
    tell(world, role, &message(header, &options, asked.payload))
}

/// Something that can be read.
const fn readable(role: Role) -> &'static str {
    match role {
        Role::Server => ".well-known/core",
        Role::Device => "3/0/0",
    }
}

#[test]
fn rfc_7252_a_ping_is_answered_by_a_reset() {
    let mut world = World::registered();
    for role in BOTH {
        let answer = tell(&mut world, role, &[0x40, 0, 0x12, 0x34]).unwrap();
        assert_eq!(answer.bytes, reject(0x1234), "{role:?}");
    }
}

#[test]
fn rfc_7252_a_non_confirmable_request_is_answered_so() {
    let mut world = World::registered();
    for role in BOTH {
        let asked = Asked { kind: Kind::NonConfirmable, path: readable(role), ..Asked::default() };
        let answer = ask(&mut world, role, 1, &asked).unwrap();
        assert_eq!((answer.kind(), answer.code()), (Kind::NonConfirmable, Code::CONTENT), "{role:?}");
    }
}

#[test]
fn rfc_7252_a_repeated_request_gets_the_same_answer() {
    let mut world = World::registered();
    for role in BOTH {
        let asked = Asked { code: Code::DELETE, path: readable(role), ..Asked::default() };
        let first = ask(&mut world, role, 1, &asked).unwrap();
        assert_eq!(ask(&mut world, role, 1, &asked).unwrap(), first, "{role:?}");
    }
}

#[test]
fn rfc_7252_neither_is_a_proxy() {
    let mut world = World::registered();
    for role in BOTH {
        for (id, option) in [(1, OptionNumber::PROXY_URI), (2, OptionNumber::PROXY_SCHEME)] {
            let options = [(option, &b"coap"[..])];
            let asked = Asked { path: readable(role), options: &options, ..Asked::default() };
            let answer = ask(&mut world, role, id, &asked).unwrap();
            assert_eq!(answer.code(), Code::PROXYING_NOT_SUPPORTED, "{role:?} {option:?}");
        }
    }
}

#[test]
fn rfc_7252_an_unknown_critical_option_is_refused_and_an_unknown_elective_one_passed_over() {
    let mut world = World::registered();
    for role in BOTH {
        for (id, option, code) in [(1, 2049, Code::BAD_OPTION), (2, 2050, Code::CONTENT)] {
            let options = [(OptionNumber(option), &b"x"[..])];
            let asked = Asked { path: readable(role), options: &options, ..Asked::default() };
            assert_eq!(ask(&mut world, role, id, &asked).unwrap().code(), code, "{role:?} {option}");
        }
    }
}

#[test]
fn rfc_8132_patch_is_a_method_that_nothing_takes() {
    let mut world = World::registered();
    for (id, role, path) in [
        (1, Role::Device, "3/0"),
        (2, Role::Device, ""),
        (1, Role::Server, "rd"),
        (2, Role::Server, ".well-known/core"),
    ] {
        let asked = Asked {
            code: Code::PATCH,
            path,
            options: &[(OptionNumber::CONTENT_FORMAT, &[110])],
            payload: b"[]",
            ..Asked::default()
        };
        let answer = ask(&mut world, role, id, &asked).unwrap();
        assert_eq!(answer.code(), Code::METHOD_NOT_ALLOWED, "{role:?} {path}");
    }
}

#[test]
fn rfc_8132_fetch_and_ipatch_are_for_the_root_of_a_device_alone() {
    let mut world = World::registered();
    let mut id = 1;
    for code in [Code::FETCH, Code::IPATCH] {
        for (role, path) in [(Role::Device, "3/0"), (Role::Server, "rd"), (Role::Server, ".well-known/core")]
        {
            let options = [(OptionNumber::CONTENT_FORMAT, &[110][..])];
            let asked = Asked { code, path, options: &options, payload: b"[]", ..Asked::default() };
            let answer = ask(&mut world, role, id, &asked).unwrap();
            assert_eq!(answer.code(), Code::METHOD_NOT_ALLOWED, "{role:?} {code:?} {path}");
            id += 1;
        }
    }
}

#[test]
fn rfc_8974_a_long_token_comes_back() {
    let mut world = World::registered();
    for role in BOTH {
        for (id, length) in [(1, 9), (2, 20), (3, 300)] {
            let token = vec![7; length];
            let asked = Asked { token: &token, path: readable(role), ..Asked::default() };
            let answer = ask(&mut world, role, id, &asked).unwrap();
            assert_eq!((answer.code(), answer.message().token()), (Code::CONTENT, &token[..]), "{role:?}");
        }
    }
}

#[test]
fn rfc_8974_an_observation_by_a_long_token_is_answered_and_not_taken_up() {
    let mut world = World::registered();
    let options = [(OptionNumber::OBSERVE, &b""[..])];
    let asked = Asked { token: &[7; 20], path: "3303/0/5700", options: &options, ..Asked::default() };
    let answer = ask(&mut world, Role::Device, 1, &asked).unwrap();
    assert_eq!((answer.code(), answer.uint(OptionNumber::OBSERVE)), (Code::CONTENT, None));
}

#[test]
fn rfc_7967_a_response_that_nobody_wants_is_not_sent() {
    // 2: no success; 8: no client errors; 26: none at all.
    for (role, path, unwanted, is_silent) in [
        (Role::Device, "3/0/0", 2, true),
        (Role::Device, "3/0/0", 8, false),
        (Role::Device, "3/0/99", 8, true),
        (Role::Device, "3/0/99", 26, true),
        (Role::Server, ".well-known/core", 2, true),
        (Role::Server, "nothing", 2, false),
        (Role::Server, "nothing", 8, true),
    ] {
        for (kind, id) in [(Kind::Confirmable, 1), (Kind::NonConfirmable, 2)] {
            let mut world = World::registered();
            let options = [(OptionNumber::NO_RESPONSE, &[unwanted][..])];
            let asked = Asked { kind, path, options: &options, ..Asked::default() };
            let answer = ask(&mut world, role, id, &asked);
            let code = answer.as_ref().map(Datagram::code);
            let expected = match (is_silent, kind) {
                (true, Kind::Confirmable) => Some(Code::EMPTY),
                (true, _) => None,
                (false, _) => code.filter(|code| *code != Code::EMPTY),
            };
            assert!(
                code == expected && (is_silent || code.is_some()),
                "{role:?} {path} {unwanted} {kind:?}: {code:?}"
            );
        }
    }
}

#[test]
fn rfc_9175_what_a_peer_wants_to_see_again_is_shown() {
    let mut world = World::new(7);
    let now = world.now;
    world.device().start(now);
    let register = world.device().settle(now).remove(0).datagram;
    let challenge = |request: &Datagram| {
        let header = Header {
            kind: Kind::Acknowledgement,
            code: Code::UNAUTHORIZED,
            message_id: request.message().message_id(),
            token: request.message().token(),
        };
        message(header, &[(OptionNumber::ECHO, b"seen?")], b"")
    };
    tell(&mut world, Role::Device, &challenge(&register));
    let again = world.device().settle(now).remove(0).datagram;
    assert_eq!(again.message().value(OptionNumber::ECHO), Some(&b"seen?"[..]));
    assert_eq!((again.path(), again.payload()), (register.path(), register.payload()));

    let mut world = World::registered();
    let path = buoy_lwm2m::path::Path::resource(3, 0, 0);
    world.network.faults.loss = 100;
    world.network.log.clear();
    let read = buoy_lwm2m::operation::Downlink::Read { path, accept: None };
    let id = world.submit(&read, buoy_server::Intent::Once, buoy_server::Durability::Transient);
    let request = world.from_server().next().unwrap().clone();
    let again = tell(&mut world, Role::Server, &challenge(&request)).unwrap();
    assert_eq!(again.line(), "GET /3/0/0 Echo=[73, 65, 65, 6e, 3f]");
    // Who is not satisfied by it doesn't get it once more.
    assert_eq!(tell(&mut world, Role::Server, &challenge(&again)), None);
    assert_eq!(world.server.outcome_code(id), Some(Ok(Code::UNAUTHORIZED)));
}

#[test]
fn rfc_7252_nstart_the_next_request_waits_for_the_answer_of_the_one_before() {
    let mut world = World::registered();
    world.network.log.clear();
    let now = world.now;
    let device = world.device();
    let paths = [buoy_lwm2m::path::Path::resource(3, 0, 0)];
    device.objects.with(|objects| {
        device.client.update_registration(now, ONLY_SERVER, objects);
        device.client.send(now, ONLY_SERVER, &paths, objects).unwrap();
    });
    world.settle();
    assert_eq!(world.from_device().count(), 1);
    world.wait(1);
    let codes: Vec<_> = world.network.log.iter().map(|packet| packet.datagram.code()).collect();
    assert_eq!(codes, [Code::POST, Code::CHANGED, Code::POST, Code::CHANGED]);
}
