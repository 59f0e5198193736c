//! Devices with a life of their own: what one is, where it lies, how warm its water is by the hour, how its battery drains, what it measured
//! before it was switched on, and what is wrong with it.

use std::time::Duration;

use buoy_client::Context;
use buoy_client::objects::{
    ConnectivityMonitoring, Device, LightControl, Location, PowerSource, Temperature,
};
use buoy_client::text::Text;
use buoy_coap::number::ContentFormat;
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::operation::Content;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::Value;
use buoy_time::Instant;
use rand_chacha::rand_core::Rng as _;

use crate::random::Rng;

/// Network bearer of object 4: NB-IoT.
const BEARER: u8 = 7;
/// Kind of power source of object 3.
const INTERNAL_BATTERY: u8 = 1;
/// Between two temperatures of what was measured before, and between two charges of the battery; seconds.
const WARMTH_STEP: u64 = 30 * 60;
const CHARGE_STEP: u64 = 2 * 60 * 60;
/// Values in one message of the past: it has to fit a datagram.
const PAST_VALUES: u64 = 16;
const HOUR: f64 = 3600.0;

/// What a device of a swarm is like.
#[derive(Clone, Debug)]
pub struct Character {
    /// Its name.
    pub endpoint: String,
    /// 3/0/1
    pub model: String,
    /// 3/0/2
    pub serial: String,
    /// 3/0/18
    pub hardware: String,
    /// Where it lies: degrees north and east.
    pub position: (f64, f64),
    /// Seconds: the lifetime of its registration.
    pub lifetime: u32,
    /// It sleeps between its contacts.
    pub sleeps: bool,
    /// The mean temperature of its day, and how far the afternoon is above it; degrees Celsius.
    pub day: (f64, f64),
    /// Per cent of its battery when it is switched on, and per cent that it loses in an hour.
    pub battery: (f64, f64),
    /// 4/0/2: dBm.
    pub signal: i16,
    /// Per cent of its datagrams that are lost, each way.
    pub loses: u32,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// Hours that it measured before it was switched on. It sends them once it is registered.
    pub past: u64,
}

/// What is wrong with a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It crashes on this version, and goes back to the one before.
    CrashesOn(String),
    /// Its light goes out as soon as it is switched on.
    LightGoesOut,
    /// It falls silent after this time.
    FallsSilent(Duration),
}

/// The life of one device.
pub(super) struct Life {
    pub(super) character: Character,
    pub(super) monitoring: ConnectivityMonitoring,
    pub(super) location: Location,
    /// When it was switched on.
    born: Option<Instant>,
    /// Messages of the past that were sent.
    told: u64,
}

impl Life {
    pub(super) fn new(character: &Character, address: &str) -> Self {
        let mut monitoring = ConnectivityMonitoring::new(BEARER, address);
        monitoring.signal_strength = character.signal;
        let (north, east) = character.position;
        let location = Location::new(north, east);
        Self { character: character.clone(), monitoring, location, born: None, told: 0 }
    }

    /// The Device object, as it is at a start.
    pub(super) fn describe(&self, now: Instant, device: &mut Device, reset_reason: &str) {
        let Character { model, serial, hardware, .. } = &self.character;
        device.model = Text::clipped(model);
        device.serial = Text::clipped(serial);
        device.hardware_version = Text::clipped(hardware);
        device.reset_reason = Text::clipped(reset_reason);
        let battery = self.battery(now);
        let millivolts = Some(3300 + i32::from(battery) * 8);
        device.power[0] = Some(PowerSource { kind: INTERNAL_BATTERY, millivolts, milliamperes: None });
        device.battery_level = Some(battery);
    }

    pub(super) fn switch_on(&mut self, now: Instant) {
        self.born.get_or_insert(now);
    }

    /// When it falls silent for ever.
    pub(super) fn ends_at(&self) -> Instant {
        match (&self.character.trouble, self.born) {
            (Trouble::FallsSilent(after), Some(born)) => born + *after,
            _ => Instant::NEVER,
        }
    }

    /// Between 0 and 1: devices that are switched on together don't measure in step.
    pub(super) fn offset(&self) -> f64 {
        self.own() % 10.0 / 10.0
    }

    /// A number that follows from its name.
    fn own(&self) -> f64 {
        self.character.endpoint.bytes().fold(0.0, |sum, byte| sum * 1.7 % 97.0 + f64::from(byte))
    }

    /// How warm it is.
    pub(super) fn celsius(&self, now: Instant) -> f64 {
        self.temperature(seconds(now))
    }

    /// Whether a datagram is lost on its way.
    pub(super) fn loses(&self, rng: &mut Rng) -> bool {
        self.character.loses > 0 && rng.next_u32() % 100 < self.character.loses
    }

    pub(super) fn measure(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        context: &mut Context<'_>,
        (device, temperature): (&mut Device, &mut Temperature<1>),
    ) {
        temperature.set(context, 0, self.celsius(now));
        let battery = self.battery(now);
        if device.battery_level != Some(battery) {
            device.set_battery_level(context, battery);
        }
        let wobble = (rng.next_u32() % 7) as i16 - 3;
        self.monitoring.set_signal_strength(context, self.character.signal + wobble);
    }

    /// A light that goes out.
    pub(super) fn put_out(&self, light: &mut LightControl<1>, context: &mut Context<'_>) {
        if self.character.trouble == Trouble::LightGoesOut && light.level(0).is_some_and(|level| level > 0) {
            light.switch(context, 0, false);
        }
    }

    /// The next message of what was measured before the device was switched on: values with their times, in SenML CBOR.
    pub(super) fn past(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let born = seconds(self.born?) as u64;
        let warmth = (self.character.past * 3600 / WARMTH_STEP).div_ceil(PAST_VALUES);
        let charges = (self.character.past * 3600 / CHARGE_STEP).div_ceil(PAST_VALUES);
        let (path, step, message) = match self.told {
            told if told < warmth => (Path::resource(3303, 0, 5700), WARMTH_STEP, told),
            told if told < warmth + charges => (Path::resource(3, 0, 9), CHARGE_STEP, told - warmth),
            _ => return None,
        };
        let end = self.character.past * 3600 / step;
        let mut encoder = Encoder::new(ContentFormat::SENML_CBOR, Path::ROOT, buffer).ok()?;
        for number in (message * PAST_VALUES..end).take(PAST_VALUES as usize) {
            let at = (born - (end - number) * step) as f64;
            let value = match step {
                WARMTH_STEP => Value::Float(self.temperature(at)),
                _ => Value::Integer(self.charge((at - born as f64) / HOUR).into()),
            };
            encoder.push(path, &value, Some(at)).ok()?;
        }
        encoder.finish().ok()
    }

    /// The message is on its way.
    pub(super) fn past_is_told(&mut self) {
        self.told += 1;
    }

    /// Warmest in the afternoon; with the waves of the sea, so that no two devices and no two minutes are alike.
    fn temperature(&self, unix: f64) -> f64 {
        use std::f64::consts::TAU;
        let (mean, swing) = self.character.day;
        let (_, east) = self.character.position;
        let own = self.own();
        // The sun is at its highest four minutes earlier for each degree to the east.
        let hour = unix / HOUR + east / 15.0;
        let sun = ((hour - 9.0) / 24.0 * TAU).sin();
        let weather = (unix / (5.3 * HOUR) + own).sin() * 0.35;
        let waves = (unix / 41.0 + own).sin() * 0.15 + (unix / 13.0 + own * 3.0).sin() * 0.05;
        ((mean + swing * (sun + weather) + waves) * 100.0).round() / 100.0
    }

    fn battery(&self, now: Instant) -> u8 {
        self.charge(self.born.map_or(0.0, |born| (now - born).as_secs_f64() / HOUR))
    }

    /// Per cent, so many hours after the device was switched on.
    fn charge(&self, hours: f64) -> u8 {
        let (percent, per_hour) = self.character.battery;
        (percent - hours * per_hour).clamp(1.0, 100.0) as u8
    }
}

/// A message of the past.
pub(super) fn senml(payload: &[u8]) -> Content<'_> {
    Content { format: ContentFormat::SENML_CBOR, payload }
}

fn seconds(now: Instant) -> f64 {
    now.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(trouble: Trouble) -> Life {
        let character = Character {
            endpoint: "tide-01".into(),
            model: "Tide gauge".into(),
            serial: "1".into(),
            hardware: "2".into(),
            position: (54.0, 10.0),
            lifetime: 300,
            sleeps: false,
            day: (12.0, 3.0),
            battery: (50.0, 10.0),
            signal: -80,
            loses: 0,
            trouble,
            past: 24,
        };
        Life::new(&character, "127.0.0.1")
    }

    #[test]
    fn the_afternoon_is_warmer_than_the_night_and_the_battery_drains() {
        let mut life = life(Trouble::None);
        let day = 20_000.0 * 86_400.0;
        assert!(life.temperature(day + 14.0 * HOUR) > life.temperature(day + 2.0 * HOUR) + 2.0);
        let born = Instant::from_millis(1_000_000);
        life.switch_on(born);
        assert_eq!(life.battery(born), 50);
        assert_eq!(life.battery(born + Duration::from_secs(2 * 3600)), 30);
        assert_eq!(life.battery(born + Duration::from_secs(90 * 3600)), 1);
    }

    #[test]
    fn what_was_measured_before_fits_datagrams_and_ends_when_the_device_was_switched_on() {
        let mut life = life(Trouble::None);
        let born = 1_795_466_474;
        life.switch_on(Instant::from_millis(born * 1000));
        let mut buffer = [0; 512];
        let (mut times, mut charges) = (Vec::new(), Vec::new());
        while let Some(length) = life.past(&mut buffer) {
            let message = &buffer[..length];
            for item in buoy_lwm2m::format::decode(ContentFormat::SENML_CBOR, Path::ROOT, message).unwrap() {
                let item = item.unwrap();
                let at = item.time.unwrap().resolve(0.0) as u64;
                if item.path == Path::resource(3303, 0, 5700) { times.push(at) } else { charges.push(at) }
            }
            life.past_is_told();
        }
        let steps = |count, step| (1..=count).rev().map(move |number| born - number * step);
        assert!(times.into_iter().eq(steps(48, WARMTH_STEP)));
        assert!(charges.into_iter().eq(steps(12, CHARGE_STEP)));
    }

    #[test]
    fn a_device_that_falls_silent_does_so_after_its_time() {
        let mut life = life(Trouble::FallsSilent(Duration::from_secs(5)));
        assert_eq!(life.ends_at(), Instant::NEVER, "it is not switched on");
        life.switch_on(Instant::from_millis(1000));
        assert_eq!(life.ends_at(), Instant::from_millis(6000));
    }
}
