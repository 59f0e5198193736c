//! What objects and resources are: names, types, operations (LwM2M Core 1.1, appendix D and the OMA registry).
//!
//! [`Registry`] holds any number of objects, several versions of one side by side. [`Registry::standard`] knows the
//! objects of LwM2M itself and the common ones of IPSO; more come from text ([`Registry::load_text`]) or, with the
//! feature `xml`, from OMA's own files. Without a definition values are still carried, only their types are not known.
//!
//! ```
//! use buoy_lwm2m::model::Registry;
//! use buoy_lwm2m::path::Path;
//! use buoy_lwm2m::value::ValueType;
//!
//! let registry = Registry::standard();
//! let battery_level = registry.resource(Path::resource(3, 0, 9), None).unwrap();
//! assert_eq!(battery_level.name, "Battery Level");
//! assert_eq!(battery_level.value_type, Some(ValueType::Integer));
//! ```

mod text;
#[cfg(feature = "xml")]
pub mod xml;

pub use text::{TextError, TextProblem};

use crate::operation::ObjectVersion;
use crate::path::Path;
use crate::value::ValueType;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// The objects that come with this crate.
const STANDARD: [&str; 4] = [
    include_str!("../../objects/core.txt"),
    include_str!("../../objects/oma.txt"),
    include_str!("../../objects/ipso.txt"),
    include_str!("../../objects/vendor.txt"),
];

/// Definitions of objects, by id and version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    objects: BTreeMap<u16, BTreeMap<ObjectVersion, ObjectModel>>,
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectModel {
    /// The object's id.
    pub id: u16,
    /// The version that this definition describes.
    pub version: ObjectVersion,
    /// The name for people.
    pub name: String,
    /// What the object is for.
    pub description: Option<String>,
    /// Whether there can be several instances.
    pub multiple: bool,
    /// Whether every device has the object.
    pub mandatory: bool,
    /// The resources by id.
    pub resources: BTreeMap<u16, ResourceModel>,
}

/// A resource of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceModel {
    /// The resource's id.
    pub id: u16,
    /// The name for people.
    pub name: String,
    /// What a server may do with it.
    pub operations: Operations,
    /// Whether it has resource instances.
    pub multiple: bool,
    /// Whether every instance of the object has it.
    pub mandatory: bool,
    /// The type of its values; executable resources have none.
    pub value_type: Option<ValueType>,
    /// The values it can take, as its definition says them: `0..100`.
    pub range: Option<String>,
    /// The unit of its values: `%`, `Cel`.
    pub units: Option<String>,
    /// What its numbers mean, if each has a meaning of its own: 0 is `Idle`.
    pub labels: BTreeMap<i64, String>,
}

/// What a server may do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operations {
    /// Nothing; only a bootstrap server may write it.
    None,
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Read and write it.
    ReadWrite,
    /// Execute it.
    Execute,
}

impl Registry {
    /// A registry without any object.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The objects of LwM2M 1.0 to 1.2, of IPSO, and some more.
    #[must_use]
    pub fn standard() -> Self {
        let mut registry = Self::new();
        for text in STANDARD {
            let loaded = registry.load_text(text);
            debug_assert!(loaded.is_ok(), "a definition that comes with the crate is malformed: {loaded:?}");
        }
        registry
    }

    /// Adds an object, or replaces the definition of the same id and version and returns it.
    pub fn insert(&mut self, object: ObjectModel) -> Option<ObjectModel> {
        self.objects.entry(object.id).or_default().insert(object.version, object)
    }

    /// Adds the objects that a text defines and says how many they are.
    ///
    /// One object or resource stands on a line; `#` begins a comment:
    ///
    /// ```text
    /// shared 5700 R single Float: Sensor Value      # a resource that several objects have
    /// object 3303 1.0 multiple optional: Temperature
    ///   5700 mandatory                              # the shared one
    ///   5601 optional R single Float units=Cel: Min Measured Value
    ///   5605 optional E single -: Reset Min and Max Measured Values
    ///   1 optional R single Integer range=0..1: State
    ///   labels 1 0=Idle; 1=Measuring                # what the numbers of a resource mean
    /// object 3303 1.1 multiple optional: Temperature
    ///   like 1.0                                    # all of an earlier version; later lines add or replace
    ///   drop 5605
    /// ```
    ///
    /// The columns of a resource are its id, `mandatory` or `optional`, its operations (`R`, `W`, `RW`, `E`, or `-` for
    /// none), `single` or `multiple`, its type (`-` for none), and then perhaps `range=` and `units=`.
    ///
    /// # Errors
    /// [`TextError`] names the line; objects before it are kept.
    pub fn load_text(&mut self, text: &str) -> Result<usize, TextError> {
        text::load(self, text)
    }

    /// The definition of exactly that version.
    #[must_use]
    pub fn get(&self, object: u16, version: ObjectVersion) -> Option<&ObjectModel> {
        self.objects.get(&object)?.get(&version)
    }

    /// The definition that fits best to what a device says: the version that it names, 1.0 if it names none
    /// (Core 1.1, section 7.2.2); else the newest that is older; else the oldest there is.
    #[must_use]
    pub fn select(&self, object: u16, version: Option<ObjectVersion>) -> Option<&ObjectModel> {
        let versions = self.objects.get(&object)?;
        let wanted = version.unwrap_or(ObjectVersion::V1_0);
        let best = versions.range(..=wanted).next_back().or_else(|| versions.iter().next());
        best.map(|(_, object)| object)
    }

    /// The definition of the resource that a path leads to, of the version that [`Registry::select`] chooses; or of the oldest
    /// later one that has it, since devices take up resources without naming the version that brought them.
    #[must_use]
    pub fn resource(&self, path: Path, version: Option<ObjectVersion>) -> Option<&ResourceModel> {
        let (object, resource) = (path.object_id()?, path.resource_id()?);
        let chosen = self.select(object, version)?;
        let later = self.objects.get(&object)?.range(chosen.version..);
        let mut definitions = later.map(|(_, object)| object);
        definitions.find_map(|object| object.resources.get(&resource))
    }

    /// The versions of an object that are defined, oldest first.
    pub fn versions(&self, object: u16) -> impl Iterator<Item = ObjectVersion> + '_ {
        self.objects.get(&object).into_iter().flat_map(|versions| versions.keys().copied())
    }

    /// Every definition, by id and version.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectModel> {
        self.objects.values().flat_map(BTreeMap::values)
    }
}

impl Operations {
    /// Whether a server may read it.
    #[must_use]
    pub const fn can_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether a server may write it.
    #[must_use]
    pub const fn can_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    /// Whether a server may execute it.
    #[must_use]
    pub const fn can_execute(self) -> bool {
        matches!(self, Self::Execute)
    }

    /// The letters of the OMA's definitions; none for none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Read => "R",
            Self::Write => "W",
            Self::ReadWrite => "RW",
            Self::Execute => "E",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::None, Self::Read, Self::Write, Self::ReadWrite, Self::Execute];
        all.into_iter().find(|operations| operations.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u16, minor: u16) -> ObjectVersion {
        ObjectVersion { major, minor }
    }

    #[test]
    fn every_standard_definition_loads_and_has_resources() {
        let mut registry = Registry::new();
        for text in STANDARD {
            assert!(registry.load_text(text).unwrap() > 0);
        }
        for object in registry.iter() {
            assert!(!object.resources.is_empty(), "/{} {}", object.id, object.version);
            for resource in object.resources.values() {
                let has_type = resource.value_type.is_some();
                assert_ne!(resource.operations.can_execute(), has_type, "/{}//{}", object.id, resource.id);
            }
        }
        assert_eq!(registry, Registry::standard());
    }

    #[test]
    fn the_objects_of_every_lwm2m_version_are_there() {
        let registry = Registry::standard();
        for object in [0, 1, 3] {
            let versions: Vec<_> = registry.versions(object).collect();
            assert_eq!(versions, [version(1, 0), version(1, 1), version(1, 2)], "/{object}");
        }
        for object in
            [2, 4, 5, 6, 7, 8, 9, 10, 13, 16, 19, 21, 25, 26, 3200, 3203, 3303, 3311, 3347, 3350, 33629]
        {
            assert!(registry.select(object, None).is_some(), "/{object}");
        }
    }

    #[test]
    fn numbers_that_mean_something_have_labels() {
        let registry = Registry::standard();
        let label = |path: Path, of, number: i64| {
            registry.resource(path, of).and_then(|it| it.labels.get(&number).map(String::as_str))
        };
        assert_eq!(label(Path::resource(5, 0, 3), None, 0), Some("Idle"));
        assert_eq!(
            label(Path::resource(5, 0, 5), Some(version(1, 1)), 10),
            Some("Firmware update cancelled")
        );
        assert_eq!(label(Path::resource(3, 0, 11), None, 0), Some("No error"));
        assert_eq!(label(Path::resource(3, 0, 9), None, 0), None);
    }

    #[test]
    fn later_versions_add_to_earlier_ones() {
        let registry = Registry::standard();
        let reboot = registry.resource(Path::resource(3, 0, 4), Some(version(1, 2))).unwrap();
        assert!(reboot.operations.can_execute() && reboot.mandatory);
        assert!(!registry.get(1, version(1, 0)).unwrap().resources.contains_key(&23));
        assert_eq!(registry.get(1, version(1, 2)).unwrap().resources[&23].name, "Mute Send");
    }

    #[test]
    fn a_resource_of_a_later_version_is_known_on_a_device_that_names_an_earlier_one() {
        let registry = Registry::standard();
        let application_type = registry.resource(Path::resource(3303, 0, 5750), None).unwrap();
        assert_eq!(application_type.name, "Application Type");
        assert!(!registry.get(3303, version(1, 0)).unwrap().resources.contains_key(&5750));
        assert!(registry.resource(Path::resource(3303, 0, 5999), None).is_none());
        assert!(registry.resource(Path::resource(10, 0, 6), Some(version(1, 1))).is_none(), "it was dropped");
    }

    #[test]
    fn facts_of_the_registry_that_differ_from_version_to_version() {
        let registry = Registry::standard();
        let has = |object, of, resource: u16| {
            registry.get(object, of).is_some_and(|object| object.resources.contains_key(&resource))
        };
        for (object, resource, before, since) in [
            (3302, 5518, (1, 0), (1, 1)),
            (3313, 6042, (1, 0), (1, 1)),
            (3342, 6050, (1, 0), (1, 1)),
            (4, 11, (1, 0), (1, 1)),
            (4, 12, (1, 1), (1, 2)),
            (5, 10, (1, 0), (1, 1)),
            (9, 19, (1, 0), (1, 1)),
            (25, 4, (2, 0), (3, 0)),
        ] {
            assert!(!has(object, version(before.0, before.1), resource), "/{object}//{resource}");
            assert!(has(object, version(since.0, since.1), resource), "/{object}//{resource}");
        }
        let errors = |of| registry.get(3, of).unwrap().resources[&11].range.clone();
        assert_ne!(errors(version(1, 1)), errors(version(1, 2)));
        let calibration = registry.resource(Path::resource(3316, 0, 5821), None).unwrap();
        assert_eq!(calibration.value_type, Some(crate::value::ValueType::Float));
    }

    #[test]
    fn a_device_that_names_no_version_means_the_first() {
        let registry = Registry::standard();
        assert_eq!(registry.select(3, None).unwrap().version, version(1, 0));
        assert_eq!(registry.select(3, Some(version(1, 1))).unwrap().version, version(1, 1));
        assert_eq!(registry.select(3, Some(version(1, 9))).unwrap().version, version(1, 2));
        assert!(registry.select(60_000, None).is_none());
    }
}
