//! Requests to the page (RFC 9112), as far as browsers and the probes of phones need them.

/// The longest head, in bytes. Browsers send about 600.
pub const HEAD: usize = 2048;
/// The longest body, in bytes: all fields of the form, each byte as three.
pub const BODY: usize = 2048;
/// Bytes of memory for one request.
pub const BUFFER: usize = HEAD + BODY;
const HEADERS: usize = 24;

/// A request as it comes in.
pub struct Incoming {
    buffer: [u8; BUFFER],
    filled: usize,
    has_overflowed: bool,
}

/// What there is so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived<'a> {
    /// A part of a request.
    Part,
    /// All of it.
    Whole(Request<'a>),
    /// What the person has to be told; the rest is not read.
    Refused(Status),
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is wanted.
    pub method: Method,
    /// The path, without a query.
    pub path: &'a str,
    /// What was sent along.
    pub body: &'a [u8],
}

/// The methods of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Shows.
    Get,
    /// Shows the head alone.
    Head,
    /// Saves.
    Post,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is no HTTP.
    BadRequest,
    /// The page has no such method.
    MethodNotAllowed,
    /// A body without its length.
    LengthRequired,
    /// The body is longer than [`BODY`].
    ContentTooLarge,
    /// The head is longer than [`HEAD`].
    HeadTooLarge,
}

impl Status {
    /// The status line's number and words.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::LengthRequired => "411 Length Required",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

impl Incoming {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: [0; BUFFER], filled: 0, has_overflowed: false }
    }

    /// Forgets the request.
    pub const fn clear(&mut self) {
        self.filled = 0;
        self.has_overflowed = false;
    }

    /// Takes bytes, and says what there is. Bytes behind a whole request are passed over: the connection ends with the answer.
    pub fn push(&mut self, bytes: &[u8]) -> Arrived<'_> {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.filled = self.filled.saturating_add(taken);
        self.has_overflowed |= taken < bytes.len();
        self.arrived()
    }

    fn arrived(&self) -> Arrived<'_> {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        match read(bytes) {
            Arrived::Part if self.has_overflowed => Arrived::Refused(Status::ContentTooLarge),
            other => other,
        }
    }
}

fn read(bytes: &[u8]) -> Arrived<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes.get(..HEAD).unwrap_or(bytes)) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Arrived::Part,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Arrived::Refused(Status::HeadTooLarge);
        }
        Err(_) => return Arrived::Refused(Status::BadRequest),
    };
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => return Arrived::Refused(Status::MethodNotAllowed),
    };
    let length = match content_length(request.headers) {
        Ok(Some(length)) if length > BODY => return Arrived::Refused(Status::ContentTooLarge),
        Ok(Some(length)) => length,
        Ok(None) if method == Method::Post => return Arrived::Refused(Status::LengthRequired),
        Ok(None) => 0,
        Err(status) => return Arrived::Refused(status),
    };
    let Some(body) = head.checked_add(length).and_then(|end| bytes.get(head..end)) else {
        return Arrived::Part;
    };
    let path = request.path.unwrap_or("/").split(['?', '#']).next().unwrap_or("/");
    Arrived::Whole(Request { method, path, body })
}

/// The length of the body. A body in chunks is refused: no browser sends a form so.
fn content_length(headers: &[httparse::Header<'_>]) -> Result<Option<usize>, Status> {
    let mut length = None;
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Status::LengthRequired);
        }
        if !header.name.eq_ignore_ascii_case("content-length") {
            continue;
        }
        let digits = core::str::from_utf8(header.value).map_err(|_| Status::BadRequest)?.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Status::BadRequest);
        }
        // More digits than a number has are more bytes than there is room for.
        let told = digits.parse().unwrap_or(usize::MAX);
        if length.replace(told).is_some_and(|before| before != told) {
            return Err(Status::BadRequest);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_in_pieces_is_read() {
        let request = b"POST /save?x=1 HTTP/1.1\r\nHost: 192.168.4.1\r\nContent-Length: 5\r\n\r\na=b&c";
        let mut incoming = Incoming::new();
        for byte in &request[..request.len() - 1] {
            assert_eq!(incoming.push(&[*byte]), Arrived::Part);
        }
        let whole = Request { method: Method::Post, path: "/save", body: b"a=b&c" };
        assert_eq!(incoming.push(b"c and more"), Arrived::Whole(whole));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_read() {
        let push = |bytes: &[u8]| match Incoming::new().push(bytes) {
            Arrived::Refused(status) => Some(status),
            _ => None,
        };
        let long = "a".repeat(10_000);
        assert_eq!(push(format!("GET /{long} HTTP/1.1\r\n").as_bytes()), Some(Status::HeadTooLarge));
        assert_eq!(push(format!("GET / HTTP/1.1\r\nCookie: {long}").as_bytes()), Some(Status::HeadTooLarge));
        let many = "A: b\r\n".repeat(30);
        assert_eq!(push(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()), Some(Status::HeadTooLarge));
        let told = "POST /save HTTP/1.1\r\nContent-Length: 10000\r\n\r\n";
        assert_eq!(push(told.as_bytes()), Some(Status::ContentTooLarge), "before a byte of it has come");
    }

    #[test]
    fn what_is_no_request_to_the_page_is_refused() {
        let push = |text: &str| match Incoming::new().push(text.as_bytes()) {
            Arrived::Refused(status) => Some(status),
            _ => None,
        };
        assert_eq!(push("\x16\x03\x01\x02\0\x01\0\x01"), Some(Status::BadRequest), "TLS");
        assert_eq!(push("DELETE / HTTP/1.1\r\n\r\n"), Some(Status::MethodNotAllowed));
        assert_eq!(push("POST / HTTP/1.1\r\n\r\n"), Some(Status::LengthRequired));
        assert_eq!(
            push("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Some(Status::LengthRequired)
        );
        assert_eq!(push("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), Some(Status::BadRequest));
        let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(push(twice), Some(Status::BadRequest));
    }
}
