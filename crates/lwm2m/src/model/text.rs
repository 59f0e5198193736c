//! The text form of object definitions; [`Registry::load_text`] says how it looks.

use super::{ObjectModel, Operations, Registry, ResourceModel};
use crate::operation::ObjectVersion;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// What is wrong with a text, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: TextProblem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextProblem {
    /// A column is missing.
    ColumnMissing,
    /// A column holds what can't stand there, or there are too many.
    BadColumn,
    /// A resource stands in front of the first object.
    NoObject,
    /// No shared resource has this id.
    NotShared,
    /// `like` names a version that isn't there.
    NoSuchVersion,
    /// The object, or the resource of it, is there already.
    Twice,
}

/// What has been read so far.
struct Loader<'r> {
    registry: &'r mut Registry,
    shared: BTreeMap<u16, ResourceModel>,
    current: Option<ObjectModel>,
    count: usize,
}

pub(super) fn load(registry: &mut Registry, text: &str) -> Result<usize, TextError> {
    let mut loader = Loader { registry, shared: BTreeMap::new(), current: None, count: 0 };
    for (line, index) in text.lines().zip(1..) {
        loader.line(line).map_err(|problem| TextError { line: index, problem })?;
    }
    loader.close();
    Ok(loader.count)
}

impl Loader<'_> {
    fn line(&mut self, line: &str) -> Result<(), TextProblem> {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let (columns, name) = match line.split_once(": ") {
            Some((columns, name)) => (columns, Some(name.trim())),
            None => (line, None),
        };
        let mut columns = Columns(columns.split_ascii_whitespace());
        match columns.0.next() {
            None => Ok(()),
            Some("object") => self.object(&mut columns, name),
            Some("shared") => self.shared(&mut columns, name),
            Some("like") => self.like(&mut columns),
            Some("drop") => self.drop(&mut columns),
            Some("labels") => self.labels(line),
            Some(id) => self.resource(id, &mut columns, name),
        }
    }

    fn object(&mut self, columns: &mut Columns<'_>, name: Option<&str>) -> Result<(), TextProblem> {
        self.close();
        let id = columns.id()?;
        let version = columns.version()?;
        let multiple = columns.one_of(["single", "multiple"])?;
        let mandatory = columns.one_of(["optional", "mandatory"])?;
        columns.end()?;
        if self.registry.get(id, version).is_some() {
            return Err(TextProblem::Twice);
        }
        let name = String::from(name.ok_or(TextProblem::ColumnMissing)?);
        let resources = BTreeMap::new();
        self.current =
            Some(ObjectModel { id, version, name, description: None, multiple, mandatory, resources });
        Ok(())
    }

    fn shared(&mut self, columns: &mut Columns<'_>, name: Option<&str>) -> Result<(), TextProblem> {
        let id = columns.id()?;
        let resource = columns.resource(id, name)?;
        if self.shared.insert(id, resource).is_some() { Err(TextProblem::Twice) } else { Ok(()) }
    }

    fn like(&mut self, columns: &mut Columns<'_>) -> Result<(), TextProblem> {
        let version = columns.version()?;
        columns.end()?;
        let object = self.current.as_mut().ok_or(TextProblem::NoObject)?;
        let model = self.registry.get(object.id, version).ok_or(TextProblem::NoSuchVersion)?;
        object.resources = model.resources.clone();
        Ok(())
    }

    fn drop(&mut self, columns: &mut Columns<'_>) -> Result<(), TextProblem> {
        let id = columns.id()?;
        columns.end()?;
        let object = self.current.as_mut().ok_or(TextProblem::NoObject)?;
        object.resources.remove(&id).map(|_| ()).ok_or(TextProblem::BadColumn)
    }

    /// As in `labels 3 0=Idle; 1=Downloading`.
    fn labels(&mut self, line: &str) -> Result<(), TextProblem> {
        let rest = line.trim_start().strip_prefix("labels").unwrap_or_default().trim_start();
        let (id, labels) = rest.split_once(' ').ok_or(TextProblem::ColumnMissing)?;
        let id: u16 = id.parse().map_err(|_| TextProblem::BadColumn)?;
        let object = self.current.as_mut().ok_or(TextProblem::NoObject)?;
        let resource = object.resources.get_mut(&id).ok_or(TextProblem::BadColumn)?;
        for label in labels.split(';') {
            let (number, words) = label.split_once('=').ok_or(TextProblem::BadColumn)?;
            let number = number.trim().parse().map_err(|_| TextProblem::BadColumn)?;
            resource.labels.insert(number, String::from(words.trim()));
        }
        Ok(())
    }

    fn resource(
        &mut self,
        id: &str,
        columns: &mut Columns<'_>,
        name: Option<&str>,
    ) -> Result<(), TextProblem> {
        let id = id.parse().map_err(|_| TextProblem::BadColumn)?;
        let mandatory = columns.one_of(["optional", "mandatory"])?;
        let resource = if name.is_some() {
            columns.resource(id, name)?
        } else {
            columns.end()?;
            self.shared.get(&id).cloned().ok_or(TextProblem::NotShared)?
        };
        let object = self.current.as_mut().ok_or(TextProblem::NoObject)?;
        object.resources.insert(id, ResourceModel { mandatory, ..resource });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(object) = self.current.take() {
            self.registry.insert(object);
            self.count = self.count.saturating_add(1);
        }
    }
}

/// The columns of a line, read from the left.
struct Columns<'a>(core::str::SplitAsciiWhitespace<'a>);

impl<'a> Columns<'a> {
    fn next(&mut self) -> Result<&'a str, TextProblem> {
        self.0.next().ok_or(TextProblem::ColumnMissing)
    }

    fn id(&mut self) -> Result<u16, TextProblem> {
        self.next()?.parse().map_err(|_| TextProblem::BadColumn)
    }

    fn version(&mut self) -> Result<ObjectVersion, TextProblem> {
        self.next()?.parse().map_err(|_| TextProblem::BadColumn)
    }

    /// Whether the column is the second of two words.
    fn one_of(&mut self, [no, yes]: [&str; 2]) -> Result<bool, TextProblem> {
        match self.next()? {
            word if word == yes => Ok(true),
            word if word == no => Ok(false),
            _ => Err(TextProblem::BadColumn),
        }
    }

    /// The columns behind a resource's presence.
    fn resource(&mut self, id: u16, name: Option<&str>) -> Result<ResourceModel, TextProblem> {
        let operations = Operations::parse(none_if_dash(self.next()?)).ok_or(TextProblem::BadColumn)?;
        let multiple = self.one_of(["single", "multiple"])?;
        let value_type = match none_if_dash(self.next()?) {
            "" => None,
            name => Some(name.parse().map_err(|_| TextProblem::BadColumn)?),
        };
        let name = String::from(name.ok_or(TextProblem::ColumnMissing)?);
        let (mut range, mut units) = (None, None);
        for column in self.0.by_ref() {
            match column.split_once('=') {
                Some(("range", value)) => range = Some(String::from(value)),
                Some(("units", value)) => units = Some(String::from(value)),
                _ => return Err(TextProblem::BadColumn),
            }
        }
        let labels = BTreeMap::new();
        Ok(ResourceModel {
            id,
            name,
            operations,
            multiple,
            mandatory: false,
            value_type,
            range,
            units,
            labels,
        })
    }

    fn end(&mut self) -> Result<(), TextProblem> {
        if self.0.next().is_some() { Err(TextProblem::BadColumn) } else { Ok(()) }
    }
}

fn none_if_dash(column: &str) -> &str {
    if column == "-" { "" } else { column }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl fmt::Display for TextProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ColumnMissing => "a column is missing",
            Self::BadColumn => "a column holds what can't stand there",
            Self::NoObject => "a resource stands in front of the first object",
            Self::NotShared => "no shared resource has this id",
            Self::NoSuchVersion => "the version to be like isn't defined",
            Self::Twice => "it is defined already",
        })
    }
}

impl core::error::Error for TextError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> Option<TextError> {
        Registry::new().load_text(text).err()
    }

    #[test]
    fn a_version_is_like_an_earlier_one_with_changes() {
        let text = "
            shared 5700 R single Float: Sensor Value
            object 9000 1.0 multiple optional: Thing   # of all things
              5700 mandatory
              1 optional RW multiple String range=0..9 units=Cel: Name
              labels 1 0=Not at all; -1=Less
            object 9000 1.1 multiple optional: Thing
              like 1.0
              drop 1
              5700 optional
              2 mandatory E single -: Go";
        let mut registry = Registry::new();
        assert_eq!(registry.load_text(text), Ok(2));
        let old = registry.get(9000, ObjectVersion { major: 1, minor: 0 }).unwrap();
        assert!(old.resources[&5700].mandatory);
        assert_eq!(old.resources[&1].range.as_deref(), Some("0..9"));
        assert_eq!(old.resources[&1].labels.get(&-1).map(String::as_str), Some("Less"));
        let new = registry.get(9000, ObjectVersion { major: 1, minor: 1 }).unwrap();
        assert_eq!(new.resources.keys().copied().collect::<Vec<_>>(), [2, 5700]);
        assert!(!new.resources[&5700].mandatory);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = |line, problem| Some(TextError { line, problem });
        assert_eq!(problem("\n1 optional R single Float: X"), error(2, TextProblem::NoObject));
        assert_eq!(problem("object 1 1.0 single mandatory"), error(1, TextProblem::ColumnMissing));
        assert_eq!(problem("object 1 1.0 several mandatory: X"), error(1, TextProblem::BadColumn));
        assert_eq!(problem("object 1 1.0 single mandatory: X\n5 optional"), error(2, TextProblem::NotShared));
        assert_eq!(
            problem("object 1 1.0 single mandatory: X\nlike 0.9"),
            error(2, TextProblem::NoSuchVersion)
        );
        let labels = "object 1 1.0 single mandatory: X\nlabels 1 0=Y";
        assert_eq!(problem(labels), error(2, TextProblem::BadColumn));
        assert_eq!(
            problem("object 1 1.0 single mandatory: X\n1 optional Q single -: Y"),
            error(2, TextProblem::BadColumn)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_loader_panic(text in "((object|shared|like|drop|labels|=|;|[0-9]| |:|\n|R|single|1.0|x)*)") {
            let _ = problem(&text);
        }
    }
}
