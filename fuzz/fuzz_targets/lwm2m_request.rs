//! Requests of devices, servers and bootstrap servers, and responses: what parses can be said again and means the same.
#![no_main]

use buoy_coap::number::OptionNumber;
use buoy_coap::wire::Message;
use buoy_lwm2m::operation::{Arguments, Binding, BootstrapDownlink, Downlink, Operation, Response, Uplink};
use libfuzzer_sys::fuzz_target;

const OPERATIONS: [Operation; 6] = [
    Operation::Register,
    Operation::Create,
    Operation::Read,
    Operation::Write,
    Operation::Discover,
    Operation::ObserveComposite,
];

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::parse(datagram) else { return };
    let (code, payload) = (message.code(), message.payload());
    if let Ok(text) = std::str::from_utf8(payload) {
        if let Ok(arguments) = Arguments::parse(text) {
            assert!(arguments.iter().count() <= 10);
        }
        let _ = text.parse::<Binding>();
    }
    for operation in OPERATIONS {
        let _ = Response::parse(operation, code, message.options(), payload);
    }
    if let Ok(request) = Uplink::parse(code, message.options(), payload) {
        let options = owned(|each| request.each_option(each));
        let again = Uplink::parse(request.code(), borrowed(&options), request.payload());
        assert_eq!(again, Ok(request));
    }
    if let Ok(request) = Downlink::parse(code, message.options(), payload) {
        let options = owned(|each| request.each_option(each));
        let again = Downlink::parse(request.code(), borrowed(&options), request.payload());
        assert_eq!(again, Ok(request));
    }
    if let Ok(request) = BootstrapDownlink::parse(code, message.options(), payload) {
        let options = owned(|each| request.each_option(each));
        let again = BootstrapDownlink::parse(request.code(), borrowed(&options), request.payload());
        assert_eq!(again, Ok(request));
    }
});

type Options = Vec<(OptionNumber, Vec<u8>)>;

fn owned(hand_out: impl FnOnce(&mut dyn FnMut(OptionNumber, &[u8]))) -> Options {
    let mut options = Options::new();
    hand_out(&mut |number, value| options.push((number, value.to_vec())));
    options
}

fn borrowed(options: &Options) -> impl Iterator<Item = (OptionNumber, &[u8])> {
    options.iter().map(|(number, value)| (*number, value.as_slice()))
}
