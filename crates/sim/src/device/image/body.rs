//! The objects of the simulated device, and the small world around it.

use std::time::Duration;

use buoy_client::firmware::ota::OtaTarget;
use buoy_client::firmware::{FirmwareUpdate, Protocol};
use buoy_client::objects::{
    ConnectivityMonitoring, ConnectivityStatistics, Device, LightControl, Location, PowerSource, Temperature,
    Time,
};
use buoy_client::text::Text;
use buoy_client::{Context, Object};
use buoy_ota::simflash::FileFlash;
use buoy_time::Instant;

/// Kind of power source of object 3.
const INTERNAL_BATTERY: u8 = 1;
/// Network bearer of object 4.
const ETHERNET: u8 = 41;
/// How often the temperature is measured.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// What firmware is fetched by; the last only with keys for a server.
const PROTOCOLS: &[Protocol] = &[Protocol::Coap, Protocol::Http, Protocol::Coaps];

/// Object 5 over the flash.
pub(super) type Firmware<'d> = FirmwareUpdate<OtaTarget<'d, FileFlash>>;

/// All objects.
pub(super) struct Body<'d> {
    device: Device,
    pub(super) firmware: Firmware<'d>,
    light: LightControl<1>,
    temperature: Temperature<1>,
    time: Time,
    monitoring: ConnectivityMonitoring,
    location: Location,
    pub(super) statistics: ConnectivityStatistics,
    light_was: Option<u8>,
}

impl<'d> Body<'d> {
    /// The device says why it started (/3/0/26241).
    pub(super) fn started_after(&mut self, reset_reason: &str) {
        self.device.reset_reason = Text::clipped(reset_reason);
    }

    pub(super) fn new(
        endpoint: &str,
        version: &str,
        queue_mode: bool,
        target: OtaTarget<'d, FileFlash>,
    ) -> Self {
        let mut device = Device::new("Buoy", "Simulated buoy", endpoint, version);
        device.set_queue_mode(queue_mode);
        let battery = PowerSource { kind: INTERNAL_BATTERY, millivolts: Some(3800), milliamperes: Some(125) };
        device.power[0] = Some(battery);
        device.battery_level = Some(87);
        Self {
            device,
            firmware: FirmwareUpdate::new(target, PROTOCOLS),
            light: LightControl::new(),
            temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
            time: Time::new(),
            monitoring: ConnectivityMonitoring::new(ETHERNET, "127.0.0.1"),
            // Somewhere in the Atlantic.
            location: Location::new(34.5, -38.25),
            statistics: ConnectivityStatistics::new(),
            light_was: None,
        }
    }

    /// As the engine wants them.
    pub(super) fn all(&mut self) -> [&mut dyn Object; 8] {
        let Self { device, firmware, light, temperature, time, monitoring, location, statistics, .. } = self;
        [device, firmware, light, temperature, time, monitoring, location, statistics]
    }

    /// The temperature goes up and down.
    pub(super) fn measure(&mut self, now: Instant, context: &mut Context<'_>) {
        let seconds = now.as_millis() as f64 / 1000.0;
        let celsius = 20.0 + (seconds / 10.0).sin() * 3.0;
        self.temperature.set(context, 0, (celsius * 100.0).round() / 100.0);
    }

    /// Whether the light was switched since this was last asked, and whether it is on now.
    pub(super) fn switched(&mut self) -> Option<bool> {
        let level = self.light.level(0);
        let was = std::mem::replace(&mut self.light_was, level);
        (level != was && was.is_some()).then(|| level.is_some_and(|level| level > 0))
    }
}
