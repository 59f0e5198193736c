//! Loads OMA's object definitions (`LWM2M.xsd` of the LwM2M registry) from files.
//!
//! A folder is loaded as far as it goes: a bad file is reported with its line and skipped.

use super::{ObjectModel, Operations, Registry, ResourceModel};
use crate::operation::ObjectVersion;
use core::fmt;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

/// A larger file is no definition.
pub const MAX_FILE_LEN: u64 = 1 << 20;
/// Definitions nest five elements; more is not one of them.
const MAX_DEPTH: usize = 8;

/// What came of loading a folder.
#[derive(Debug, Default)]
pub struct FolderReport {
    /// What was added to the registry.
    pub loaded: Vec<(u16, ObjectVersion)>,
    /// What was not.
    pub skipped: Vec<BadFile>,
}

/// A file that holds no usable definition.
#[derive(Debug)]
pub struct BadFile {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: XmlError,
}

/// What is wrong with a definition.
#[derive(Debug)]
#[non_exhaustive]
pub enum XmlError {
    /// The file can't be read.
    Unreadable(io::Error),
    /// The file is larger than [`MAX_FILE_LEN`].
    TooLarge,
    /// The file is not UTF-8.
    NotUtf8,
    /// The file is not XML, or not what the schema asks for.
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: XmlProblem,
    },
    /// The file defines no object.
    NoObject,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlProblem {
    /// Not XML.
    Syntax,
    /// Elements nested deeper than the schema does.
    TooDeep,
    /// An id that is no number in 0..=65534.
    BadId,
    /// A version that is none.
    BadVersion,
    /// Operations other than R, W, RW, E and none.
    BadOperations,
    /// A type that LwM2M doesn't have.
    BadType,
    /// An object without an id, or a resource without one.
    NoId,
}

/// Adds to `registry` what the files `*.xml` of `folder` define, in the order of their names.
///
/// # Errors
/// If the folder itself can't be read. Bad files are in the report.
pub fn load_folder(registry: &mut Registry, folder: &Path) -> io::Result<FolderReport> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")) {
            files.push(file);
        }
    }
    files.sort();
    let mut report = FolderReport::default();
    for file in files {
        match load_file(&file) {
            Ok(objects) => report.add(registry, objects),
            Err(error) => report.skipped.push(BadFile { file, error }),
        }
    }
    Ok(report)
}

impl FolderReport {
    fn add(&mut self, registry: &mut Registry, objects: Vec<ObjectModel>) {
        for object in objects {
            self.loaded.push((object.id, object.version));
            registry.insert(object);
        }
    }
}

/// Reads the objects that a file defines.
///
/// # Errors
/// [`XmlError`]
pub fn load_file(file: &Path) -> Result<Vec<ObjectModel>, XmlError> {
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(XmlError::Unreadable)?;
    let limit = MAX_FILE_LEN.saturating_add(1);
    opened.take(limit).read_to_end(&mut bytes).map_err(XmlError::Unreadable)?;
    parse(&bytes)
}

/// Reads the objects that a document defines.
///
/// # Errors
/// [`XmlError`]
pub fn parse(document: &[u8]) -> Result<Vec<ObjectModel>, XmlError> {
    if document.len() as u64 > MAX_FILE_LEN {
        return Err(XmlError::TooLarge);
    }
    let text = decoded(document)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::default();
    loop {
        let result = match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) => builder.event(&event),
            Err(_) => Err(XmlProblem::Syntax),
        };
        if let Err(problem) = result {
            let line = line_of(text, reader.buffer_position());
            return Err(XmlError::Malformed { line, problem });
        }
    }
    if builder.objects.is_empty() { Err(XmlError::NoObject) } else { Ok(builder.objects) }
}

/// The text of a document: UTF-8, or UTF-16 with its byte order mark (XML 1.0 section 4.3.3).
fn decoded(document: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    let (order, units): (fn([u8; 2]) -> u16, _) = match document {
        [0xff, 0xfe, units @ ..] => (u16::from_le_bytes, units),
        [0xfe, 0xff, units @ ..] => (u16::from_be_bytes, units),
        _ => return core::str::from_utf8(document).map(Cow::Borrowed).map_err(|_| XmlError::NotUtf8),
    };
    let (units, rest) = units.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().map(|unit| order(*unit))).collect();
    text.ok().filter(|_| rest.is_empty()).map(Cow::Owned).ok_or(XmlError::NotUtf8)
}

fn line_of(text: &str, position: u64) -> usize {
    let read = usize::try_from(position).ok().and_then(|position| text.as_bytes().get(..position));
    let newlines = read.unwrap_or(text.as_bytes()).iter().filter(|byte| **byte == b'\n').count();
    newlines.saturating_add(1)
}

/// What has been read so far.
#[derive(Default)]
struct Builder {
    objects: Vec<ObjectModel>,
    object: Option<Draft>,
    resource: Option<Draft>,
    resources: BTreeMap<u16, ResourceModel>,
    text: String,
    depth: usize,
}

/// The elements of an object or resource, as text by name.
#[derive(Default)]
struct Draft(BTreeMap<String, String>);

impl Draft {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    fn filled(&self, name: &str) -> Option<String> {
        let text = self.get(name);
        (!text.is_empty()).then(|| text.into())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).eq_ignore_ascii_case(value)
    }
}

impl Builder {
    fn event(&mut self, event: &Event<'_>) -> Result<(), XmlProblem> {
        match event {
            Event::Start(start) => self.start(start),
            Event::Empty(start) => {
                self.start(start)?;
                self.end(start.name().as_ref())
            }
            Event::End(end) => self.end(end.name().as_ref()),
            Event::Text(text) => {
                self.text.push_str(&text.decode().map_err(|_| XmlProblem::Syntax)?);
                Ok(())
            }
            Event::CData(text) => {
                self.text.push_str(&text.decode().map_err(|_| XmlProblem::Syntax)?);
                Ok(())
            }
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(|_| XmlProblem::Syntax)?;
                self.text.push_str(quick_xml::escape::resolve_xml_entity(&name).unwrap_or(""));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlProblem> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(XmlProblem::TooDeep);
        }
        self.text.clear();
        match start.name().as_ref() {
            b"Object" => self.object = Some(Draft::default()),
            b"Item" => {
                let id = start.try_get_attribute("ID").map_err(|_| XmlProblem::Syntax)?;
                let id = id.ok_or(XmlProblem::NoId)?;
                let id = String::from_utf8_lossy(&id.value).into_owned();
                self.resource = Some(Draft(BTreeMap::from([("ID".into(), id)])));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8]) -> Result<(), XmlProblem> {
        self.depth = self.depth.saturating_sub(1);
        match name {
            b"Item" => self.finish_resource(),
            b"Object" => self.finish_object(),
            _ => {
                let draft = self.resource.as_mut().or(self.object.as_mut());
                if let Some(draft) = draft {
                    let name = String::from_utf8_lossy(name).into_owned();
                    draft.0.insert(name, core::mem::take(&mut self.text));
                }
                Ok(())
            }
        }
    }

    fn finish_resource(&mut self) -> Result<(), XmlProblem> {
        let draft = self.resource.take().unwrap_or_default();
        let id = parse_id(draft.get("ID"))?;
        let operations = Operations::parse(draft.get("Operations")).ok_or(XmlProblem::BadOperations)?;
        let value_type = match draft.get("Type") {
            "" => None,
            name => Some(name.parse().map_err(|_| XmlProblem::BadType)?),
        };
        let resource = ResourceModel {
            id,
            name: draft.get("Name").into(),
            operations,
            multiple: draft.is("MultipleInstances", "Multiple"),
            mandatory: draft.is("Mandatory", "Mandatory"),
            value_type,
            range: draft.filled("RangeEnumeration"),
            units: draft.filled("Units"),
            labels: BTreeMap::new(),
        };
        self.resources.insert(id, resource);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), XmlProblem> {
        let draft = self.object.take().unwrap_or_default();
        if draft.get("ObjectID").is_empty() {
            return Err(XmlProblem::NoId);
        }
        let version = match draft.get("ObjectVersion") {
            "" => ObjectVersion::V1_0,
            text => text.parse().map_err(|_| XmlProblem::BadVersion)?,
        };
        self.objects.push(ObjectModel {
            id: parse_id(draft.get("ObjectID"))?,
            version,
            name: draft.get("Name").into(),
            description: draft.filled("Description1"),
            multiple: draft.is("MultipleInstances", "Multiple"),
            mandatory: draft.is("Mandatory", "Mandatory"),
            resources: core::mem::take(&mut self.resources),
        });
        Ok(())
    }
}

fn parse_id(text: &str) -> Result<u16, XmlProblem> {
    text.parse().ok().filter(|id| *id != crate::path::MAX_ID).ok_or(XmlProblem::BadId)
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            XmlError::Malformed { line, problem } => write!(f, "{}:{line}: {problem}", self.file.display()),
            error => write!(f, "{}: {error}", self.file.display()),
        }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the file can't be read: {error}"),
            Self::TooLarge => write!(f, "the file is larger than {MAX_FILE_LEN} bytes"),
            Self::NotUtf8 => f.write_str("the file is not UTF-8"),
            Self::Malformed { line, problem } => write!(f, "line {line}: {problem}"),
            Self::NoObject => f.write_str("the file defines no object"),
        }
    }
}

impl fmt::Display for XmlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "this is not XML",
            Self::TooDeep => "elements are nested too deeply",
            Self::BadId => "an id has to be a number from 0 to 65534",
            Self::BadVersion => "a version has the form 1.0",
            Self::BadOperations => "operations are R, W, RW, E or none",
            Self::BadType => "there is no such type of value",
            Self::NoId => "an object has no ObjectID, or an Item no ID",
        })
    }
}

impl core::error::Error for BadFile {}
impl core::error::Error for XmlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    const THING: &str = r#"<?xml version="1.0"?>
<!-- a comment -->
<LWM2M>
  <Object ObjectType="MODefinition">
    <Name>Thing &amp; more</Name>
    <Description1><![CDATA[All <things>]]></Description1>
    <ObjectID>9000</ObjectID>
    <ObjectVersion>1.1</ObjectVersion>
    <MultipleInstances>Multiple</MultipleInstances>
    <Mandatory>Optional</Mandatory>
    <Resources>
      <Item ID="1"><Name>Level</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Mandatory</Mandatory><Type>Unsigned Integer</Type><RangeEnumeration>0..9</RangeEnumeration>
        <Units>s</Units><Description/></Item>
      <Item ID="2"><Name>Go</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
        <Mandatory>Optional</Mandatory><Type></Type><RangeEnumeration/><Units/></Item>
    </Resources>
  </Object>
</LWM2M>"#;

    #[test]
    fn a_definition_in_utf_16_is_read() {
        let text = THING.replace("Thing", "Größe 温度");
        for (mark, order) in
            [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
        {
            let mut document = mark.to_vec();
            document.extend(text.encode_utf16().flat_map(order));
            assert_eq!(parse(&document).unwrap()[0].name, "Größe 温度 & more");
            document.push(0);
            assert!(matches!(parse(&document), Err(XmlError::NotUtf8)), "half a character");
        }
        assert!(matches!(parse(&[0xff, 0xfe, 0x00, 0xd8]), Err(XmlError::NotUtf8)), "half a pair");
    }

    #[test]
    fn a_definition_of_oma_is_read() {
        let objects = parse(THING.as_bytes()).unwrap();
        let [object] = objects.as_slice() else { panic!("one object") };
        assert_eq!((object.id, object.version), (9000, ObjectVersion { major: 1, minor: 1 }));
        assert_eq!(object.name, "Thing & more");
        assert_eq!(object.description.as_deref(), Some("All <things>"));
        assert!(object.multiple && !object.mandatory);
        let level = &object.resources[&1];
        assert_eq!(level.value_type, Some(crate::value::ValueType::UnsignedInteger));
        assert_eq!((level.range.as_deref(), level.units.as_deref()), (Some("0..9"), Some("s")));
        assert!(level.mandatory && level.operations.can_write());
        assert!(object.resources[&2].operations.can_execute());
    }

    #[test]
    fn bad_files_are_named_with_their_line_and_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("good.xml", THING);
        write("type.xml", &THING.replace("Unsigned Integer", "Colour"));
        write("broken.xml", "<LWM2M>\n<Object></Wrong>");
        write("empty.xml", "<LWM2M></LWM2M>");
        write("large.xml", &"x".repeat(MAX_FILE_LEN as usize + 1));
        write("note.txt", "not a definition");
        let mut registry = Registry::new();

        let report = load_folder(&mut registry, folder.path()).unwrap();

        assert_eq!(report.loaded, [(9000, ObjectVersion { major: 1, minor: 1 })]);
        let skipped: Vec<String> = report.skipped.iter().map(|bad| format!("{bad}")).collect();
        assert_eq!(skipped.len(), 4);
        assert!(skipped[0].contains("broken.xml:2: this is not XML"), "{}", skipped[0]);
        assert!(skipped[1].contains("defines no object"), "{}", skipped[1]);
        assert!(skipped[2].contains("larger than"), "{}", skipped[2]);
        assert!(skipped[3].contains("type.xml:14: there is no such type of value"), "{}", skipped[3]);
        assert!(registry.select(9000, None).is_some());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = "<a>".repeat(100);
        assert!(matches!(
            parse(deep.as_bytes()),
            Err(XmlError::Malformed { problem: XmlProblem::TooDeep, .. })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_loader_panic(cut in 0..THING.len(), byte: u8) {
            let mut document = THING.as_bytes().to_vec();
            document[cut] = byte;
            let _ = parse(&document);
            let _ = parse(&document[..cut]);
        }
    }
}
