//! Device (object 3): what the device is and how it fares; its clock, Reboot and Factory Reset.

use buoy_coap::number::Code;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::effects::{Event, RebootReason};
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Refusal, ResourceDefinition as Resource, Sink, refusal,
};
use crate::record::{Record, RecordReader};
use crate::text::Text;

/// See [`Device::reset_reason`].
const RESET_REASON: u16 = 26_241;
/// Errors that are kept.
const ERRORS: usize = 8;
/// Power sources that are told.
const SOURCES: usize = 3;

/// The Device object. Texts that are empty and numbers that are `None` are not there for the servers.
#[derive(Clone, Debug)]
pub struct Device {
    /// 0
    pub manufacturer: Text<48>,
    /// 1
    pub model: Text<48>,
    /// 2
    pub serial: Text<48>,
    /// 3
    pub firmware_version: Text<48>,
    /// 17
    pub device_type: Text<48>,
    /// 18
    pub hardware_version: Text<48>,
    /// 19
    pub software_version: Text<48>,
    /// 26241: why the device started, as in `watchdog`; of the resources that are free for anybody's use.
    pub reset_reason: Text<128>,
    /// 6, 7 and 8
    pub power: [Option<PowerSource>; SOURCES],
    /// 9: per cent.
    pub battery_level: Option<u8>,
    /// 20: 0 normal, 1 charging, 2 full, 3 damaged, 4 low, 5 none, 6 unknown.
    pub battery_status: Option<u8>,
    /// 10: kilobytes.
    pub memory_free: Option<u32>,
    /// 21: kilobytes.
    pub memory_total: Option<u32>,
    errors: [Option<u8>; ERRORS],
    utc_offset: Text<8>,
    timezone: Text<40>,
    binding: Text<8>,
}

/// Where the power comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerSource {
    /// 6: 0 DC, 1 internal battery, 2 external battery, 3 fuel cell, 4 Ethernet, 5 USB, 6 mains, 7 sun.
    pub kind: u8,
    /// 7: millivolts.
    pub millivolts: Option<i32>,
    /// 8: milliamperes.
    pub milliamperes: Option<i32>,
}

/// What can be wrong with a device (3/0/11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The battery is nearly empty.
    LowBattery = 1,
    /// The external power is off.
    ExternalPowerOff = 2,
    /// There is no position.
    NoPosition = 3,
    /// The signal is weak.
    WeakSignal = 4,
    /// The memory is full.
    OutOfMemory = 5,
    /// No short messages.
    SmsFailure = 6,
    /// No IP.
    IpFailure = 7,
    /// A part of the device is broken.
    PeripheralMalfunction = 8,
}

static DEVICE: ObjectDefinition = ObjectDefinition::new(
    3,
    &[
        Resource::read(0, ValueType::String),
        Resource::read(1, ValueType::String),
        Resource::read(2, ValueType::String),
        Resource::read(3, ValueType::String),
        Resource::execute(4),
        Resource::execute(5),
        Resource::read(6, ValueType::Integer).multiple(),
        Resource::read(7, ValueType::Integer).multiple(),
        Resource::read(8, ValueType::Integer).multiple(),
        Resource::read(9, ValueType::Integer),
        Resource::read(10, ValueType::Integer),
        Resource::read(11, ValueType::Integer).multiple(),
        Resource::execute(12),
        Resource::read_write(13, ValueType::Time),
        Resource::read_write(14, ValueType::String),
        Resource::read_write(15, ValueType::String),
        Resource::read(16, ValueType::String),
        Resource::read(17, ValueType::String),
        Resource::read(18, ValueType::String),
        Resource::read(19, ValueType::String),
        Resource::read(20, ValueType::Integer),
        Resource::read(21, ValueType::Integer),
        Resource::read(RESET_REASON, ValueType::String),
    ],
)
.version(1, 1);

impl Device {
    /// A device of that name; texts that are too long are cut.
    #[must_use]
    pub fn new(manufacturer: &str, model: &str, serial: &str, firmware_version: &str) -> Self {
        Self {
            manufacturer: Text::clipped(manufacturer),
            model: Text::clipped(model),
            serial: Text::clipped(serial),
            firmware_version: Text::clipped(firmware_version),
            device_type: Text::EMPTY,
            hardware_version: Text::EMPTY,
            software_version: Text::EMPTY,
            reset_reason: Text::EMPTY,
            power: [None; SOURCES],
            battery_level: None,
            battery_status: None,
            memory_free: None,
            memory_total: None,
            errors: [None; ERRORS],
            utc_offset: Text::clipped("+00:00"),
            timezone: Text::clipped("Etc/UTC"),
            binding: Text::clipped("U"),
        }
    }

    /// Says that the device sleeps (3/0/16).
    pub fn set_queue_mode(&mut self, sleeps: bool) {
        self.binding = Text::clipped(if sleeps { "UQ" } else { "U" });
    }

    /// Sets the battery level, in per cent.
    pub fn set_battery_level(&mut self, context: &mut Context<'_>, level: u8) {
        self.battery_level = Some(level.min(100));
        context.changed(Path::resource(DEVICE.id, 0, 9));
    }

    /// Sets the free memory, in kilobytes.
    pub fn set_memory_free(&mut self, context: &mut Context<'_>, kilobytes: u32) {
        self.memory_free = Some(kilobytes);
        context.changed(Path::resource(DEVICE.id, 0, 10));
    }

    /// Tells of an error, until a server resets the error codes.
    pub fn raise(&mut self, context: &mut Context<'_>, error: ErrorCode) {
        let code = error as u8;
        if self.errors.contains(&Some(code)) {
            return;
        }
        if let Some(place) = self.errors.iter_mut().find(|place| place.is_none()) {
            *place = Some(code);
            context.changed(Path::resource(DEVICE.id, 0, 11));
        }
    }

    /// What the servers say of the time where the device is: the offset from UTC and the time zone.
    #[must_use]
    pub fn zone(&self) -> (&str, &str) {
        (self.utc_offset.as_str(), self.timezone.as_str())
    }

    fn text(&self, resource: u16) -> Option<&str> {
        let text = match resource {
            0 => self.manufacturer.as_str(),
            1 => self.model.as_str(),
            2 => self.serial.as_str(),
            3 => self.firmware_version.as_str(),
            14 => self.utc_offset.as_str(),
            15 => self.timezone.as_str(),
            16 => self.binding.as_str(),
            17 => self.device_type.as_str(),
            18 => self.hardware_version.as_str(),
            19 => self.software_version.as_str(),
            RESET_REASON => self.reset_reason.as_str(),
            _ => return None,
        };
        Some(text).filter(|text| !text.is_empty())
    }

    fn number(&self, resource: u16) -> Option<i64> {
        match resource {
            9 => self.battery_level.map(i64::from),
            10 => self.memory_free.map(i64::from),
            20 => self.battery_status.map(i64::from),
            21 => self.memory_total.map(i64::from),
            _ => None,
        }
    }

    fn read_errors(&self, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        if self.errors.iter().all(Option::is_none) {
            return sink.item(0, 0i64);
        }
        for (index, code) in (0..).zip(self.errors.iter().flatten()) {
            sink.item(index, i64::from(*code))?;
        }
        Ok(())
    }

    fn read_power(
        &self,
        sink: &mut Sink<'_>,
        field: impl Fn(&PowerSource) -> Option<i64>,
    ) -> Result<(), Refusal> {
        for (index, source) in (0..).zip(self.power.iter().flatten()) {
            if let Some(value) = field(source) {
                sink.item(index, value)?;
            }
        }
        Ok(())
    }
}

impl Object for Device {
    fn definition(&self) -> &'static ObjectDefinition {
        &DEVICE
    }

    fn has_resource(&self, at: At) -> bool {
        match at.resource {
            6..=8 => self.power.iter().any(Option::is_some),
            9 | 10 | 20 | 21 => self.number(at.resource).is_some(),
            0..=3 | 17..=19 | RESET_REASON => self.text(at.resource).is_some(),
            _ => true,
        }
    }

    fn read(&self, clock: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            6 => self.read_power(sink, |source| Some(i64::from(source.kind))),
            7 => self.read_power(sink, |source| source.millivolts.map(i64::from)),
            8 => self.read_power(sink, |source| source.milliamperes.map(i64::from)),
            9 | 10 | 20 | 21 => sink.optional(self.number(at.resource)),
            11 => self.read_errors(sink),
            13 => sink.optional(clock.unix.map(Value::Time)),
            _ => sink.optional(self.text(at.resource)),
        }
    }

    fn check(&self, at: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        match (at.resource, value) {
            (13, Value::Time(seconds)) if *seconds >= 0 => Ok(()),
            (13, _) => Err(refusal!(Code::BAD_REQUEST, "the clock counts the seconds since 1970")),
            (14, Value::String(offset)) if is_utc_offset(offset) => Ok(()),
            (14, _) => Err(refusal!(Code::BAD_REQUEST, "an offset from UTC is written like +02:00")),
            (15, Value::String(zone)) if Text::<40>::new(zone).is_ok() => Ok(()),
            _ => Err(refusal!(Code::BAD_REQUEST, "a time zone has a name such as Europe/Berlin")),
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
        match value {
            Value::Time(seconds) => {
                context.set_unix_time(*seconds);
                context.emit(Event::ClockSet(*seconds));
            }
            Value::String(text) if at.resource == 14 => self.utc_offset = Text::clipped(text),
            Value::String(text) => self.timezone = Text::clipped(text),
            _ => return Err(Refusal::BAD_VALUE),
        }
        context.changed(Path::resource(DEVICE.id, 0, at.resource));
        context.persist(DEVICE.id);
        Ok(())
    }

    fn execute(&mut self, context: &mut Context<'_>, at: At, _: &str) -> Result<(), Refusal> {
        match at.resource {
            4 => context.emit(Event::Reboot(RebootReason::Requested)),
            5 => context.emit(Event::FactoryReset),
            12 => {
                self.errors = [None; ERRORS];
                context.changed(Path::resource(DEVICE.id, 0, 11));
            }
            _ => return Err(Refusal::METHOD_NOT_ALLOWED),
        }
        Ok(())
    }

    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        writer.bytes(self.utc_offset.as_str().as_bytes());
        writer.bytes(self.timezone.as_str().as_bytes());
        writer.fitting()
    }

    fn load(&mut self, record: &[u8]) {
        let mut reader = RecordReader(record);
        let mut text = || core::str::from_utf8(reader.bytes()?).ok();
        if let (Some(offset), Some(zone)) = (text(), text()) {
            self.utc_offset = Text::clipped(offset);
            self.timezone = Text::clipped(zone);
        }
    }
}

/// `+02:00`, `-0330`, `Z` (ISO 8601).
fn is_utc_offset(text: &str) -> bool {
    let digits = match text.as_bytes() {
        b"Z" => return true,
        [b'+' | b'-', a, b, b':', c, d] | [b'+' | b'-', a, b, c, d] => [*a, *b, *c, *d],
        [b'+' | b'-', a, b] => [*a, *b, b'0', b'0'],
        _ => return false,
    };
    let [a, b, c, _] = digits;
    digits.iter().all(u8::is_ascii_digit) && (a, b) <= (b'1', b'9') && c <= b'5'
}
