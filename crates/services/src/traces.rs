//! The CoAP messages of one device, as long as somebody looks at them.

use std::sync::Arc;

use buoy_api as api;
use buoy_net::shard::ShardHandle;
use buoy_server::Event;

use crate::app::App;
use crate::coap_words::{OptionValue, coap_words};
use crate::event_log::AppEvent;
use crate::hex;

/// The CoAP messages of a device are events as long as this lives.
pub struct Trace {
    endpoint: String,
    /// Where the device was when it began: there it has to end, wherever the device is then.
    shard: ShardHandle,
}

impl Trace {
    /// Starts to publish the messages of a device.
    #[must_use]
    pub fn start(app: &App, endpoint: &str) -> Self {
        let trace = Self { endpoint: endpoint.to_owned(), shard: app.home(endpoint).clone() };
        trace.switch(true);
        trace
    }

    fn switch(&self, is_on: bool) {
        let name: Arc<str> = self.endpoint.as_str().into();
        self.shard.run(move |shard, _, _| shard.trace(&name, is_on));
    }

    /// The message of an event, if it is one of this device.
    #[must_use]
    pub fn message(&self, event: &AppEvent) -> Option<api::TracedMessage> {
        let AppEvent::Device(event) = event else { return None };
        let Event::Traced { endpoint, at, incoming, datagram } = &**event else { return None };
        if **endpoint != *self.endpoint {
            return None;
        }
        let words = coap_words(datagram)?;
        let options = words.options.into_iter().map(|option| {
            let value = match option.value {
                OptionValue::String(text) => text,
                OptionValue::Uint(number) => number.to_string(),
                OptionValue::Empty => String::new(),
                OptionValue::Opaque(digits) | OptionValue::Unknown(digits) => format!("0x{digits}"),
            };
            api::TracedOption { name: option.name, value }
        });
        Some(api::TracedMessage {
            at: *at,
            incoming: *incoming,
            kind: words.kind.to_owned(),
            code: words.code,
            message_id: words.message_id,
            token: words.token,
            options: options.collect(),
            payload: words.payload,
            bytes: hex::encode(datagram),
        })
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.switch(false);
    }
}
