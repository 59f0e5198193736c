//! The object list of a device (LwM2M Core 1.1 section 6.2.1). Devices with the same list share one parsed copy.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use buoy_coap::number::ContentFormat;
use buoy_lwm2m::link::{LinkError, Links, ObjectLinks};
use buoy_lwm2m::operation::ObjectVersion;
use buoy_lwm2m::path::Path;

/// The object list of a Register or Update: objects and instances, their versions, the root path, and the supported content formats.
#[derive(Clone, Debug)]
pub struct ObjectList {
    text: Box<str>,
    root: Box<str>,
    entries: Box<[(Path, Option<ObjectVersion>)]>,
    formats: Box<[ContentFormat]>,
}

impl ObjectList {
    /// Parses the payload of a Register or Update.
    ///
    /// # Errors
    /// [`LinkError`] if it is no list of links in CoRE link format.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        Links::of_text(text).try_for_each(|link| link.map(drop))?;
        let mut list = Self { text: text.into(), ..Self::default() };
        // A list with two roots is invalid; only its text is stored.
        if let Ok(links) = ObjectLinks::parse(text.as_bytes()) {
            list.root = links.root().into();
            // An object may be listed twice; either entry may have the version.
            let mut entries = BTreeMap::<Path, (usize, Option<ObjectVersion>)>::new();
            for (place, entry) in links.iter().enumerate() {
                let (_, version) = entries.entry(entry.path).or_insert((place, None));
                *version = version.or(entry.version);
            }
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by_key(|(_, (place, _))| *place);
            list.entries = entries.into_iter().map(|(path, (_, version))| (path, version)).collect();
            list.formats = links.content_formats().collect();
        }
        Ok(list)
    }

    /// The text that the device sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path under which the device has its objects; `/` by default.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The objects and object instances, in the device's order.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.entries.iter().map(|(path, _)| *path)
    }

    /// Whether the list contains an object or an instance of it. An invalid list contains nothing.
    #[must_use]
    pub fn may_have(&self, object: u16) -> bool {
        self.entries.is_empty() || self.paths().any(|path| path.object_id() == Some(object))
    }

    /// The version of an object, if the list has it.
    #[must_use]
    pub fn version(&self, object: u16) -> Option<ObjectVersion> {
        self.entries
            .iter()
            .filter(|(path, _)| path.object_id() == Some(object))
            .find_map(|(_, version)| *version)
    }

    /// The content formats in the list; empty if it names none.
    #[must_use]
    pub fn content_formats(&self) -> &[ContentFormat] {
        &self.formats
    }
}

impl Default for ObjectList {
    /// The empty list.
    fn default() -> Self {
        Self { text: "".into(), root: "/".into(), entries: Box::default(), formats: Box::default() }
    }
}

impl PartialEq for ObjectList {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ObjectList {}

impl Hash for ObjectList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Lists are compared and looked up by their text.
impl Borrow<str> for ObjectList {
    fn borrow(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_the_device_has() {
        let list =
            ObjectList::parse("</lwm2m>;rt=\"oma.lwm2m\";ct=\"60 112\",</lwm2m/3>;ver=1.2,</lwm2m/3/0>")
                .unwrap();
        assert_eq!(list.root(), "/lwm2m");
        assert_eq!(list.paths().collect::<Vec<_>>(), [Path::object(3), Path::instance(3, 0)]);
        assert_eq!(list.version(3), Some(ObjectVersion { major: 1, minor: 2 }));
        assert_eq!(list.version(4), None);
        assert_eq!(list.content_formats(), [ContentFormat(60), ContentFormat::SENML_CBOR]);
    }

    #[test]
    fn what_is_named_twice_is_there_once() {
        let list = ObjectList::parse("</3/0>,</1/0>,</3/0>,</3>,</3>;ver=1.2,</1/0>").unwrap();
        let paths = [Path::instance(3, 0), Path::instance(1, 0), Path::object(3)];
        assert_eq!(list.paths().collect::<Vec<_>>(), paths);
        assert_eq!(list.version(3), Some(ObjectVersion { major: 1, minor: 2 }));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert!(ObjectList::parse("</3/0>,<").is_err());
        let two_roots = ObjectList::parse("</a>;rt=\"oma.lwm2m\",</b>;rt=\"oma.lwm2m\",</a/3/0>").unwrap();
        assert_eq!((two_roots.root(), two_roots.paths().count()), ("/", 0));
    }
}
