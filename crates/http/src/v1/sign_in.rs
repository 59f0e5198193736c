//! Sign-in by name and password, and what everybody may do with the own account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use buoy_api as api;
use buoy_services::accounts::{Arrival, SessionSecret};
use buoy_services::app::App;
use buoy_services::principal::Principal;
use buoy_services::provider::Provider;

use super::{Answer, Author, JsonBody, Problem, check_store};
use crate::arrival::{COOKIE, Origin, cookie};

/// Whether the server has no account yet.
#[utoipa::path(
    get, path = "/api/v1/setup", tag = "access",
    responses((status = 200, description = "What a page needs to know before a sign-in", body = api::SetupState))
)]
pub(super) async fn setup_state(State(app): State<Arc<App>>) -> Json<api::SetupState> {
    let provider = app.provider().map(|provider| provider.name().to_owned());
    Json(api::SetupState { needed: app.accounts().is_empty(), provider })
}

/// Makes the first account, an admin, by the one-time token that the server printed at its start; and signs in.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "access", request_body = api::Setup,
    responses(
        (status = 200, description = "The account is made. Set-Cookie has the sign-in", body = api::Me),
        (status = 400, description = "The name or the password is invalid", body = api::Problem),
        (status = 403, description = "The token is wrong, or there is an account already", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn set_up(
    State(app): State<Arc<App>>,
    Origin(origin): Origin,
    JsonBody(request): JsonBody<api::Setup>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let session = app.accounts().set_up(origin, request).await?;
    signed_in(&app, &session)
}

/// Signs in by name, password, and the code of the second factor if the account has one.
#[utoipa::path(
    post, path = "/api/v1/sign-in", tag = "access", request_body = api::SignIn,
    responses(
        (status = 200, description = "Set-Cookie has the sign-in", body = api::Me),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 401, description = "The name, the password or the code is wrong; or a code is needed, which the title says", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    Origin(origin): Origin,
    JsonBody(request): JsonBody<api::SignIn>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let session = app.accounts().sign_in(origin, request).await?;
    signed_in(&app, &session)
}

/// Signs in by the one-time token of a link, which an admin made.
#[utoipa::path(
    post, path = "/api/v1/sign-in/link", tag = "access", request_body = api::SignInByLink,
    responses(
        (status = 200, description = "Set-Cookie has the sign-in", body = api::Me),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 401, description = "The account got a second factor since", body = api::Problem),
        (status = 403, description = "The link was used, is too old, or is none", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn sign_in_by_link(
    State(app): State<Arc<App>>,
    Origin(origin): Origin,
    JsonBody(request): JsonBody<api::SignInByLink>,
) -> Result<Response, Problem> {
    check_store(&app)?;
    let session = app.accounts().sign_in_by_link(origin, &request).await?;
    signed_in(&app, &session)
}

/// The answer to who signed in.
pub(super) fn signed_in(app: &App, session: &SessionSecret) -> Result<Response, Problem> {
    let arrival = app.accounts().by_cookie(session.cookie.reveal(), None);
    let arrival =
        arrival.ok_or_else(|| Problem::forbidden("the account was changed at this moment; sign in again"))?;
    let body = Json(described(app, &arrival.principal, arrival.csrf.as_deref()));
    let headers = [(header::SET_COOKIE, set_cookie(session)), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((headers, body).into_response())
}

/// The cookie of a sign-in (RFC 6265): for this host alone, over TLS alone, for no script, and for no other site's request.
pub(super) fn set_cookie(session: &SessionSecret) -> String {
    format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", session.cookie.reveal())
}

/// Ends the sign-in of the request's cookie.
#[utoipa::path(
    post, path = "/api/v1/sign-out", tag = "access",
    responses(
        (status = 204, description = "The sign-in is ended"),
        (status = 400, description = "The request has no cookie of a sign-in", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let secret = cookie(&headers).filter(|_| principal.by() == api::SignedInBy::Session);
    let secret = secret.ok_or_else(|| {
        Problem::bad_request("this request has no sign-in to end; a token is removed at /api/v1/tokens/{id}")
    })?;
    app.accounts().sign_out(&principal, secret).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Who sends this request, and what it may do.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "access",
    responses((status = 200, description = "The author of this request", body = api::Me))
)]
pub(super) async fn me(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    arrival: Option<Extension<Arrival>>,
) -> Json<api::Me> {
    let csrf = arrival.and_then(|Extension(arrival)| arrival.csrf);
    Json(described(&app, &principal, csrf.as_deref()))
}

fn described(app: &App, principal: &Principal, csrf: Option<&str>) -> api::Me {
    let account = principal.account().map(str::to_owned);
    let is_external = account.as_deref().is_some_and(|account| app.accounts().is_external(account));
    let provider = app.provider().filter(|_| is_external && csrf.is_some());
    api::Me {
        name: principal.name().to_owned(),
        second_factor: account.as_deref().is_some_and(|account| app.accounts().has_second_factor(account)),
        account,
        by: principal.by(),
        provider_sign_out: provider.and_then(Provider::sign_out_uri),
        grants: principal.grants(),
        csrf: csrf.map(|csrf| api::Secret::new(csrf.to_owned())),
        expires_at: principal.ends_at(),
    }
}

/// Changes the password of the own account. Its other sign-ins end.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "access", request_body = api::ChangePassword,
    responses(
        (status = 204, description = "It is changed"),
        (status = 400, description = "The new password can't be one", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    headers: HeaderMap,
    JsonBody(request): JsonBody<api::ChangePassword>,
) -> Result<StatusCode, Problem> {
    check_store(&app)?;
    app.accounts().change_password(&principal, cookie(&headers), request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Prepares a second factor (TOTP, RFC 6238). It counts when a code of it was confirmed.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor", tag = "access",
    responses(
        (status = 200, description = "The secret for an authenticator", body = api::SecondFactor),
        (status = 409, description = "The account has a second factor", body = api::Problem),
    )
)]
pub(super) async fn prepare_second_factor(
    State(app): State<Arc<App>>,
    Author(principal): Author,
) -> Answer<api::SecondFactor> {
    Ok(Json(app.accounts().prepare_second_factor(&principal)?))
}

/// Confirms the second factor that was prepared, by a code of it. From now on each sign-in needs one.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor/confirm", tag = "access", request_body = api::ConfirmSecondFactor,
    responses(
        (status = 200, description = "Codes for when the authenticator is lost; they are shown this once", body = api::RecoveryCodes),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 409, description = "None is prepared, or the code is wrong", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn confirm_second_factor(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(request): JsonBody<api::ConfirmSecondFactor>,
) -> Answer<api::RecoveryCodes> {
    check_store(&app)?;
    Ok(Json(app.accounts().confirm_second_factor(&principal, request).await?))
}

/// Removes the second factor of the own account.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor/remove", tag = "access", request_body = api::RemoveSecondFactor,
    responses(
        (status = 204, description = "It is removed"),
        (status = 400, description = "The request is invalid", body = api::Problem),
        (status = 409, description = "The account has none", body = api::Problem),
        (status = 429, description = "There were too many attempts; Retry-After has the seconds to wait", body = api::Problem),
        (status = 503, description = "The store can't be written now", body = api::Problem),
    )
)]
pub(super) async fn remove_second_factor(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    JsonBody(request): JsonBody<api::RemoveSecondFactor>,
) -> Result<StatusCode, Problem> {
    check_store(&app)?;
    app.accounts().remove_second_factor(&principal, request).await?;
    Ok(StatusCode::NO_CONTENT)
}
