//! Payloads that name paths and no values: what Read-Composite and Observe-Composite ask for (Core 1.1, section 6.3.9).

#[cfg(feature = "lwm2m-cbor")]
use super::lwm2m_cbor;
use super::record::Null;
use super::{Encoder, FormatError, Items, Kind, Source};
#[cfg(feature = "lwm2m-cbor")]
use crate::output::Output;
use crate::path::Path;
use buoy_coap::number::ContentFormat;

/// Reads the paths that a composite request names. Values that stand beside them are passed over.
///
/// ```
/// use buoy_coap::number::ContentFormat;
/// use buoy_lwm2m::format::decode_paths;
/// use buoy_lwm2m::path::Path;
///
/// let payload = br#"[{"n":"/3/0/0"},{"n":"/1"}]"#;
/// let paths: Result<Vec<_>, _> = decode_paths(ContentFormat::SENML_JSON, payload)?.collect();
/// assert_eq!(paths?, [Path::resource(3, 0, 0), Path::object(1)]);
/// # Ok::<(), buoy_lwm2m::format::FormatError>(())
/// ```
///
/// # Errors
/// [`FormatError::UnsupportedFormat`] unless it is SenML (also its ETCH form) or the CBOR of LwM2M 1.2; and what is
/// seen to be wrong before the first path.
pub fn decode_paths(format: ContentFormat, payload: &[u8]) -> Result<Paths<'_>, FormatError> {
    let source = Source::open(check(format)?, Path::ROOT, payload)?;
    Ok(Paths { items: Items { base: Path::ROOT, source } })
}

/// The paths of a composite request; nothing follows an error.
#[derive(Clone, Debug)]
pub struct Paths<'a> {
    items: Items<'a>,
}

impl Iterator for Paths<'_> {
    type Item = Result<Path, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.items.next()?.map(|item| item.path))
    }
}

/// Writes the paths of a composite request, in the order given, and says how many bytes of `buffer` they fill.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`], [`FormatError::BufferTooSmall`]; [`FormatError::UnsupportedPath`] for the root in
/// the CBOR of LwM2M 1.2, whose keys can't name it.
pub fn encode_paths(
    format: ContentFormat,
    paths: impl IntoIterator<Item = Path>,
    buffer: &mut [u8],
) -> Result<usize, FormatError> {
    match check(format)? {
        #[cfg(feature = "lwm2m-cbor")]
        Kind::Lwm2mCbor => {
            let mut output = Output::new(buffer);
            lwm2m_cbor::write_paths(paths, &mut output)?;
            Ok(output.len())
        }
        _ => {
            let mut encoder = Encoder::new(format, Path::ROOT, buffer)?;
            paths.into_iter().try_for_each(|path| encoder.push_empty(path))?;
            encoder.finish()
        }
    }
}

fn check(format: ContentFormat) -> Result<Kind, FormatError> {
    match Kind::of(format) {
        // Values don't count here, so null is as good as none.
        #[cfg(feature = "json")]
        Some(Kind::SenmlJson(_)) => Ok(Kind::SenmlJson(Null::Removes)),
        Some(Kind::SenmlCbor(_)) => Ok(Kind::SenmlCbor(Null::Removes)),
        #[cfg(feature = "lwm2m-cbor")]
        Some(Kind::Lwm2mCbor) => Ok(Kind::Lwm2mCbor),
        _ => Err(FormatError::UnsupportedFormat(format)),
    }
}
