//! API tokens of programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_services::app::App;

use super::{Answer, Author, JsonBody, Problem, Segments, check_store};

/// The tokens of the own account; for admins, of all accounts. Their secrets are not in it.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "access",
    responses((status = 200, description = "The whole list", body = api::Page<api::Token>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Token>> {
    Ok(Json(api::Page { items: app.accounts().tokens(&principal)?, next: None }))
}

/// Makes a token of the own account. Its secret is in this answer alone. A token can't make tokens.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "access", request_body = api::AddToken,
    responses(
        (status = 201, description = "The token with its secret", body = api::NewToken),
        (status = 400, description = "The name, a grant or the lifetime is invalid", body = api::Problem),
        (status = 409, description = "The account has as many tokens as it may have", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(request): JsonBody<api::AddToken>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let made = app.accounts().add_token(&principal, request).await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Removes a token: one of the own account, or for admins any. It counts no more.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = u64, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such token, or it belongs to another account", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Problem> {
    app.accounts().remove_token(&principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
