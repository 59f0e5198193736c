//! A device that anybody may set up: requests in pieces, forms, names and leases.
#![no_main]

use arbitrary::Arbitrary;
use buoy_portal::form::Form;
use buoy_portal::http::{Arrived, BUFFER, Incoming};
use buoy_portal::page::{Network, Reply, Shown, reply};
use buoy_portal::setup::{LINES, Setup};
use buoy_portal::text::Text;
use buoy_portal::{dhcp, dns};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Whether the bytes are the body of a good request.
    is_form: bool,
    bytes: Vec<u8>,
    cuts: Vec<u16>,
    network: String,
}

fuzz_target!(|input: Input| {
    let request = if input.is_form {
        let head = format!(
            "POST /save HTTP/1.1\r\nHost: 192.168.4.1\r\nContent-Length: {}\r\n\r\n",
            input.bytes.len()
        );
        [head.as_bytes(), &input.bytes].concat()
    } else {
        input.bytes.clone()
    };
    let whole = answer(&request, &[], &input.network);
    // However the network cuts it, it is the same request.
    if request.len() <= BUFFER {
        assert_eq!(answer(&request, &input.cuts, &input.network), whole);
    }
    if let Ok(setup) = Setup::from_form(Form(&input.bytes)) {
        let mut lines = String::new();
        setup.write_lines(&mut lines).expect("a string takes all");
        assert!(lines.len() <= LINES && lines.lines().all(|line| line.contains('=')));
        let names: Vec<_> =
            lines.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        let known =
            ["endpoint", "server", "bootstrap", "identity", "key", "ntp", "queue", "wifi", "wifi-password"];
        assert!(names.iter().all(|name| known.contains(name)), "a value made a line of its own: {lines:?}");
    }
    let mut out = [0; dns::MESSAGE];
    let _ = dns::answer(&input.bytes, [192, 168, 4, 1], &mut out);
    let mut leases = dhcp::Leases::new([192, 168, 4, 1]);
    let mut out = [0; dhcp::MESSAGE];
    for message in input.bytes.chunks(300) {
        let _ = leases.answer(message, &mut out);
    }
});

/// What the page says at last, without the markup that strangers' text must not have.
fn answer(request: &[u8], cuts: &[u16], network: &str) -> Option<String> {
    let mut incoming = Incoming::new();
    let mut last = None;
    let mut rest = request;
    let pieces = cuts.iter().map(|cut| usize::from(*cut) % 64).chain([usize::MAX]);
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        rest = later;
        last = match incoming.push(now) {
            Arrived::Part => continue,
            Arrived::Whole(request) => Some(reply(&request)),
            Arrived::Refused(status) => Some(Reply::Refused(status)),
        };
        break;
    }
    let name = Text::new(network).unwrap_or(Text::EMPTY);
    let networks = [Network { name, strength: -50, is_open: true }];
    let shown = Shown { address: [192, 168, 4, 1], endpoint: "buoy", networks: &networks };
    let mut said = String::new();
    last?.write(&shown, &mut said).expect("a string takes all");
    assert!(!said.contains("<script") && !said.contains("<img"), "a name became markup");
    Some(said)
}
