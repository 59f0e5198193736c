//! Why a device is as it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::why::{self, WhyError};

use super::{Answer, Author, Problem, Segments};

/// What is wrong with a device, with what shows it and what to do next; and if nothing is, that. Names that only tried to come in are
/// explained, too.
#[utoipa::path(
    get, path = "/api/v1/devices/{endpoint}/why", tag = "devices", params(("endpoint" = String, Path)),
    responses(
        (status = 200, description = "What is wrong, the most severe first", body = api::Why),
        (status = 404, description = "No device of this name is known, and nobody has tried it", body = api::Problem),
    )
)]
pub(super) async fn why(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Segments(endpoint): Segments<String>,
) -> Answer<api::Why> {
    Ok(Json(why::explain(&app, &principal, &endpoint).await?))
}

impl From<WhyError> for Problem {
    fn from(error: WhyError) -> Self {
        let detail = error.to_string();
        match error {
            WhyError::Forbidden(_) => Self::forbidden(detail),
            WhyError::Store(error) => Self::store(&error),
            _ => Self::no_device(detail),
        }
    }
}
