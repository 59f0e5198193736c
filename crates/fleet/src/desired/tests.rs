use super::*;

const START: u64 = 1_780_000_000_000;
const MINUTE: u64 = 60_000;

fn state(name: &str, priority: i32, settings: &[(&str, Goal)]) -> DesiredState {
    let settings = settings.iter().map(|(path, goal)| ((*path).to_owned(), goal.clone())).collect();
    let state = DesiredState { name: name.into(), filter: String::new(), priority, settings };
    state.check().unwrap();
    state
}

fn value(json: &str) -> Goal {
    Goal::Value(json.into())
}

/// A device with resources, and what is wanted of it.
struct Device {
    resources: BTreeMap<String, String>,
    observed: BTreeSet<String>,
    writes: usize,
    reads: usize,
    record: DeviceRecord,
    now: u64,
    answer: fn(&str, &Step) -> Option<Answer>,
}

impl Device {
    fn with(resources: &[(&str, &str)]) -> Self {
        let resources = resources.iter().map(|(path, value)| ((*path).into(), (*value).into()));
        Self {
            resources: resources.collect(),
            observed: BTreeSet::new(),
            writes: 0,
            reads: 0,
            record: DeviceRecord::default(),
            now: START,
            answer: |_, _| None,
        }
    }

    fn want(&mut self, states: &[&DesiredState]) -> bool {
        self.record.want(&effective(states.iter().copied()), self.now)
    }

    /// Plays a contact of the device.
    fn meet(&mut self) {
        while let Some((path, step)) = self.record.next(self.now) {
            let answer = (self.answer)(&path, &step).unwrap_or_else(|| match &step {
                Step::Read => {
                    self.reads += 1;
                    match self.resources.get(&path) {
                        Some(value) => Answer::Value(value.clone()),
                        None => Answer::Refused("4.04".into()),
                    }
                }
                Step::Write(value) => {
                    self.writes += 1;
                    self.resources.insert(path.clone(), value.clone());
                    Answer::Done
                }
                Step::Observe(_) => {
                    self.observed.insert(path.clone());
                    Answer::Done
                }
            });
            self.record.answered(&path, &step, answer, self.now);
        }
    }

    fn condition(&self, path: &str) -> &Condition {
        &self.record.entries[path].condition
    }
}

#[test]
fn what_is_nearer_to_the_device_counts_and_says_what_it_overrides() {
    let all = state("all", 0, &[("/1/0/1", value("300")), ("/3303/0/5700", Goal::Observed(BTreeMap::new()))]);
    let north = state("north", 10, &[("/1/0/1", value("60"))]);
    let south = state("south", 10, &[("/1/0/1", value("61"))]);
    let wanted = effective([&all, &south, &north]);
    assert_eq!(wanted["/1/0/1"].goal, &value("60"));
    assert_eq!((wanted["/1/0/1"].from, wanted["/1/0/1"].overridden.len()), ("north", 2));
    assert_eq!(wanted["/3303/0/5700"].from, "all");
}

#[test]
fn a_value_is_read_and_written_only_if_it_is_another_one() {
    let state = state("all", 0, &[("/1/0/1", value("300")), ("/3/0/15", value("\"CET\""))]);
    let mut device = Device::with(&[("/1/0/1", "300.0"), ("/3/0/15", "\"UTC\"")]);
    assert!(device.want(&[&state]) && !device.want(&[&state]));
    device.meet();
    assert_eq!((device.reads, device.writes), (3, 1));
    assert_eq!(device.condition("/1/0/1"), &Condition::InSync);
    assert_eq!(device.condition("/3/0/15"), &Condition::InSync);
    assert_eq!(device.record.next_at(), None);
    device.meet();
    assert_eq!(device.reads, 3);

    // A device that registers anew is asked again, and only then.
    device.record.registered(START + 1, device.now);
    device.record.registered(START + 1, device.now);
    device.meet();
    assert_eq!((device.reads, device.writes), (5, 1));
}

#[test]
fn a_device_that_does_not_keep_a_value_is_given_up_and_tried_again_if_a_person_says_so() {
    let state = state("all", 0, &[("/1/0/1", value("300"))]);
    let mut device = Device::with(&[("/1/0/1", "86400")]);
    device.answer = |_, step| match step {
        Step::Write(_) => Some(Answer::Done),
        Step::Read => Some(Answer::Value("86400".into())),
        Step::Observe(_) => None,
    };
    device.want(&[&state]);
    for _ in 0..100 {
        device.meet();
        device.now += 10 * MINUTE;
    }
    let Condition::GivenUp { reason } = device.condition("/1/0/1") else { panic!("{:?}", device.record) };
    assert!(reason.contains("3 times"), "{reason}");
    assert_eq!(device.record.entries["/1/0/1"].reported.as_ref().unwrap().0, "86400");
    device.record.registered(device.now, device.now);
    assert_eq!(device.record.next(device.now), None);
    device.answer = |_, _| None;
    assert_eq!(device.record.retry(device.now), 1);
    device.meet();
    assert_eq!(device.condition("/1/0/1"), &Condition::InSync);
}

#[test]
fn what_a_device_refuses_is_given_up_until_something_else_is_wanted() {
    let first = state("all", 0, &[("/1/0/1", value("300")), ("/9/0/0", value("1"))]);
    let mut device = Device::with(&[("/1/0/1", "5")]);
    device.answer = |_, step| match step {
        Step::Write(value) if value == "300" => Some(Answer::Refused("4.05 Method Not Allowed".into())),
        _ => None,
    };
    device.want(&[&first]);
    device.meet();
    assert!(matches!(device.condition("/1/0/1"), Condition::GivenUp { reason } if reason.contains("4.05")));
    assert!(matches!(device.condition("/9/0/0"), Condition::GivenUp { reason } if reason.contains("4.04")));
    let second = state("all", 0, &[("/1/0/1", value("301"))]);
    assert!(device.want(&[&second]));
    device.meet();
    assert_eq!(device.condition("/1/0/1"), &Condition::InSync);
    assert_eq!(device.record.entries.len(), 1);
}

#[test]
fn a_device_that_does_not_answer_is_asked_again_later_and_what_it_may_have_taken_is_read() {
    let state = state("all", 0, &[("/1/0/1", value("300"))]);
    let mut device = Device::with(&[("/1/0/1", "5")]);
    device.answer = |_, step| matches!(step, Step::Write(_)).then_some(Answer::Silent);
    device.want(&[&state]);
    device.meet();
    assert_eq!(device.record.next(device.now), None);
    device.resources.insert("/1/0/1".into(), "300".into());
    device.now = device.record.next_at().unwrap();
    device.meet();
    assert_eq!((device.condition("/1/0/1"), device.writes), (&Condition::InSync, 0));
}

#[test]
fn a_resource_that_can_not_be_read_is_written_once() {
    let state = state("all", 0, &[("/0/0/5", value("\"secret\""))]);
    let mut device = Device::with(&[]);
    device.answer = |_, step| matches!(step, Step::Read).then_some(Answer::Unreadable);
    device.want(&[&state]);
    device.meet();
    assert_eq!((device.condition("/0/0/5"), device.writes), (&Condition::InSync, 1));
}

#[test]
fn a_device_that_goes_back_is_corrected_but_not_for_ever() {
    let state = state("all", 0, &[("/1/0/1", value("300"))]);
    let mut device = Device::with(&[("/1/0/1", "300")]);
    device.want(&[&state]);
    device.meet();
    for _ in 0..50 {
        device.now += 10 * MINUTE;
        device.resources.insert("/1/0/1".into(), "7".into());
        device.record.reported("/1/0/1", "7", device.now, device.now);
        device.now += 1;
        device.meet();
    }
    assert!(
        matches!(device.condition("/1/0/1"), Condition::GivenUp { reason } if reason.contains("20 times"))
    );
    assert_eq!(device.writes, 20);
    // An old report says nothing.
    let mut record = device.record.clone();
    record.retry(device.now);
    record.reported("/1/0/1", "9", START, device.now);
    assert_eq!(record.entries["/1/0/1"].reported.as_ref().unwrap().0, "7");
}

#[test]
fn an_observation_that_was_lost_is_asked_for_again() {
    let attributes = BTreeMap::from([("pmin".to_owned(), "10".to_owned())]);
    let state = state("all", 0, &[("/3303/0/5700", Goal::Observed(attributes))]);
    let mut device = Device::with(&[]);
    device.want(&[&state]);
    device.meet();
    assert_eq!(device.condition("/3303/0/5700"), &Condition::InSync);
    device.record.observed(&device.observed.clone(), device.now);
    assert_eq!(device.record.next_at(), None);
    device.observed.clear();
    device.record.observed(&BTreeSet::new(), device.now);
    device.meet();
    assert_eq!(device.observed.len(), 1);
}

#[test]
fn a_desired_state_that_can_not_be_followed_is_refused() {
    let check = |path: &str, goal: Goal| {
        let settings = BTreeMap::from([(path.to_owned(), goal)]);
        DesiredState { name: "x".into(), filter: String::new(), priority: 0, settings }.check()
    };
    assert_eq!(check("/3", value("1")), Err(DesiredError::Path("/3".into())));
    assert_eq!(check("/", Goal::Observed(BTreeMap::new())), Err(DesiredError::Path("/".into())));
    assert_eq!(check("x", value("1")), Err(DesiredError::Path("x".into())));
    assert_eq!(check("/3", Goal::Observed(BTreeMap::new())), Ok(()));
    assert!(matches!(check("/3/0/1", value(&"9".repeat(2000))), Err(DesiredError::Value(_))));
    let named = |name: &str| DesiredState {
        name: name.into(),
        filter: String::new(),
        priority: 0,
        settings: BTreeMap::from([("/3/0/1".to_owned(), value("1"))]),
    };
    assert_eq!(named("a/b").check(), Err(DesiredError::Name));
    let none = DesiredState { settings: BTreeMap::new(), ..named("x") };
    assert_eq!(none.check(), Err(DesiredError::Count(0)));
}
