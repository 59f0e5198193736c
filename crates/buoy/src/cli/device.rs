//! `buoy device`: a device as a process, with a flash in a file.
//!
//! This process is the boot loader: it provisions a blank flash, decides which slot starts (`buoy_ota::boot`), and runs that slot's
//! image as a child process under a watchdog. A reboot is the end of the child. An image that crashes, hangs or fails its own test is
//! tried so many times, and then the one before runs again: the same code decides on a chip.
//!
//! What it holds for a server account is written in `account`, the way to a server is in `link`, and what of it survives a reboot
//! in `storage` and `vault`.

mod account;
mod app;
mod http;
mod link;
mod storage;
mod vault;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::text::harmless;
use buoy_ota::boot::{self, Attempts, BootReason};
use buoy_ota::container::Proof;
use buoy_ota::device::{Device, Identity};
use buoy_ota::host;
use buoy_ota::image::ChipId;
use buoy_ota::partition::PartitionTable;
use buoy_ota::signature::TrustStore;
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::{Layout, Slot};

pub(crate) use app::Behaviour;

use super::signature_names::signature_names;

/// The flash of the common modules.
const FLASH_LEN: u32 = 4 << 20;
/// The child's exit code for a reboot that was asked for.
const REBOOT: i32 = 75;
/// The child's exit code after a factory reset.
const FACTORY_RESET: i32 = 76;
/// An image that says nothing for so long hangs.
const WATCHDOG: Duration = Duration::from_secs(3);

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
    /// Seconds.
    #[arg(long, default_value_t = 300)]
    lifetime: u32,
    /// Sleeps between its contacts (queue mode).
    #[arg(long)]
    queue: bool,
    /// Seconds for which it listens after each contact in queue mode.
    #[arg(long, default_value_t = 93)]
    awake: u64,
    /// The version of LwM2M that it speaks: 1.0, 1.1, or 1.2, by which it gets its configuration in one pack.
    #[arg(long, value_name = "VERSION", default_value = "1.1")]
    lwm2m: LwM2mVersion,
    /// The slot to run: the boot loader passes it to the image.
    #[arg(long, hide = true)]
    run_slot: Option<String>,
    /// Why the image is started: the boot loader passes it to the image.
    #[arg(long, hide = true, default_value = "")]
    reset_reason: String,
}

/// Runs the device until it is ended.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let parts = Parts::load(&args)?;
    // What libraries have to say, as of certificates, is said once: by the image that runs.
    super::logging::start(super::logging::LogFormat::Text, "warn");
    match &args.run_slot {
        Some(slot) => app::run(&args, &parts, parse_slot(slot)?),
        None => {
            // What is wrong with a key is told at once, and not by an image that crashes.
            args.account.accounts(&args.endpoint)?;
            app::check_endpoint(&args.endpoint)?;
            boot_forever(&args, &parts)
        }
    }
}

/// What boot loader and image both need to know.
pub(crate) struct Parts {
    layout: Layout,
    trust: TrustStore,
    identity: Identity,
}

impl Parts {
    fn load(args: &Args) -> anyhow::Result<Self> {
        let layout = Layout::from_table(&PartitionTable::standard_4mb())?;
        let mut trust = TrustStore::default();
        for path in &args.trust {
            let pem =
                fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let key = host::public_key_from_pem(&pem).with_context(|| format!("{}", path.display()))?;
            trust.trust(key).with_context(|| format!("{}", path.display()))?;
        }
        Ok(Self { layout, trust, identity: Identity::any(ChipId::ESP32_C3) })
    }

    fn device(&self) -> Device<'_> {
        Device { layout: &self.layout, trust: &self.trust, identity: &self.identity }
    }
}

fn open_flash(args: &Args) -> anyhow::Result<FileFlash> {
    let path = &args.flash;
    FileFlash::open(path, FLASH_LEN).with_context(|| format!("the flash {} cannot be opened", path.display()))
}

fn boot_forever(args: &Args, parts: &Parts) -> anyhow::Result<()> {
    let is_empty = fs::metadata(&args.flash).is_ok_and(|flash| flash.len() == 0);
    if is_empty || !args.flash.exists() {
        provision(args, parts)?;
    }
    // A second boot loader would use up the trials of the first one's image.
    let lock = fs::File::open(&args.flash);
    let lock = lock.with_context(|| format!("the flash {} cannot be opened", args.flash.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "another `buoy device` runs on the flash {}; end it, or name another --flash",
            args.flash.display()
        );
    }
    let mut reset_reason = "power on";
    loop {
        let decision = {
            let mut flash = open_flash(args)?;
            boot::decide(&mut flash, &parts.device(), Attempts::DEFAULT)?
        };
        let version = decision.image.info().descriptor.version;
        // The version is what the image says, and may be anything.
        let line =
            format!("BOOT {} {:?} {}", version.as_str(), decision.image.slot(), reason(&decision.reason));
        println!("{}", harmless(&line));
        let on_trial = matches!(decision.reason, BootReason::Trial { .. });
        let ended = watch(spawn(args, decision.image.slot(), reset_reason)?)?;
        reset_reason = match &ended {
            Ended::Reboot | Ended::Stopped => "reboot",
            Ended::FactoryReset => "factory reset",
            Ended::Crashed(_) => "crash",
            Ended::Hung => "watchdog",
        };
        match ended {
            Ended::Reboot => println!("REBOOT"),
            Ended::FactoryReset => println!("FACTORY_RESET"),
            Ended::Stopped => return Ok(()),
            Ended::Crashed(how) if on_trial => println!("CRASH {how}"),
            Ended::Crashed(how) => {
                println!("CRASH {how}");
                // A confirmed image that crashes is started again, as on a chip, but not in a tight loop.
                std::thread::sleep(Duration::from_secs(1));
            }
            Ended::Hung => println!("WATCHDOG the image said nothing for {} s", WATCHDOG.as_secs()),
        }
    }
}

fn reason(reason: &BootReason) -> String {
    match reason {
        BootReason::Confirmed => "confirmed".into(),
        BootReason::Trial { attempt, .. } => format!("trial {attempt}"),
        BootReason::RolledBack(given_up) => {
            let version = given_up.version.as_ref().map_or("?", |version| version.as_str());
            format!("rolled back from {version}")
        }
        BootReason::Factory => "factory".into(),
        BootReason::FellBackToFactory(_) => "fell back to factory".into(),
        BootReason::Fallback => "fallback".into(),
    }
}

/// Writes the factory image into a new flash, as a programmer does.
fn provision(args: &Args, parts: &Parts) -> anyhow::Result<()> {
    let Some(image_path) = &args.factory else {
        bail!(
            "the flash {} is not there, and no factory image is named; add --factory IMAGE",
            args.flash.display()
        );
    };
    let names = signature_names(image_path);
    let beside = || {
        let listed: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
        names.iter().find(|name| name.exists()).cloned().with_context(|| {
            format!(
                "no signature of the factory image was found at any of {}; name it by --factory-signature",
                listed.join(", ")
            )
        })
    };
    let signature_path = args.factory_signature.clone().map_or_else(beside, Ok)?;
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let (image, signature) = (read(image_path)?, read(&signature_path)?);
    let region = parts.layout.slot(Slot::Factory).context("the layout has no factory slot")?;
    let contents = host::slot_contents(&region, &image, Proof::recognise(&signature)?)?;
    // Under another name until it is whole, so that a flash is either there or not.
    let part = args.flash.with_extension("part");
    let _ = fs::remove_file(&part);
    let write = || -> anyhow::Result<()> {
        let mut flash = FileFlash::open(&part, FLASH_LEN)?;
        let table = PartitionTable::standard_4mb().to_bytes();
        flash.flash_externally(buoy_ota::partition::TABLE_OFFSET, &table)?;
        flash.flash_externally(region.image.offset(), &contents)?;
        drop(flash);
        fs::rename(&part, &args.flash)?;
        let folder = args.flash.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(storage::sync_folder(folder.unwrap_or(Path::new(".")))?)
    };
    write().with_context(|| format!("the flash {} cannot be made", args.flash.display()))
}

fn spawn(args: &Args, slot: Slot, reset_reason: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["device", "--endpoint", &args.endpoint]);
    args.account.pass_on(&mut command);
    command.arg("--flash").arg(&args.flash).args(["--lifetime", &args.lifetime.to_string()]);
    command.args(["--lwm2m", args.lwm2m.as_str()]);
    command.args(["--awake", &args.awake.to_string(), "--run-slot", &slot_name(slot)]);
    command.args(["--reset-reason", reset_reason]);
    for key in &args.trust {
        command.arg("--trust").arg(key);
    }
    if args.queue {
        command.arg("--queue");
    }
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn slot_name(slot: Slot) -> String {
    match slot {
        Slot::Factory => "factory".into(),
        Slot::Ota(number) => number.to_string(),
    }
}

fn parse_slot(text: &str) -> anyhow::Result<Slot> {
    Ok(if text == "factory" { Slot::Factory } else { Slot::Ota(text.parse().context("--run-slot")?) })
}

enum Ended {
    Reboot,
    FactoryReset,
    Crashed(String),
    Hung,
    Stopped,
}

/// Passes the image's lines on, and ends it if it hangs. The image ends by itself when this process does: its standard input closes.
fn watch(mut child: Child) -> anyhow::Result<Ended> {
    let output = child.stdout.take().context("the image has no output")?;
    let (lines, received) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match received.recv_timeout(WATCHDOG) {
            Ok(line) if line == app::HEARTBEAT => {}
            Ok(line) => println!("{}", harmless(&line)),
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                return Ok(Ended::Hung);
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait()?;
                return Ok(match status.code() {
                    Some(REBOOT) => Ended::Reboot,
                    Some(FACTORY_RESET) => Ended::FactoryReset,
                    Some(0) => Ended::Stopped,
                    _ => Ended::Crashed(status.to_string()),
                });
            }
        }
    }
}
