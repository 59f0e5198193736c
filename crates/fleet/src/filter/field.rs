//! The fields of a device that a filter can compare.

use std::fmt;

use buoy_lwm2m::path::Path;

/// The words of the field `state`.
pub const STATES: &[&str] = &["online", "asleep", "overdue", "offline", "revoked", "never_seen", "retired"];

/// A field of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The endpoint name.
    Name,
    /// Whether it can be reached, as a word of [`STATES`].
    State,
    /// Its manufacturer (3/0/0).
    Manufacturer,
    /// Its model (3/0/1).
    Model,
    /// Its serial number (3/0/2).
    Serial,
    /// Its firmware version (3/0/3).
    Firmware,
    /// Its hardware version (3/0/18).
    Hardware,
    /// Its software version (3/0/19).
    Software,
    /// When it first registered.
    FirstContact,
    /// When it last sent something.
    LastContact,
    /// When it is expected next.
    NextContact,
    /// Since when it is later than usual.
    OverdueSince,
    /// Whether it has ever authenticated.
    Proved,
    /// The objects of its registration.
    Object,
    /// Its tags.
    Tag,
    /// The groups to which it belongs.
    Group,
    /// A field that operators gave it.
    Own(String),
    /// The last value of a resource.
    Value(Path),
}

/// What a field can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Versions.
    Version,
    /// Numbers.
    Number,
    /// Times.
    Time,
    /// Yes or no.
    Flag,
    /// Texts and numbers, by what is written.
    Any,
}

/// The fields with a name of their own, and other names of theirs.
const NAMES: &[(&str, Field)] = &[
    ("name", Field::Name),
    ("endpoint", Field::Name),
    ("state", Field::State),
    ("manufacturer", Field::Manufacturer),
    ("model", Field::Model),
    ("serial", Field::Serial),
    ("firmware", Field::Firmware),
    ("version", Field::Firmware),
    ("hardware", Field::Hardware),
    ("software", Field::Software),
    ("first_contact", Field::FirstContact),
    ("last_contact", Field::LastContact),
    ("next_contact", Field::NextContact),
    ("overdue_since", Field::OverdueSince),
    ("secure", Field::Proved),
    ("object", Field::Object),
    ("tag", Field::Tag),
    ("group", Field::Group),
    ("battery", Field::Value(Path::resource(3, 0, 9))),
    ("signal", Field::Value(Path::resource(4, 0, 2))),
];

impl Field {
    /// The field of a name, `value(…)` excepted.
    pub(super) fn named(name: &str) -> Option<Self> {
        if let Some(own) = name.strip_prefix("field.") {
            return is_own_name(own).then(|| Self::Own(own.to_owned()));
        }
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, field)| field.clone())
    }

    /// The names of all fields, for who asks what there is.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Name | Self::Manufacturer | Self::Model | Self::Serial | Self::Tag | Self::Group => {
                Kind::Text
            }
            Self::State => Kind::Word(STATES),
            Self::Firmware | Self::Hardware | Self::Software => Kind::Version,
            Self::FirstContact | Self::LastContact | Self::NextContact | Self::OverdueSince => Kind::Time,
            Self::Proved => Kind::Flag,
            Self::Object => Kind::Number,
            Self::Own(_) | Self::Value(_) => Kind::Any,
        }
    }
}

/// Whether a field of operators may have this name.
#[must_use]
pub fn is_own_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(name) => write!(f, "field.{name}"),
            Self::Value(path) => write!(f, "value({path})"),
            other => {
                let name = NAMES.iter().find(|(_, field)| field == other).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// The name that is most like an unknown one, if one is like it.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let others = ["value", "seen", "overdue", "not"];
    let all = Field::names().chain(others);
    let near = all.map(|name| (distance(unknown, name), name)).min()?;
    (near.0 <= 2 && near.0 < unknown.len()).then_some(near.1)
}

/// How many characters have to be changed, put in or left out.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 32 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, wanted) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, has) in b.iter().enumerate() {
            let changed = corner + usize::from(wanted != *has);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
