//! Filters of operators: any text is parsed or refused, and what a part of a device decides is what the whole device decides.
#![no_main]

use arbitrary::Arbitrary;
use buoy_fleet::filter::{Field, Filter, Seen, Subject};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_780_000_000_000;

#[derive(Arbitrary, Debug)]
struct Input {
    filter: String,
    text: String,
    number: f64,
    tags: Vec<String>,
    objects: Vec<u16>,
    /// Which kinds of fields have a value.
    has: u8,
    /// Which kinds of fields are known at first.
    knows: u8,
}

struct Device<'a> {
    input: &'a Input,
    tags: Vec<Box<str>>,
    knows: u8,
}

impl Subject for Device<'_> {
    fn field(&self, field: &Field) -> Seen<'_> {
        let (bit, seen) = match field {
            Field::Tag | Field::Group => (1, Seen::Texts(&self.tags)),
            Field::Object => (2, Seen::Numbers(&self.input.objects)),
            Field::FirstContact | Field::LastContact => (4, Seen::Time(NOW / 2)),
            Field::Proved => (8, Seen::Flag(true)),
            Field::Value(_) => (16, Seen::Number(self.input.number)),
            _ => (32, Seen::Text(&self.input.text)),
        };
        if self.knows & bit == 0 {
            Seen::Unknown
        } else if self.input.has & bit == 0 {
            Seen::Missing
        } else {
            seen
        }
    }
}

fuzz_target!(|input: Input| {
    let filter = match Filter::parse(&input.filter) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(error.at <= input.filter.chars().count());
            return;
        }
    };
    assert_eq!(Filter::parse(filter.as_str()).as_ref(), Ok(&filter));
    let tags: Vec<Box<str>> = input.tags.iter().map(|tag| tag.as_str().into()).collect();
    let whole = Device { input: &input, tags: tags.clone(), knows: u8::MAX };
    let part = Device { input: &input, tags, knows: input.knows };
    let decided = filter.holds(&whole, NOW);
    assert!(decided.is_some(), "a device of which all is known is decided");
    if let Some(early) = filter.holds(&part, NOW) {
        assert_eq!(Some(early), decided);
    }
});
