//! An operator's commands on credentials, with the types of `/api/v1`. Stored secrets are never returned.

use std::sync::Arc;

use buoy_api as api;
use buoy_dtls::crypto::PublicKey;
use buoy_store::{
    CredentialFilter, CredentialKind, CredentialRow, CredentialState, KeyRow, Page, Purpose, StoreError,
};
use zeroize::Zeroizing;

use super::{Added, ChangeError, CredentialFault, ImportFault, NewCredential, Proof, Refusal, parse_csv};
use crate::access::{Covered, Forbidden, Permission, Target};
use crate::app::App;
use crate::hex;
use crate::journal::NotSaved;
use crate::principal::Principal;

/// Random bytes behind the name in the identity of a next key.
const IDENTITY_DIGITS: usize = 4;

/// Why a command on credentials failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// The request is invalid.
    Fault(CredentialFault),
    /// The CSV file is invalid.
    Import(ImportFault),
    /// The next credential is of another kind.
    OtherKind {
        /// The credential.
        id: u64,
        /// Its kind.
        kind: CredentialKind,
    },
    /// It conflicts with an existing credential.
    InTheWay {
        /// The line, if it is from a file.
        line: Option<u64>,
        /// The conflict.
        refusal: Refusal,
    },
    /// There is no credential with this id.
    NoSuchCredential(u64),
    /// It was removed before it could be changed.
    Gone,
    /// It could not be saved.
    NotSaved(NotSaved),
    /// The store could not be read.
    Store(StoreError),
    /// The system failed.
    Failed(anyhow::Error),
}

impl std::fmt::Display for CredentialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::Import(fault) => fault.fmt(f),
            Self::OtherKind { id, kind } => write!(
                f,
                "credential {id} is a {}, and the next one must be too; or add another",
                kind.as_str()
            ),
            Self::InTheWay { line: Some(line), refusal } => write!(f, "line {line}: {refusal}"),
            Self::InTheWay { line: None, refusal } => refusal.fmt(f),
            Self::NoSuchCredential(id) => write!(f, "there is no credential {id}"),
            Self::Gone => f.write_str("there is no such credential any more"),
            Self::NotSaved(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for CredentialError {}

impl From<Forbidden> for CredentialError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<CredentialFault> for CredentialError {
    fn from(fault: CredentialFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for CredentialError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ChangeError> for CredentialError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused { refusal, .. } => Self::InTheWay { line: None, refusal },
            ChangeError::NoSuchCredential => Self::Gone,
            ChangeError::NotSaved(error) => Self::NotSaved(error),
            ChangeError::Failed(error) => Self::Failed(error),
        }
    }
}

/// The new credential of a request, and the key if the server made it.
struct Asked {
    proof: Proof,
    made: Option<api::Secret>,
}

impl Asked {
    fn new(asked: &api::CredentialProof, default_identity: &str) -> Result<Self, CredentialFault> {
        let proof = match asked {
            api::CredentialProof::Psk { identity, key } => {
                let identity = identity.as_deref().unwrap_or(default_identity);
                match key {
                    Some(key) => Proof::psk(identity, key.reveal())?,
                    None => return Self::random(identity),
                }
            }
            api::CredentialProof::Rpk { public_key } => Proof::rpk(public_key)?,
            api::CredentialProof::X509 { fingerprint } => Proof::x509(fingerprint.as_deref())?,
        };
        Ok(Self { proof, made: None })
    }

    fn random(identity: &str) -> Result<Self, CredentialFault> {
        let proof = Proof::random_psk(identity)?;
        let made = match &proof {
            Proof::Psk { key, .. } => Some(api::Secret::new(hex::encode(key))),
            _ => None,
        };
        Ok(Self { proof, made })
    }
}

/// A request for the digest of its idempotency key: without its secret.
///
/// # Errors
/// [`CredentialError::Failed`]
pub fn without_secret(
    app: &App,
    asked: &api::CredentialProof,
) -> Result<api::CredentialProof, CredentialError> {
    let api::CredentialProof::Psk { identity, key: Some(key) } = asked else { return Ok(asked.clone()) };
    let digest = app.credentials.digest(key.reveal().as_bytes()).map_err(CredentialError::Failed)?;
    let key = Some(api::Secret::new(hex::encode(&digest)));
    Ok(api::CredentialProof::Psk { identity: identity.clone(), key })
}

/// Adds a credential of a device and returns whether it is new: adding the same one again is no error. Without a key the server makes one for
/// a psk and returns it only now.
///
/// # Errors
/// [`CredentialError`]
pub async fn add(
    app: &Arc<App>,
    principal: &Principal,
    request: &api::AddCredential,
    key: Option<KeyRow>,
) -> Result<(bool, api::NewCredential), CredentialError> {
    app.permit(principal, Permission::ManageCredentials, Target::Device(&request.endpoint)).await?;
    let Asked { proof, made } = Asked::new(&request.proof, &request.endpoint)?;
    let new = NewCredential::new(purpose_of(request.purpose), &request.endpoint, proof)?;
    match app.credentials.add(principal, vec![new], key, app.now()).await?.pop() {
        Some(Added::New(row)) => Ok((true, api::NewCredential { credential: described(&row), key: made })),
        Some(Added::Known(id)) => {
            Ok((false, api::NewCredential { credential: described(&stored(app, id).await?), key: None }))
        }
        None => Err(CredentialError::Gone),
    }
}

/// Adds the credentials of a CSV file, all or none.
///
/// # Errors
/// [`CredentialError`]
pub async fn import(
    app: &Arc<App>,
    principal: &Principal,
    file: Zeroizing<Vec<u8>>,
) -> Result<api::Imported, CredentialError> {
    app.permit(principal, Permission::ManageCredentials, Target::Server).await?;
    let parsed = tokio::task::spawn_blocking(move || parse_csv(&file)).await;
    let import = parsed.map_err(|error| CredentialError::Failed(error.into()))?;
    let import = import.map_err(CredentialError::Import)?;
    let added = app.credentials.add(principal, import.credentials, None, app.now()).await;
    let added = added.map_err(|error| match error {
        ChangeError::Refused { index, refusal } => {
            CredentialError::InTheWay { line: import.lines.get(index).copied(), refusal }
        }
        other => other.into(),
    })?;
    let unchanged = added.iter().filter(|added| matches!(added, Added::Known(_))).count();
    Ok(api::Imported { added: added.len() - unchanged, unchanged })
}

/// The credentials of one device or all, for one server or both, with an id less than `after`, the newest first.
///
/// # Errors
/// [`CredentialError::Store`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: Option<String>,
    purpose: Option<api::CredentialPurpose>,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::Credential>, CredentialError> {
    let covered = match &endpoint {
        Some(endpoint) => {
            app.permit(principal, Permission::ReadCredentials, Target::Device(endpoint)).await?;
            Covered::All
        }
        None => app.covered(principal, Permission::ReadCredentials).await?,
    };
    let page = Page { before: after.unwrap_or(u64::MAX), limit };
    let purpose = purpose.map(purpose_of);
    let rows = app.read(move |store| {
        store.credentials(&CredentialFilter { endpoint: endpoint.as_deref(), purpose }, page)
    });
    let rows = rows.await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.to_string());
    Ok(api::Page {
        items: rows.iter().filter(|row| covered.has(&row.endpoint)).map(described).collect(),
        next,
    })
}

/// One credential.
///
/// # Errors
/// [`CredentialError`]
pub async fn one(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Credential, CredentialError> {
    Ok(described(&permitted(app, principal, Permission::ReadCredentials, id).await?))
}

/// Removes a credential and ends the device's sessions.
///
/// # Errors
/// [`CredentialError`]
pub async fn remove(app: &Arc<App>, principal: &Principal, id: u64) -> Result<(), CredentialError> {
    let row = permitted(app, principal, Permission::ManageCredentials, id).await?;
    Ok(app.credentials.remove(principal, &row, app.now()).await?)
}

/// Replaces all credentials of a device for a server by one.
///
/// # Errors
/// [`CredentialError`]
pub async fn replace(
    app: &Arc<App>,
    principal: &Principal,
    purpose: api::CredentialPurpose,
    endpoint: &str,
    proof: &api::CredentialProof,
) -> Result<(), CredentialError> {
    app.permit(principal, Permission::ManageCredentials, Target::Device(endpoint)).await?;
    let Asked { proof, .. } = Asked::new(proof, endpoint)?;
    let new = NewCredential::new(purpose_of(purpose), endpoint, proof)?;
    app.credentials.replace(principal, new, app.now()).await?;
    Ok(())
}

/// Removes all credentials of a device for a server. Returns whether there were any.
///
/// # Errors
/// [`CredentialError`]
pub async fn remove_all(
    app: &Arc<App>,
    principal: &Principal,
    purpose: api::CredentialPurpose,
    endpoint: &str,
) -> Result<bool, CredentialError> {
    app.permit(principal, Permission::ManageCredentials, Target::Device(endpoint)).await?;
    Ok(app.credentials.remove_all(principal, purpose_of(purpose), endpoint, app.now()).await?)
}

/// Adds the next credential after this one.
///
/// # Errors
/// [`CredentialError`]
pub async fn rotate(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    request: &api::CredentialProof,
    key: Option<KeyRow>,
) -> Result<api::NewCredential, CredentialError> {
    let old = permitted(app, principal, Permission::ManageCredentials, id).await?;
    // The identity shows the server which of the two keys the device uses.
    let Asked { proof, made } = Asked::new(request, &next_identity(&old.endpoint)?)?;
    if proof.kind() != old.kind {
        return Err(CredentialError::OtherKind { id, kind: old.kind });
    }
    let row = app.credentials.rotate(principal, &old, proof, key, app.now()).await?;
    Ok(api::NewCredential { credential: described(&row), key: made })
}

/// Revokes a credential and ends the device's sessions. It stays, without its secret, so that the device is refused.
///
/// # Errors
/// [`CredentialError`]
pub async fn revoke(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
) -> Result<api::Credential, CredentialError> {
    let row = permitted(app, principal, Permission::ManageCredentials, id).await?;
    app.credentials.revoke(principal, &row, app.now()).await?;
    Ok(described(&CredentialRow { state: CredentialState::Revoked, ..row }))
}

/// A credential of a device with which the principal may do this.
async fn permitted(
    app: &Arc<App>,
    principal: &Principal,
    permission: Permission,
    id: u64,
) -> Result<CredentialRow, CredentialError> {
    app.permit_some(principal, permission)?;
    let row = stored(app, id).await?;
    app.permit(principal, permission, Target::Device(&row.endpoint)).await?;
    Ok(row)
}

async fn stored(app: &Arc<App>, id: u64) -> Result<CredentialRow, CredentialError> {
    let row = app.read(move |store| store.credential(id)).await?;
    row.ok_or(CredentialError::NoSuchCredential(id))
}

fn next_identity(endpoint: &str) -> Result<String, CredentialFault> {
    let mut digits = [0; IDENTITY_DIGITS];
    getrandom::fill(&mut digits).map_err(|error| CredentialFault::NoRandomNumbers(error.to_string()))?;
    Ok(format!("{endpoint}.{}", hex::encode(&digits)))
}

fn described(row: &CredentialRow) -> api::Credential {
    let identity = Some(&row.identity).filter(|identity| !identity.is_empty());
    let of = |kind| identity.filter(|_| row.kind == kind);
    let point = of(CredentialKind::Rpk).and_then(|point| point.as_slice().try_into().ok());
    api::Credential {
        id: row.id,
        endpoint: row.endpoint.clone(),
        purpose: match row.purpose {
            Purpose::Lwm2m => api::CredentialPurpose::Lwm2m,
            Purpose::Bootstrap => api::CredentialPurpose::Bootstrap,
        },
        kind: match row.kind {
            CredentialKind::Psk => api::CredentialKind::Psk,
            CredentialKind::Rpk => api::CredentialKind::Rpk,
            CredentialKind::X509 => api::CredentialKind::X509,
        },
        identity: of(CredentialKind::Psk).map(|identity| String::from_utf8_lossy(identity).into_owned()),
        public_key: point.map(|point| hex::encode(&PublicKey::from_point(point).to_spki())),
        fingerprint: of(CredentialKind::X509).map(|fingerprint| hex::encode(fingerprint)),
        state: match row.state {
            CredentialState::Active => api::CredentialState::Active,
            CredentialState::Next => api::CredentialState::Next,
            CredentialState::Revoked => api::CredentialState::Revoked,
        },
        created_at: row.created_at,
    }
}

const fn purpose_of(purpose: api::CredentialPurpose) -> Purpose {
    match purpose {
        api::CredentialPurpose::Lwm2m => Purpose::Lwm2m,
        api::CredentialPurpose::Bootstrap => Purpose::Bootstrap,
    }
}
