//! "Did you mean …?", and the names that a shell completes.

use buoy_api::client::{Client, ClientError, encode};
use buoy_api::{Device, Page};

use super::exit::{Exit, NotDone};

/// Suggestions that are shown.
const MOST: usize = 3;
/// Devices that are looked at for a similar name.
const LOOKED_AT: usize = 1000;

/// An error with the names of devices that are like the one that is not known.
pub(super) fn explained(client: &Client, error: anyhow::Error) -> anyhow::Error {
    let Some(unknown) = error.downcast_ref::<ClientError>().filter(|it| it.is_unknown_device()) else {
        return error;
    };
    let words = unknown.to_string();
    let Some(name) = unknown_name(&words) else { return error };
    let near = similar(client, name);
    if near.is_empty() {
        return error;
    }
    NotDone::error(Exit::UnknownDevice, format!("{words}; did you mean {}?", near.join(" or ")))
}

/// As in "no device named buoy-1 is known".
fn unknown_name(words: &str) -> Option<&str> {
    let rest = words.strip_prefix("no device named ")?;
    rest.strip_suffix(" is known").or_else(|| rest.strip_suffix(" is registered"))
}

/// Devices whose name begins in the same way, and the first of all others.
fn similar(client: &Client, name: &str) -> Vec<String> {
    let start: String = name.chars().take(2).collect();
    let mut names = Vec::new();
    for query in [format!("&prefix={}", encode(&start)), String::new()] {
        let path = format!("/api/v1/devices?limit={LOOKED_AT}{query}");
        let Ok(page) = client.get::<Page<Device>>(&path) else { continue };
        names.extend(page.items.into_iter().map(|device| device.endpoint));
    }
    names.sort();
    names.dedup();
    nearest(name, names.iter().map(String::as_str).filter(|other| *other != name))
}

/// The words that are most like `word`, the most similar first; none if none is like it.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    // A third of the letters may be others: more is another word.
    let most = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase();
    let mut near: Vec<_> = words
        .map(|other| (strsim::damerau_levenshtein(&lower, &other.to_lowercase()), other))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(MOST).map(|(_, other)| other.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised() {
        let names = ["buoy-1", "buoy-2", "lamp-7", "sensor"];
        assert_eq!(nearest("bouy-1", names.into_iter()), ["buoy-1", "buoy-2"]);
        assert_eq!(nearest("Sensr", names.into_iter()), ["sensor"]);
        assert_eq!(nearest("thermostat", names.into_iter()), [""; 0]);
        assert_eq!(unknown_name("no device named a b is registered"), Some("a b"));
        assert_eq!(unknown_name("no such thing"), None);
    }
}
