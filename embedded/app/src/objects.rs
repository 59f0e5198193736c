//! The objects of the device.

use buoy_client::firmware::{FirmwareUpdate, Protocol};
use buoy_client::objects::{
    ConnectivityMonitoring, ConnectivityStatistics, Device, LightControl, PowerSource, Temperature, Time,
};
use buoy_client::text::Text;
use buoy_client::{Context, Object};
use embedded_storage::nor_flash::NorFlash;

use crate::firmware::{Firmware, Target};

/// What firmware is fetched by.
const PROTOCOLS: &[Protocol] = &[Protocol::Coap, Protocol::Coaps, Protocol::Http];

/// The power source of object 3 that is an internal battery.
const BATTERY: u8 = 1;

/// All objects.
pub(crate) struct Objects<F: NorFlash> {
    pub(crate) device: Device,
    pub(crate) firmware: Firmware<F>,
    pub(crate) light: LightControl<1>,
    pub(crate) temperature: Temperature<1>,
    time: Time,
    pub(crate) monitoring: ConnectivityMonitoring,
    pub(crate) statistics: ConnectivityStatistics,
    light_was: Option<u8>,
}

impl<F: NorFlash> Objects<F> {
    pub(crate) fn new(
        endpoint: &str,
        model: &str,
        version: &str,
        bearer: u8,
        celsius: f64,
        target: Target<F>,
    ) -> Self {
        Self {
            device: Device::new("Buoy", model, endpoint, version),
            firmware: FirmwareUpdate::new(target, PROTOCOLS),
            light: LightControl::new(),
            temperature: Temperature::new(celsius, Some((-40.0, 85.0))),
            time: Time::new(),
            monitoring: ConnectivityMonitoring::new(bearer, ""),
            statistics: ConnectivityStatistics::new(),
            light_was: None,
        }
    }

    /// As the engine wants them.
    pub(crate) fn all(&mut self) -> [&mut dyn Object; 7] {
        let Self { device, firmware, light, temperature, time, monitoring, statistics, .. } = self;
        [device, firmware, light, temperature, time, monitoring, statistics]
    }

    pub(crate) fn measured(&mut self, context: &mut Context<'_>, celsius: f64) {
        self.temperature.set(context, 0, celsius);
    }

    /// Millivolts and per cent.
    pub(crate) fn battery_is(&mut self, context: &mut Context<'_>, millivolts: i32, level: u8) {
        self.device.power = [
            Some(PowerSource { kind: BATTERY, millivolts: Some(millivolts), milliamperes: None }),
            None,
            None,
        ];
        self.device.set_battery_level(context, level);
    }

    pub(crate) fn address_is(&mut self, address: &str) {
        if let Some(first) = self.monitoring.addresses.first_mut() {
            *first = Text::clipped(address);
        }
    }

    /// The light's level, if it has changed since this was last asked.
    pub(crate) fn new_level(&mut self) -> Option<u8> {
        let level = self.light.level(0);
        let was = core::mem::replace(&mut self.light_was, level);
        level.filter(|_| level != was)
    }
}
