//! The light of Espressif's boards: a WS2812, by the remote-control peripheral, which keeps its times.

use esp_hal::Blocking;
use esp_hal::gpio::Level;
use esp_hal::peripherals::{GPIO8, RMT};
use esp_hal::rmt::{Channel, PulseCode, Rmt, Tx, TxChannelConfig, TxChannelCreator as _};
use esp_hal::time::Rate;

/// Ticks of 12.5 ns for the two halves of a bit (data sheet: 400 and 850 ns, 800 and 450 ns).
const SHORT: u16 = 32;
const LONG: u16 = 68;
const LONG_OF_ONE: u16 = 64;
const SHORT_OF_ONE: u16 = 36;
const BITS: usize = 24;

/// The light.
pub struct Light {
    channel: Option<Channel<'static, Blocking, Tx>>,
}

impl Light {
    /// The light; one that can't be made ready stays dark.
    #[must_use]
    pub fn new(peripheral: RMT<'static>, pin: GPIO8<'static>) -> Self {
        let channel = Rmt::new(peripheral, Rate::from_mhz(80)).ok().and_then(|rmt| {
            let config = TxChannelConfig::default().with_clk_divider(1).with_idle_output(true);
            rmt.channel0.configure_tx(&config).ok()
        });
        Self { channel: channel.map(|channel| channel.with_pin(pin)) }
    }

    /// Shines white, in per cent.
    pub fn set(&mut self, level: u8) {
        let Some(channel) = self.channel.take() else { return };
        let byte = (u16::from(level.min(100)) * 255 / 100) as u8;
        let mut codes = [PulseCode::end_marker(); BITS + 1];
        for (index, code) in codes.iter_mut().take(BITS).enumerate() {
            let is_one = byte >> (7 - index % 8) & 1 == 1;
            let (high, low) = if is_one { (LONG_OF_ONE, SHORT_OF_ONE) } else { (SHORT, LONG) };
            *code = PulseCode::new(Level::High, high, Level::Low, low);
        }
        self.channel = match channel.transmit(&codes) {
            Ok(sending) => Some(sending.wait().unwrap_or_else(|(_, channel)| channel)),
            Err((_, channel)) => Some(channel),
        };
    }
}
