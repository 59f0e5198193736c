//! Credentials in a CSV file (RFC 4180): the columns `endpoint,kind,identity,key` and optionally `purpose`.
//!
//! The key is that of a psk, the SubjectPublicKeyInfo of an rpk, or the SHA-256 of the only good certificate of an x509, in hexadecimal
//! digits. An empty identity is the endpoint's name, an empty purpose `lwm2m`.

use buoy_api::Secret;
use buoy_store::{CredentialKind, Purpose};
use serde::Deserialize;

use super::proof::check_endpoint;
use super::{CredentialFault, NewCredential, Proof};

/// The most wrong lines that are reported.
const MOST_COMPLAINTS: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    endpoint: String,
    kind: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    key: Secret,
    #[serde(default)]
    purpose: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportFault {
    /// A line is not valid CSV.
    NoCsv {
        /// Its number.
        line: u64,
    },
    /// A line is not UTF-8.
    NotUtf8 {
        /// Its number.
        line: u64,
    },
    /// A line has more or fewer columns than the first.
    UnequalColumns {
        /// Its number.
        line: u64,
        /// Its number of columns.
        columns: u64,
        /// The number of columns in the first line.
        named: u64,
    },
    /// The first line lacks this column.
    NoColumn(&'static str),
    /// Some lines are invalid; these are the first of them.
    Lines(Vec<(u64, CredentialFault)>),
}

impl std::fmt::Display for ImportFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCsv { line } => write!(f, "line {line}: it is no CSV"),
            Self::NotUtf8 { line } => write!(f, "line {line}: it is not UTF-8"),
            Self::UnequalColumns { line, columns, named } => {
                write!(f, "line {line}: it has {columns} columns, and line 1 names {named}")
            }
            Self::NoColumn(name) => write!(
                f,
                "line 1 names the columns, as in endpoint,kind,identity,key,purpose; it has no {name}"
            ),
            Self::Lines(lines) => {
                for (place, (line, fault)) in lines.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "\n" };
                    write!(f, "{separator}line {line}: {fault}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ImportFault {}

/// Credentials of a file, and the line of each.
pub struct Import {
    pub lines: Vec<u64>,
    pub credentials: Vec<NewCredential>,
}

/// Reads a file.
///
/// # Errors
/// The errors and their lines, without any key.
pub fn parse(bytes: &[u8]) -> Result<Import, ImportFault> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(bytes);
    let headers = reader.headers().map_err(|error| wrong_shape(&error))?.clone();
    for name in ["endpoint", "kind"] {
        if !headers.iter().any(|header| header == name) {
            return Err(ImportFault::NoColumn(name));
        }
    }
    let (mut import, mut complaints) = (Import { lines: Vec::new(), credentials: Vec::new() }, Vec::new());
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(wrong_shape(&error)),
        }
        let number = record.position().map_or(0, |position| line_of(bytes, position));
        // The deserializer's message might contain a key.
        let line = record.deserialize::<Line>(Some(&headers));
        let line = line.map_err(|_| CredentialFault::Columns);
        match line.and_then(Line::credential) {
            Ok(credential) => {
                import.lines.push(number);
                import.credentials.push(credential);
            }
            Err(fault) => complaints.push((number, fault)),
        }
        if complaints.len() == MOST_COMPLAINTS {
            break;
        }
    }
    if complaints.is_empty() { Ok(import) } else { Err(ImportFault::Lines(complaints)) }
}

/// The line on which a record stands; its position is that of the empty lines and comments before it.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let mut line = position.line();
    let mut rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (first, after) = rest.split_at(end + 1);
        if !matches!(first, [b'\n'] | [b'\r', b'\n'] | [b'#', ..]) {
            break;
        }
        rest = after;
        line += 1;
    }
    line
}

fn wrong_shape(error: &csv::Error) -> ImportFault {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            ImportFault::UnequalColumns { line, columns: *len, named: *expected_len }
        }
        csv::ErrorKind::Utf8 { .. } => ImportFault::NotUtf8 { line },
        _ => ImportFault::NoCsv { line },
    }
}

impl Line {
    fn credential(self) -> Result<NewCredential, CredentialFault> {
        let Self { endpoint, kind, identity, key, purpose } = self;
        check_endpoint(&endpoint)?;
        let purpose = if purpose.is_empty() { Some(Purpose::Lwm2m) } else { Purpose::parse(&purpose) };
        let purpose = purpose.ok_or(CredentialFault::Purpose)?;
        let kind = CredentialKind::parse(&kind).ok_or(CredentialFault::Kind)?;
        if kind != CredentialKind::Psk && !identity.is_empty() {
            return Err(CredentialFault::NeedlessIdentity);
        }
        let proof = match kind {
            CredentialKind::Psk => {
                Proof::psk(if identity.is_empty() { &endpoint } else { &identity }, key.reveal())?
            }
            CredentialKind::Rpk => Proof::rpk(key.reveal())?,
            CredentialKind::X509 => Proof::x509(Some(key.reveal()))?,
        };
        NewCredential::new(purpose, &endpoint, proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    #[test]
    fn a_file_is_read_with_or_without_what_has_a_default() {
        let file = format!(
            "endpoint,kind,identity,key,purpose\nbuoy-1,psk,,{KEY},\n\n# factory keys\n\"buoy,2\",psk,two,{KEY},bootstrap\nbuoy-3,x509,,,\n"
        );
        let import = parse(file.as_bytes()).unwrap();
        assert_eq!(import.lines, [2, 5, 6]);
        assert_eq!(parse(file.replace('\n', "\r\n").as_bytes()).unwrap().lines, [2, 5, 6]);
        let [one, two, three] = &import.credentials[..] else { panic!("{}", import.credentials.len()) };
        assert!(matches!(&one.proof, Proof::Psk { identity, .. } if identity == b"buoy-1"));
        assert_eq!((two.endpoint.as_str(), two.purpose), ("buoy,2", Purpose::Bootstrap));
        assert!(matches!(three.proof, Proof::X509 { fingerprint: None }));
        assert_eq!(parse(b"kind,endpoint\nx509,buoy-1").unwrap().credentials.len(), 1);
    }

    #[test]
    fn a_bad_line_is_named_and_no_key_is_told() {
        let file = format!(
            "endpoint,kind,identity,key\nbuoy-1,psk,,{KEY}\nbuoy-2,psk,,{KEY}x\n,psk,,{KEY}\nbuoy-4,oscore,,{KEY}\nbuoy-5,rpk,,{KEY}\n"
        );
        let said = parse(file.as_bytes()).err().unwrap().to_string();
        for line in ["line 3: the key", "line 4: an endpoint", "line 5: the kind", "line 6: a public key"] {
            assert!(said.contains(line), "{line} in {said}");
        }
        assert!(!said.contains("line 2") && !said.contains(KEY), "{said}");
        assert!(parse(b"buoy-1,psk,,00\n").err().unwrap().to_string().contains("names the columns"));
        let short = parse(b"endpoint,kind\nbuoy-1,x509\nbuoy-2\n").err().unwrap().to_string();
        assert!(short.contains("line 3: it has 1 columns"), "{short}");
        assert!(parse(b"endpoint,kind,secret\na,x509,b\n").err().unwrap().to_string().contains("line 2"));
    }
}
