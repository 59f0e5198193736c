//! Whether an image is for a device: what the image says of itself against what is known of the device.
//!
//! What is not known is no contradiction. Whether a device of which something is not known is updated is the operator's decision: [`Unknown`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::version::Version;

/// What an image says of itself: its descriptor, or its signed manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The chip that it was built for.
    pub chip: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The security counter.
    pub counter: Option<u32>,
    /// The lowest hardware revision.
    pub lowest_hardware: Option<u16>,
    /// The highest hardware revision.
    pub highest_hardware: Option<u16>,
}

/// What operators demand of a device besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirements {
    /// Its model (3/0/1) is one of these; any if there are none.
    pub models: Vec<String>,
    /// Its hardware version (3/0/18) is one of these; any if there are none.
    pub hardware: Vec<String>,
    /// It runs at least this version, so that it can go on to the new one.
    pub minimum_version: Option<String>,
    /// What becomes of a device of which something is not known.
    pub unknown: Unknown,
}

/// What becomes of a device of which something is not known that the image or the operator demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is updated: it checks the image itself.
    #[default]
    Allow,
    /// It is not.
    Refuse,
}

/// What is known of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// 3/0/1
    pub model: Option<String>,
    /// 3/0/18
    pub hardware: Option<String>,
    /// 3/0/3
    pub firmware: Option<String>,
    /// The chip.
    pub chip: Option<String>,
    /// The project of its firmware.
    pub project: Option<String>,
    /// The lowest security counter that it accepts.
    pub counter: Option<u32>,
}

/// Whether an image is for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Compatible,
    /// Nothing speaks against it, but these facts are not known.
    Unknown(Vec<&'static str>),
    /// It is not.
    Incompatible(Reason),
}

/// Why an image is not for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which fact.
    pub fact: &'static str,
    /// What the device has.
    pub has: String,
    /// What it would have to have.
    pub needs: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fact, has, needs } = self;
        write!(f, "incompatible: its {fact} is {has}, and the release needs {needs}")
    }
}

impl Verdict {
    /// Why the device is not to be updated, if it is not.
    #[must_use]
    pub fn refusal(&self, unknown: Unknown) -> Option<String> {
        match (self, unknown) {
            (Self::Incompatible(reason), _) => Some(reason.to_string()),
            (Self::Unknown(facts), Unknown::Refuse) => {
                Some(format!("incompatible: not known of it: {}", facts.join(", ")))
            }
            _ => None,
        }
    }
}

/// Compares what the image and the operator demand with what is known of a device.
#[must_use]
pub fn check(image: &Image, requirements: &Requirements, device: &Facts) -> Verdict {
    let mut unknown = Vec::new();
    let found = [
        one_of("model", &requirements.models, device.model.as_deref(), &mut unknown),
        one_of("hardware version", &requirements.hardware, device.hardware.as_deref(), &mut unknown),
        hardware_range(image, device, &mut unknown),
        minimum_version(requirements, device, &mut unknown),
        same("chip", image.chip.as_deref(), device.chip.as_deref(), &mut unknown),
        same("project", image.project.as_deref(), device.project.as_deref(), &mut unknown),
        counter(image, device, &mut unknown),
    ];
    match found.into_iter().flatten().next() {
        Some(reason) => Verdict::Incompatible(reason),
        None if unknown.is_empty() => Verdict::Compatible,
        None => Verdict::Unknown(unknown),
    }
}

fn one_of(
    fact: &'static str,
    wanted: &[String],
    has: Option<&str>,
    unknown: &mut Vec<&'static str>,
) -> Option<Reason> {
    if wanted.is_empty() {
        return None;
    }
    let has = known(fact, has, unknown)?;
    let is_one = wanted.iter().any(|wanted| wanted == has);
    (!is_one).then(|| Reason { fact, has: has.to_owned(), needs: wanted.join(" or ") })
}

fn same(
    fact: &'static str,
    wanted: Option<&str>,
    has: Option<&str>,
    unknown: &mut Vec<&'static str>,
) -> Option<Reason> {
    let wanted = wanted.filter(|wanted| !wanted.is_empty())?;
    let has = known(fact, has, unknown)?;
    let is_same = has.eq_ignore_ascii_case(wanted);
    (!is_same).then(|| Reason { fact, has: has.to_owned(), needs: wanted.to_owned() })
}

/// Revisions are numbers; a hardware version that begins with none is not known.
fn hardware_range(image: &Image, device: &Facts, unknown: &mut Vec<&'static str>) -> Option<Reason> {
    let (lowest, highest) = (image.lowest_hardware, image.highest_hardware);
    if lowest.is_none() && highest.is_none() {
        return None;
    }
    let text = device.hardware.as_deref();
    let has = known("hardware revision", text.and_then(revision), unknown)?;
    let is_within = lowest.is_none_or(|lowest| lowest <= has) && highest.is_none_or(|highest| has <= highest);
    let bound = |bound: Option<u16>| bound.map_or_else(|| "any".to_owned(), |bound| bound.to_string());
    (!is_within).then(|| Reason {
        fact: "hardware revision",
        has: has.to_string(),
        needs: format!("{} to {}", bound(lowest), bound(highest)),
    })
}

/// The number at the beginning, after `v`, `rev` or the like.
fn revision(text: &str) -> Option<u16> {
    let digits = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

fn minimum_version(
    requirements: &Requirements,
    device: &Facts,
    unknown: &mut Vec<&'static str>,
) -> Option<Reason> {
    let minimum = requirements.minimum_version.as_deref()?;
    let has = known("firmware version", device.firmware.as_deref(), unknown)?;
    let is_less = Version::of(has).cmp_release(Version::of(minimum)).is_lt();
    is_less.then(|| Reason {
        fact: "firmware version",
        has: has.to_owned(),
        needs: format!("at least {minimum} before it"),
    })
}

fn counter(image: &Image, device: &Facts, unknown: &mut Vec<&'static str>) -> Option<Reason> {
    // A counter of zero protects from nothing, so it demands nothing.
    let wanted = image.counter?;
    let has = match device.counter {
        Some(has) => has,
        None if wanted == 0 => return None,
        None => return known("security counter", None, unknown),
    };
    (wanted < has).then(|| Reason {
        fact: "security counter",
        has: has.to_string(),
        needs: format!("{wanted} or less"),
    })
}

fn known<T>(fact: &'static str, has: Option<T>, unknown: &mut Vec<&'static str>) -> Option<T> {
    if has.is_none() {
        unknown.push(fact);
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            chip: Some("ESP32-C3".into()),
            project: Some("buoy".into()),
            counter: Some(3),
            lowest_hardware: Some(2),
            highest_hardware: None,
        }
    }

    fn device() -> Facts {
        Facts {
            model: Some("buoy-3".into()),
            hardware: Some("rev 2".into()),
            firmware: Some("1.9.0".into()),
            chip: Some("esp32-c3".into()),
            project: Some("buoy".into()),
            counter: Some(3),
        }
    }

    fn said(requirements: &Requirements, device: &Facts) -> String {
        match check(&image(), requirements, device) {
            Verdict::Incompatible(reason) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_device_of_which_all_fits_is_compatible() {
        let requirements = Requirements {
            models: vec!["buoy-2".into(), "buoy-3".into()],
            hardware: vec!["rev 2".into()],
            minimum_version: Some("1.9.0".into()),
            unknown: Unknown::Refuse,
        };
        assert_eq!(check(&image(), &requirements, &device()), Verdict::Compatible);
    }

    #[test]
    fn each_fact_that_contradicts_is_named_with_what_the_device_has() {
        let none = Requirements::default();
        let chip = Facts { chip: Some("esp32".into()), ..device() };
        assert_eq!(said(&none, &chip), "incompatible: its chip is esp32, and the release needs ESP32-C3");
        let project = Facts { project: Some("lamp".into()), ..device() };
        assert!(said(&none, &project).contains("project is lamp"));
        let hardware = Facts { hardware: Some("v1.4".into()), ..device() };
        assert!(said(&none, &hardware).contains("hardware revision is 1, and the release needs 2 to any"));
        let counter = Facts { counter: Some(4), ..device() };
        assert!(said(&none, &counter).contains("security counter is 4, and the release needs 3 or less"));
        let model = Requirements { models: vec!["buoy-4".into()], ..Requirements::default() };
        assert!(said(&model, &device()).contains("model is buoy-3, and the release needs buoy-4"));
        let minimum = Requirements { minimum_version: Some("1.10.0".into()), ..Requirements::default() };
        assert!(
            said(&minimum, &device())
                .contains("firmware version is 1.9.0, and the release needs at least 1.10.0")
        );
    }

    #[test]
    fn what_is_not_known_is_allowed_or_refused_and_named() {
        let verdict = check(&image(), &Requirements::default(), &Facts::default());
        assert_eq!(verdict.refusal(Unknown::Allow), None);
        let refusal = verdict.refusal(Unknown::Refuse).unwrap();
        for fact in ["chip", "project", "hardware revision", "security counter"] {
            assert!(refusal.contains(fact), "{refusal}");
        }
        // An image that demands nothing is for every device.
        assert_eq!(
            check(&Image::default(), &Requirements::default(), &Facts::default()),
            Verdict::Compatible
        );
        let unreadable = Facts { hardware: Some("blue".into()), ..device() };
        assert!(matches!(check(&image(), &Requirements::default(), &unreadable), Verdict::Unknown(_)));
    }
}
