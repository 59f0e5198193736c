//! Any datagram is a message or it is not; what was read can be written again and means the same.
#![no_main]

use buoy_coap::wire::{Header, Message, MessageWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::parse(datagram) else { return };
    let _ = message.check_critical(|number| number.definition().is_some());
    let _ = (message.content_format(), message.accept());

    let (kind, code) = (message.kind(), message.code());
    let header = Header { kind, code, message_id: message.message_id(), token: message.token() };
    let mut buffer = vec![0; datagram.len() + 8];
    let mut writer = MessageWriter::new(&mut buffer, header);
    for (number, value) in message.options() {
        writer.option(number, value);
    }
    let length = writer.payload(message.payload()).finish().expect("what was read can be written");
    assert_eq!(&buffer[..length], datagram, "there is one way to write a message");
});
