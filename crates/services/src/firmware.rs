//! The firmware library: images are files named by their digest, and their descriptions are in the store. Devices download images by
//! HTTP (with ranges) and by CoAP (in blocks).

pub mod commands;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context, bail};
use buoy_files::Access;
use buoy_lwm2m::text::{harmless, is_harmless};
use buoy_ota::container::Proof;
use buoy_ota::host::{self, inspect};
use buoy_server::Body;
use buoy_store::{Change, FirmwareChange, FirmwareRow};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::listen::FileScheme;
use crate::principal::Principal;

/// The largest image.
pub const MAX_IMAGE: usize = 64 << 20;
/// The largest detached signature.
pub const MAX_SIGNATURE: usize = 4096;
/// The longest name of an image.
const MAX_NAME: usize = 128;

/// The images on disk. They are mapped into memory and not copied, however many there are and however many devices download them.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    /// Public keys of releases, in PEM.
    release_keys: Vec<String>,
    offered: Mutex<HashMap<String, Image>>,
}

/// An image that is served.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its row in the store.
    pub row: Arc<FirmwareRow>,
    /// Its bytes.
    pub body: Body,
    /// The devices for which it is, as it says itself.
    pub(crate) is_for: Arc<buoy_fleet::compatibility::Image>,
    /// Whether it is a container with its signature inside.
    carries_proof: bool,
    /// The image with its signature in one file, as long as it is pushed to devices.
    container: Arc<Mutex<Weak<Vec<u8>>>>,
}

impl Image {
    /// Whether there is a signature in it or beside it.
    pub fn is_signed(&self) -> bool {
        self.carries_proof || self.row.signature.is_some()
    }

    /// The body of a push: the image, in a container if its signature is a separate file.
    pub fn package(&self) -> Body {
        let Some(signature) = &self.row.signature else { return self.body.clone() };
        let mut shared = self.container.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(container) = shared.upgrade() {
            return Body::new(Shared(container));
        }
        match host::container(self.body.bytes(), signature) {
            Ok(container) => {
                let container = Arc::new(container);
                *shared = Arc::downgrade(&container);
                Body::new(Shared(container))
            }
            // The device will refuse it with a reason.
            Err(_) => self.body.clone(),
        }
    }
}

/// Bytes that several pushes share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Library {
    /// The library in a folder, which is created if it doesn't exist.
    /// Signatures of images are verified with `release_keys` (files in PEM), if there are any.
    ///
    /// # Errors
    /// If the folder can't be created, or a file contains no key.
    pub fn open(folder: PathBuf, release_keys: &[PathBuf]) -> anyhow::Result<Self> {
        crate::private_file::create_folder(&folder)
            .and_then(|()| crate::private_file::make_private(&folder))
            .with_context(|| format!("the firmware folder {} cannot be made", folder.display()))?;
        let key = |path: &PathBuf| {
            let pem = fs::read_to_string(path)
                .with_context(|| format!("the release key {} cannot be read", path.display()))?;
            host::public_key_from_pem(&pem).with_context(|| {
                format!("{} is no public key or certificate of a release", path.display())
            })?;
            Ok(pem)
        };
        let release_keys = release_keys.iter().map(key).collect::<anyhow::Result<_>>()?;
        Ok(Self { folder, release_keys, offered: Mutex::default() })
    }

    /// Refuses a signature, separate or inside the image, that none of the release keys verifies.
    fn verify(&self, image: &[u8], signature: Option<&[u8]>, carries_proof: bool) -> Result<(), AddError> {
        if self.release_keys.is_empty() || (signature.is_none() && !carries_proof) {
            return Ok(());
        }
        let verifies = |key: &String| host::verify(image, signature, key);
        match self.release_keys.iter().map(verifies).reduce(Result::or) {
            Some(Err(error)) => Err(AddError::Image(format!(
                "no release key of this server verifies the signature ({error}); sign this image with the right key"
            ))),
            _ => Ok(()),
        }
    }

    /// An image by its digest.
    pub fn get(&self, digest: &str) -> Option<Image> {
        self.lock().get(digest).cloned()
    }

    /// All images, the newest first.
    pub fn list(&self) -> Vec<Arc<FirmwareRow>> {
        let mut rows: Vec<_> = self.lock().values().map(|image| image.row.clone()).collect();
        rows.sort_by(|a, b| b.uploaded_at.cmp(&a.uploaded_at).then_with(|| a.digest.cmp(&b.digest)));
        rows
    }

    /// Loads an image that the store knows.
    pub fn load(&self, row: FirmwareRow) -> anyhow::Result<Image> {
        let path = self.path(&row.digest);
        let bytes = buoy_files::map(&path)
            .with_context(|| format!("the image {} cannot be read; upload it again", path.display()))?;
        if digest_of(bytes.as_ref()) != row.digest {
            bail!("the image {} is damaged: its digest is another; upload it again", path.display());
        }
        let facts = inspect(bytes.as_ref());
        let (carries_proof, is_for) = (facts.proof.is_some(), Arc::new(is_for(&facts)));
        let body = Body::new(bytes);
        let image = Image { row: Arc::new(row), body, is_for, carries_proof, container: Arc::default() };
        self.insert(image.clone());
        Ok(image)
    }

    fn insert(&self, image: Image) {
        self.lock().insert(image.row.digest.clone(), image);
    }

    /// Writes an image to the disk, completely or not at all.
    fn write(&self, digest: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let written = buoy_files::replace(&self.path(digest), bytes, Access::Owner);
        written.with_context(|| format!("the image cannot be written to {}", self.folder.display()))
    }

    fn forget(&self, digest: &str) -> Option<Image> {
        let image = self.lock().remove(digest)?;
        if let Err(error) = fs::remove_file(self.path(digest)) {
            tracing::warn!(%error, digest, "the file of a deleted image cannot be removed");
        }
        Some(image)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(Path::new(name).file_name().unwrap_or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Image>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds an image to the library and serves it. The same image again keeps its name.
pub async fn add(
    app: &Arc<App>,
    principal: &Principal,
    name: Option<String>,
    bytes: Vec<u8>,
    signature: Option<Vec<u8>>,
) -> Result<Arc<FirmwareRow>, AddError> {
    if bytes.is_empty() || bytes.len() > MAX_IMAGE {
        let size = format!("an image has 1 to {MAX_IMAGE} bytes, and this one has {}", bytes.len());
        return Err(AddError::Image(size));
    }
    let facts = inspect(&bytes);
    if let Some(Err(damage)) = &facts.image_sound {
        return Err(AddError::Image(format!("the image is damaged: {damage}; build or copy it anew")));
    }
    signature.as_deref().map(check_form).transpose()?;
    app.firmware.verify(&bytes, signature.as_deref(), facts.proof.is_some())?;
    let digest = digest_of(&bytes);
    // An image that exists keeps its name.
    let name = match (app.firmware.get(&digest), name) {
        (Some(known), _) => known.row.name.clone(),
        (None, Some(name)) => checked_name(name)?,
        (None, None) => default_name(&facts),
    };
    let row = FirmwareRow {
        name,
        version: text(&facts.version),
        project: text(&facts.project),
        size: bytes.len() as u64,
        uploaded_at: app.now(),
        signature,
        digest: digest.clone(),
    };
    let library = app.clone();
    let written = tokio::task::spawn_blocking(move || library.firmware.write(&digest, &bytes));
    written.await.context("the image could not be written").flatten().map_err(AddError::Storage)?;
    let audit = principal.audit(app.now(), "firmware.add", &row.digest, row.name.clone());
    let changes = vec![Change::Firmware(FirmwareChange::Put(row.clone())), audit];
    let saved = app.journal.commit_now(changes).await;
    saved.map_err(|error| AddError::Storage(error.into()))?;
    let image = app.firmware.load(row).map_err(AddError::Storage)?;
    offer(app, &image);
    Ok(image.row)
}

/// Adds a detached signature to an image of the library. The image's file stays as it is.
pub async fn sign(
    app: &Arc<App>,
    principal: &Principal,
    image: &Image,
    signature: Vec<u8>,
) -> Result<Arc<FirmwareRow>, AddError> {
    check_form(&signature)?;
    app.firmware.verify(image.body.bytes(), Some(&signature), image.carries_proof)?;
    let row = FirmwareRow { signature: Some(signature), ..(*image.row).clone() };
    let audit = principal.audit(app.now(), "firmware.sign", &row.digest, row.name.clone());
    let saved = app.journal.commit_now(vec![Change::Firmware(FirmwareChange::Put(row.clone())), audit]).await;
    saved.map_err(|error| AddError::Storage(error.into()))?;
    let image = Image { row: Arc::new(row), container: Arc::default(), ..image.clone() };
    app.firmware.insert(image.clone());
    offer(app, &image);
    Ok(image.row)
}

/// Checks that bytes have the form of a signature.
fn check_form(signature: &[u8]) -> Result<(), AddError> {
    let form = Proof::recognise(signature).map(drop);
    form.map_err(|error| AddError::Image(format!("this is no signature that devices know: {error}")))
}

/// Checks that a name can be typed and shown in a table.
fn checked_name(name: String) -> Result<String, AddError> {
    let is_plain = is_harmless(&name) && name.trim() == name && !name.contains(['/', '\\']);
    if name.is_empty() || name.len() > MAX_NAME || !is_plain || name.chars().all(|letter| letter == '.') {
        return Err(AddError::Image(format!(
            "{name:?} is no name of an image: it has 1 to {MAX_NAME} bytes, no slashes, no control characters, and no blanks around it"
        )));
    }
    Ok(name)
}

/// What an image says of the devices for which it is.
fn is_for(facts: &host::Inspection) -> buoy_fleet::compatibility::Image {
    let manifest = facts.proof.as_ref().and_then(|proof| proof.manifest.as_ref());
    let hardware = manifest.map(|manifest| manifest.hardware);
    buoy_fleet::compatibility::Image {
        chip: facts.chip.clone(),
        project: facts.project.clone(),
        counter: facts.counter,
        lowest_hardware: hardware.and_then(|range| range.lowest),
        highest_hardware: hardware.and_then(|range| range.highest),
    }
}

fn default_name(facts: &host::Inspection) -> String {
    let name = format!("{} {}", text(&facts.project), text(&facts.version));
    let shown = harmless(name.trim()).to_string();
    if shown.is_empty() { "unnamed".to_owned() } else { shown }
}

/// Why an image was not added to the library.
#[derive(Debug)]
pub enum AddError {
    /// The image or its signature is invalid.
    Image(String),
    /// It can't be stored.
    Storage(anyhow::Error),
}

/// Removes an image.
pub async fn remove(app: &Arc<App>, principal: &Principal, digest: &str) -> anyhow::Result<bool> {
    if app.firmware.get(digest).is_none() {
        return Ok(false);
    }
    let removal = FirmwareChange::Remove { digest: digest.to_owned() };
    let audit = principal.audit(app.now(), "firmware.remove", digest, "");
    app.journal.commit_now(vec![Change::Firmware(removal), audit]).await?;
    app.firmware.forget(digest);
    app.offer(&coap_path(digest), None);
    app.offer(&format!("{}.sig", coap_path(digest)), None);
    Ok(true)
}

/// Serves an image and its separate signature over CoAP.
pub fn offer(app: &App, image: &Image) {
    let path = coap_path(&image.row.digest);
    app.offer(&path, Some(&image.body));
    let signature = image.row.signature.clone().map(Body::new);
    app.offer(&format!("{path}.sig"), signature.as_ref());
}

/// The path of an image over CoAP. It is short, since a device's Package URI may have at most 255 bytes.
pub fn coap_path(digest: &str) -> String {
    format!("fw/{}", digest.get(..16).unwrap_or(digest))
}

/// The URI of an image over CoAP, at a port with this base URI.
pub fn coap_uri(base: Option<String>, digest: &str) -> Option<String> {
    base.map(|base| format!("{base}/{}", coap_path(digest)))
}

/// The URI of an image over CoAP for a device: `coaps` if the device is registered over DTLS.
pub async fn coap_uri_for(app: &App, endpoint: &str, digest: &str) -> Option<String> {
    let registration = app.registration(endpoint).await;
    let addresses = app.addresses_for(registration.as_ref()).await;
    let (secure, plain) = (addresses.coaps_uri(), addresses.coap_uri());
    let is_secure = match registration {
        Some(registration) => registration.session.is_some(),
        None => plain.is_none(),
    };
    coap_uri(if is_secure { secure.or(plain) } else { plain.or(secure) }, digest)
}

/// The URI of an image by HTTP or HTTPS, if it is served so.
pub fn file_uri(app: &App, scheme: FileScheme, digest: &str) -> Option<String> {
    app.addresses.files_uri(scheme).map(|base| format!("{base}/fw/{digest}"))
}

/// The same for a device.
pub async fn file_uri_for(app: &App, endpoint: &str, scheme: FileScheme, digest: &str) -> Option<String> {
    let registration = app.registration(endpoint).await;
    let addresses = app.addresses_for(registration.as_ref()).await;
    addresses.files_uri(scheme).map(|base| format!("{base}/fw/{digest}"))
}

/// SHA-256 in hexadecimal digits.
pub fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(fact: &Option<String>) -> String {
    fact.clone().unwrap_or_default()
}
