//! The plan of a campaign: what the interface has, and what the engine follows.

use buoy_api as api;
use buoy_fleet::campaign::{
    Deferral, Failure, Gate, OnStop, Plan, Release, RetryRule, StopRule, Wave, Window,
};
use buoy_fleet::compatibility::{Requirements, Unknown};

use super::window::zone;
use crate::revision;

/// What is wrong with a maintenance window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowFault {
    /// There is no such time zone.
    Zone(String),
    /// This is no time of day.
    TimeOfDay(String),
}

impl std::fmt::Display for WindowFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Zone(name) => write!(f, "there is no time zone {name:?}; give a name as in Europe/Berlin"),
            Self::TimeOfDay(text) => write!(f, "{text:?} is no time of day; give one as in 22:00"),
        }
    }
}

impl std::error::Error for WindowFault {}

/// The plan of a request.
pub(super) fn plan(wanted: api::PutCampaign, release: Release) -> Result<Plan, WindowFault> {
    let api::PutCampaign {
        name,
        filter,
        growing,
        firmware: _,
        version: _,
        delivery,
        waves,
        stop,
        concurrent,
        per_minute,
        retries,
        start_at,
        deadline,
        needs_approval,
        window,
        requires,
        on_stop,
        retry,
        deferral,
    } = wanted;
    let waves = if waves.is_empty() { vec![api::CampaignWave::default()] } else { waves };
    let wave = |it: api::CampaignWave| Wave {
        filter: it.filter,
        count: it.count,
        percent: it.percent,
        gate: Gate {
            success: it.gate.success,
            soak: it.gate.soak,
            healthy: it.gate.healthy,
            is_manual: it.gate.manual,
        },
    };
    Ok(Plan {
        name,
        filter,
        is_growing: growing,
        release,
        delivery: delivery_word(delivery).to_owned(),
        waves: waves.into_iter().map(wave).collect(),
        stop: StopRule { failures: stop.failures, rate: stop.rate, minimum: stop.minimum },
        concurrent,
        per_minute,
        retries,
        start_at,
        deadline,
        needs_approval,
        window: window.map(read_window).transpose()?,
        requires: requirements(requires),
        on_stop: match on_stop {
            api::CampaignOnStop::Pause => OnStop::Pause,
            api::CampaignOnStop::RollBack => OnStop::RollBack,
        },
        retry: retry.iter().map(retry_rule).collect(),
        deferral: deferral.map(|it| Deferral { severity: severity_code(it.severity), at_most: it.at_most }),
    })
}

/// What changes when operators change a plan.
pub(super) fn revision(plan: &Plan) -> String {
    revision::of(plan)
}

/// A plan in the form of the interface.
pub(super) fn described(plan: &Plan) -> api::PutCampaign {
    let wave = |wave: &Wave| api::CampaignWave {
        filter: wave.filter.clone(),
        count: wave.count,
        percent: wave.percent,
        gate: api::CampaignGate {
            success: wave.gate.success,
            soak: wave.gate.soak,
            healthy: wave.gate.healthy.clone(),
            manual: wave.gate.is_manual,
        },
    };
    let StopRule { failures, rate, minimum } = plan.stop.clone();
    api::PutCampaign {
        name: plan.name.clone(),
        filter: plan.filter.clone(),
        growing: plan.is_growing,
        firmware: plan.release.digest.clone(),
        version: Some(plan.release.version.clone()),
        delivery: delivery(&plan.delivery),
        waves: plan.waves.iter().map(wave).collect(),
        stop: api::CampaignStop { failures, rate, minimum },
        concurrent: plan.concurrent,
        per_minute: plan.per_minute,
        retries: plan.retries,
        start_at: plan.start_at,
        deadline: plan.deadline,
        needs_approval: plan.needs_approval,
        window: plan.window.as_ref().map(window_words),
        requires: requirement_words(&plan.requires),
        on_stop: match plan.on_stop {
            OnStop::Pause => api::CampaignOnStop::Pause,
            OnStop::RollBack => api::CampaignOnStop::RollBack,
        },
        retry: plan.retry.iter().filter_map(retry_words).collect(),
        deferral: plan
            .deferral
            .map(|it| api::CampaignDeferral { severity: severity(it.severity), at_most: it.at_most }),
    }
}

const DELIVERIES: [(api::Delivery, &str); 4] = [
    (api::Delivery::PullCoap, "pull_coap"),
    (api::Delivery::PullHttp, "pull_http"),
    (api::Delivery::PullHttps, "pull_https"),
    (api::Delivery::Push, "push"),
];

fn delivery_word(delivery: api::Delivery) -> &'static str {
    DELIVERIES.iter().find(|(known, _)| *known == delivery).map_or("pull_coap", |(_, word)| word)
}

/// What a plan's word for it means.
pub(super) fn delivery(word: &str) -> api::Delivery {
    DELIVERIES
        .iter()
        .find(|(_, known)| *known == word)
        .map_or_else(Default::default, |(delivery, _)| *delivery)
}

/// The days of the week in their order.
const DAYS: [api::CampaignDay; 7] = [
    api::CampaignDay::Mon,
    api::CampaignDay::Tue,
    api::CampaignDay::Wed,
    api::CampaignDay::Thu,
    api::CampaignDay::Fri,
    api::CampaignDay::Sat,
    api::CampaignDay::Sun,
];

fn read_window(wanted: api::CampaignWindow) -> Result<Window, WindowFault> {
    let api::CampaignWindow { from, to, days, zone: name } = wanted;
    if zone(&name).is_none() {
        return Err(WindowFault::Zone(name));
    }
    let number = |day: &api::CampaignDay| DAYS.iter().position(|known| known == day);
    let mut days: Vec<u8> = days.iter().filter_map(number).filter_map(|day| u8::try_from(day).ok()).collect();
    days.sort_unstable();
    days.dedup();
    Ok(Window { from: minutes(&from)?, to: minutes(&to)?, days, zone: name })
}

/// `22:00`, in minutes after midnight.
fn minutes(text: &str) -> Result<u16, WindowFault> {
    let wrong = || WindowFault::TimeOfDay(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |digits: &str, below: u16| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| is_number && *number < below)
    };
    let (hour, minute) = (number(hour, 24).ok_or_else(wrong)?, number(minute, 60).ok_or_else(wrong)?);
    Ok(hour * 60 + minute)
}

fn window_words(window: &Window) -> api::CampaignWindow {
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let days = window.days.iter().filter_map(|day| DAYS.get(usize::from(*day)).copied());
    api::CampaignWindow {
        from: time(window.from),
        to: time(window.to),
        days: days.collect(),
        zone: window.zone.clone(),
    }
}

fn requirements(wanted: api::CampaignRequirements) -> Requirements {
    let api::CampaignRequirements { models, hardware, minimum_version, unknown } = wanted;
    let unknown = match unknown {
        api::CampaignUnknown::Allow => Unknown::Allow,
        api::CampaignUnknown::Refuse => Unknown::Refuse,
    };
    Requirements { models, hardware, minimum_version, unknown }
}

fn requirement_words(requires: &Requirements) -> api::CampaignRequirements {
    api::CampaignRequirements {
        models: requires.models.clone(),
        hardware: requires.hardware.clone(),
        minimum_version: requires.minimum_version.clone(),
        unknown: match requires.unknown {
            Unknown::Allow => api::CampaignUnknown::Allow,
            Unknown::Refuse => api::CampaignUnknown::Refuse,
        },
    }
}

const SEVERITIES: [api::CampaignSeverity; 3] =
    [api::CampaignSeverity::Critical, api::CampaignSeverity::Mandatory, api::CampaignSeverity::Optional];

/// As object 5 has it.
fn severity_code(severity: api::CampaignSeverity) -> u8 {
    let place = SEVERITIES.iter().position(|known| *known == severity);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(1)
}

fn severity(code: u8) -> api::CampaignSeverity {
    SEVERITIES.get(usize::from(code)).copied().unwrap_or_default()
}

const KINDS: [(api::CampaignRetryKind, Failure); 6] = [
    (api::CampaignRetryKind::RolledBack, Failure::RolledBack),
    (api::CampaignRetryKind::UnexpectedVersion, Failure::UnexpectedVersion),
    (api::CampaignRetryKind::Refused, Failure::Refused),
    (api::CampaignRetryKind::Failed, Failure::Failed),
    (api::CampaignRetryKind::TimedOut, Failure::TimedOut),
    (api::CampaignRetryKind::Cancelled, Failure::Cancelled),
];

fn retry_rule(wanted: &api::CampaignRetry) -> RetryRule {
    let kind = KINDS.iter().find(|(word, _)| *word == wanted.failure);
    let failure = kind.map_or(Failure::Failed, |(_, failure)| *failure);
    RetryRule { failure, times: wanted.times, after: wanted.after }
}

fn retry_words(rule: &RetryRule) -> Option<api::CampaignRetry> {
    let (failure, _) = KINDS.iter().find(|(_, failure)| *failure == rule.failure)?;
    Some(api::CampaignRetry { failure: *failure, times: rule.times, after: rule.after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_for_hours_and_for_minutes() {
        assert_eq!(minutes("22:05").ok(), Some(22 * 60 + 5));
        assert_eq!(minutes("00:00").ok(), Some(0));
        for wrong in ["", "22", "22:5", "24:00", "12:60", "+1:00", "22:00:00", "ab:cd"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
