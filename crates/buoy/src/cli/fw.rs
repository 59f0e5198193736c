//! `buoy fw`: keys and signatures of firmware, interchangeable with `openssl`.

mod elf;
mod flash;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_files::Access;
use buoy_lwm2m::text::harmless;
use buoy_ota::host::{self, ImageBuilder, PrivateKey};
use buoy_ota::image::ChipId;
use buoy_ota::manifest::HardwareRange;
use buoy_ota::signature::Algorithm;
use buoy_ota::version::{NAME_MAX, Name};
use buoy_sim::device::Behaviour;
use clap::{Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::signature_names::{signature_names, with_suffix};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a key pair: PREFIX.key.pem (keep it secret) and PREFIX.pub.pem.
    Keygen {
        /// The kind of key.
        #[arg(long, value_enum, default_value_t = KeyKind::Rsa4096)]
        kind: KeyKind,
        /// Where the two files go.
        #[arg(value_name = "PREFIX")]
        prefix: PathBuf,
    },
    /// Makes an image: of a program for a board (--elf), or one for simulated devices, whose form is that of the ESP32-C3 and whose code does
    /// nothing.
    Build(Build),
    /// Makes the content of a whole flash for a board with Buoy's boot loader: that, the partition table, and a factory image.
    Flash(flash::Flash),
    /// Signs an image: a detached signature as `openssl dgst -sha256 -sign` makes it.
    Sign {
        /// The private key.
        #[arg(long, value_name = "KEY.pem")]
        key: PathBuf,
        /// Where the signature goes [default: IMAGE.sig]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Writes image and signature as one file in place of the signature alone.
        #[arg(long)]
        container: bool,
        /// Signs a manifest that speaks of the image, in place of the image: it can say more. The only way of Ed25519 keys.
        #[arg(long)]
        manifest: bool,
        /// Writes the image with the signature sector of Espressif's Secure Boot v2, to IMAGE.secure or --output. The key is RSA-3072. Sign it
        /// before the signature for the devices is made.
        #[arg(long, conflicts_with_all = ["container", "manifest"])]
        secure_boot_v2: bool,
        #[command(flatten)]
        facts: Facts,
        /// The image.
        image: PathBuf,
    },
    /// Verifies an image with its detached signature, or a container.
    Verify {
        /// The public key, or a certificate that holds it.
        #[arg(long, value_name = "PUBLIC_KEY_OR_CERT.pem")]
        key: PathBuf,
        /// The detached signature [default: IMAGE.sig, or IMAGE with .signature or .sig in place of its extension]; a container carries its
        /// own.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// The image.
        image: PathBuf,
    },
    /// Makes a delta: a package that a device builds the new image from, out of the one that it runs.
    ///
    /// The delta carries the signature or manifest of NEW, and the device verifies the result by it, as if the image had come whole.
    Delta {
        /// The signature or manifest of NEW [default: NEW.sig, or NEW with .signature or .sig in place of its extension]; a container carries
        /// its own.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// Where the delta goes [default: NEW.delta]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// What the devices run: an image or a container.
        old: PathBuf,
        /// What they are to run: an image or a container.
        new: PathBuf,
    },
    /// Says what a file is: image, container, signature or manifest.
    Inspect {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// The file.
        file: PathBuf,
    },
}

/// What a manifest says beyond what the image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
struct Facts {
    /// In the manifest: grows with every release.
    #[arg(long, default_value_t = 0)]
    sequence: u64,
    /// In the manifest: who makes the device. A device that has another vendor refuses the image; so with what follows.
    #[arg(long)]
    vendor: Option<String>,
    /// In the manifest: the kind of device.
    #[arg(long)]
    class: Option<String>,
    /// In the manifest: which program of the device it is.
    #[arg(long)]
    component: Option<String>,
    /// In the manifest: the hardware revisions that the image runs on, as in `2-5`, `2-` or `-5`.
    #[arg(long, value_name = "LOWEST-HIGHEST", allow_hyphen_values = true)]
    hardware: Option<String>,
    /// In the manifest: the number of the only slot that the image runs from.
    #[arg(long, value_name = "N")]
    slot: Option<u8>,
}

impl Facts {
    fn checked(&self) -> anyhow::Result<host::ReleaseFacts> {
        let name = |option: &str, text: &Option<String>| match text.as_deref().map(Name::new) {
            Some(None) => {
                bail!(
                    "--{option} is longer than {NAME_MAX} bytes, or has control characters; choose a shorter name"
                )
            }
            other => Ok(other.flatten()),
        };
        let Some((lowest, highest)) = self.hardware.as_deref().unwrap_or("-").split_once('-') else {
            bail!("--hardware is a range of revisions, as in `2-5`, `2-` or `-5`");
        };
        let end = |text: &str| -> anyhow::Result<Option<u16>> {
            let number = Some(text.trim()).filter(|text| !text.is_empty()).map(str::parse).transpose();
            number.with_context(|| {
                format!("--hardware has {text:?}, which is no number from 0 to {}", u16::MAX)
            })
        };
        Ok(host::ReleaseFacts {
            sequence: self.sequence,
            vendor: name("vendor", &self.vendor)?,
            class: name("class", &self.class)?,
            component: name("component", &self.component)?,
            hardware: HardwareRange { lowest: end(lowest)?, highest: end(highest)? },
            slot: self.slot,
            ..host::ReleaseFacts::default()
        })
    }
}

/// The app descriptor has 32 bytes for each text, and a zero at its end.
const MAX_TEXT: usize = 31;
const MAX_PAYLOAD: usize = 16 << 20;

/// How a simulated device behaves that runs an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BehaviourName {
    /// As it should.
    Good,
    /// It crashes soon after its start.
    Crash,
    /// It stops doing anything.
    Hang,
    /// Its self-test fails.
    FailSelfTest,
}

impl From<BehaviourName> for Behaviour {
    fn from(name: BehaviourName) -> Self {
        match name {
            BehaviourName::Good => Self::Good,
            BehaviourName::Crash => Self::Crash,
            BehaviourName::Hang => Self::Hang,
            BehaviourName::FailSelfTest => Self::FailSelfTest,
        }
    }
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The project in the app descriptor.
    #[arg(long, default_value = "buoy-sim")]
    project: String,
    /// The version in the app descriptor.
    #[arg(long, value_name = "VERSION")]
    release: String,
    /// What the simulated device does when it runs the image.
    #[arg(long, value_enum, default_value_t = BehaviourName::Good)]
    behaviour: BehaviourName,
    /// The security counter: a device that has confirmed a higher one refuses the image.
    #[arg(long, default_value_t = 0)]
    counter: u32,
    /// Bytes of the image's second segment.
    #[arg(long, default_value_t = 65_536)]
    size: usize,
    /// The program that the image carries, as the linker wrote it: for 32 bits, with 256 bytes of zeros in front for the app descriptor.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["behaviour", "size"])]
    elf: Option<PathBuf>,
    /// The number of the chip or board that the image is for [default: 5, the ESP32-C3]
    #[arg(long, value_name = "NUMBER", default_value_t = ChipId::ESP32_C3.0, hide_default_value = true)]
    chip: u16,
    /// Where the image goes.
    #[arg(value_name = "FILE")]
    output: PathBuf,
}

impl Build {
    fn run(&self) -> anyhow::Result<()> {
        if self.release.is_empty() || self.release.len() > MAX_TEXT || self.project.len() > MAX_TEXT {
            bail!(
                "--release must have 1 to {MAX_TEXT} bytes and --project at most {MAX_TEXT}: the app descriptor has no more room"
            );
        }
        if self.size > MAX_PAYLOAD {
            bail!("--size is {}, and may be {MAX_PAYLOAD} at most", self.size);
        }
        let filler = format!("{} {}\n", self.project, self.release);
        let marker = Behaviour::from(self.behaviour).marker().bytes();
        let payload: Vec<u8> = marker.chain(filler.bytes().cycle()).take(self.size.max(64)).collect();
        let mut image =
            ImageBuilder::new(&self.project, &self.release).counter(self.counter).chip(ChipId(self.chip));
        image = match &self.elf {
            Some(elf) => {
                image.program(elf::program(&read(elf)?).with_context(|| format!("{}", elf.display()))?)
            }
            None => image.payload(&payload),
        };
        fs::write(&self.output, image.build())
            .with_context(|| format!("{} cannot be written", self.output.display()))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyKind {
    Rsa4096,
    P256,
    Ed25519,
}

impl From<KeyKind> for Algorithm {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa4096 => Self::Rsa4096,
            KeyKind::P256 => Self::EcdsaP256,
            KeyKind::Ed25519 => Self::Ed25519,
        }
    }
}

/// Does what was asked.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Keygen { kind, prefix } => keygen(kind, &prefix),
        Command::Build(build) => build.run(),
        Command::Flash(flash) => flash.run(),
        Command::Sign { key, output, container, manifest, secure_boot_v2, facts, image } => {
            let text = Zeroizing::new(read_text(&key)?);
            if secure_boot_v2 {
                return secure_boot(&text, output, &image);
            }
            let private = PrivateKey::from_pem(&text).with_context(|| format!("{}", key.display()))?;
            let bytes = read(&image)?;
            if bytes.is_empty() {
                bail!("{} is empty: there is nothing to sign", image.display());
            }
            let with_manifest = manifest || private.algorithm() == Algorithm::Ed25519;
            if facts != Facts::default() && !with_manifest {
                bail!(
                    "--sequence, --vendor, --class, --component, --hardware and --slot are parts of the manifest; add --manifest"
                );
            }
            if with_manifest && host::inspect(&bytes).kind != host::PackageKind::Image {
                bail!(
                    "{} is no ESP32 image: a manifest says what the image says of itself; sign this file with an RSA or P-256 key, without --manifest",
                    image.display()
                );
            }
            let signature = if with_manifest {
                host::sign_manifest(&bytes, &private, &facts.checked()?)?
            } else {
                host::sign_detached(&bytes, &private)?
            };
            write_signature(output, container, &image, &bytes, signature)
        }
        Command::Verify { key, signature, image } => verify(&key, signature.as_deref(), &image),
        Command::Delta { signature, output, old, new } => delta(&old, &new, signature.as_deref(), output),
        Command::Inspect { json, file } => inspect(&file, json),
    }
}

/// For the chip's own boot loader.
fn secure_boot(key: &str, output: Option<PathBuf>, image: &Path) -> anyhow::Result<()> {
    let signed =
        host::sign_secure_boot_v2(&read(image)?, key).with_context(|| image.display().to_string())?;
    let output = output.unwrap_or_else(|| with_suffix(image, ".secure"));
    write_new(&output, &signed, Access::Everybody)?;
    println!("{}", output.display());
    Ok(())
}

fn keygen(kind: KeyKind, prefix: &Path) -> anyhow::Result<()> {
    let key = PrivateKey::generate(kind.into())?;
    let (secret, public) = (with_suffix(prefix, ".key.pem"), with_suffix(prefix, ".pub.pem"));
    write_new(&secret, Zeroizing::new(key.to_pem()?).as_bytes(), Access::Owner)?;
    write_new(&public, key.public_pem()?.as_bytes(), Access::Everybody)?;
    println!("{}\n{}", secret.display(), public.display());
    Ok(())
}

fn write_signature(
    output: Option<PathBuf>,
    container: bool,
    image: &Path,
    bytes: &[u8],
    signature: Vec<u8>,
) -> anyhow::Result<()> {
    let (suffix, content) = match container {
        true => (".container", host::container(bytes, &signature)?),
        false => (".sig", signature),
    };
    let output = output.unwrap_or_else(|| with_suffix(image, suffix));
    let is_image = || Some(fs::canonicalize(&output).ok()? == fs::canonicalize(image).ok()?);
    if is_image() == Some(true) {
        bail!("{} is the image itself, which would be lost; name another --output", output.display());
    }
    fs::write(&output, content).with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{}", output.display());
    Ok(())
}

fn verify(key: &Path, signature: Option<&Path>, image: &Path) -> anyhow::Result<()> {
    let pem = read_text(key)?;
    let bytes = read(image)?;
    // Where `buoy fw sign` puts it.
    let names = signature_names(image);
    let beside = names.iter().find(|name| name.exists()).filter(|_| host::inspect(&bytes).proof.is_none());
    let signature = signature.or(beside.map(PathBuf::as_path)).map(read).transpose()?;
    host::verify(&bytes, signature.as_deref(), &pem)
        .with_context(|| format!("{} is NOT verified", image.display()))?;
    println!("{}: verified", image.display());
    Ok(())
}

fn delta(old: &Path, new: &Path, signature: Option<&Path>, output: Option<PathBuf>) -> anyhow::Result<()> {
    let (old_bytes, new_bytes) = (read(old)?, read(new)?);
    let (old_image, _) = host::unpacked(&old_bytes);
    let (new_image, own) = host::unpacked(&new_bytes);
    let proof = match (own, signature) {
        (Some(proof), None) => proof.to_vec(),
        (None, Some(signature)) => read(signature)?,
        (Some(_), Some(_)) => bail!("{} carries its own signature; leave --signature out", new.display()),
        (None, None) => {
            let names = signature_names(new);
            let beside = names.iter().find(|name| name.exists());
            let Some(beside) = beside else {
                bail!(
                    "there is no signature of {}: a device refuses the new image without one; sign it with `buoy fw sign`, or name it with \
                     --signature",
                    new.display()
                );
            };
            read(beside)?
        }
    };
    let delta = host::delta(old_image, new_image, &proof)
        .with_context(|| format!("there is no delta from {} to {}", old.display(), new.display()))?;
    let output = output.unwrap_or_else(|| with_suffix(new, ".delta"));
    if [old, new].iter().any(|input| fs::canonicalize(input).ok() == fs::canonicalize(&output).ok()) {
        bail!("{} is one of the images, which would be lost; name another --output", output.display());
    }
    buoy_files::replace(&output, &delta, Access::Everybody)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    println!("{}: {} bytes for an image of {}", output.display(), delta.len(), new_image.len());
    Ok(())
}

fn kind_of(kind: host::PackageKind) -> &'static str {
    match kind {
        host::PackageKind::Image => "Image",
        host::PackageKind::Container => "Container",
        host::PackageKind::Delta => "Delta",
        host::PackageKind::Signature => "Signature",
        host::PackageKind::Manifest => "Manifest",
        host::PackageKind::McubootImage => "McubootImage",
        host::PackageKind::Unknown => "Unknown",
    }
}

fn format_of(kind: host::PackageKind) -> Option<&'static str> {
    match kind {
        host::PackageKind::Image => Some("ESP32"),
        host::PackageKind::McubootImage => Some("MCUboot"),
        host::PackageKind::Unknown => {
            Some("unknown: it can be signed and carried; an update has to be told its version (--expect)")
        }
        _ => None,
    }
}

fn inspect(file: &Path, json: bool) -> anyhow::Result<()> {
    let facts = host::inspect(&read(file)?);
    let sound = facts.image_sound.as_ref().map(|sound| match sound {
        Ok(()) => "sound".to_owned(),
        Err(error) => format!("damaged: {error}"),
    });
    let rows = [
        ("kind", Some(kind_of(facts.kind).to_owned())),
        ("format", format_of(facts.kind).map(str::to_owned)),
        ("bytes", Some(facts.file_len.to_string())),
        ("sha256", Some(facts.sha256.0.iter().map(|byte| format!("{byte:02x}")).collect())),
        ("project", facts.project),
        ("version", facts.version),
        ("security counter", facts.counter.map(|counter| counter.to_string())),
        ("chip", facts.chip),
        ("toolchain", facts.toolchain),
        ("image", sound),
        ("made for", facts.base.map(|base| base.0.iter().map(|byte| format!("{byte:02x}")).collect())),
        ("signature", facts.proof.as_ref().map(|proof| format!("{:?}", proof.algorithm))),
    ];
    let known = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    if json {
        let object: serde_json::Map<_, _> =
            known.map(|(name, value)| (name.replace(' ', "_"), serde_json::Value::from(value))).collect();
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        // Whoever built the image chose these texts.
        known.for_each(|(name, value)| println!("{name:18}{}", harmless(&value)));
    }
    if let Some(Err(error)) = facts.image_sound {
        bail!("{} is damaged: {error}", file.display());
    }
    Ok(())
}

/// Writes a file that must not be there yet: a key that was overwritten is lost for good.
fn write_new(path: &Path, content: &[u8], access: Access) -> anyhow::Result<()> {
    match buoy_files::create(path, content, access) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already, and a key is not overwritten; choose another name", path.display())
        }
        other => other.with_context(|| format!("{} cannot be written", path.display())),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read as text", path.display()))
}
