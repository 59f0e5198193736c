//! Why a device is as it is: what an expert would say after reading all that the server has seen of it.
//!
//! [`explain`] gathers the evidence, [`causes`] is the table that derives findings from it: a pure function, so that each cause is
//! tested by itself.

pub mod causes;
mod evidence;
mod words;

use std::sync::Arc;

use buoy_api as api;
use buoy_store::StoreError;

use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::principal::Principal;

/// What is wrong with a device, and what would mend it.
///
/// # Errors
/// [`WhyError`]
pub async fn explain(app: &Arc<App>, principal: &Principal, endpoint: &str) -> Result<api::Why, WhyError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    let evidence = evidence::gather(app, principal, endpoint).await?;
    if evidence.is_empty() {
        return Err(WhyError::NoSuchDevice(endpoint.to_owned()));
    }
    let findings = causes::findings(&evidence);
    Ok(api::Why {
        endpoint: endpoint.to_owned(),
        at: evidence.now,
        state: evidence.state(),
        summary: words::summary(&evidence, &findings),
        looked_at: words::looked_at(&evidence),
        findings,
    })
}

/// Why nothing can be said of a device.
#[derive(Debug)]
#[non_exhaustive]
pub enum WhyError {
    /// The principal may not read of it.
    Forbidden(Forbidden),
    /// Nobody of this name was ever heard of.
    NoSuchDevice(String),
    /// The store could not be read.
    Store(StoreError),
}

impl std::fmt::Display for WhyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchDevice(endpoint) => {
                write!(
                    f,
                    "no device named {endpoint} is known, and nobody has tried to come in under this name"
                )
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WhyError {}

impl From<Forbidden> for WhyError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<StoreError> for WhyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests;
