//! `/api/objectspecs`: the definitions of a device's objects.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use axum::response::IntoResponse;
use buoy_lwm2m::model::ObjectModel;
use buoy_services::app::App;
use buoy_services::devices;
use serde_json::{Value, json};

use super::{Answer, no_client};
use crate::v1::Author;

/// Since which version of LwM2M an object is meant for; definitions that don't say it mean this one.
const LWM2M_OF_MODELS: &str = "1.0";

/// The object models that a device's versions select.
pub(super) async fn of_device(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    UrlPath(endpoint): UrlPath<String>,
) -> Answer {
    let models = devices::object_models(&app, &principal, &endpoint).await;
    let models = models.map_err(|error| no_client(&endpoint, error))?;
    Ok(Json(models.into_iter().map(model_json).collect::<Value>()).into_response())
}

/// The name under which OMA registers an object: its version stands in it if it is not 1.0.
fn urn(model: &ObjectModel) -> String {
    let registry = match model.id {
        0..=1023 => "oma",
        1024..=10_240 => "ext",
        _ => "x",
    };
    let version = model.version.to_string();
    let suffix = if version == "1.0" { String::new() } else { format!(":{version}") };
    format!("urn:oma:lwm2m:{registry}:{}{suffix}", model.id)
}

fn model_json(model: &ObjectModel) -> Value {
    let resources: Vec<Value> = model
        .resources
        .values()
        .map(|resource| {
            json!({
                "id": resource.id,
                "name": resource.name,
                "operations": resource.operations.as_str(),
                "instancetype": if resource.multiple { "multiple" } else { "single" },
                "mandatory": resource.mandatory,
                "type": resource.value_type.map_or("none", |kind| kind.name()),
                "range": resource.range,
                "units": resource.units,
            })
        })
        .collect();
    json!({
        "name": model.name,
        "id": model.id,
        "instancetype": if model.multiple { "multiple" } else { "single" },
        "mandatory": model.mandatory,
        "version": model.version.to_string(),
        "lwm2mversion": LWM2M_OF_MODELS,
        "urn": urn(model),
        "description": model.description,
        "description2": "",
        "resourcedefs": resources,
    })
}
