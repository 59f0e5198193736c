//! The radio: a station in a network, or an access point for set-up.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use buoy_portal::page::{NETWORKS, Network};
use buoy_portal::text::Text;
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::ap::AccessPointConfig;
use esp_radio::wifi::scan::ScanConfig;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    AuthenticationMethod, AuthenticationMethodConfig, Config, ControllerConfig, Interface, Password,
    PowerSaveMode, Ssid, WifiController, WifiRxToken, WifiTxToken,
};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::clock;

/// Bytes of a frame that the radio takes.
const FRAME: usize = 1492;
/// A pause before another attempt to join, in milliseconds; it doubles up to the longer one.
const PAUSE: u64 = 1000;
const LONGEST_PAUSE: u64 = 60_000;
const LOOK_EVERY: u64 = 1000;

/// The radio can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadioError;

/// A station that joins its network again whenever it is lost.
pub struct Station {
    interface: Interface,
    signal: Rc<Cell<Option<i8>>>,
    keeping: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Station {
    /// Begins to join a network; without a password an open one. WPA3 is taken where the network has it.
    ///
    /// # Errors
    /// [`RadioError`] if name or password can't be those of a network, or the radio does not start.
    pub fn start(radio: WIFI<'static>, network: &str, password: &str) -> Result<Self, RadioError> {
        let authentication = if password.is_empty() {
            AuthenticationMethodConfig::Open
        } else {
            AuthenticationMethodConfig::Wpa2Personal(Password::try_from(password).map_err(|_| RadioError)?)
        };
        let name = Ssid::try_from(network).map_err(|_| RadioError)?;
        let config =
            Config::Station(StationConfig::default().with_ssid(name).with_authentication(authentication));
        let controller = ControllerConfig::default().with_initial_config(config);
        let mut controller = WifiController::new(radio, controller).map_err(|_| RadioError)?;
        // The device listens at every beacon, and sleeps between them.
        controller.set_power_saving(PowerSaveMode::Minimum).map_err(|_| RadioError)?;
        let signal = Rc::new(Cell::new(None));
        let keeping: Pin<Box<dyn Future<Output = ()>>> = Box::pin(keep_joined(controller, signal.clone()));
        Ok(Self { interface: Interface::station(), signal, keeping: Some(keeping) })
    }

    /// One step of the work in the background.
    pub fn step(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            // It is asked in each turn, so nothing has to wake it.
            let _ = keeping.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Switches the radio off.
    pub fn stop(&mut self) {
        self.keeping = None;
        self.signal.set(None);
    }

    /// The strength of the signal in dBm, while the station is in its network.
    #[must_use]
    pub fn signal(&self) -> Option<i8> {
        self.signal.get()
    }
}

async fn keep_joined(mut controller: WifiController<'static>, signal: Rc<Cell<Option<i8>>>) {
    let mut pause = PAUSE;
    loop {
        if controller.connect_async().await.is_ok() {
            pause = PAUSE;
            while controller.is_connected() {
                signal.set(Some(controller.rssi().map_or(-127, |dbm| dbm.clamp(-127, 0) as i8)));
                passed(LOOK_EVERY).await;
            }
            signal.set(None);
        } else {
            passed(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

async fn passed(milliseconds: u64) {
    let end = clock::milliseconds() + milliseconds;
    poll_fn(|_| if clock::milliseconds() < end { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// An access point.
pub struct AccessPoint {
    interface: Interface,
    /// The radio is on for as long as this is there.
    _controller: WifiController<'static>,
    /// What the radio heard before.
    pub networks: Vec<Network>,
}

impl AccessPoint {
    /// Listens for networks, and then is one itself. Without a password anybody may join.
    ///
    /// # Errors
    /// [`RadioError`].
    pub fn start(radio: WIFI<'static>, name: &str, password: Option<&str>) -> Result<Self, RadioError> {
        let mut controller =
            WifiController::new(radio, ControllerConfig::default()).map_err(|_| RadioError)?;
        let networks = heard(&mut controller);
        let authentication = match password {
            Some(password) => AuthenticationMethodConfig::Wpa2Personal(
                Password::try_from(password).map_err(|_| RadioError)?,
            ),
            None => AuthenticationMethodConfig::Open,
        };
        let config = AccessPointConfig::default()
            .with_ssid(Ssid::try_from(name).map_err(|_| RadioError)?)
            .with_authentication(authentication)
            .with_max_connections(4);
        controller.set_config(&Config::AccessPoint(config)).map_err(|_| RadioError)?;
        Ok(Self { interface: Interface::access_point(), _controller: controller, networks })
    }

    /// The address of the interface.
    #[must_use]
    pub fn hardware_address(&self) -> [u8; 6] {
        self.interface.mac_address()
    }
}

/// The networks around, the strongest first. A radio that hears nothing has an empty list, and names can be typed.
fn heard(controller: &mut WifiController<'static>) -> Vec<Network> {
    let found = wait_for(controller.scan_async(&ScanConfig::default())).unwrap_or_default();
    let mut networks: Vec<Network> = Vec::new();
    for point in found {
        // Names may be any bytes, and what is no text can't be chosen.
        let Some(name) = Text::new(point.ssid.as_str()).filter(|name| !name.is_empty()) else { continue };
        let is_open = point.auth_method == Some(AuthenticationMethod::None);
        let network = Network { name, strength: point.signal_strength, is_open };
        match networks.iter_mut().find(|known| known.name == name) {
            Some(known) => known.strength = known.strength.max(network.strength),
            None => networks.push(network),
        }
    }
    networks.sort_by_key(|network| core::cmp::Reverse(network.strength));
    networks.truncate(NETWORKS);
    networks
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut future = core::pin::pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        clock::wait(1);
    }
}

/// A frame that came.
pub struct Received(WifiRxToken);

/// A frame to send.
pub struct Sending(WifiTxToken);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        self.0.consume_token(|frame| take(frame))
    }
}

impl phy::TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.0.consume_token(length, fill)
    }
}

macro_rules! device {
    ($of:ty) => {
        impl phy::Device for $of {
            type RxToken<'a> = Received;
            type TxToken<'a> = Sending;

            fn receive(&mut self, _: Instant) -> Option<(Received, Sending)> {
                self.interface.receive().map(|(received, sending)| (Received(received), Sending(sending)))
            }

            fn transmit(&mut self, _: Instant) -> Option<Sending> {
                self.interface.transmit().map(Sending)
            }

            fn capabilities(&self) -> DeviceCapabilities {
                let mut capabilities = DeviceCapabilities::default();
                capabilities.medium = Medium::Ethernet;
                capabilities.max_transmission_unit = FRAME;
                capabilities
            }
        }
    };
}

device!(Station);
device!(AccessPoint);
