//! The filter language: which devices of a fleet are meant.
//!
//! ```text
//! model = "buoy-3" and firmware < 1.4.0 and battery < 30 and not seen for 2d
//! group in (north, south) or tag = spare
//! value(/3303/0/5700) > 25 and name ~ "b-*"
//! overdue for 1d or next_contact in 2h
//! ```
//!
//! A filter is parsed once, with a position in each error, and is typed: a field is compared with what it can be. [`Filter::holds`] derives
//! whether it holds for a device; with a subject that knows only a part of a device, the answer may be that this is not known. A device
//! without a value in a field equals nothing there and is neither less nor greater than anything; `!=` and `!~` are the opposites of `=` and `~`.

mod evaluate;
mod field;
mod glob;
mod lexer;
mod parser;

use std::fmt;

pub use evaluate::{Seen, Subject};
pub use field::{Field, STATES, is_own_name};
pub use glob::matches as matches_glob;

/// The most bytes of a filter.
pub const LONGEST: usize = 4096;
/// The most tests of a filter, those of its groups included.
pub const MOST_TESTS: usize = 256;
/// The most levels of parentheses, and of groups in groups.
pub const DEEPEST: usize = 32;

/// A text as it is written in a filter: in quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A filter that was parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    text: String,
    expression: Expression,
}

/// What a filter says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// Each of these holds; with none it holds for every device.
    All(Vec<Expression>),
    /// One of these holds.
    Any(Vec<Expression>),
    /// This does not hold.
    Not(Box<Expression>),
    /// One field is compared.
    Test(Test),
}

/// The comparison of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Test {
    pub(crate) field: Field,
    pub(crate) check: Check,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Check {
    /// It has a value.
    IsSet,
    /// It has a value that compares so.
    Compares(Relation, Operand),
    /// It has a text that matches the pattern.
    Matches(String),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Text(String),
    Version(String),
    Number(f64),
    /// Milliseconds since the epoch.
    Time(u64),
    /// Milliseconds before now.
    Ago(u64),
    /// Milliseconds after now.
    Ahead(u64),
    Flag(bool),
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where, as a number of characters from the start of the text.
    pub at: usize,
    /// What is wrong there, and what was expected.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for FilterError {}

/// Why the groups of a filter can't be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// No group has this name.
    NoSuchGroup(String),
    /// The filter of a group refers, by way of others, to the group itself.
    Circle(String),
    /// With the filters of its groups it has too many tests.
    TooLarge,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup(name) => write!(f, "there is no group {name}"),
            Self::Circle(name) => write!(f, "the filter of the group {name} refers to the group itself"),
            Self::TooLarge => {
                write!(f, "with the filters of its groups the filter has more than {MOST_TESTS} tests")
            }
        }
    }
}

impl std::error::Error for GroupError {}

/// A group, as far as a filter needs it.
#[derive(Clone, Debug)]
pub struct GroupDefinition {
    /// The filter of its members, if it has one.
    pub filter: Option<Filter>,
    /// The groups within it.
    pub children: Vec<String>,
}

impl Filter {
    /// Reads a filter. The empty text holds for every device.
    ///
    /// # Errors
    /// [`FilterError`]
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self { expression: parser::parse(text)?, text: text.trim().to_owned() })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds for every device.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        matches!(&self.expression, Expression::All(all) if all.is_empty())
    }

    /// Holds where both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let text = match (self.text.is_empty(), other.text.is_empty()) {
            (true, _) => other.text,
            (_, true) => self.text,
            _ => format!("({}) and ({})", self.text, other.text),
        };
        Self { text, expression: Expression::All(vec![self.expression, other.expression]) }
    }

    /// Whether it holds; `None` if the subject does not know enough. `now` is in milliseconds since the epoch.
    #[must_use]
    pub fn holds(&self, subject: &impl Subject, now: u64) -> Option<bool> {
        evaluate::holds(&self.expression, subject, now)
    }

    /// Whether a field that is so is compared.
    #[must_use]
    pub fn uses(&self, is_wanted: impl Fn(&Field) -> bool) -> bool {
        let mut is_found = false;
        self.expression.each_test(&mut |test| is_found |= is_wanted(&test.field));
        is_found
    }

    /// With each test of a group replaced by what its members are: those that were put into it, those of its filter, and those of the groups
    /// within it.
    ///
    /// # Errors
    /// [`GroupError`]
    pub fn resolve(
        mut self,
        find: &dyn Fn(&str) -> Option<GroupDefinition>,
        names: &dyn Fn() -> Vec<String>,
    ) -> Result<Self, GroupError> {
        let mut resolver = Resolver { find, names, path: Vec::new(), tests: 0 };
        self.expression = resolver.expression(self.expression)?;
        Ok(self)
    }
}

impl Expression {
    fn each_test(&self, each: &mut dyn FnMut(&Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_test(each)),
            Self::Not(part) => part.each_test(each),
            Self::Test(test) => each(test),
        }
    }
}

/// Replaces groups by what they are.
struct Resolver<'a> {
    find: &'a dyn Fn(&str) -> Option<GroupDefinition>,
    names: &'a dyn Fn() -> Vec<String>,
    /// The groups whose filters are being resolved.
    path: Vec<String>,
    tests: usize,
}

impl Resolver<'_> {
    fn expression(&mut self, expression: Expression) -> Result<Expression, GroupError> {
        Ok(match expression {
            Expression::All(parts) => Expression::All(self.all(parts)?),
            Expression::Any(parts) => Expression::Any(self.all(parts)?),
            Expression::Not(part) => Expression::Not(Box::new(self.expression(*part)?)),
            Expression::Test(test) => {
                self.tests += 1;
                if self.tests > MOST_TESTS {
                    return Err(GroupError::TooLarge);
                }
                self.test(test)?
            }
        })
    }

    fn all(&mut self, parts: Vec<Expression>) -> Result<Vec<Expression>, GroupError> {
        parts.into_iter().map(|part| self.expression(part)).collect()
    }

    fn test(&mut self, test: Test) -> Result<Expression, GroupError> {
        if test.field != Field::Group {
            return Ok(Expression::Test(test));
        }
        let names = match &test.check {
            Check::Compares(Relation::Equal, Operand::Text(name)) => vec![name.clone()],
            Check::Matches(pattern) => {
                let all = (self.names)().into_iter();
                all.filter(|name| matches_glob(pattern, name)).collect()
            }
            Check::IsSet => (self.names)(),
            Check::Compares(..) => return Ok(Expression::Test(test)),
        };
        names.into_iter().map(|name| self.group(name)).collect::<Result<_, _>>().map(Expression::Any)
    }

    fn group(&mut self, name: String) -> Result<Expression, GroupError> {
        if self.path.contains(&name) || self.path.len() >= DEEPEST {
            return Err(GroupError::Circle(name));
        }
        let definition = (self.find)(&name).ok_or_else(|| GroupError::NoSuchGroup(name.clone()))?;
        self.tests += 1;
        if self.tests > MOST_TESTS {
            return Err(GroupError::TooLarge);
        }
        let check = Check::Compares(Relation::Equal, Operand::Text(name.clone()));
        let mut parts = vec![Expression::Test(Test { field: Field::Group, check })];
        self.path.push(name);
        if let Some(filter) = definition.filter {
            parts.push(self.expression(filter.expression)?);
        }
        for child in definition.children {
            parts.push(self.group(child)?);
        }
        self.path.pop();
        Ok(Expression::Any(parts))
    }
}

#[cfg(test)]
mod tests;
