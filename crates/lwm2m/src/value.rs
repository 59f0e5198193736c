//! Values of resources and their types (LwM2M Core 1.1, appendix C).

use crate::decimal::Decimal;
use crate::output::{Full, Output};
use core::fmt;
use core::str::FromStr;

/// What kind of value a resource holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// UTF-8 text.
    String,
    /// A signed number of 8, 16, 32 or 64 bits.
    Integer,
    /// An unsigned number of 8, 16, 32 or 64 bits (since LwM2M 1.1).
    UnsignedInteger,
    /// A floating-point number of 32 or 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Bytes.
    Opaque,
    /// Seconds since 1970-01-01T00:00:00Z, leap seconds left out.
    Time,
    /// A reference to an object instance.
    ObjectLink,
    /// A list of CoRE links as text (since LwM2M 1.1).
    CoreLink,
}

/// The value of a resource or of a resource instance, borrowed from wherever it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// UTF-8 text.
    String(&'a str),
    /// A signed number.
    Integer(i64),
    /// An unsigned number.
    UnsignedInteger(u64),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes.
    Opaque(&'a [u8]),
    /// Seconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// A reference to an object instance.
    ObjectLink(ObjectLink),
    /// A list of CoRE links as text.
    CoreLink(&'a str),
}

/// A reference to an object instance, written `3:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectLink {
    /// The object's id.
    pub object: u16,
    /// The instance's id.
    pub instance: u16,
}

impl Value<'_> {
    /// The type of the value.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::Integer(_) => ValueType::Integer,
            Self::UnsignedInteger(_) => ValueType::UnsignedInteger,
            Self::Float(_) => ValueType::Float,
            Self::Boolean(_) => ValueType::Boolean,
            Self::Opaque(_) => ValueType::Opaque,
            Self::Time(_) => ValueType::Time,
            Self::ObjectLink(_) => ValueType::ObjectLink,
            Self::CoreLink(_) => ValueType::CoreLink,
        }
    }

    /// The value as a number, for the thresholds `gt`, `lt` and `st`; `None` if it isn't numeric.
    ///
    /// Integers beyond 2^53 are rounded, which is exact enough for a threshold.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        match *self {
            Self::Integer(value) => Some(value as f64),
            Self::UnsignedInteger(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            _ => None,
        }
    }
}

/// The seconds that so many milliseconds are, for times of SenML. Where no processor divides floating-point numbers this is less code.
#[must_use]
pub fn seconds_of(milliseconds: u64) -> f64 {
    Decimal::new(milliseconds, -3).to_f64()
}

impl ValueType {
    /// Whether thresholds (`gt`, `lt`, `st`) make sense.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::UnsignedInteger | Self::Float)
    }

    /// The name, as in the tables of the specification, without spaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Integer => "Integer",
            Self::UnsignedInteger => "UnsignedInteger",
            Self::Float => "Float",
            Self::Boolean => "Boolean",
            Self::Opaque => "Opaque",
            Self::Time => "Time",
            Self::ObjectLink => "ObjectLink",
            Self::CoreLink => "CoreLink",
        }
    }
}

impl ObjectLink {
    /// The link to nothing, `65535:65535`.
    pub const NULL: Self = Self { object: u16::MAX, instance: u16::MAX };

    /// Writes the link, as in `3:0`.
    pub(crate) fn write(self, output: &mut Output<'_>) -> Result<(), Full> {
        output.whole(self.object.into())?;
        output.byte(b':')?;
        output.whole(self.instance.into())
    }

    /// The link in the four bytes of TLV.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [a, b] = self.object.to_be_bytes();
        let [c, d] = self.instance.to_be_bytes();
        [a, b, c, d]
    }

    /// The link that four bytes of TLV hold.
    #[must_use]
    pub const fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        Self { object: u16::from_be_bytes([a, b]), instance: u16::from_be_bytes([c, d]) }
    }
}

/// A text is no object link of the form `3:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnObjectLink;

impl FromStr for ObjectLink {
    type Err = NotAnObjectLink;

    fn from_str(text: &str) -> Result<Self, NotAnObjectLink> {
        let (object, instance) = text.split_once(':').ok_or(NotAnObjectLink)?;
        Ok(Self { object: digits(object)?, instance: digits(instance)? })
    }
}

fn digits(text: &str) -> Result<u16, NotAnObjectLink> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAnObjectLink);
    }
    text.parse().map_err(|_| NotAnObjectLink)
}

/// A text is no name of a value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAValueType;

/// Reads the names of [`ValueType::name`] and those of OMA's definitions (`Objlnk`, `Unsigned Integer`), in any case.
impl FromStr for ValueType {
    type Err = NotAValueType;

    fn from_str(text: &str) -> Result<Self, NotAValueType> {
        const NAMES: [(&str, ValueType); 14] = [
            ("string", ValueType::String),
            ("integer", ValueType::Integer),
            ("unsignedinteger", ValueType::UnsignedInteger),
            ("unsigned integer", ValueType::UnsignedInteger),
            ("unsigned_integer", ValueType::UnsignedInteger),
            ("float", ValueType::Float),
            ("boolean", ValueType::Boolean),
            ("opaque", ValueType::Opaque),
            ("time", ValueType::Time),
            ("objectlink", ValueType::ObjectLink),
            ("objlnk", ValueType::ObjectLink),
            ("corelink", ValueType::CoreLink),
            ("corelnk", ValueType::CoreLink),
            ("core link", ValueType::CoreLink),
        ];
        let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|&(_, value_type)| value_type).ok_or(NotAValueType)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ObjectLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.object, self.instance)
    }
}

impl fmt::Display for NotAnObjectLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object link is written object:instance, as in 3:0")
    }
}

impl fmt::Display for NotAValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown value type")
    }
}

impl core::error::Error for NotAnObjectLink {}
impl core::error::Error for NotAValueType {}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::String(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Opaque(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<ObjectLink> for Value<'_> {
    fn from(value: ObjectLink) -> Self {
        Self::ObjectLink(value)
    }
}

#[cfg(feature = "alloc")]
pub use owned::OwnedValue;

#[cfg(feature = "alloc")]
mod owned {
    use super::{ObjectLink, Value, ValueType};
    use alloc::string::String;
    use alloc::vec::Vec;

    /// A [`Value`] that keeps its own text or bytes.
    #[derive(Clone, Debug, PartialEq)]
    pub enum OwnedValue {
        /// UTF-8 text.
        String(String),
        /// A signed number.
        Integer(i64),
        /// An unsigned number.
        UnsignedInteger(u64),
        /// A floating-point number.
        Float(f64),
        /// True or false.
        Boolean(bool),
        /// Bytes.
        Opaque(Vec<u8>),
        /// Seconds since 1970-01-01T00:00:00Z.
        Time(i64),
        /// A reference to an object instance.
        ObjectLink(ObjectLink),
        /// A list of CoRE links as text.
        CoreLink(String),
    }

    impl OwnedValue {
        /// The same value, borrowed.
        #[must_use]
        pub fn as_value(&self) -> Value<'_> {
            match self {
                Self::String(value) => Value::String(value),
                Self::Integer(value) => Value::Integer(*value),
                Self::UnsignedInteger(value) => Value::UnsignedInteger(*value),
                Self::Float(value) => Value::Float(*value),
                Self::Boolean(value) => Value::Boolean(*value),
                Self::Opaque(value) => Value::Opaque(value),
                Self::Time(value) => Value::Time(*value),
                Self::ObjectLink(value) => Value::ObjectLink(*value),
                Self::CoreLink(value) => Value::CoreLink(value),
            }
        }

        /// The type of the value.
        #[must_use]
        pub fn value_type(&self) -> ValueType {
            self.as_value().value_type()
        }
    }

    impl Value<'_> {
        /// The same value with its own text or bytes.
        #[must_use]
        pub fn to_owned(&self) -> OwnedValue {
            match *self {
                Self::String(value) => OwnedValue::String(value.into()),
                Self::Integer(value) => OwnedValue::Integer(value),
                Self::UnsignedInteger(value) => OwnedValue::UnsignedInteger(value),
                Self::Float(value) => OwnedValue::Float(value),
                Self::Boolean(value) => OwnedValue::Boolean(value),
                Self::Opaque(value) => OwnedValue::Opaque(value.into()),
                Self::Time(value) => OwnedValue::Time(value),
                Self::ObjectLink(value) => OwnedValue::ObjectLink(value),
                Self::CoreLink(value) => OwnedValue::CoreLink(value.into()),
            }
        }
    }

    impl From<Value<'_>> for OwnedValue {
        fn from(value: Value<'_>) -> Self {
            value.to_owned()
        }
    }

    impl<'a> From<&'a OwnedValue> for Value<'a> {
        fn from(value: &'a OwnedValue) -> Self {
            value.as_value()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_link_is_two_numbers_around_a_colon() {
        assert_eq!("3:0".parse(), Ok(ObjectLink { object: 3, instance: 0 }));
        assert_eq!("65535:65535".parse(), Ok(ObjectLink::NULL));
        for text in ["", "3", ":", "3:", ":0", "3:0:1", "65536:0", "+3:0", " 3:0", "-1:0"] {
            assert_eq!(text.parse::<ObjectLink>(), Err(NotAnObjectLink), "{text}");
        }
    }

    #[test]
    fn every_type_reads_its_own_name_and_the_names_of_oma() {
        for name in
            ["String", "Integer", "UnsignedInteger", "Float", "Boolean", "Opaque", "Time", "ObjectLink"]
        {
            assert_eq!(name.parse::<ValueType>().unwrap().name(), name);
        }
        assert_eq!("Objlnk".parse(), Ok(ValueType::ObjectLink));
        assert_eq!("Unsigned Integer".parse(), Ok(ValueType::UnsignedInteger));
        assert_eq!("Corelnk".parse(), Ok(ValueType::CoreLink));
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn an_owned_value_is_the_value_it_was_made_from() {
        for value in [Value::String("x"), Value::Opaque(&[1, 2]), Value::Time(5), Value::CoreLink("</1>")] {
            assert_eq!(OwnedValue::from(value).as_value(), value);
        }
    }
}
