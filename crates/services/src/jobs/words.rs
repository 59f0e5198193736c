//! Jobs in the types of `/api/v1`, and the ends of operations as a job sees them.

use std::collections::HashMap;

use buoy_api as api;
use buoy_coap::number::Code;
use buoy_fleet::job::{Counts, DeviceRecord, End, Job, Stage, State};
use buoy_server::{AnswerRecord, Failure, OperationRecord, OperationState, Outcome};

/// Reasons that a description ranks.
const RANKED: usize = 20;
/// The most characters of a device's answer that a job keeps.
const MOST_DETAIL: usize = 200;

/// What the end of an operation means for a job.
pub(super) fn end(result: Result<&Outcome, &Failure>) -> End {
    match result {
        Ok(outcome) => answered(outcome.code, &outcome.payload, &outcome.location),
        Err(failure) => failed(*failure),
    }
}

/// The same from the record of an operation that ended before.
pub(super) fn end_of_record(record: &OperationRecord) -> End {
    match (&record.answer, record.failure, record.state) {
        (Some(AnswerRecord { code, payload, location, .. }), ..) => {
            answered(Code::from_byte(*code), payload, location)
        }
        (None, Some(failure), _) => failed(failure),
        (None, None, OperationState::Cancelled) => End::Cancelled,
        (None, None, _) => End::NoAnswer("it ended without an answer".to_owned()),
    }
}

fn answered(code: Code, payload: &[u8], location: &str) -> End {
    if code.is_success() {
        return End::Succeeded(match location {
            "" => code.to_string(),
            location => short(&format!("{code} /{location}")),
        });
    }
    match String::from_utf8_lossy(payload) {
        words if words.is_empty() => End::Refused(code.to_string()),
        words => End::Refused(short(&format!("{code}: {words}"))),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MOST_DETAIL).collect()
}

fn failed(failure: Failure) -> End {
    let words = failure.to_string();
    match failure {
        Failure::Cancelled => End::Cancelled,
        Failure::NotRegistered | Failure::Expired | Failure::TooManyOperations => End::NotReached(words),
        Failure::Deregistered => End::Left(words),
        Failure::RequestTooLarge | Failure::NoSuchObservation | Failure::BadTransfer => End::Refused(words),
        _ => End::NoAnswer(words),
    }
}

/// A job, with the reasons of its failures.
pub(super) fn described(job: &Job) -> api::Job {
    api::Job { failures: ranked(job), ..summary(job) }
}

/// A job in a list.
pub(super) fn summary(job: &Job) -> api::Job {
    let facts = job.facts();
    api::Job {
        id: facts.id,
        state: state(facts.state),
        name: facts.plan.name.clone(),
        filter: facts.plan.filter.clone(),
        // It was checked when the job was made.
        request: serde_json::from_str(&facts.plan.command)
            .unwrap_or(api::Request::Read { path: "?".to_owned(), format: None }),
        counts: counts(job.counts()),
        failures: Vec::new(),
        concurrent: facts.plan.concurrent,
        per_minute: facts.plan.per_minute,
        retries: facts.plan.retries,
        deadline: facts.plan.deadline,
        author: facts.author.clone(),
        created_at: facts.created_at,
        ended_at: facts.ended_at,
    }
}

fn ranked(job: &Job) -> Vec<api::JobFailure> {
    let mut reasons = HashMap::<&str, (u64, &str)>::new();
    for (name, record) in job.devices() {
        if let Stage::Failed { reason } | Stage::NotReached { reason } = &record.stage {
            reasons.entry(reason).or_insert((0, name)).0 += 1;
        }
    }
    let failure = |(reason, (count, example)): (&str, (u64, &str))| api::JobFailure {
        reason: reason.to_owned(),
        count,
        example: example.to_owned(),
    };
    let mut failures: Vec<_> = reasons.into_iter().map(failure).collect();
    failures.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
    failures.truncate(RANKED);
    failures
}

pub(super) fn device(name: &str, record: &DeviceRecord) -> api::JobDevice {
    let detail = match &record.stage {
        Stage::Succeeded { answer: text }
        | Stage::Failed { reason: text }
        | Stage::NotReached { reason: text } => text.clone(),
        _ => String::new(),
    };
    api::JobDevice {
        endpoint: name.to_owned(),
        stage: record.stage.name().to_owned(),
        detail,
        operation: Some(record.operation).filter(|id| *id != 0),
        attempts: record.attempts,
    }
}

pub(super) fn event(job: &Job) -> api::Event {
    let facts = job.facts();
    api::Event::Job {
        id: facts.id,
        name: facts.plan.name.clone(),
        state: state(facts.state),
        counts: counts(job.counts()),
    }
}

fn counts(counts: Counts) -> api::JobCounts {
    let Counts { waiting, sent, asleep, confirming, succeeded, failed, not_reached, cancelled } = counts;
    api::JobCounts { waiting, sent, asleep, confirming, succeeded, failed, not_reached, cancelled }
}

const fn state(state: State) -> api::JobState {
    match state {
        State::Running => api::JobState::Running,
        State::Stopping => api::JobState::Stopping,
        State::Done => api::JobState::Done,
        State::Cancelled => api::JobState::Cancelled,
    }
}

/// A command in a few words, as the name of a job.
pub(super) fn command(request: &api::Request) -> String {
    let all = |paths: &[String]| paths.join(" ");
    let set = |values: &[api::PathValue]| {
        let each = values.iter().map(|it| format!("{}={}", it.path, it.value));
        each.collect::<Vec<_>>().join(" ")
    };
    let text = match request {
        api::Request::Read { path, .. } => format!("Read {path}"),
        api::Request::Discover { path } => format!("Discover {path}"),
        api::Request::Write { path, values, .. } => match values.as_slice() {
            [one] if one.path == *path => format!("Write {}", set(values)),
            values => format!("Write {path}: {}", set(values)),
        },
        api::Request::WriteAttributes { path, .. } => format!("Write-Attributes {path}"),
        api::Request::Execute { path, .. } => format!("Execute {path}"),
        api::Request::Create { path, .. } => format!("Create {path}"),
        api::Request::Delete { path } => format!("Delete {path}"),
        api::Request::Observe { path, .. } => format!("Observe {path}"),
        api::Request::CancelObserve { path } => format!("Cancel Observation {path}"),
        api::Request::ReadComposite { paths, .. } => format!("Read-Composite {}", all(paths)),
        api::Request::WriteComposite { values, .. } => format!("Write-Composite {}", set(values)),
        api::Request::ObserveComposite { paths, .. } => format!("Observe-Composite {}", all(paths)),
        api::Request::CancelObserveComposite { paths, .. } => {
            format!("Cancel Observation-Composite {}", all(paths))
        }
    };
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(120).collect()
}

/// Whether a device may get the command twice without harm.
pub(super) const fn is_repeatable(request: &api::Request) -> bool {
    !matches!(
        request,
        api::Request::Execute { .. } | api::Request::Create { .. } | api::Request::Delete { .. }
    )
}

/// Whether a caller has to say how many devices he means.
pub(super) fn needs_count(wanted: &api::StartJob) -> bool {
    is_destructive(&wanted.request) || !wanted.until.is_answered()
}

/// Whether what it does can't be undone from here.
fn is_destructive(request: &api::Request) -> bool {
    match request {
        api::Request::Delete { .. } => true,
        // Factory reset, and the Wipe of object 8.
        api::Request::Execute { path, .. } => matches!(path.trim_matches('/'), "3/0/5" | "8/0/3"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_undone_is_known_however_its_path_is_written() {
        for path in ["/3/0/5", "3/0/5", "/3/0/5/", "/8/0/3"] {
            assert!(is_destructive(&api::Request::Execute { path: path.to_owned(), arguments: None }));
        }
        assert!(is_destructive(&api::Request::Delete { path: "/3303/1".to_owned() }));
        assert!(!is_destructive(&api::Request::Execute { path: "/3/0/4".to_owned(), arguments: None }));
    }

    #[test]
    fn a_refusal_is_told_with_the_words_of_the_device_in_short() {
        let refused = answered(Code::METHOD_NOT_ALLOWED, "é".repeat(500).as_bytes(), "");
        let End::Refused(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.starts_with("4.05") && reason.chars().count() == MOST_DETAIL, "{reason}");
        assert_eq!(failed(Failure::NotRegistered), End::NotReached(Failure::NotRegistered.to_string()));
    }
}
