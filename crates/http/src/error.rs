//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use buoy_services::access::Forbidden;
use serde_json::json;

/// An error of `/api/v1`.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    /// Seconds after which it may be tried again.
    retry_after: Option<u64>,
    /// Where in a filter the error is.
    position: Option<usize>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), retry_after: None, position: None }
    }

    /// The same, with the seconds after which it may be tried again.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// With the place of the error in a filter.
    pub(crate) fn at(self, position: Option<usize>) -> Self {
        Self { position, ..self }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad request", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    /// What was to be edited is not as the caller expects.
    pub(crate) fn changed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "Changed meanwhile", detail)
    }

    pub(crate) fn no_device(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, buoy_api::Problem::NO_SUCH_DEVICE, detail)
    }

    pub(crate) fn store(error: &buoy_services::StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The store failed", error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(position) = self.position {
            body["position"] = position.into();
        }
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, headers, Json(body)).into_response();
        let retry_after = self.retry_after.map(|seconds| (header::RETRY_AFTER, seconds.into()));
        response.headers_mut().extend(retry_after);
        response
    }
}

impl From<Forbidden> for Problem {
    fn from(error: Forbidden) -> Self {
        Self::forbidden(error.to_string())
    }
}

impl From<buoy_services::StoreError> for Problem {
    fn from(error: buoy_services::StoreError) -> Self {
        Self::store(&error)
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("nothing is at {}; the interfaces are under /api and /api/v1", uri.path()))
}

/// The answer for an unknown path at the listener for devices.
pub(super) async fn no_file(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no file {}", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} does nothing at {}; the header Allow says what does", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
}
