//! Flags of a campaign: when devices may be updated, which ones, and what happens when it goes wrong.

use buoy_api::{
    CampaignDay, CampaignDeferral, CampaignOnStop, CampaignRequirements, CampaignRetry, CampaignSeverity,
    CampaignUnknown, CampaignWindow,
};

use crate::cli::swarm::seconds;

#[derive(Debug, clap::Args)]
pub(super) struct Rules {
    /// Devices are updated at these times of day only, in their own time zones.
    #[arg(long, value_name = "22:00-05:00", value_parser = span)]
    window: Option<(String, String)>,
    /// The days on which the window opens, as in mon,tue,sat; every day without it.
    #[arg(long, value_name = "DAYS", value_delimiter = ',', value_parser = word::<CampaignDay>, requires = "window")]
    days: Vec<CampaignDay>,
    /// The time zone of devices that do not tell theirs.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Only devices of this model; may be repeated.
    #[arg(long, value_name = "MODEL")]
    require_model: Vec<String>,
    /// Only devices of this hardware version; may be repeated.
    #[arg(long, value_name = "VERSION")]
    require_hardware: Vec<String>,
    /// Only devices that run at least this version.
    #[arg(long, value_name = "VERSION")]
    minimum_version: Option<String>,
    /// No devices of which something is not known that is asked for.
    #[arg(long)]
    refuse_unknown: bool,
    /// What it does when it stops itself.
    #[arg(long, value_enum, default_value_t = OnStop::Pause)]
    on_stop: OnStop,
    /// How often a kind of failure is tried again, and after how long, as in timed_out=3/1h; may be repeated.
    #[arg(long, value_name = "FAILURE=TIMES[/AFTER]", value_parser = rule)]
    pub(super) retry: Vec<CampaignRetry>,
    /// Devices may put the installation off for so long, as in 2h or 1d, if they can.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    defer: Option<u64>,
    /// How much the update matters to devices that may put it off.
    #[arg(long, value_name = "critical|mandatory|optional", value_parser = word::<CampaignSeverity>, default_value = "mandatory", requires = "defer")]
    severity: CampaignSeverity,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum OnStop {
    /// It pauses.
    Pause,
    /// It pauses, and puts the updated devices of the open wave back on the version before.
    RollBack,
}

impl Rules {
    pub(super) fn window(&self) -> Option<CampaignWindow> {
        let (from, to) = self.window.clone()?;
        Some(CampaignWindow { from, to, days: self.days.clone(), zone: self.zone.clone() })
    }

    pub(super) fn requires(&self) -> CampaignRequirements {
        CampaignRequirements {
            models: self.require_model.clone(),
            hardware: self.require_hardware.clone(),
            minimum_version: self.minimum_version.clone(),
            unknown: if self.refuse_unknown { CampaignUnknown::Refuse } else { CampaignUnknown::Allow },
        }
    }

    pub(super) fn deferral(&self) -> Option<CampaignDeferral> {
        self.defer.map(|at_most| CampaignDeferral { severity: self.severity, at_most })
    }

    pub(super) fn on_stop(&self) -> CampaignOnStop {
        match self.on_stop {
            OnStop::Pause => CampaignOnStop::Pause,
            OnStop::RollBack => CampaignOnStop::RollBack,
        }
    }
}

fn span(text: &str) -> Result<(String, String), String> {
    let span = text.split_once('-').ok_or_else(|| "give two times of day as in 22:00-05:00".to_owned())?;
    Ok((span.0.trim().to_owned(), span.1.trim().to_owned()))
}

/// A word of the interface.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// `timed_out=3` or `timed_out=3/1h`.
fn rule(text: &str) -> Result<CampaignRetry, String> {
    let wrong = || "give a kind of failure and a number as in timed_out=3 or timed_out=3/1h".to_owned();
    let (failure, how) = text.split_once('=').ok_or_else(wrong)?;
    let (times, after) = match how.split_once('/') {
        Some((times, after)) => (times, seconds(after)?),
        None => (how, 60),
    };
    Ok(CampaignRetry { failure: word(failure)?, times: times.parse().map_err(|_| wrong())?, after })
}

#[cfg(test)]
mod tests {
    use buoy_api::CampaignRetryKind;

    use super::*;

    #[test]
    fn a_rule_to_retry_names_a_kind_a_number_and_a_time() {
        let expected = CampaignRetry { failure: CampaignRetryKind::TimedOut, times: 3, after: 3600 };
        assert_eq!(rule("timed_out=3/1h"), Ok(expected));
        assert_eq!(rule("timed_out=3"), Ok(CampaignRetry { after: 60, ..expected }));
        for wrong in ["", "timed_out", "late=3", "timed_out=x", "timed_out=3/1"] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
        assert!(word::<CampaignDay>("mon").is_ok() && word::<CampaignDay>("monday").is_err());
    }
}
