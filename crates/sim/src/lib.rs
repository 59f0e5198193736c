//! Simulated LwM2M devices: one with a flash and a boot loader ([`device`]), or, on Linux, thousands of them (`swarm`).
//!
//! They run the engines that run on chips (`buoy-client`, `buoy-dtls`, `buoy-ota`) over real sockets. A device sends its events to an
//! [`Output`](device::Output); a [`Transcript`](device::Transcript) is an output that records them in memory.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use buoy_ota::{host, signature::Algorithm};
//! use buoy_sim::account::Account;
//! use buoy_sim::device::{Device, DeviceEvent, DeviceSettings, FactoryImage, Transcript};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let key = host::PrivateKey::generate(Algorithm::EcdsaP256)?;
//! let image = host::ImageBuilder::new("demo", "1.0.0").payload(b"does nothing").build();
//! let signature = host::sign_detached(&image, &key)?;
//!
//! let mut settings = DeviceSettings::new("buoy-1", folder.path().join("flash"))?;
//! settings.trust.trust(key.public_key()?)?;
//! settings.factory = Some(FactoryImage { image, signature });
//! settings.accounts.server = Some(Account::none("coap://127.0.0.1:5683")?);
//!
//! let transcript = Arc::new(Transcript::new());
//! let device = Device::start(settings, transcript.clone())?;
//! let connecting = |event: &DeviceEvent| matches!(event, DeviceEvent::Connecting { .. });
//! assert!(transcript.wait_for(Duration::from_secs(10), connecting).is_some());
//! device.cut_power()?;
//! # Ok(())
//! # }
//! ```

pub mod account;
#[cfg(target_os = "linux")]
pub mod crowd;
pub mod device;
mod random;
#[cfg(target_os = "linux")]
pub mod swarm;
pub mod tunnel;
