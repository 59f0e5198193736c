//! Connectivity Monitoring (object 4) and Connectivity Statistics (object 7).

use buoy_coap::number::Code;

use buoy_coap::time::Instant;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::text::Text;

/// Addresses that are told.
const ADDRESSES: usize = 4;

/// The Connectivity Monitoring object.
#[derive(Clone, Debug, Default)]
pub struct ConnectivityMonitoring {
    /// 0: the network in use; 21 is WLAN, 41 Ethernet, 6 LTE.
    pub bearer: u8,
    /// 2: dBm.
    pub signal_strength: i16,
    /// 3: as the network counts it.
    pub link_quality: Option<i32>,
    /// 4
    pub addresses: [Text<40>; ADDRESSES],
    /// 5
    pub router: Text<40>,
}

static MONITORING: ObjectDefinition = ObjectDefinition::new(
    4,
    &[
        Resource::read(0, ValueType::Integer),
        Resource::read(1, ValueType::Integer).multiple(),
        Resource::read(2, ValueType::Integer),
        Resource::read(3, ValueType::Integer),
        Resource::read(4, ValueType::String).multiple(),
        Resource::read(5, ValueType::String).multiple(),
    ],
);

impl ConnectivityMonitoring {
    /// A device with that kind of network and that address.
    #[must_use]
    pub fn new(bearer: u8, address: &str) -> Self {
        let mut addresses = [Text::EMPTY; ADDRESSES];
        if let Some(first) = addresses.first_mut() {
            *first = Text::clipped(address);
        }
        Self { bearer, addresses, ..Self::default() }
    }

    /// Sets the strength of the signal, in dBm.
    pub fn set_signal_strength(&mut self, context: &mut Context<'_>, dbm: i16) {
        self.signal_strength = dbm;
        context.changed(Path::resource(MONITORING.id, 0, 2));
    }
}

impl Object for ConnectivityMonitoring {
    fn definition(&self) -> &'static ObjectDefinition {
        &MONITORING
    }

    fn has_resource(&self, at: At) -> bool {
        match at.resource {
            3 => self.link_quality.is_some(),
            5 => !self.router.is_empty(),
            _ => true,
        }
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            0 => sink.value(i64::from(self.bearer)),
            1 => sink.item(0, i64::from(self.bearer)),
            2 => sink.value(i64::from(self.signal_strength)),
            3 => sink.optional(self.link_quality.map(i64::from)),
            4 => {
                let addresses = self.addresses.iter().filter(|address| !address.is_empty());
                (0..).zip(addresses).try_for_each(|(index, address)| sink.item(index, address.as_str()))
            }
            5 => sink.item(0, self.router.as_str()),
            _ => Err(Refusal::NOT_FOUND),
        }
    }
}

/// The Connectivity Statistics object; the shell counts what goes in and out.
#[derive(Clone, Debug, Default)]
pub struct ConnectivityStatistics {
    sent: u64,
    received: u64,
    messages: u64,
    largest: u32,
    collecting: bool,
    /// 8: seconds; 0 until Stop.
    period: u32,
    until: Option<Instant>,
}

static STATISTICS: ObjectDefinition = ObjectDefinition::new(
    7,
    &[
        Resource::read(2, ValueType::Integer),
        Resource::read(3, ValueType::Integer),
        Resource::read(4, ValueType::Integer),
        Resource::read(5, ValueType::Integer),
        Resource::execute(6),
        Resource::execute(7),
        Resource::read_write(8, ValueType::Integer),
    ],
);

impl ConnectivityStatistics {
    /// Counters at zero, at rest until a server starts them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a datagram that was sent.
    pub fn count_sent(&mut self, bytes: usize) {
        if self.collecting {
            self.sent = self.sent.saturating_add(bytes as u64);
            self.count(bytes);
        }
    }

    /// Counts a datagram that was received.
    pub fn count_received(&mut self, bytes: usize) {
        if self.collecting {
            self.received = self.received.saturating_add(bytes as u64);
            self.count(bytes);
        }
    }

    fn count(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_add(1);
        self.largest = self.largest.max(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    fn average(&self) -> u64 {
        self.sent.saturating_add(self.received).checked_div(self.messages).unwrap_or(0)
    }
}

impl Object for ConnectivityStatistics {
    fn definition(&self) -> &'static ObjectDefinition {
        &STATISTICS
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            2 => sink.value((self.sent / 1000) as i64),
            3 => sink.value((self.received / 1000) as i64),
            4 => sink.value(i64::from(self.largest)),
            5 => sink.value(self.average() as i64),
            8 => sink.value(i64::from(self.period)),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, _: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        match value {
            Value::Integer(seconds) if u32::try_from(*seconds).is_ok() => Ok(()),
            _ => Err(refusal!(Code::BAD_REQUEST, "a period is a number of seconds")),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        self.check(at, None, value)?;
        if let Value::Integer(seconds) = value {
            self.period = u32::try_from(*seconds).unwrap_or(0);
        }
        context.changed(Path::resource(STATISTICS.id, 0, 8));
        Ok(())
    }

    fn execute(&mut self, context: &mut Context<'_>, at: At, _: &str) -> Result<(), Refusal> {
        if at.resource == 7 {
            self.collecting = false;
            self.until = None;
            return Ok(());
        }
        let period = self.period;
        *self = Self { period, collecting: true, ..Self::default() };
        if period > 0 {
            self.until = Some(context.now().after_seconds(period));
        }
        context.changed(Path::instance(STATISTICS.id, 0));
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.until
    }

    fn handle_timeout(&mut self, _: &mut Context<'_>) {
        self.collecting = false;
        self.until = None;
    }
}
