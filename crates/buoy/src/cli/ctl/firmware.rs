//! The firmware library, and updates.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_api::client::{Client, ClientError, encode};
use buoy_api::{Delivery, Firmware, StartUpdate, Update};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::signature_names::signature_names;

use super::exit::{Exit, NotDone};
use super::operations::check_known;
use super::output::{Output, ago, line, note, pairs, table, time};
use buoy_lwm2m::text::harmless;

/// How often an update is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A server that starts anew is waited for so long.
const PATIENCE_WITH_SERVER: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the images, the newest first.
    List,
    /// Uploads an image and its detached signature.
    Upload(Upload),
    /// Shows an image.
    Show(Which),
    /// Deletes an image.
    Delete(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Upload {
    /// The image.
    image: PathBuf,
    /// Its signature [default: IMAGE.sig, or IMAGE with .signature or .sig in place of its extension, whichever is there]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// What to call it [default: the file's name]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The digest, its first digits, or the name.
    firmware: String,
}

pub(super) fn library(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => {
            let all = client.firmware()?.items;
            out.print(&all, || {
                let rows = all.iter().map(|image| {
                    [
                        image.digest.get(..12).unwrap_or(&image.digest).to_owned(),
                        image.name.clone(),
                        image.project.clone(),
                        image.version.clone(),
                        image.size.to_string(),
                        if image.signed { "yes" } else { "no" }.into(),
                        ago(image.uploaded_at),
                    ]
                });
                table(&["DIGEST", "NAME", "PROJECT", "VERSION", "BYTES", "SIGNED", "AGE"], rows);
            })
        }
        Verb::Upload(args) => upload(client, out, args),
        Verb::Show(which) => show(out, &find(client, &which.firmware)?),
        Verb::Delete(which) => {
            let image = find(client, &which.firmware)?;
            client.delete_firmware(&image.digest)?;
            out.print(&image, || line(format_args!("deleted {}", image.digest)))
        }
    }
}

fn upload(client: &Client, out: Output, args: &Upload) -> anyhow::Result<()> {
    let image = read(&args.image)?;
    let beside = signature_names(&args.image);
    let path = args.signature.as_ref().or_else(|| beside.iter().find(|path| path.exists()));
    let signature = path.map(|path| read(path)).transpose()?;
    if let Some(signature) = &signature {
        check_signature(signature)?;
    }
    let file_name = args.image.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut firmware = client.upload_firmware(args.name.as_deref().or(file_name.as_deref()), &image)?;
    match signature {
        Some(signature) => firmware = client.upload_signature(&firmware.digest, &signature)?,
        None if !firmware.signed => note(format_args!(
            "no signature lies beside it: devices refuse it until one does (--signature FILE, or one of {})",
            names(&beside)
        )),
        None => {}
    }
    if let Some(wanted) = args.name.as_ref().filter(|wanted| **wanted != firmware.name) {
        note(format_args!(
            "the same bytes are in the library already, as {}; {wanted} is not used",
            firmware.name
        ));
    }
    show(out, &firmware)
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Before the image is sent: a file that is no signature is a slip of the command line.
fn check_signature(bytes: &[u8]) -> anyhow::Result<()> {
    let recognised = buoy_ota::container::Proof::recognise(bytes);
    let wrong =
        |error| NotDone::error(Exit::WrongUse, format!("this is no signature that devices know: {error}"));
    recognised.map(drop).map_err(wrong)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn show(out: Output, image: &Firmware) -> anyhow::Result<()> {
    out.print(image, || {
        pairs([
            ("digest", image.digest.clone()),
            ("name", image.name.clone()),
            ("project", image.project.clone()),
            ("version", image.version.clone()),
            ("bytes", image.size.to_string()),
            ("signed", if image.signed { "yes" } else { "no" }.into()),
            ("uploaded", time(image.uploaded_at as i64)),
            ("CoAPS", image.coaps_uri.clone().unwrap_or_else(|| "off".into())),
            ("CoAP", image.coap_uri.clone().unwrap_or_else(|| "off".into())),
            ("HTTP", image.http_uri.clone().unwrap_or_else(|| "off".into())),
            ("HTTPS", image.https_uri.clone().unwrap_or_else(|| "off".into())),
        ]);
    })
}

/// The one image that is meant.
pub(super) fn find(client: &Client, named: &str) -> anyhow::Result<Firmware> {
    let all = client.firmware()?.items;
    if named.is_empty() {
        return Err(NotDone::error(Exit::WrongUse, "the name of the firmware is empty"));
    }
    let is_meant = |image: &&Firmware| image.digest.starts_with(named) || image.name == named;
    match all.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        [] => bail!("there is no firmware {named}; `buoy ctl firmware list` shows what there is"),
        many => {
            let listed = many.iter().map(|image| {
                format!(
                    "\n  {}  {} {}",
                    image.digest.get(..16).unwrap_or_default(),
                    image.name,
                    image.version
                )
            });
            let listed: String = listed.collect();
            note(format_args!("images that {named:?} may be:"));
            listed.lines().filter(|line| !line.is_empty()).for_each(note);
            bail!("{named} may be any of {} images; give more of the digest", many.len())
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Start {
    /// The device.
    endpoint: String,
    /// The image: its digest, the first digits of it, or its name.
    firmware: String,
    /// How the image gets to the device.
    #[arg(long, value_enum, default_value_t = Way::PullCoap)]
    delivery: Way,
    /// The version that the device will report, if the image doesn't say it.
    #[arg(long, value_name = "VERSION")]
    expect: Option<String>,
    /// Doesn't wait for the end.
    #[arg(long)]
    detach: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Way {
    /// The device fetches it by CoAP.
    PullCoap,
    /// The device fetches it by HTTP.
    PullHttp,
    /// The device fetches it by HTTPS.
    PullHttps,
    /// The server sends it in CoAP blocks.
    Push,
}

impl Way {
    pub(super) fn delivery(self) -> Delivery {
        match self {
            Self::PullCoap => Delivery::PullCoap,
            Self::PullHttp => Delivery::PullHttp,
            Self::PullHttps => Delivery::PullHttps,
            Self::Push => Delivery::Push,
        }
    }
}

pub(super) fn start(client: &Client, out: Output, args: &Start) -> anyhow::Result<()> {
    let image = find(client, &args.firmware)?;
    if image.version.is_empty() && args.expect.is_none() {
        let reason =
            format!("{} says no version; say by --expect VERSION what the device will report", image.name);
        return Err(NotDone::error(Exit::WrongUse, reason));
    }
    let update = client.start_update(&StartUpdate {
        endpoint: args.endpoint.clone(),
        firmware: image.digest.clone(),
        delivery: args.delivery.delivery(),
        version: args.expect.clone(),
        install_timeout: None,
        download_timeout: None,
    })?;
    if args.detach {
        return out.print(&update, || {
            line(format_args!("update {} of {} has started", update.id, update.endpoint))
        });
    }
    note(format_args!(
        "update {0} of {1}: it goes on without this command; `buoy ctl updates` shows it, `buoy ctl cancel-update {0}` cancels it",
        update.id, update.endpoint
    ));
    if !image.signed {
        note(format_args!(
            "the image has no signature: a device that believes no unsigned one will refuse it"
        ));
    }
    let update = follow(client, out, &update, image.size)?;
    out.print(&update, || line(format_args!("{}: {}", update.endpoint, update.detail)))?;
    match update.state.as_str() {
        "updated" | "already_running" => Ok(()),
        _ => bail!("{} was not updated: {}", update.endpoint, update.detail),
    }
}

/// Shows stage and bytes until the update ends.
fn follow(client: &Client, out: Output, update: &Update, size: u64) -> anyhow::Result<Update> {
    let bar = match out.is_for_people() {
        true => ProgressBar::new(size),
        false => ProgressBar::hidden(),
    };
    let style = "{elapsed_precise} [{bar:30}] {bytes}/{total_bytes} {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    let (mut told, mut unreachable) = (0, Duration::ZERO);
    loop {
        let now = match client.update(update.id) {
            // The server may be starting anew; the update is in its store.
            Err(ClientError::Unreachable { .. }) if unreachable < PATIENCE_WITH_SERVER => {
                if unreachable.is_zero() {
                    bar.suspend(|| note("the server cannot be reached; trying again"));
                }
                unreachable += LOOK_EVERY;
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            now => now?,
        };
        unreachable = Duration::ZERO;
        for stage in now.history.iter().skip(told) {
            let text = format!("{}  {}", time(stage.at as i64), stage.detail);
            match out.is_for_people() {
                // Without a terminal there is no bar to print above.
                true if bar.is_hidden() => line(text),
                _ => bar.println(harmless(&text).to_string()),
            }
        }
        told = now.history.len();
        if let Some(bytes) = now.downloaded {
            bar.set_position(bytes);
        }
        bar.set_message(harmless(&now.state).to_string());
        if now.ended {
            bar.finish_and_clear();
            return Ok(now);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// One update, with its stages.
    #[arg(conflicts_with = "endpoint")]
    id: Option<u64>,
    /// Only of this device.
    #[arg(long)]
    endpoint: Option<String>,
}

pub(super) fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    if let Some(id) = args.id {
        let update = client.update(id)?;
        return out.print(&update, || show_update(&update));
    }
    let filter = args.endpoint.as_ref().map(|name| format!("&endpoint={}", encode(name))).unwrap_or_default();
    let all = client.get::<buoy_api::Page<Update>>(&format!("/api/v1/updates?limit=100{filter}"))?.items;
    if all.is_empty() {
        check_known(client, args.endpoint.as_deref())?;
    }
    out.print(&all, || {
        let rows = all.iter().map(|update| {
            [
                update.id.to_string(),
                update.endpoint.clone(),
                update.version.clone(),
                update.state.clone(),
                update.history.first().map(|stage| ago(stage.at)).unwrap_or_default(),
                update.detail.clone(),
            ]
        });
        table(&["ID", "ENDPOINT", "VERSION", "STATE", "AGE", "DETAIL"], rows);
    })
}

fn show_update(update: &Update) {
    let mut rows = vec![
        ("update", update.id.to_string()),
        ("endpoint", update.endpoint.clone()),
        ("firmware", update.firmware.clone()),
        ("version", update.version.clone()),
        ("state", update.state.clone()),
        ("detail", update.detail.clone()),
    ];
    rows.extend(update.old_version.clone().map(|version| ("version before", version)));
    rows.extend(update.downloaded.map(|bytes| ("downloaded", format!("{bytes} bytes"))));
    pairs(rows);
    table(&["AT", "STAGE"], update.history.iter().map(|stage| [time(stage.at as i64), stage.detail.clone()]));
}

#[derive(Debug, clap::Args)]
pub(super) struct Cancel {
    /// The update.
    id: u64,
}

pub(super) fn cancel(client: &Client, out: Output, args: &Cancel) -> anyhow::Result<()> {
    let update = client.cancel_update(args.id)?;
    out.print(&update, || line(&update.detail))
}
