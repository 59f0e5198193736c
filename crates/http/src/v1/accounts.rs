//! Accounts of people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_services::accounts::{AccessError, TooMany};
use buoy_services::app::App;

use super::{Answer, Author, JsonBody, Problem, Segments, check_store, not_saved};

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let detail = error.to_string();
        match error {
            AccessError::Forbidden(_) | AccessError::MoreThanOwn | AccessError::NeedsSession(_) => {
                Self::forbidden(detail)
            }
            AccessError::WrongSignIn => Self::new(StatusCode::UNAUTHORIZED, "Wrong sign-in", detail),
            AccessError::SecondFactorNeeded => {
                Self::new(StatusCode::UNAUTHORIZED, api::Problem::SECOND_FACTOR_NEEDED, detail)
            }
            AccessError::TooMany(TooMany { seconds }) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", detail).after(seconds)
            }
            AccessError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many sign-ins", detail).after(5)
            }
            AccessError::Link(_) => Self::new(StatusCode::FORBIDDEN, "No link", detail),
            AccessError::NoSetup(_) => Self::new(StatusCode::FORBIDDEN, "No set-up", detail),
            AccessError::Exists(_)
            | AccessError::NotOfProvider(_)
            | AccessError::LastAdmin(_)
            | AccessError::SecondFactor(_) => Self::new(StatusCode::CONFLICT, "In the way", detail),
            AccessError::Full(_) => Self::new(StatusCode::CONFLICT, "Full", detail),
            AccessError::NoSuchAccount(_) | AccessError::NoSuchToken(_) => Self::not_found(detail),
            AccessError::NotSaved(error) => not_saved(error),
            AccessError::Store(error) => Self::store(&error),
            AccessError::Failed(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "It failed", detail),
            _ => Self::bad_request(detail),
        }
    }
}

/// The accounts, by their names.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "access",
    responses((status = 200, description = "The whole list", body = api::Page<api::Account>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::Page<api::Account>> {
    Ok(Json(api::Page { items: app.accounts().list(&principal)?, next: None }))
}

/// Makes an account. The first one has to be an admin; from then on each request needs a sign-in or a token.
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "access", request_body = api::AddAccount,
    responses(
        (status = 201, description = "The account", body = api::Account),
        (status = 400, description = "The name, the password or a grant is invalid", body = api::Problem),
        (status = 409, description = "There is an account of this name", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(request): JsonBody<api::AddAccount>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let added = app.accounts().add(&principal, request).await?;
    Ok((StatusCode::CREATED, Json(added)).into_response())
}

/// One account. Everybody may see the own one.
#[utoipa::path(
    get, path = "/api/v1/accounts/{name}", tag = "access", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The account", body = api::Account),
        (status = 404, description = "There is no account of this name", body = api::Problem),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Answer<api::Account> {
    Ok(Json(app.accounts().one(&principal, &name)?))
}

/// Changes an account: grants, password, whether it may sign in; removes its second factor. What is absent stays.
#[utoipa::path(
    put, path = "/api/v1/accounts/{name}", tag = "access", params(("name" = String, Path)),
    request_body = api::ChangeAccount,
    responses(
        (status = 200, description = "The account as it is now", body = api::Account),
        (status = 400, description = "The password or a grant is invalid", body = api::Problem),
        (status = 404, description = "There is no account of this name", body = api::Problem),
        (status = 409, description = "It is the last one that could manage accounts", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn edit(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
    JsonBody(request): JsonBody<api::ChangeAccount>,
) -> Answer<api::Account> {
    check_store(&app)?;
    Ok(Json(app.accounts().edit(&principal, &name, request).await?))
}

/// Makes a link that signs a browser in to an account once, within ten minutes: the page with `#sign-in=TOKEN` behind its address.
#[utoipa::path(
    post, path = "/api/v1/accounts/{name}/sign-in-link", tag = "access", params(("name" = String, Path)),
    responses(
        (status = 201, description = "The link's token, which is shown this once", body = api::SignInLink),
        (status = 404, description = "There is no account of this name", body = api::Problem),
        (status = 409, description = "The account has a second factor, or an identity provider signs it in", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn make_sign_in_link(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let link = app.accounts().make_sign_in_link(&principal, &name).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(link)).into_response())
}

/// Removes an account with its tokens; its sign-ins end.
#[utoipa::path(
    delete, path = "/api/v1/accounts/{name}", tag = "access", params(("name" = String, Path)),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no account of this name", body = api::Problem),
        (status = 409, description = "It is the last one that could manage accounts", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    app.accounts().remove(&principal, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
