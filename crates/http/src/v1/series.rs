//! `GET /api/v1/series`: one resource of many devices over time, as CSV or as JSON lines.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use buoy_api as api;
use buoy_services::app::App;
use buoy_services::export::{Export, Source};
use buoy_services::inventory::DeviceFilter;
use buoy_services::moments;
use futures_util::stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Author, Problem, Queries, devices};

/// Devices that are named in one query.
const MOST_NAMED: usize = 1000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// The path of the resource, as in "/3303/0/5700".
    path: String,
    /// The devices, separated by commas.
    endpoints: Option<String>,
    /// In place of names: the devices that this filter matches.
    filter: Option<String>,
    /// From this time on: RFC 3339, as in "2026-12-01T08:00:00Z", or milliseconds since the epoch.
    from: Option<String>,
    /// Before this time.
    to: Option<String>,
    /// "jsonl", which is the default, or "csv".
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Jsonl,
    Csv,
}

/// The values of one resource of many devices over time, device by device, the oldest value first.
#[utoipa::path(
    get, path = "/api/v1/series", tag = "devices", params(ExportQuery),
    responses(
        (status = 200, description = "A line for each value", content(
            (api::DeviceSample = "application/jsonl"), (String = "text/csv")
        )),
        (status = 400, description = "A query parameter is invalid", body = api::Problem),
    )
)]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Author(principal): Author,
    Queries(query): Queries<ExportQuery>,
) -> Result<Response, Problem> {
    let source = source(&app, query.endpoints.as_deref(), query.filter.as_deref())?;
    let from = moment("from", query.from.as_deref())?.unwrap_or(0);
    let to = moment("to", query.to.as_deref())?.unwrap_or(i64::MAX as u64);
    let format = query.format.unwrap_or_default();
    let mut export = Export::begin(&app, &principal, source, query.path, from..to).await?;
    // What is wrong from the start is told by the status.
    let first = export.next().await?;
    let heading = match format {
        Format::Csv => "endpoint,path,time,value\n",
        Format::Jsonl => "",
    };
    let start = (Some(heading.to_owned()), first, Some(export));
    let lines = stream::unfold(start, move |(heading, rows, mut export)| async move {
        if let Some(heading) = heading {
            return Some((Ok::<_, Infallible>(heading), (None, rows, export)));
        }
        let rows = match rows {
            Some(rows) => rows,
            // A store that fails in the midst ends the answer; the last line is whole.
            None => export.as_mut()?.next().await.ok().flatten()?,
        };
        let text = rows.iter().map(|row| line(format, row)).collect::<String>();
        Some((Ok(text), (None, None, export)))
    });
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Jsonl => "application/jsonl",
    };
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(lines)).into_response())
}

fn source(app: &App, endpoints: Option<&str>, filter: Option<&str>) -> Result<Source, Problem> {
    match (endpoints, filter) {
        (Some(_), Some(_)) => Err(Problem::bad_request("give endpoints or filter, and not both")),
        (None, None) => Err(Problem::bad_request("say of which devices, by endpoints or by filter")),
        (Some(names), None) => {
            let names: Vec<_> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            if names.is_empty() || names.len() > MOST_NAMED {
                let detail = format!("endpoints has {} names, and must have 1 to {MOST_NAMED}", names.len());
                return Err(Problem::bad_request(detail));
            }
            Ok(Source::Named(names.into_iter().map(str::to_owned).collect()))
        }
        (None, Some(filter)) => {
            let matching = devices::matching(app, Some(filter))?;
            Ok(Source::Matching(DeviceFilter { matching, ..DeviceFilter::default() }))
        }
    }
}

/// A time of a query.
pub(super) fn moment(name: &str, text: Option<&str>) -> Result<Option<u64>, Problem> {
    let read = |text: &str| {
        moments::parse(text).ok_or_else(|| {
            let detail = format!(
                "{name}={text}: a time is as in 2026-12-01T08:00:00Z, or in milliseconds since the epoch"
            );
            Problem::bad_request(detail)
        })
    };
    text.map(read).transpose()
}

fn line(format: Format, row: &api::DeviceSample) -> String {
    match format {
        Format::Jsonl => {
            let mut text = serde_json::to_string(row).unwrap_or_default();
            text.push('\n');
            text
        }
        Format::Csv => {
            let value = match &row.value {
                serde_json::Value::String(text) => cell(text, Guard::OfFormulas),
                number => cell(&number.to_string(), Guard::None),
            };
            let mut text = String::new();
            let (endpoint, path) = (cell(&row.endpoint, Guard::OfFormulas), &row.path);
            let _ = writeln!(text, "{endpoint},{path},{},{value}", moments::text(row.at));
            text
        }
    }
}

/// What a spreadsheet could take for a formula gets an apostrophe in front: texts of devices, and no numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    None,
    OfFormulas,
}

/// A cell of CSV (RFC 4180), in which nothing acts on a terminal.
fn cell(text: &str, guard: Guard) -> String {
    let text = buoy_lwm2m::text::harmless(text).to_string();
    let guarded = guard == Guard::OfFormulas && text.starts_with(['=', '+', '-', '@']);
    let mark = if guarded { "'" } else { "" };
    if guarded || text.contains([',', '"', '\n', '\r', ' ']) {
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_a_line_of_csv_or_json() {
        let row = |value: serde_json::Value| api::DeviceSample {
            endpoint: "a,b".into(),
            path: "/3303/0/5700".into(),
            at: 1_795_466_474_000,
            value,
        };
        assert_eq!(line(Format::Csv, &row(json!(-1.5))), "\"a,b\",/3303/0/5700,2026-11-23T20:41:14Z,-1.5\n");
        assert!(line(Format::Csv, &row(json!("=1+1"))).ends_with(",\"'=1+1\"\n"));
        assert!(line(Format::Jsonl, &row(json!("x"))).ends_with("\"value\":\"x\"}\n"));
    }
}
