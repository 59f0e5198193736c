//! By what devices prove who they are.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_api::client::Client;
use buoy_api::{
    AddCredential, Credential, CredentialKind, CredentialProof, CredentialPurpose, CredentialState,
    NewCredential, Secret,
};
use buoy_ota::host::rewrapped;
use clap::{Subcommand, ValueEnum};
use p256::PublicKey;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use sha2::{Digest, Sha256};
use x509_cert::der::Encode;
use zeroize::Zeroizing;

use super::exit::{Exit, NotDone};
use super::output::{Output, ago, line, note, pairs, table, time};
use buoy_services::certificates;
use buoy_services::hex;

/// A pre-shared key that nobody guesses: as long as the cipher's.
const SAFE_KEY_BYTES: usize = 16;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Adds a credential of a device.
    Add(Add),
    /// Lists credentials, the newest first.
    List(List),
    /// Shows one credential.
    Show {
        /// Its id.
        id: u64,
    },
    /// Adds the credentials of a CSV file, all or none; line 1 names the columns: endpoint,kind,identity,key,purpose.
    Import {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Adds the credential that comes after the present one; the device's first use of it ends the old one.
    Rotate(Rotate),
    /// Refuses a device from now on, and ends its sessions.
    Revoke(Which),
    /// Forgets a device's credentials, and ends its sessions.
    Remove(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// The device.
    endpoint: String,
    /// How it proves itself.
    #[arg(long, value_enum, default_value_t = Kind::Psk)]
    kind: Kind,
    /// For which server.
    #[arg(long, value_enum, default_value_t = Purpose::Lwm2m)]
    purpose: Purpose,
    #[command(flatten)]
    proof: Proof,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// The device.
    endpoint: String,
    /// Which of its credentials, if it has several.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// For which server, if it has credentials for both.
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
    #[command(flatten)]
    proof: Proof,
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The device.
    endpoint: String,
    /// Only for this server.
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only of this device.
    #[arg(long)]
    endpoint: Option<String>,
    /// Only for this server.
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
}

/// What each kind needs.
#[derive(Debug, clap::Args)]
struct Proof {
    /// psk: the identity [default: the endpoint's name]
    #[arg(long)]
    identity: Option<String>,
    /// psk: a file with the key in hexadecimal digits; - is standard input [default: the server makes a key, and it is printed once]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// psk: the key in hexadecimal digits; others on this machine can see it, prefer --key-file
    #[arg(long, value_name = "HEX", conflicts_with = "key_file")]
    key: Option<Secret>,
    /// rpk: a file with the device's public key (PEM or DER)
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// x509: a file with the only certificate that is good (PEM) [default: any of the endpoint's name]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A pre-shared key.
    Psk,
    /// A raw public key.
    Rpk,
    /// A certificate.
    X509,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// The LwM2M server.
    Lwm2m,
    /// The bootstrap server.
    Bootstrap,
}

impl From<Kind> for CredentialKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Psk => Self::Psk,
            Kind::Rpk => Self::Rpk,
            Kind::X509 => Self::X509,
        }
    }
}

impl From<Purpose> for CredentialPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Lwm2m => Self::Lwm2m,
            Purpose::Bootstrap => Self::Bootstrap,
        }
    }
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Add(args) => {
            let proof = args.proof.of(args.kind.into())?;
            let purpose = args.purpose.into();
            let made =
                client.add_credential(&AddCredential { endpoint: args.endpoint.clone(), purpose, proof })?;
            show_new(out, &made)
        }
        Verb::List(args) => list(client, out, args),
        Verb::Show { id } => {
            let credential: Credential = client.get(&format!("/api/v1/credentials/{id}"))?;
            out.print(&credential, || show(&credential))
        }
        Verb::Import { file } => {
            let imported = client.import_credentials(&read(file)?)?;
            out.print(&imported, || {
                line(format_args!("added {}, there already {}", imported.added, imported.unchanged));
            })
        }
        Verb::Rotate(args) => rotate(client, out, args),
        Verb::Revoke(which) => revoke(client, out, which),
        Verb::Remove(which) => {
            let all = which.find(client)?;
            if all.is_empty() {
                bail!("{} has no credentials", which.endpoint);
            }
            all.iter().try_for_each(|one| client.remove_credential(one.id).map(drop))?;
            out.print(&all, || line(format_args!("removed {} of {}", ids(&all), which.endpoint)))
        }
    }
}

fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    let mut all = client.credentials(args.endpoint.as_deref())?;
    all.retain(|one| args.purpose.is_none_or(|purpose| one.purpose == purpose.into()));
    out.print(&all, || {
        let rows = all.iter().map(|one| {
            let (kind, known_by) = kind_and_identity(one);
            [
                one.id.to_string(),
                one.endpoint.clone(),
                purpose_name(one.purpose).into(),
                kind.into(),
                known_by,
                state_name(one.state).into(),
                ago(one.created_at),
            ]
        });
        table(&["ID", "ENDPOINT", "PURPOSE", "KIND", "KNOWN BY", "STATE", "AGE"], rows);
    })
}

fn rotate(client: &Client, out: Output, args: &Rotate) -> anyhow::Result<()> {
    let mut all = client.credentials(Some(&args.endpoint))?;
    all.retain(|one| {
        args.kind.is_none_or(|kind| one.kind == kind.into())
            && args.purpose.is_none_or(|purpose| one.purpose == purpose.into())
    });
    let (active, next): (Vec<_>, Vec<_>) = all
        .into_iter()
        .filter(|one| one.state != CredentialState::Revoked)
        .partition(|one| one.state == CredentialState::Active);
    match active.as_slice() {
        [old] => {
            let made = client.rotate_credential(old.id, &args.proof.of(old.kind)?)?;
            if let Some(unused) = next.iter().find(|one| one.kind == old.kind && one.purpose == old.purpose) {
                note(format_args!("credential {}, made before and never used, is void now", unused.id));
            }
            show_new(out, &made)
        }
        [] => bail!(
            "{} has no such active credential; `buoy ctl credentials list` shows what there is",
            args.endpoint
        ),
        many => bail!(
            "{} has several credentials ({}); say which by --kind and --purpose",
            args.endpoint,
            ids(many)
        ),
    }
}

fn revoke(client: &Client, out: Output, which: &Which) -> anyhow::Result<()> {
    let mut all = which.find(client)?;
    if all.is_empty() {
        // It may be admitted by its certificate alone.
        let purpose = which.purpose.map_or(CredentialPurpose::Lwm2m, Into::into);
        let proof = CredentialProof::X509 { fingerprint: None };
        let added =
            client.add_credential(&AddCredential { endpoint: which.endpoint.clone(), purpose, proof })?;
        all.push(added.credential);
        note(format_args!(
            "{} had no credentials. Its name is refused from now on, also with a certificate of a trusted authority; \
             `buoy ctl credentials remove {0}` takes that back",
            which.endpoint
        ));
    }
    let revoked: Result<Vec<_>, _> = all.iter().map(|one| client.revoke_credential(one.id)).collect();
    let revoked = revoked?;
    out.print(&revoked, || line(format_args!("revoked {} of {}", ids(&revoked), which.endpoint)))
}

impl Which {
    fn find(&self, client: &Client) -> anyhow::Result<Vec<Credential>> {
        let mut all = client.credentials(Some(&self.endpoint))?;
        all.retain(|one| self.purpose.is_none_or(|purpose| one.purpose == purpose.into()));
        Ok(all)
    }
}

impl Proof {
    fn of(&self, kind: CredentialKind) -> anyhow::Result<CredentialProof> {
        let (psk, rpk, x509) = (CredentialKind::Psk, CredentialKind::Rpk, CredentialKind::X509);
        let given = [
            ("--identity", self.identity.is_some(), psk),
            ("--key-file", self.key_file.is_some(), psk),
            ("--key", self.key.is_some(), psk),
            ("--public-key", self.public_key.is_some(), rpk),
            ("--certificate", self.certificate.is_some(), x509),
        ];
        if let Some((flag, _, right)) = given.into_iter().find(|(_, is_given, of)| *is_given && *of != kind) {
            let (right, kind) = (kind_name(right), kind_name(kind));
            let reason = format!("{flag} is for {right}, and this is {kind}; say which by --kind");
            return Err(NotDone::error(Exit::WrongUse, reason));
        }
        Ok(match kind {
            CredentialKind::Psk => {
                CredentialProof::Psk { identity: self.identity.clone(), key: self.secret()? }
            }
            CredentialKind::Rpk => {
                let needs = "an rpk needs the device's key: --public-key FILE";
                let path = self.public_key.as_deref();
                let path = path.ok_or_else(|| NotDone::error(Exit::WrongUse, needs))?;
                CredentialProof::Rpk { public_key: read_public_key(path)? }
            }
            CredentialKind::X509 => CredentialProof::X509 {
                fingerprint: self.certificate.as_deref().map(fingerprint).transpose()?,
            },
        })
    }

    fn secret(&self) -> anyhow::Result<Option<Secret>> {
        if let Some(key) = &self.key {
            note(format_args!(
                "others on this machine can see a key on the command line, and the shell remembers it; prefer --key-file FILE, or \
                 --key-file - for standard input"
            ));
            warn_of_short_key(key.reveal());
            return Ok(Some(key.clone()));
        }
        let Some(path) = &self.key_file else { return Ok(None) };
        let bytes = Zeroizing::new(read(path)?);
        let digits = std::str::from_utf8(&bytes);
        let digits = digits.with_context(|| format!("{} has no hexadecimal digits", path.display()))?;
        warn_of_short_key(digits.trim());
        Ok(Some(Secret::new(digits.trim().to_owned())))
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The key as a DER `SubjectPublicKeyInfo` in hexadecimal digits.
fn read_public_key(path: &Path) -> anyhow::Result<String> {
    // Some have their private key in the same file.
    let bytes = Zeroizing::new(read(path)?);
    let pem = std::str::from_utf8(&bytes).ok().map(rewrapped);
    let pem = pem.and_then(|text| PublicKey::from_public_key_pem(&text).ok());
    let key = pem.or_else(|| PublicKey::from_public_key_der(&bytes).ok());
    let key = key.with_context(|| format!("{} is no public key on P-256, in PEM or DER", path.display()))?;
    Ok(hex::encode(key.to_public_key_der()?.as_bytes()))
}

/// SHA-256 of the first certificate in a file.
fn fingerprint(path: &Path) -> anyhow::Result<String> {
    let certificates = certificates::read_certificates(path)?;
    let first = certificates.first().context("there is no certificate")?;
    Ok(hex::encode(&Sha256::digest(first.to_der()?)))
}

fn show_new(out: Output, made: &NewCredential) -> anyhow::Result<()> {
    out.print(made, || {
        show(&made.credential);
        if let Some(key) = &made.key {
            pairs([("key", key.reveal().to_owned())]);
            note(format_args!("the key is told this once: put it into the device now"));
        }
    })
}

fn show(one: &Credential) {
    let (kind, known_by) = kind_and_identity(one);
    pairs([
        ("id", one.id.to_string()),
        ("endpoint", one.endpoint.clone()),
        ("purpose", purpose_name(one.purpose).into()),
        ("kind", kind.into()),
        ("known by", known_by),
        ("state", state_name(one.state).into()),
        ("made", time(one.created_at as i64)),
    ]);
}

fn kind_and_identity(one: &Credential) -> (&'static str, String) {
    let known_by = match one.kind {
        CredentialKind::Psk => one.identity.clone(),
        // All begin alike.
        CredentialKind::Rpk => one
            .public_key
            .as_deref()
            .and_then(|key| key.get(key.len().checked_sub(16)?..))
            .map(|end| format!("…{end}")),
        CredentialKind::X509 => {
            one.fingerprint.as_deref().and_then(|digits| digits.get(..16)).map(|start| format!("{start}…"))
        }
    };
    (kind_name(one.kind), known_by.unwrap_or_else(|| "its name".into()))
}

/// A key that others can guess is none.
fn warn_of_short_key(digits: &str) {
    let bytes = digits.len() / 2;
    if bytes < SAFE_KEY_BYTES {
        note(format_args!(
            "a key of {bytes} bytes can be guessed; take {SAFE_KEY_BYTES} random ones: `openssl rand -hex {SAFE_KEY_BYTES}`"
        ));
    }
}

const fn kind_name(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Psk => "psk",
        CredentialKind::Rpk => "rpk",
        CredentialKind::X509 => "x509",
    }
}

const fn purpose_name(purpose: CredentialPurpose) -> &'static str {
    match purpose {
        CredentialPurpose::Lwm2m => "lwm2m",
        CredentialPurpose::Bootstrap => "bootstrap",
    }
}

const fn state_name(state: CredentialState) -> &'static str {
    match state {
        CredentialState::Active => "active",
        CredentialState::Next => "next",
        CredentialState::Revoked => "revoked",
    }
}

fn ids(all: &[Credential]) -> String {
    all.iter().map(|one| one.id.to_string()).collect::<Vec<_>>().join(", ")
}
