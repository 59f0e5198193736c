use std::collections::HashMap;

use super::*;

/// A device for tests.
#[derive(Default)]
struct Device {
    texts: HashMap<Field, String>,
    tags: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    objects: Vec<u16>,
    numbers: HashMap<Field, f64>,
    last_contact: Option<u64>,
    unknown: Vec<Field>,
}

const NOW: u64 = 1_780_000_000_000;

impl Subject for Device {
    fn field(&self, field: &Field) -> Seen<'_> {
        if self.unknown.contains(field) {
            return Seen::Unknown;
        }
        match field {
            Field::Tag => Seen::Texts(&self.tags),
            Field::Group => Seen::Texts(&self.groups),
            Field::Object => Seen::Numbers(&self.objects),
            Field::LastContact => self.last_contact.map_or(Seen::Missing, Seen::Time),
            Field::Proved => Seen::Flag(true),
            Field::NextContact => Seen::Time(NOW + 3_600_000),
            Field::OverdueSince => Seen::Time(NOW - 2 * 3_600_000),
            _ => match (self.texts.get(field), self.numbers.get(field)) {
                (Some(text), _) => Seen::Text(text),
                (_, Some(number)) => Seen::Number(*number),
                _ => Seen::Missing,
            },
        }
    }
}

fn buoy() -> Device {
    let path = |path: &str| Field::Value(path.parse().unwrap());
    Device {
        texts: HashMap::from([
            (Field::Name, "b-17".to_owned()),
            (Field::State, "online".to_owned()),
            (Field::Model, "buoy-3".to_owned()),
            (Field::Firmware, "v1.3.9".to_owned()),
            (Field::Own("site".to_owned()), "Kiel \"Nord\"".to_owned()),
            (Field::Own("depth".to_owned()), "12.5".to_owned()),
            (Field::Own("iccid".to_owned()), "89490200001234567890".to_owned()),
        ]),
        tags: vec!["spare".into(), "red".into()],
        groups: vec!["north".into()],
        objects: vec![1, 3, 5, 3303],
        numbers: HashMap::from([(path("/3/0/9"), 20.0), (path("/3303/0/5700"), -3.5)]),
        last_contact: Some(NOW - 3 * 86_400_000),
        unknown: Vec::new(),
    }
}

#[test]
fn what_is_written_is_what_is_meant() {
    let device = buoy();
    for (filter, expected) in [
        ("", true),
        ("model = \"buoy-3\" and firmware < 1.4.0 and battery < 30 and not seen for 2d", true),
        ("model = buoy-3 and firmware < 1.3.9", false),
        ("firmware = 1.3.9 and firmware <= 1.3.9 and firmware >= 1.3.10", false),
        ("firmware > 1.3.10", false),
        ("firmware > 1.3.8 and firmware ~ v1*", true),
        ("name ~ \"b-*\"", true),
        ("name !~ 'b-?'", true),
        ("NAME = b-17 AND NOT (state = offline OR state = asleep)", true),
        ("state in (online, asleep)", true),
        ("state not in (online, asleep)", false),
        ("tag = red and tag != blue and tag ~ sp*", true),
        ("tag != red", false),
        ("object = 3303 and object != 3304", true),
        ("value(/3303/0/5700) < -3 and value(/3303/0/5700) >= -3.5", true),
        ("value(/3304/0/5700) > 0", false),
        ("value(/3304/0/5700) != 0", true),
        ("value(/3304/0/5700) is not set and battery is set", true),
        ("battery <= 20%", true),
        ("field.site = \"Kiel \\\"Nord\\\"\" and field.depth > 12", true),
        ("field.none = x", false),
        ("field.iccid = 89490200001234567890", true),
        ("field.iccid = 89490200001234567891", false),
        ("seen within 4d and not seen within 2d", true),
        ("overdue", true),
        ("overdue for 1h and not overdue for 3h", true),
        ("next_contact in 2h and not next_contact in 30m", true),
        ("next_contact not in 30m", true),
        ("next_contact > 1d ago and next_contact is set", true),
        ("state in (overdue, revoked)", false),
        ("last_contact < 2d ago and last_contact > 1w ago", true),
        ("last_contact > 2026-01-01 and last_contact < 2026-12-31T23:59:59+01:00", true),
        ("secure and secure = true", true),
        ("not secure or secure = false", false),
        ("serial != 7 and serial is not set", true),
        ("state = online or state = offline and name = nobody", true),
        ("(state = online or state = offline) and name = nobody", false),
    ] {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(parsed.holds(&device, NOW), Some(expected), "{filter}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (filter, at, part) in [
        ("modell = x", 0, "did you mean \"model\""),
        ("colour = red", 0, "field.NAME"),
        ("model", 5, "an operator"),
        ("model = ", 8, "a value was expected, and the end of the filter is there"),
        ("model = x name = y", 10, "\"and\" or \"or\""),
        ("(model = x", 10, "\")\""),
        ("model < x", 0, "not ordered"),
        ("state = sleeping", 8, "one of online, asleep"),
        ("battery > low", 10, "numbers only"),
        ("object = light", 9, "no number"),
        ("object > 3", 0, "several objects"),
        ("not seen for two days", 13, "no duration"),
        ("seen 2d", 5, "within"),
        ("overdue for ever", 12, "no duration"),
        ("next_contact in soon", 16, "no duration"),
        ("last_contact < 2d", 17, "ago"),
        ("last_contact < yesterday", 15, "no time"),
        ("value(/3303) > 1", 6, "no path of a resource"),
        ("value /3303/0/5700 > 1", 6, "\"(\""),
        ("name = \"open", 7, "has no \" at its end"),
        ("name = a & state = online", 9, "no meaning"),
        ("state in online", 9, "\"(\""),
        ("state in (online", 16, "\",\" or \")\""),
        ("name is there", 8, "set"),
        ("state ~ on*", 0, "no text"),
        ("field.a b = 1", 8, "an operator"),
        ("field.ä = 1", 0, "letters"),
        ("and", 0, "no field"),
    ] {
        let error = Filter::parse(filter).unwrap_err();
        assert_eq!(error.at, at, "{filter}: {error}");
        assert!(error.message.contains(part), "{filter}: {error}");
    }
}

#[test]
fn a_filter_is_bounded() {
    let deep = format!("{}name = a{}", "(".repeat(40), ")".repeat(40));
    assert!(Filter::parse(&deep).unwrap_err().message.contains("levels"));
    let nots = format!("{}name = a", "not ".repeat(40));
    assert!(Filter::parse(&nots).unwrap_err().message.contains("levels"));
    let wide = vec!["name = a"; MOST_TESTS + 1].join(" or ");
    assert!(Filter::parse(&wide).unwrap_err().message.contains("tests"));
    let list = format!("name in ({})", vec!["a"; MOST_TESTS + 1].join(","));
    assert!(Filter::parse(&list).unwrap_err().message.contains("tests"));
    let pattern = format!("name ~ {}", "x".repeat(300));
    assert!(Filter::parse(&pattern).unwrap_err().message.contains("a pattern has at most"));
    assert!(Filter::parse(&"x".repeat(LONGEST + 1)).unwrap_err().message.contains("bytes"));
}

#[test]
fn what_is_not_known_counts_only_where_it_decides() {
    let device = Device { unknown: vec![Field::Tag], ..buoy() };
    let holds = |filter: &str| Filter::parse(filter).unwrap().holds(&device, NOW);
    assert_eq!(holds("tag = red"), None);
    assert_eq!(holds("not tag = red"), None);
    assert_eq!(holds("tag = red and state = online"), None);
    assert_eq!(holds("tag = red and state = offline"), Some(false));
    assert_eq!(holds("tag = red or state = online"), Some(true));
    assert_eq!(holds("tag is set or state = offline"), None);
}

fn group(filter: &str, children: &[&str]) -> GroupDefinition {
    let filter = (!filter.is_empty()).then(|| Filter::parse(filter).unwrap());
    GroupDefinition { filter, children: children.iter().map(|name| (*name).to_owned()).collect() }
}

fn resolved(filter: &str, groups: &[(&str, GroupDefinition)]) -> Result<Filter, GroupError> {
    let find = |wanted: &str| {
        groups.iter().find(|(name, _)| *name == wanted).map(|(_, definition)| definition.clone())
    };
    let names = || groups.iter().map(|(name, _)| (*name).to_owned()).collect();
    Filter::parse(filter).unwrap().resolve(&find, &names)
}

#[test]
fn a_group_has_those_that_were_put_into_it_those_of_its_filter_and_those_of_its_children() {
    let groups = [
        ("north", group("", &[])),
        ("low", group("battery < 30", &[])),
        ("south", group("", &["low"])),
        ("far", group("group = south and name ~ z*", &[])),
    ];
    let device = buoy();
    for (filter, expected) in [
        ("group = north", true),
        ("group = low", true),
        ("group = south", true),
        ("group = far", false),
        ("group in (far, south)", true),
        ("group ~ n*", true),
        ("group ~ x*", false),
        ("group != north", false),
        ("group is set", true),
    ] {
        assert_eq!(resolved(filter, &groups).unwrap().holds(&device, NOW), Some(expected), "{filter}");
    }
}

#[test]
fn groups_in_a_circle_and_groups_that_are_not_there_are_refused() {
    let groups = [("a", group("group = b", &[])), ("b", group("", &["a"])), ("c", group("group = c", &[]))];
    for filter in ["group = a", "group = b", "group = c", "group ~ *"] {
        assert!(matches!(resolved(filter, &groups), Err(GroupError::Circle(_))), "{filter}");
    }
    assert_eq!(resolved("group = d", &groups), Err(GroupError::NoSuchGroup("d".to_owned())));
    let wide = vec!["name = a"; 200].join(" or ");
    let groups = [("a", group(&wide, &[]))];
    assert_eq!(resolved("group = a or group = a", &groups), Err(GroupError::TooLarge));
}

/// Whatever the text, the parser ends, and what it takes it takes again.
#[test]
fn any_text_is_parsed_or_refused() {
    let pieces = [
        "name", "=", "!=", "~", "(", ")", ",", "\"a", "\"", "and", "or", "not", "in", "is", "set", "seen",
        "for", "2d", "value", "/3/0/9", "field.x", "1.2.3", "\\", "\u{202e}", "😀", "<", ">=", "'",
    ];
    let mut step = 7u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..(step >> 60) {
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(step >> 33) as usize % pieces.len()]);
            text.push(' ');
        }
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match Filter::parse(&text) {
            Ok(filter) => {
                assert_eq!(Filter::parse(filter.as_str()).as_ref(), Ok(&filter), "{text}");
                let _ = filter.holds(&buoy(), NOW);
            }
            Err(error) => assert!(error.at <= text.chars().count(), "{text}: {error}"),
        }
    }
}
