//! The web page: files that `build.rs` has embedded, and the page itself at every path that belongs to no interface.
//!
//! Files in `assets` have a hash in their name and may be stored for ever. Everything else is checked by its entity tag each time.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

use super::error;
use super::v1::is_tagged;

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What the page may load and do: nothing from another host, no script or style in the text of the page, and no HTML from strings except by
/// the templates of its framework.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types svelte-trusted-html";

/// A file of the page.
struct PageFile {
    /// Its path without the leading slash.
    name: &'static str,
    /// Its entity tag.
    tag: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The answer at a path that no interface has.
pub(super) async fn fallback(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = FILES.iter().find(|file| file.name == path) {
        return if is_read(&method) { answer(file, &method, &headers) } else { unknown(uri).await };
    }
    // Programs that mistype a path get an error, and only browsers the page.
    let belongs_to_page =
        path.is_empty() || !(path.starts_with("api/") || path == "api" || path.starts_with("assets/"));
    let wants_page = path.is_empty() || accepts(&headers, header::ACCEPT, "text/html");
    if !(is_read(&method) && belongs_to_page && wants_page) {
        return unknown(uri).await;
    }
    match FILES.iter().find(|file| file.name == "index.html") {
        Some(index) => answer(index, &method, &headers),
        None => with_policy(Html(without_page()).into_response()),
    }
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

async fn unknown(uri: Uri) -> Response {
    error::not_found(uri).await.into_response()
}

fn answer(file: &PageFile, method: &Method, headers: &HeaderMap) -> Response {
    let is_hashed = file.name.starts_with("assets/");
    let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| is_tagged(known, file.tag));
    let encodings: [(&'static str, Option<&'static [u8]>); 2] = [("br", file.br), ("gzip", file.gzip)];
    let packed = encodings.into_iter().find_map(|(name, bytes)| {
        let bytes = bytes?;
        accepts(headers, header::ACCEPT_ENCODING, name).then_some((name, bytes))
    });
    let bytes = packed.map_or(file.plain, |(_, bytes)| bytes);
    let body = if is_known || *method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    *response.status_mut() = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let fields = response.headers_mut();
    // Weak, since it is the same for all encodings (RFC 9110, section 8.8.3.3).
    if let Ok(tag) = HeaderValue::from_str(&format!("W/{}", file.tag)) {
        fields.insert(header::ETAG, tag);
    }
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    fields.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(file.name)));
    if !is_known {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if let Some((name, _)) = packed {
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
    }
    with_policy(response)
}

fn with_policy(mut response: Response) -> Response {
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            header::HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), usb=()",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a list of media types or encodings contains one without refusing it.
fn accepts(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    let mut items = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_wanted = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map(|weight| weight.parse::<f32>());
        is_wanted && weight.is_none_or(|weight| weight.is_ok_and(|weight| weight > 0.0))
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The page of a program that was built without it.
fn without_page() -> String {
    let reason = REASON.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Buoy</title><h1>Buoy</h1>\
         <p>This program was built without the web page ({reason}): install Node.js 20.19 or later with npm and build it again; \
         the REST interface at <a href=/api/v1/openapi.json>/api/v1</a> and <code>buoy ctl</code> work without it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn get(path: &str, fields: &[(header::HeaderName, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let response = fallback(Method::GET, path.parse().unwrap(), headers).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, to_bytes(body, 1 << 24).await.unwrap().to_vec())
    }

    const BROWSER: (header::HeaderName, &str) = (header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");

    #[tokio::test]
    async fn every_path_of_the_page_gives_the_page_to_a_browser_and_an_error_to_a_program() {
        for path in ["/", "/devices", "/devices/a%2Fb?tab=history"] {
            let (status, headers, body) = get(path, &[BROWSER]).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(String::from_utf8_lossy(&body).contains("<title>Buoy</title>"), "{path}");
            assert!(
                headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'")
            );
        }
        for (path, accepted) in
            [("/devices", "*/*"), ("/api/v1/nothing", BROWSER.1), ("/assets/nothing.js", BROWSER.1)]
        {
            let (status, _, body) = get(path, &[(header::ACCEPT, accepted)]).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(String::from_utf8_lossy(&body).contains("nothing is at"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_is_sent_packed_and_not_again_to_those_who_have_it() {
        // Without Node.js the page is not built, and there is no file to ask for.
        for file in FILES.iter().filter(|file| file.name.starts_with("assets/") && file.br.is_some()) {
            let path = format!("/{}", file.name);
            let (_, headers, packed) = get(&path, &[(header::ACCEPT_ENCODING, "gzip, deflate, br")]).await;
            assert_eq!(headers[header::CONTENT_ENCODING], "br");
            assert_eq!(packed, file.br.unwrap());
            assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let (_, headers, plain) = get(&path, &[(header::ACCEPT_ENCODING, "br;q=0, identity")]).await;
            assert!(headers.get(header::CONTENT_ENCODING).is_none() && plain == file.plain, "{path}");
            let (status, _, nothing) = get(&path, &[(header::IF_NONE_MATCH, file.tag)]).await;
            assert_eq!((status, nothing.len()), (StatusCode::NOT_MODIFIED, 0));
        }
        let (_, headers, _) = get("/", &[BROWSER]).await;
        if !FILES.is_empty() {
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache", "a new version is seen at once");
        }
    }
}
