//! `buoy device`: a simulated device, with a flash in a file, as a process.

mod account;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use buoy_client::ClientConfig;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::text::harmless;
use buoy_ota::host;
use buoy_ota::signature::TrustStore;
use buoy_sim::device::{Device, DeviceEvent, DeviceSettings, FactoryImage};

use super::keys::read;
use super::signature_names::signature_names;

/// A simulated device.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    account: account::AccountArgs,
    /// The endpoint name.
    #[arg(long, value_name = "NAME")]
    endpoint: String,
    /// The flash; it is made if it isn't there.
    #[arg(long, value_name = "FILE")]
    flash: PathBuf,
    /// A public key, or a certificate, whose firmware the device runs. May be given several times.
    #[arg(long, value_name = "KEY.pem", required = true)]
    trust: Vec<PathBuf>,
    /// The image that a new flash leaves the factory with.
    #[arg(long, value_name = "IMAGE")]
    factory: Option<PathBuf>,
    /// Its detached signature [default: IMAGE.sig, or IMAGE with .signature or .sig in place of its extension]
    #[arg(long, value_name = "FILE")]
    factory_signature: Option<PathBuf>,
    /// Seconds for which a registration at --server holds without a word [default: 300]. A device that has registered before keeps what
    /// its server wrote.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    lifetime: Option<u32>,
    /// Sleeps between its contacts (queue mode).
    #[arg(long)]
    queue: bool,
    /// Seconds for which it listens after each contact in queue mode.
    #[arg(long, default_value_t = 93)]
    awake: u64,
    /// The version of LwM2M that it speaks: 1.0, 1.1, or 1.2, by which it gets its configuration in one pack.
    #[arg(long, value_name = "VERSION", default_value = "1.1")]
    lwm2m: LwM2mVersion,
}

/// Runs the device until it is ended.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    super::logging::start(super::logging::LogFormat::Text, "warn");
    Ok(Device::run(settings, Arc::new(show))?)
}

/// A line for whoever watches. Without a watcher there is no device.
fn show(event: &DeviceEvent) {
    let mut out = std::io::stdout().lock();
    // Words of servers and images may be in it.
    let line = event.to_string();
    if writeln!(out, "{}", harmless(&line)).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

impl Args {
    fn settings(&self) -> anyhow::Result<DeviceSettings> {
        let name = ClientConfig::new(&self.endpoint);
        let mut client = name.map_err(|_| {
            anyhow!("--endpoint {:?} is no endpoint name, which has 1 to 64 bytes", self.endpoint)
        })?;
        client.version = self.lwm2m;
        client.queue_mode = self.queue;
        client.awake = Duration::from_secs(self.awake);
        let is_blank = Device::is_blank(&self.flash);
        Ok(DeviceSettings {
            client,
            flash: self.flash.clone(),
            factory: if is_blank { self.factory_image()? } else { None },
            trust: self.trust()?,
            accounts: self.account.accounts(&self.endpoint)?,
            lifetime: self.lifetime,
        })
    }

    fn trust(&self) -> anyhow::Result<TrustStore> {
        let mut trust = TrustStore::default();
        for path in &self.trust {
            let refused = || {
                format!(
                    "--trust {} is no public key of a release, and no certificate of one (`buoy fw keygen` makes NAME.pub.pem)",
                    path.display()
                )
            };
            let key = host::public_key_from_pem(&read(path)?).with_context(refused)?;
            trust.trust(key).with_context(|| format!("--trust {} is one too many", path.display()))?;
        }
        Ok(trust)
    }

    fn factory_image(&self) -> anyhow::Result<Option<FactoryImage>> {
        let Some(image) = &self.factory else { return Ok(None) };
        let read = |path: &Path| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
        let bytes = read(image)?;
        let signature = self.factory_signature.clone().map_or_else(|| signature_beside(image), Ok)?;
        Ok(Some(FactoryImage { image: bytes, signature: read(&signature)? }))
    }
}

fn signature_beside(image: &Path) -> anyhow::Result<PathBuf> {
    let names = signature_names(image);
    let listed: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
    names.into_iter().find(|name| name.exists()).with_context(|| {
        format!(
            "no signature of the factory image was found at any of {}; make one by `buoy fw sign`, or name it by --factory-signature",
            listed.join(", ")
        )
    })
}
