//! Attributes of objects, instances and resources (LwM2M Core 1.2, section 7.3): when to notify, and what is where.
//!
//! [`Attributes`] are what holds at one path, [`AttributeUpdate`] is what Write-Attributes changes there. The values of
//! several levels are joined by [`Attributes::inherit`].

use crate::decimal;
use crate::output::{Full, Output};
use crate::path::Level;
use crate::value::ValueType;
use core::fmt;

/// The notification attributes that are set at one path.
///
/// ```
/// use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
///
/// let mut attributes = Attributes { pmax: Some(60), ..Attributes::default() };
/// let update = AttributeUpdate::parse(["pmin=10", "pmax"])?;
/// update.apply(&mut attributes);
/// assert_eq!(attributes, Attributes { pmin: Some(10), ..Attributes::default() });
/// # Ok::<(), buoy_lwm2m::attributes::AttributeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attributes {
    /// Minimum period: so many seconds at least lie between two notifications.
    pub pmin: Option<u32>,
    /// Maximum period: after so many seconds there is a notification even without a change. See
    /// [`Attributes::effective_pmax`].
    pub pmax: Option<u32>,
    /// Greater than: crossing this value notifies.
    pub gt: Option<f64>,
    /// Less than: crossing this value notifies.
    pub lt: Option<f64>,
    /// Step: a change by so much notifies.
    pub st: Option<f64>,
    /// Minimum evaluation period, in seconds (since 1.1).
    pub epmin: Option<u32>,
    /// Maximum evaluation period, in seconds (since 1.1).
    pub epmax: Option<u32>,
    /// Edge: false notifies of the change from true to false, true of the other (since 1.2).
    pub edge: Option<bool>,
    /// Whether notifications are confirmable (since 1.2).
    pub con: Option<bool>,
    /// So many stored notifications at most (since 1.2).
    pub hqmax: Option<u32>,
}

/// The name of a notification attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeName {
    /// `pmin`
    MinimumPeriod,
    /// `pmax`
    MaximumPeriod,
    /// `gt`
    GreaterThan,
    /// `lt`
    LessThan,
    /// `st`
    Step,
    /// `epmin`
    MinimumEvaluationPeriod,
    /// `epmax`
    MaximumEvaluationPeriod,
    /// `edge`
    Edge,
    /// `con`
    Confirmable,
    /// `hqmax`
    MaximumHistoricalQueue,
}

/// The value of a notification attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttributeValue {
    /// Seconds, or a count.
    Whole(u32),
    /// A threshold.
    Number(f64),
    /// `0` or `1`.
    Flag(bool),
}

/// What Write-Attributes does to one attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Change {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Unsets it: `pmin`
    Clear,
    /// Sets it: `pmin=10`
    Set(AttributeValue),
}

/// What one Write-Attributes changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AttributeUpdate {
    set: Attributes,
    /// A bit for each name that is unset.
    cleared: u16,
}

/// Why attributes can't be read or don't go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeError {
    /// Write-Attributes named an attribute that is not known, or one that can't be written.
    PeerSentUnknownAttribute,
    /// A value isn't of the attribute's type: seconds, a number, or `0` and `1`.
    PeerSentBadValue(AttributeName),
    /// The same attribute twice.
    PeerSentTwice(AttributeName),
    /// The attribute can't be set at this level.
    NotAtLevel(AttributeName, Level),
    /// The attribute means nothing for a resource of this type.
    NotForType(AttributeName, ValueType),
    /// `lt` has to be less than `gt`.
    ThresholdsCross,
    /// `lt` plus twice `st` has to be less than `gt`.
    StepTooLarge,
    /// `epmin` has to be less than `epmax`.
    EvaluationPeriodsCross,
}

impl Attributes {
    /// Reads the queries of an Observe that carries attributes (since 1.2); every one has to have a value.
    ///
    /// # Errors
    /// [`AttributeError`] if a query is no attribute with a value.
    pub fn parse<'a>(queries: impl IntoIterator<Item = &'a str>) -> Result<Self, AttributeError> {
        let update = AttributeUpdate::parse(queries)?;
        match AttributeName::ALL.into_iter().find(|name| update.cleared & name.bit() != 0) {
            Some(name) => Err(AttributeError::PeerSentBadValue(name)),
            None => Ok(update.set),
        }
    }

    /// The value of one attribute.
    #[must_use]
    pub fn get(&self, name: AttributeName) -> Option<AttributeValue> {
        use AttributeValue::{Flag, Number, Whole};
        match name {
            AttributeName::MinimumPeriod => self.pmin.map(Whole),
            AttributeName::MaximumPeriod => self.pmax.map(Whole),
            AttributeName::GreaterThan => self.gt.map(Number),
            AttributeName::LessThan => self.lt.map(Number),
            AttributeName::Step => self.st.map(Number),
            AttributeName::MinimumEvaluationPeriod => self.epmin.map(Whole),
            AttributeName::MaximumEvaluationPeriod => self.epmax.map(Whole),
            AttributeName::Edge => self.edge.map(Flag),
            AttributeName::Confirmable => self.con.map(Flag),
            AttributeName::MaximumHistoricalQueue => self.hqmax.map(Whole),
        }
    }

    /// Sets or unsets one attribute; a value of another type than the attribute's unsets it.
    pub fn set(&mut self, name: AttributeName, value: Option<AttributeValue>) {
        let whole = value.and_then(AttributeValue::whole);
        let number = value.and_then(AttributeValue::number);
        let flag = value.and_then(AttributeValue::flag);
        match name {
            AttributeName::MinimumPeriod => self.pmin = whole,
            AttributeName::MaximumPeriod => self.pmax = whole,
            AttributeName::GreaterThan => self.gt = number,
            AttributeName::LessThan => self.lt = number,
            AttributeName::Step => self.st = number,
            AttributeName::MinimumEvaluationPeriod => self.epmin = whole,
            AttributeName::MaximumEvaluationPeriod => self.epmax = whole,
            AttributeName::Edge => self.edge = flag,
            AttributeName::Confirmable => self.con = flag,
            AttributeName::MaximumHistoricalQueue => self.hqmax = whole,
        }
    }

    /// The attributes that are set, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (AttributeName, AttributeValue)> + Clone {
        AttributeName::ALL.iter().filter_map(|name| Some((*name, self.get(*name)?)))
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What holds here if `parent` holds one level up: the lower level wins, attribute by attribute.
    #[must_use]
    pub fn inherit(self, parent: Self) -> Self {
        Self {
            pmin: self.pmin.or(parent.pmin),
            pmax: self.pmax.or(parent.pmax),
            gt: self.gt.or(parent.gt),
            lt: self.lt.or(parent.lt),
            st: self.st.or(parent.st),
            epmin: self.epmin.or(parent.epmin),
            epmax: self.epmax.or(parent.epmax),
            edge: self.edge.or(parent.edge),
            con: self.con.or(parent.con),
            hqmax: self.hqmax.or(parent.hqmax),
        }
    }

    /// `pmax`, unless it has to be ignored because it is 0 or less than `pmin` (Core 1.1, table 7.3.2-1).
    #[must_use]
    pub fn effective_pmax(&self) -> Option<u32> {
        self.pmax.filter(|&pmax| pmax > 0 && pmax >= self.pmin.unwrap_or(0))
    }

    /// Whether the attributes go together (Core 1.2, section 7.3.2).
    ///
    /// `pmax` below `pmin` is no error: the specification has it ignored.
    ///
    /// # Errors
    /// [`AttributeError::ThresholdsCross`], [`AttributeError::StepTooLarge`], [`AttributeError::EvaluationPeriodsCross`].
    pub fn check_consistency(&self) -> Result<(), AttributeError> {
        if let (Some(lt), Some(gt)) = (self.lt, self.gt) {
            if lt >= gt {
                return Err(AttributeError::ThresholdsCross);
            }
            if self.st.is_some_and(|st| lt + st + st >= gt) {
                return Err(AttributeError::StepTooLarge);
            }
        }
        match (self.epmin, self.epmax) {
            (Some(epmin), Some(epmax)) if epmin >= epmax => Err(AttributeError::EvaluationPeriodsCross),
            _ => Ok(()),
        }
    }
}

impl AttributeUpdate {
    /// Reads the queries of a Write-Attributes, `pmin=10` to set and `pmin` to unset.
    ///
    /// # Errors
    /// [`AttributeError::PeerSentUnknownAttribute`], [`AttributeError::PeerSentBadValue`],
    /// [`AttributeError::PeerSentTwice`].
    pub fn parse<'a>(queries: impl IntoIterator<Item = &'a str>) -> Result<Self, AttributeError> {
        let mut update = Self::default();
        for query in queries {
            let (name, value) = split(query);
            let name = AttributeName::parse(name).ok_or(AttributeError::PeerSentUnknownAttribute)?;
            if update.change(name) != Change::Keep {
                return Err(AttributeError::PeerSentTwice(name));
            }
            let change = match value {
                None => Change::Clear,
                Some(value) => Change::Set(name.parse_value(value)?),
            };
            update = update.with(name, change);
        }
        Ok(update)
    }

    /// The same update with another change of one attribute.
    #[must_use]
    pub fn with(mut self, name: AttributeName, change: Change) -> Self {
        let (bit, value) = match change {
            Change::Keep => (0, None),
            Change::Clear => (name.bit(), None),
            Change::Set(value) => (0, Some(value)),
        };
        self.cleared = self.cleared & !name.bit() | bit;
        self.set.set(name, value);
        self
    }

    /// The same update, setting one attribute.
    #[must_use]
    pub fn set(self, name: AttributeName, value: AttributeValue) -> Self {
        self.with(name, Change::Set(value))
    }

    /// The same update, unsetting one attribute.
    #[must_use]
    pub fn clear(self, name: AttributeName) -> Self {
        self.with(name, Change::Clear)
    }

    /// What happens to one attribute.
    #[must_use]
    pub fn change(&self, name: AttributeName) -> Change {
        match self.set.get(name) {
            Some(value) => Change::Set(value),
            None if self.cleared & name.bit() != 0 => Change::Clear,
            None => Change::Keep,
        }
    }

    /// The changes that are not [`Change::Keep`].
    pub fn changes(&self) -> impl Iterator<Item = (AttributeName, Change)> + Clone {
        let all = AttributeName::ALL.iter().map(|name| (*name, self.change(*name)));
        all.filter(|(_, change)| *change != Change::Keep)
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// Makes the changes.
    pub fn apply(&self, attributes: &mut Attributes) {
        *attributes = self.applied(*attributes);
    }

    fn applied(&self, mut attributes: Attributes) -> Attributes {
        let cleared = AttributeName::ALL.iter().filter(|name| self.cleared & name.bit() != 0);
        cleared.for_each(|name| attributes.set(*name, None));
        self.set.inherit(attributes)
    }

    /// Whether the attributes that are set may be set at `level`, for a resource of `value_type` if that is known.
    ///
    /// # Errors
    /// [`AttributeError::NotAtLevel`], [`AttributeError::NotForType`].
    pub fn check_level(&self, level: Level, value_type: Option<ValueType>) -> Result<(), AttributeError> {
        self.set.iter().try_for_each(|(name, _)| name.check(level, value_type))
    }

    /// The update that sets what is set in `attributes`.
    #[must_use]
    pub const fn setting(attributes: &Attributes) -> Self {
        Self { set: *attributes, cleared: 0 }
    }
}

impl AttributeName {
    /// Every name, in the order of [`Attributes`].
    pub const ALL: [Self; 10] = [
        Self::MinimumPeriod,
        Self::MaximumPeriod,
        Self::GreaterThan,
        Self::LessThan,
        Self::Step,
        Self::MinimumEvaluationPeriod,
        Self::MaximumEvaluationPeriod,
        Self::Edge,
        Self::Confirmable,
        Self::MaximumHistoricalQueue,
    ];

    const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// The name as it is written in queries and links.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MinimumPeriod => "pmin",
            Self::MaximumPeriod => "pmax",
            Self::GreaterThan => "gt",
            Self::LessThan => "lt",
            Self::Step => "st",
            Self::MinimumEvaluationPeriod => "epmin",
            Self::MaximumEvaluationPeriod => "epmax",
            Self::Edge => "edge",
            Self::Confirmable => "con",
            Self::MaximumHistoricalQueue => "hqmax",
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }

    /// Reads a value of this attribute.
    ///
    /// # Errors
    /// [`AttributeError::PeerSentBadValue`]
    pub fn parse_value(self, text: &str) -> Result<AttributeValue, AttributeError> {
        let value = match self {
            Self::GreaterThan | Self::LessThan | Self::Step => parse_number(text).map(AttributeValue::Number),
            Self::Edge | Self::Confirmable => parse_flag(text).map(AttributeValue::Flag),
            _ => parse_whole(text).map(AttributeValue::Whole),
        };
        let is_negative_step = self == Self::Step && text.starts_with('-');
        value.filter(|_| !is_negative_step).ok_or(AttributeError::PeerSentBadValue(self))
    }

    /// Whether the attribute may be set at `level`, for a resource of `value_type` if that is known.
    ///
    /// # Errors
    /// [`AttributeError::NotAtLevel`], [`AttributeError::NotForType`].
    pub fn check(self, level: Level, value_type: Option<ValueType>) -> Result<(), AttributeError> {
        let needs_resource = matches!(self, Self::GreaterThan | Self::LessThan | Self::Step | Self::Edge);
        let lowest = if needs_resource { Level::Resource } else { Level::Object };
        if level < lowest {
            return Err(AttributeError::NotAtLevel(self, level));
        }
        let fits = |value_type: ValueType| match self {
            Self::GreaterThan | Self::LessThan | Self::Step => value_type.is_numeric(),
            Self::Edge => value_type == ValueType::Boolean,
            _ => true,
        };
        match value_type.filter(|value_type| !fits(*value_type)) {
            Some(value_type) => Err(AttributeError::NotForType(self, value_type)),
            None => Ok(()),
        }
    }
}

impl AttributeValue {
    /// The most bytes of a value as text: a sign, `0.` and 324 digits behind the point.
    const WRITTEN: usize = 330;

    pub(crate) fn write(self, output: &mut Output<'_>) -> Result<(), Full> {
        match self {
            Self::Whole(value) => output.whole(value.into()),
            Self::Number(value) => decimal::write_plain(value, output),
            Self::Flag(value) => output.byte(if value { b'1' } else { b'0' }),
        }
    }

    const fn whole(self) -> Option<u32> {
        if let Self::Whole(value) = self { Some(value) } else { None }
    }

    const fn number(self) -> Option<f64> {
        if let Self::Number(value) = self { Some(value) } else { None }
    }

    const fn flag(self) -> Option<bool> {
        if let Self::Flag(value) = self { Some(value) } else { None }
    }
}

/// Splits `name=value`; a value in quotes, as some write it, loses them.
fn split(query: &str) -> (&str, Option<&str>) {
    let Some((name, value)) = query.split_once('=') else {
        return (query, None);
    };
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    (name, Some(unquoted.unwrap_or(value)))
}

fn parse_whole(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// A decimal number; neither infinities nor exponents, which the grammar of the specification doesn't have.
fn parse_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts_well = digits.starts_with(|character: char| character.is_ascii_digit());
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !starts_well || !is_decimal {
        return None;
    }
    decimal::parse(text).filter(|value| value.is_finite())
}

fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; Self::WRITTEN];
        let mut output = Output::new(&mut buffer);
        self.write(&mut output).map_err(|Full| fmt::Error)?;
        f.write_str(core::str::from_utf8(output.into_written()).unwrap_or_default())
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerSentUnknownAttribute => f.write_str("there is no such attribute to write"),
            Self::PeerSentBadValue(name) => write!(f, "{name} has a value that it can't have"),
            Self::PeerSentTwice(name) => write!(f, "{name} is there twice"),
            Self::NotAtLevel(name, level) => write!(f, "{name} can't be set at the level of an {level}"),
            Self::NotForType(name, value_type) => {
                write!(f, "{name} means nothing for values of type {value_type}")
            }
            Self::ThresholdsCross => f.write_str("lt has to be less than gt"),
            Self::StepTooLarge => f.write_str("lt plus twice st has to be less than gt"),
            Self::EvaluationPeriodsCross => f.write_str("epmin has to be less than epmax"),
        }
    }
}

impl core::error::Error for AttributeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_without_a_value_unsets() {
        let update = AttributeUpdate::parse(["pmin=10", "gt=-0.5", "edge=1", "st"]).unwrap();
        let mut attributes = Attributes { st: Some(1.0), lt: Some(2.0), ..Attributes::default() };
        update.apply(&mut attributes);
        let expected = Attributes {
            pmin: Some(10),
            gt: Some(-0.5),
            edge: Some(true),
            lt: Some(2.0),
            ..Attributes::default()
        };
        assert_eq!(attributes, expected);
    }

    #[test]
    fn values_have_to_be_of_the_attributes_type() {
        for query in
            ["pmin=-1", "pmin=", "pmin=1.5", "pmax=4294967296", "gt=x", "gt=inf", "gt=1e5", "st=-1", "edge=2"]
        {
            assert!(AttributeUpdate::parse([query]).is_err(), "{query}");
        }
        assert_eq!(AttributeUpdate::parse(["dim=2"]), Err(AttributeError::PeerSentUnknownAttribute));
        assert_eq!(
            AttributeUpdate::parse(["pmin=1", "pmin=2"]),
            Err(AttributeError::PeerSentTwice(AttributeName::MinimumPeriod))
        );
    }

    #[test]
    fn the_lower_level_wins() {
        let object = Attributes { pmin: Some(1), pmax: Some(60), ..Attributes::default() };
        let resource = Attributes { pmin: Some(5), gt: Some(3.0), ..Attributes::default() };
        let joined = resource.inherit(object);
        assert_eq!((joined.pmin, joined.pmax, joined.gt), (Some(5), Some(60), Some(3.0)));
    }

    #[test]
    fn attributes_that_contradict_each_other_are_found() {
        let crossed = Attributes { lt: Some(5.0), gt: Some(5.0), ..Attributes::default() };
        assert_eq!(crossed.check_consistency(), Err(AttributeError::ThresholdsCross));
        let coarse = Attributes { lt: Some(1.0), gt: Some(5.0), st: Some(2.0), ..Attributes::default() };
        assert_eq!(coarse.check_consistency(), Err(AttributeError::StepTooLarge));
        let hurried = Attributes { epmin: Some(5), epmax: Some(5), ..Attributes::default() };
        assert_eq!(hurried.check_consistency(), Err(AttributeError::EvaluationPeriodsCross));
    }

    #[test]
    fn a_maximum_period_below_the_minimum_is_ignored() {
        let attributes = Attributes { pmin: Some(10), pmax: Some(5), ..Attributes::default() };
        assert_eq!(attributes.check_consistency(), Ok(()));
        assert_eq!(attributes.effective_pmax(), None);
        assert_eq!(Attributes { pmax: Some(0), ..Attributes::default() }.effective_pmax(), None);
        assert_eq!(
            Attributes { pmin: Some(5), pmax: Some(5), ..Attributes::default() }.effective_pmax(),
            Some(5)
        );
    }

    #[test]
    fn thresholds_are_for_numeric_resources_and_edges_for_booleans() {
        let threshold = AttributeUpdate::parse(["gt=1"]).unwrap();
        assert!(threshold.check_level(Level::Resource, Some(ValueType::Float)).is_ok());
        assert!(threshold.check_level(Level::ResourceInstance, None).is_ok());
        assert!(threshold.check_level(Level::Resource, Some(ValueType::String)).is_err());
        assert!(threshold.check_level(Level::ObjectInstance, None).is_err());
        let edge = AttributeUpdate::parse(["edge=0"]).unwrap();
        assert!(edge.check_level(Level::Resource, Some(ValueType::Boolean)).is_ok());
        assert!(edge.check_level(Level::Resource, Some(ValueType::Integer)).is_err());
        assert!(AttributeUpdate::parse(["pmin=1"]).unwrap().check_level(Level::Root, None).is_err());
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(query in ".*") {
            let _ = AttributeUpdate::parse([query.as_str()]);
        }

        #[test]
        fn what_is_written_is_read(pmin: Option<u32>, gt in prop::option::of(-1e9..1e9), con: Option<bool>) {
            let attributes = Attributes { pmin, gt, con, ..Attributes::default() };
            let queries: Vec<String> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            prop_assert_eq!(Attributes::parse(queries.iter().map(String::as_str)).unwrap(), attributes);
        }
    }
}
