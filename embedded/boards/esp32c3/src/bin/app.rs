//! The application on Espressif's chips.
#![no_std]
#![no_main]

extern crate alloc;

use core::fmt::Write as _;

use buoy_app::{ChipId, Image, Slot, Started, check, retained as last_run, setup};
#[cfg(feature = "emulated-ethernet")]
use buoy_esp32::ethernet::Ethernet as Network;
use buoy_esp32::flash::{self, Flash};
#[cfg(feature = "esp32c3")]
use buoy_esp32::light::Light;
use buoy_esp32::power::{self, PATIENCE, Power};
#[cfg(feature = "wifi")]
use buoy_esp32::radio::Station as Network;
use buoy_esp32::{CHIP, FLASH_LEN, clock};
use esp_hal::clock::CpuClock;
use esp_hal::efuse::{InterfaceMacAddress, interface_mac_address};
use esp_hal::gpio::{Input, InputConfig, Level, Output, OutputConfig, Pull};
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
#[cfg(feature = "esp32c3")]
use esp_hal::tsens::{self, TemperatureSensor};
use esp_println::Printer;

/// The release key: a SubjectPublicKeyInfo in DER, in the file that the environment named when this was built.
static RELEASE_KEY: &[u8] = include_bytes!(env!("BUOY_RELEASE_KEY"));
/// The app descriptor, first in the image: `buoy fw build` fills it in.
#[used]
#[unsafe(export_name = "esp_app_desc")]
#[unsafe(link_section = ".flash.appdesc")]
static DESCRIPTOR: [u8; 256] = [0; 256];
/// Memory for the application and the radio; the first part was the boot loader's.
const RECLAIMED: usize = 64 << 10;
const OWN: usize = 92 << 10;
/// The button is held so long for a factory reset, in milliseconds.
const HELD: u64 = 5000;

struct Chip {
    network: Network,
    power: Power,
    light: Output<'static>,
    #[cfg(feature = "esp32c3")]
    lamp: Light,
    #[cfg(feature = "esp32c3")]
    sensor: Option<TemperatureSensor<'static>>,
    button: Button,
    console: Printer,
    /// The lines of settings, as far as there are any.
    settings: [u8; setup::LEN],
    settings_len: usize,
}

/// A button that is held.
struct Button {
    pin: Input<'static>,
    since: Option<u64>,
}

impl Button {
    fn is_held(&mut self) -> bool {
        let since = self.since.filter(|_| self.pin.is_low());
        self.since = self.pin.is_low().then(|| since.unwrap_or_else(clock::milliseconds));
        self.since.is_some_and(|since| clock::milliseconds() - since >= HELD)
    }
}

#[esp_hal::main]
fn main() -> ! {
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let power = Power::start(peripherals.RTC_TIMER, peripherals.LPWR);
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: RECLAIMED);
    esp_alloc::heap_allocator!(size: OWN);
    let timers = TimerGroup::new(peripherals.TIMG0);
    #[cfg(feature = "wifi")]
    esp_rtos::start(timers.timer0, peripherals.FROM_CPU_INTR0);
    #[cfg(feature = "emulated-ethernet")]
    clock::start(timers.timer0);
    flash::start(peripherals.FLASH);
    let started = Started {
        chip: ChipId(CHIP),
        flash_len: FLASH_LEN,
        offset: flash::running_offset(),
        release_key: RELEASE_KEY,
    };
    let Some(slot) = check(Flash, &started, &mut Printer) else {
        // A flash that failed once may work the next time.
        clock::wait(1000);
        esp_hal::system::software_reset()
    };
    let input = InputConfig::default().with_pull(Pull::Up);
    #[cfg(feature = "esp32c3")]
    let pin = Input::new(peripherals.GPIO9, input);
    #[cfg(feature = "esp32")]
    let pin = Input::new(peripherals.GPIO0, input);
    let button = Button { pin, since: None };
    let mut settings = [0; setup::LEN];
    // A flash without settings is one of a device that was never set up.
    let settings_len = setup::load(Flash, FLASH_LEN, &mut settings).ok().flatten().unwrap_or(0);
    #[cfg(feature = "wifi")]
    let (power, network, button) =
        join(peripherals.WIFI, power, button, settings.get(..settings_len).unwrap_or_default());
    #[cfg(feature = "emulated-ethernet")]
    let network = Network::start(hardware_address());
    let mut chip = Chip {
        network,
        power,
        light: Output::new(peripherals.GPIO4, Level::Low, OutputConfig::default()),
        #[cfg(feature = "esp32c3")]
        lamp: Light::new(peripherals.RMT, peripherals.GPIO8),
        #[cfg(feature = "esp32c3")]
        sensor: TemperatureSensor::new(peripherals.TSENS, tsens::Config::default()).ok(),
        button,
        console: Printer,
        settings,
        settings_len,
    };
    // The descriptor is filled in after the compiler has seen it.
    let descriptor = core::hint::black_box(&DESCRIPTOR);
    run(&mut chip, slot, descriptor)
}

fn run(chip: &mut Chip, slot: Slot, descriptor: &[u8; 256]) -> ! {
    buoy_app::run(chip, &Image { slot, descriptor, release_key: RELEASE_KEY })
}

fn hardware_address() -> [u8; 6] {
    let address = interface_mac_address(InterfaceMacAddress::Station);
    address.as_bytes().try_into().unwrap_or([2, 0, 0, 0, 0, 1])
}

/// Joins the network of the settings; a device that has none yet, or could never join it, is set up first.
#[cfg(feature = "wifi")]
fn join(
    radio: esp_hal::peripherals::WIFI<'static>,
    power: Power,
    button: Button,
    settings: &[u8],
) -> (Power, Network, Button) {
    let has_failed = INTERLUDE.take();
    let network = buoy_app::setting(settings, "wifi").filter(|_| !has_failed);
    let Some(network) = network else { set_up(radio, power, button, has_failed) };
    match Network::start(radio, network, buoy_app::setting(settings, "wifi-password").unwrap_or_default()) {
        Ok(station) => (power, station, button),
        Err(_) => {
            let _ = writeln!(Printer, "board: these settings can't be those of a network: {network:?}");
            INTERLUDE.set();
            esp_hal::system::software_reset()
        }
    }
}

/// Opens the device's own network until it is set up. Ends with a reset.
#[cfg(feature = "wifi")]
fn set_up(
    radio: esp_hal::peripherals::WIFI<'static>,
    mut power: Power,
    mut button: Button,
    is_interlude: bool,
) -> ! {
    use alloc::format;
    use alloc::string::String;
    use buoy_esp32::radio::AccessPoint;
    use buoy_esp32::site;

    /// A device that could not join its network tries again after so long, in milliseconds.
    const INTERLUDE_ENDS: u64 = 300_000;
    /// The password of the device's own network, as on its label; without one anybody may join.
    const PASSWORD: Option<&str> = option_env!("BUOY_SETUP_PASSWORD");

    let [.., a, b, c] = hardware_address();
    let name = format!("buoy-{a:02x}{b:02x}{c:02x}");
    let _ = writeln!(Printer, "board: to set it up, join the network {name} and open http://192.168.4.1");
    if let Ok(point) = AccessPoint::start(radio, &name, PASSWORD) {
        let save = |setup: &buoy_portal::setup::Setup| {
            let mut lines = String::new();
            setup.write_lines(&mut lines).is_ok() && setup::save(Flash, FLASH_LEN, lines.as_bytes()).is_ok()
        };
        site::set_up(point, &name, save, || {
            power.feed_watchdog();
            button.is_held() || (is_interlude && clock::milliseconds() > INTERLUDE_ENDS)
        });
    }
    esp_hal::system::software_reset()
}

/// That the next start opens the device's own network, since it could not join the other one.
#[cfg(feature = "wifi")]
struct Interlude;

#[cfg(feature = "wifi")]
static INTERLUDE: Interlude = Interlude;

#[cfg(feature = "wifi")]
impl Interlude {
    /// Any value that memory is unlikely to have after a power cut.
    const SET: u32 = 0x5E70_0A9E;

    fn cell(&self) -> *mut u32 {
        #[esp_hal::ram(unstable(rtc_fast, persistent))]
        static mut CELL: u32 = 0;
        &raw mut CELL
    }

    fn set(&self) {
        // SAFETY: one thread uses it.
        unsafe { self.cell().write_volatile(Self::SET) }
    }

    fn take(&self) -> bool {
        // SAFETY: one thread uses it.
        let was = unsafe { self.cell().read_volatile() };
        // SAFETY: as above.
        unsafe { self.cell().write_volatile(0) };
        was == Self::SET
    }
}

impl Chip {
    fn settings(&self) -> &[u8] {
        self.settings.get(..self.settings_len).unwrap_or_default()
    }

    /// Once the device has been in its network the settings are good. A network that vanishes for a day is waited for; one that was never there
    /// has the device set up again.
    #[cfg(feature = "wifi")]
    fn watch_network(&mut self) {
        /// So long a new network is tried, in milliseconds.
        const TRIED: u64 = 300_000;
        const JOINED: &[u8] = b"joined=1\n";
        if buoy_app::setting(self.settings(), "joined").is_some() {
            return;
        }
        if self.network.signal().is_some() {
            let end = self.settings_len + JOINED.len();
            if let Some(room) = self.settings.get_mut(self.settings_len..end) {
                room.copy_from_slice(JOINED);
                self.settings_len = end;
            }
            // If the flash fails, the next start notes it.
            let _ = setup::save(Flash, FLASH_LEN, self.settings());
        } else if clock::milliseconds() > TRIED {
            let _ = writeln!(self.console, "board: could not join the network; opens its own");
            INTERLUDE.set();
            esp_hal::system::software_reset()
        }
    }
}

impl buoy_app::Board for Chip {
    type Flash = Flash;
    type Network = Network;
    type Console = Printer;
    const CHIP: ChipId = ChipId(CHIP);
    const FLASH_LEN: u32 = FLASH_LEN;
    const MODEL: &'static str = if cfg!(feature = "esp32") { "ESP32" } else { "ESP32-C3" };
    const PATIENCE: u32 = PATIENCE;
    const BEARER: u8 = if cfg!(feature = "wifi") { 21 } else { 41 };
    const SLEEPS: bool = cfg!(feature = "wifi");

    fn flash(&self) -> Flash {
        Flash
    }

    fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    fn hardware_address(&self) -> [u8; 6] {
        hardware_address()
    }

    fn console(&mut self) -> &mut Printer {
        &mut self.console
    }

    fn milliseconds(&self) -> u64 {
        clock::milliseconds()
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        // With the radio on, its noise makes these bytes (the chip's manual, "Random Number Generator"); emulators have their own.
        Rng::new().read(&mut seed);
        seed
    }

    fn factory_settings<'a>(&mut self, into: &'a mut [u8]) -> &'a [u8] {
        let len = self.settings_len.min(into.len());
        into.iter_mut().zip(self.settings()).for_each(|(place, byte)| *place = *byte);
        into.get(..len).unwrap_or_default()
    }

    fn retained(&mut self) -> &mut [u8] {
        // SAFETY: the panic handler uses it too, which doesn't return.
        unsafe { power::retained() }
    }

    fn has_watchdog_bitten(&mut self) -> bool {
        power::has_watchdog_bitten()
    }

    fn reset_cause(&mut self) -> Option<&'static str> {
        power::reset_cause()
    }

    fn feed_watchdog(&mut self) {
        self.power.feed_watchdog();
        #[cfg(feature = "wifi")]
        {
            self.network.step();
            self.watch_network();
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        clock::wait(milliseconds);
    }

    fn sleep(&mut self, milliseconds: u64) -> ! {
        #[cfg(feature = "wifi")]
        self.network.stop();
        self.power.sleep(milliseconds)
    }

    fn wants_factory_reset(&mut self) -> bool {
        self.button.is_held()
    }

    #[cfg(feature = "wifi")]
    fn signal_strength(&mut self) -> Option<i16> {
        self.network.signal().map(i16::from)
    }

    fn set_light(&mut self, level: u8) {
        self.light.set_level(if level > 0 { Level::High } else { Level::Low });
        #[cfg(feature = "esp32c3")]
        self.lamp.set(level);
    }

    fn temperature(&mut self) -> f64 {
        #[cfg(feature = "esp32c3")]
        if let Some(sensor) = &self.sensor {
            return sensor.get_temperature().to_celsius().into();
        }
        // The chip has no sensor.
        0.0
    }

    fn reset(&mut self) -> ! {
        esp_hal::system::software_reset()
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing else of the application runs any more.
    last_run::panicked(unsafe { power::retained() }, info);
    if let Some(place) = info.location() {
        let _ = writeln!(Printer, "app: crashed at {}:{}: {}", place.file(), place.line(), info.message());
    }
    esp_hal::system::software_reset()
}
