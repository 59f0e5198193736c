//! The description of `/api/v1` (OpenAPI 3.1), made from the code. `crates/api/openapi.json` is a copy, which a test keeps up to date.

use std::collections::BTreeMap;

use axum::Json;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as ApiResponse, ResponseBuilder, Schema};
use utoipa::{Modify, OpenApi};

use super::{
    accounts, alerts, audit, bootstrap, campaigns, credentials, desired, devices, events, firmware, groups,
    jobs, lifecycle, operations, receivers, series, sign_in, tokens, trace, updates, why,
};

/// The media type of problem documents (RFC 9457 section 3).
const PROBLEM: &str = "application/problem+json";

/// What goes for all operations: how to sign in, and the answers to who did not or may not.
struct Access;

impl Modify for Access {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "token",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        );
        components.add_security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::arrival::COOKIE))),
        );
        let requirements =
            ["token", "session"].map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []));
        for (path, item) in &mut document.paths.paths {
            let operations =
                [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                describe_refusals(operation);
                if crate::arrival::OPEN.contains(&path.as_str()) {
                    continue;
                }
                operation.security = Some(requirements.to_vec());
                let answers = &mut operation.responses.responses;
                for (status, description) in [
                    ("401", "It needs a sign-in, or the token does not count"),
                    ("403", "The author may not do this"),
                ] {
                    answers.entry(status.to_owned()).or_insert_with(|| problem(description));
                }
            }
        }
    }
}

/// Types that are a part of others: each has fields that the other does not know, so neither can forbid those that are not its own.
struct Parts;

impl Modify for Parts {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let schemas = &mut document.components.get_or_insert_default().schemas;
        let closed = |schema: &RefOr<Schema>| match schema {
            RefOr::T(Schema::Object(object)) => match object.additional_properties.as_deref() {
                Some(AdditionalProperties::FreeForm(false)) => {
                    let mut open = object.clone();
                    open.additional_properties = None;
                    Some(RefOr::T(Schema::Object(open)))
                }
                _ => None,
            },
            _ => None,
        };
        let opened: BTreeMap<String, RefOr<Schema>> =
            schemas.iter().filter_map(|(name, schema)| Some((name.clone(), closed(schema)?))).collect();
        schemas.values_mut().for_each(|schema| open_parts(schema, &opened));
    }
}

fn open_parts(schema: &mut RefOr<Schema>, opened: &BTreeMap<String, RefOr<Schema>>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => object.properties.values_mut().for_each(|it| open_parts(it, opened)),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                open_parts(items, opened);
            }
        }
        Schema::AllOf(all) => {
            for part in &mut all.items {
                let open = match part {
                    RefOr::Ref(to) => opened.get(to.ref_location.rsplit('/').next().unwrap_or_default()),
                    RefOr::T(_) => None,
                };
                if let Some(open) = open {
                    *part = open.clone();
                }
                open_parts(part, opened);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|it| open_parts(it, opened)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|it| open_parts(it, opened)),
        _ => {}
    }
}

/// The answers that any operation can give, and the type of all problem documents.
fn describe_refusals(operation: &mut utoipa::openapi::path::Operation) {
    let has_body = operation.request_body.is_some();
    let has_input = has_body || operation.parameters.as_ref().is_some_and(|all| !all.is_empty());
    let answers = &mut operation.responses.responses;
    for (status, description, is_possible) in [
        ("400", "The request is not as this description has it", has_input),
        ("413", "The body is too large", has_body),
        ("415", "The body is of another type", has_body),
        ("503", "The store fails, or the server is stopping", true),
    ] {
        if is_possible {
            answers.entry(status.to_owned()).or_insert_with(|| problem(description));
        }
    }
    for (status, answer) in answers.iter_mut() {
        let is_refusal = status.starts_with(['4', '5']);
        if let RefOr::T(answer) = answer
            && is_refusal
            && let Some(content) = answer.content.shift_remove("application/json")
        {
            answer.content.insert(PROBLEM.to_owned(), content);
        }
    }
}

fn problem(description: &str) -> RefOr<ApiResponse> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(PROBLEM, content).build().into()
}

#[derive(OpenApi)]
#[openapi(
    modifiers(&Access, &Parts),
    info(
        title = "Buoy",
        description = "Manages fleets of small connected devices by LwM2M. Times are milliseconds since the epoch. A list comes in \
            pages: pass `next` of one as `after` of the next. Errors are problem documents (RFC 9457). A GET carries an entity tag; a \
            POST may carry an `Idempotency-Key`, and is then done once however often it is sent."
    ),
    paths(
        openapi,
        devices::list,
        devices::one,
        devices::forget,
        devices::change,
        devices::import,
        devices::import_csv,
        devices::values,
        lifecycle::retire,
        lifecycle::bring_back,
        lifecycle::merge,
        why::why,
        devices::counts,
        devices::objects,
        devices::observations,
        devices::series,
        devices::samples,
        series::export,
        operations::list,
        operations::start,
        operations::one,
        operations::cancel,
        firmware::list,
        firmware::upload,
        firmware::one,
        firmware::remove,
        firmware::upload_signature,
        credentials::list,
        credentials::add,
        credentials::import,
        credentials::one,
        credentials::remove,
        credentials::rotate,
        credentials::revoke,
        updates::list,
        updates::start,
        updates::one,
        updates::cancel,
        desired::list,
        desired::one,
        desired::put,
        desired::remove,
        desired::devices,
        desired::of_device,
        desired::retry,
        jobs::list,
        jobs::start,
        jobs::preview,
        jobs::one,
        jobs::remove,
        jobs::devices,
        jobs::cancel,
        jobs::retry,
        campaigns::list,
        campaigns::add,
        campaigns::preview,
        campaigns::rehearse,
        campaigns::one,
        campaigns::change,
        campaigns::remove,
        campaigns::devices,
        campaigns::report,
        campaigns::start,
        campaigns::approve,
        campaigns::pause,
        campaigns::resume,
        campaigns::retry,
        campaigns::abort,
        alerts::list,
        alerts::acknowledge,
        alerts::rules,
        alerts::put_defaults,
        alerts::rule,
        alerts::put_rule,
        alerts::remove_rule,
        alerts::silences,
        alerts::add_silence,
        alerts::remove_silence,
        receivers::list,
        receivers::one,
        receivers::put,
        receivers::remove,
        receivers::test,
        receivers::deliveries,
        receivers::replay,
        groups::list,
        groups::one,
        groups::put,
        groups::remove,
        groups::change_devices,
        groups::filters,
        groups::put_filter,
        groups::remove_filter,
        groups::explain,
        audit::list,
        audit::chain,
        sign_in::setup_state,
        sign_in::set_up,
        sign_in::sign_in,
        sign_in::sign_in_by_link,
        sign_in::sign_out,
        sign_in::me,
        sign_in::change_password,
        sign_in::prepare_second_factor,
        sign_in::confirm_second_factor,
        sign_in::remove_second_factor,
        accounts::list,
        accounts::add,
        accounts::one,
        accounts::edit,
        accounts::remove,
        accounts::make_sign_in_link,
        tokens::list,
        tokens::add,
        tokens::remove,
        bootstrap::configs,
        bootstrap::put_config,
        bootstrap::config,
        bootstrap::remove_config,
        bootstrap::claims,
        bootstrap::accept,
        bootstrap::forget,
        events::stream,
        trace::stream,
    ),
    components(schemas(buoy_api::AlertMessage))
)]
struct Description;

/// The description as it is checked in.
pub fn document() -> String {
    let mut text = described().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// With an id of its own for each operation, as generators of clients want it: its method and its path.
fn described() -> utoipa::openapi::OpenApi {
    let mut document = Description::openapi();
    for (path, item) in &mut document.paths.paths {
        let words: Vec<_> = path
            .split(['/', '-'])
            .skip(3)
            .map(|word| word.trim_matches(['{', '}']))
            .filter(|word| !word.is_empty())
            .map(|word| word.replace('.', "_"))
            .collect();
        let methods = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{}", words.join("_")));
            }
        }
    }
    document
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1")))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(described())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// They send a browser elsewhere, and are no calls of programs.
    const FOR_BROWSERS: [&str; 2] = ["/api/v1/sign-in/provider", "/api/v1/sign-in/callback"];

    /// Each handler that a route of `v1.rs` names is described, under the path of the route.
    #[test]
    fn every_route_is_described() {
        let document: Value = serde_json::from_str(&super::document()).unwrap();
        let mut described = 0;
        for line in include_str!("../v1.rs").lines() {
            let Some((_, rest)) = line.split_once(".route(\"") else { continue };
            let (path, methods) = rest.split_once("\", ").unwrap();
            let path = path.replace("{*", "{");
            if FOR_BROWSERS.contains(&path.as_str()) {
                continue;
            }
            for method in ["get", "post", "put", "patch", "delete"] {
                if methods.split('.').any(|call| call.starts_with(&format!("{method}("))) {
                    assert!(document["paths"][&path][method].is_object(), "{method} {path} is not described");
                    described += 1;
                }
            }
        }
        assert!(described > 30, "{described} routes were found");
    }

    #[test]
    fn each_operation_has_an_id_of_its_own() {
        let document: Value = serde_json::from_str(&super::document()).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{method} {path} has the id {id} of another operation");
            }
        }
        assert!(ids.contains("get_devices_endpoint") && ids.contains("post_campaigns_id_start"), "{ids:?}");
    }

    #[test]
    fn the_description_that_is_checked_in_is_that_of_the_code() {
        let checked_in = include_str!("../../../api/openapi.json");
        assert!(
            checked_in == super::document(),
            "crates/api/openapi.json is stale; run `cargo run -- openapi > crates/api/openapi.json`"
        );
    }
}
