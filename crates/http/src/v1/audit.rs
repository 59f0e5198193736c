//! The audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::audit::{self, AuditError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Author, Problem, Queries, limit};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only entries of this principal.
    principal: Option<String>,
    /// Only this action, or all actions that begin with it, for example `credential` for `credential.revoke`.
    action: Option<String>,
    /// Only entries about this target: an endpoint name, a digest, a pattern.
    target: Option<String>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; the default is 100.
    limit: Option<usize>,
}

/// The audit log: an entry for each change, the newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses(
        (status = 200, description = "A page", body = api::Page<api::AuditEntry>),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(author): Author,
    Queries(query): Queries<AuditQuery>,
) -> Answer<api::Page<api::AuditEntry>> {
    let AuditQuery { principal, action, target, after, limit: asked } = query;
    let filter = audit::Filter { principal, action, target };
    Ok(Json(audit::list(&app, &author, filter, after, limit(asked)?).await?))
}

/// Checks whether an entry of the audit log was changed, removed or inserted behind the server's back: each has a hash that covers the one before it.
#[utoipa::path(
    get, path = "/api/v1/audit/chain", tag = "audit",
    responses((status = 200, description = "What was found", body = api::AuditChain))
)]
pub(super) async fn chain(State(app): State<Arc<App>>, Author(author): Author) -> Answer<api::AuditChain> {
    Ok(Json(audit::chain(&app, &author).await?))
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => Self::store(&error),
            AuditError::Forbidden(forbidden) => forbidden.into(),
        }
    }
}
