//! Firmware for devices by HTTP: `GET /fw/{digest}` with one range (RFC 9110 section 14) and a strong ETag, so that an interrupted
//! download continues where it stopped, or starts again if the image has changed. The signature is at `/fw/{digest}.sig` and at
//! `/fw/{digest}.signature`. For an update a device gets `/fw/{digest}/{update}`, so that the server knows the progress of the download.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::Problem;
use buoy_services::Body;
use buoy_services::app::App;
use buoy_services::downloads::Reached;

/// A download that is followed is read in pieces of this many bytes.
const PIECE: usize = 16 << 10;
/// The suffixes of an image's name for its signature.
const SIGNATURES: [&str; 2] = [".sig", ".signature"];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/fw/{name}", get(file)).route("/fw/{digest}/{update}", get(file_of_update))
}

async fn file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (digest, wanted) = Wanted::parse(&name);
    serve(&app, digest, wanted, None, &headers)
}

async fn file_of_update(
    State(app): State<Arc<App>>,
    Path((digest, update)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (number, wanted) = Wanted::parse(&update);
    let number = number.parse().map_err(|_| Problem::not_found(format!("there is no update {number}")))?;
    serve(&app, &digest, wanted, Some(number), &headers)
}

/// Which file of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Image,
    Signature,
}

impl Wanted {
    /// Splits a name into the image's name and the file that its suffix selects.
    fn parse(name: &str) -> (&str, Self) {
        let stem = SIGNATURES.iter().find_map(|suffix| name.strip_suffix(suffix));
        stem.map_or((name, Self::Image), |stem| (stem, Self::Signature))
    }
}

fn serve(
    app: &Arc<App>,
    digest: &str,
    wanted: Wanted,
    update: Option<u64>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let image = app.image(digest);
    let image = image.ok_or_else(|| Problem::not_found(format!("there is no firmware {digest}")))?;
    // Devices store it in 32 bytes, including the quotes.
    let tag = digest.get(..28).unwrap_or(digest);
    if wanted == Wanted::Signature {
        let signature = image.row.signature.clone();
        let missing = || Problem::not_found(format!("there is no signature of firmware {digest}"));
        return Ok(answer(
            &Body::new(signature.ok_or_else(missing)?),
            &format!("\"{tag}.s\""),
            headers,
            None,
        ));
    }
    let reached = update.and_then(|update| app.download(update)).map(|followed| followed.reached);
    Ok(answer(&image.body, &format!("\"{tag}\""), headers, reached))
}

fn answer(body: &Body, etag: &str, headers: &HeaderMap, reached: Option<Reached>) -> Response {
    let total = body.bytes().len();
    let header_text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if header_text(header::IF_NONE_MATCH).is_some_and(|known| known == etag || known == "*") {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    // A range of another version of the file is useless.
    let is_same = header_text(header::IF_RANGE).is_none_or(|known| known == etag);
    let range = header_text(header::RANGE).filter(|_| is_same).and_then(|text| parse_range(text, total));
    let common = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, etag.to_owned()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
    ];
    // Set for a body in pieces too, so that a device knows from the start how much space it needs.
    let length = |range: &Range<usize>| [(header::CONTENT_LENGTH, range.len().to_string())];
    match range {
        None => {
            let all = 0..total;
            (common, length(&all), content(body, all, reached)).into_response()
        }
        Some(None) => {
            let whole = format!("bytes */{total}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)]).into_response()
        }
        Some(Some(range)) => {
            let named = format!("bytes {}-{}/{total}", range.start, range.end - 1);
            let part = [(header::CONTENT_RANGE, named)];
            let length = length(&range);
            (StatusCode::PARTIAL_CONTENT, common, part, length, content(body, range, reached)).into_response()
        }
    }
}

/// The bytes without a copy: the response shares the image. Records in `reached` how far it was read.
fn content(body: &Body, range: Range<usize>, reached: Option<Reached>) -> HttpBody {
    struct Shared(Body);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            self.0.bytes()
        }
    }
    let bytes = Bytes::from_owner(Shared(body.clone()));
    let Some(reached) = reached else { return HttpBody::from(bytes.slice(range)) };
    let pieces = range.clone().step_by(PIECE).map(move |start| {
        let end = (start + PIECE).min(range.end);
        reached.store(end, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(bytes.slice(start..end))
    });
    HttpBody::from_stream(futures_util::stream::iter(pieces))
}

/// One range of bytes. `None` if the header is to be ignored, `Some(None)` if the range lies outside.
fn parse_range(text: &str, total: usize) -> Option<Option<Range<usize>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", "") => return None,
        ("", suffix) => total.saturating_sub(suffix.parse().ok()?)..total,
        (first, "") => first.parse().ok()?..total,
        (first, last) => {
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(total)
        }
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_two_names() {
        let is = |name| Wanted::parse(name).1 == Wanted::Signature;
        assert!(is("ab12.sig") && is("ab12.signature") && !is("ab12"));
        assert_eq!(Wanted::parse("ab12.signature").0, "ab12");
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(parse_range("bytes=0-9", 100), Some(Some(0..10)));
        assert_eq!(parse_range("bytes=90-", 100), Some(Some(90..100)));
        assert_eq!(parse_range("bytes=90-200", 100), Some(Some(90..100)));
        assert_eq!(parse_range("bytes=-5", 100), Some(Some(95..100)));
        assert_eq!(parse_range("bytes=100-", 100), Some(None));
        for ignored in ["bytes=9-3", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=0-1,5-6"] {
            assert_eq!(parse_range(ignored, 100), None, "{ignored}");
        }
    }
}
