//! Whether a filter holds for a device.

use std::cmp::Ordering;

use super::{Check, Expression, Field, Operand, Relation, Test, matches_glob};
use crate::version::Version;

/// What is known of a device's field.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// The subject does not know this field; somebody else may.
    Unknown,
    /// The device has no value in it.
    Missing,
    /// A text.
    Text(&'a str),
    /// Several texts, each of which counts.
    Texts(&'a [Box<str>]),
    /// A number.
    Number(f64),
    /// Several numbers, each of which counts.
    Numbers(&'a [u16]),
    /// Milliseconds since the epoch.
    Time(u64),
    /// Yes or no.
    Flag(bool),
}

/// A device, or a part of what is known of it.
pub trait Subject {
    /// A field.
    fn field(&self, field: &Field) -> Seen<'_>;
}

/// What follows for the whole if a part is not known: it may still be decided by the others.
pub(super) fn holds(expression: &Expression, subject: &impl Subject, now: u64) -> Option<bool> {
    match expression {
        Expression::All(parts) => decide(parts, subject, now, false),
        Expression::Any(parts) => decide(parts, subject, now, true),
        Expression::Not(part) => holds(part, subject, now).map(|holds| !holds),
        Expression::Test(test) => test_holds(test, subject, now),
    }
}

/// The first part that is `decisive` decides; if there is none and none is unknown, the whole is the opposite.
fn decide(parts: &[Expression], subject: &impl Subject, now: u64, decisive: bool) -> Option<bool> {
    let mut is_unknown = false;
    for part in parts {
        match holds(part, subject, now) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => is_unknown = true,
        }
    }
    (!is_unknown).then_some(!decisive)
}

fn test_holds(test: &Test, subject: &impl Subject, now: u64) -> Option<bool> {
    let seen = subject.field(&test.field);
    if let Seen::Unknown = seen {
        return None;
    }
    Some(match (&test.check, seen) {
        (_, Seen::Missing | Seen::Unknown) => false,
        (Check::IsSet, Seen::Texts(texts)) => !texts.is_empty(),
        (Check::IsSet, Seen::Numbers(numbers)) => !numbers.is_empty(),
        (Check::IsSet, _) => true,
        (check, Seen::Texts(texts)) => texts.iter().any(|text| text_holds(check, text)),
        (check, Seen::Numbers(numbers)) => {
            numbers.iter().any(|number| number_holds(check, f64::from(*number)))
        }
        (check, Seen::Text(text)) => text_holds(check, text),
        (check, Seen::Number(number)) => number_holds(check, number),
        (check, Seen::Time(time)) => time_holds(check, time, now),
        (Check::Compares(Relation::Equal, Operand::Flag(wanted)), Seen::Flag(flag)) => flag == *wanted,
        (_, Seen::Flag(_)) => false,
    })
}

fn text_holds(check: &Check, text: &str) -> bool {
    match check {
        Check::Matches(pattern) => matches_glob(pattern, text),
        Check::Compares(Relation::Equal, Operand::Text(wanted)) => text == wanted,
        Check::Compares(Relation::Equal, Operand::Version(wanted)) => {
            Version::of(text).is_same_release(Version::of(wanted))
        }
        Check::Compares(relation, Operand::Version(wanted)) => {
            relation.holds(Version::of(text).cmp_release(Version::of(wanted)))
        }
        // A text that is a number, in a field that may be either.
        Check::Compares(relation, Operand::Number(wanted)) => {
            let ordering = text.trim().parse::<f64>().ok().and_then(|number| number.partial_cmp(wanted));
            ordering.is_some_and(|ordering| relation.holds(ordering))
        }
        Check::IsSet => true,
        Check::Compares(..) => false,
    }
}

fn number_holds(check: &Check, number: f64) -> bool {
    match check {
        Check::Compares(relation, Operand::Number(wanted)) => {
            number.partial_cmp(wanted).is_some_and(|ordering| relation.holds(ordering))
        }
        Check::Matches(pattern) => matches_glob(pattern, &number.to_string()),
        Check::Compares(Relation::Equal, Operand::Text(wanted)) => number.to_string() == *wanted,
        Check::IsSet => true,
        Check::Compares(..) => false,
    }
}

fn time_holds(check: &Check, time: u64, now: u64) -> bool {
    match check {
        Check::Compares(relation, Operand::Time(wanted)) => relation.holds(time.cmp(wanted)),
        Check::Compares(relation, Operand::Ago(ago)) => relation.holds(time.cmp(&now.saturating_sub(*ago))),
        Check::Compares(relation, Operand::Ahead(ahead)) => {
            relation.holds(time.cmp(&now.saturating_add(*ahead)))
        }
        Check::IsSet => true,
        _ => false,
    }
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}
