//! Whether the update of a device may start now: its maintenance window, and whether the image is for it.

use std::collections::HashMap;
use std::sync::Arc;

use buoy_fleet::campaign::{Campaign, Plan, Ready, State, Window};
use buoy_fleet::compatibility::{self, Facts, Image, Requirements, Verdict};
use buoy_lwm2m::path::Path;
use jiff::tz::TimeZone;

use super::window::{Opening, opening, zone};
use super::words;
use crate::app::App;
use crate::inventory::{DeviceRecord, Last, LastValue};

/// Devices that are looked up in one turn of a campaign.
const AT_ONCE: usize = 2000;
/// 3/0/15: Timezone, a name of IANA.
const TIMEZONE: Path = Path::resource(3, 0, 15);
/// The fields of operators' own that say what devices don't tell.
const CHIP: &str = "chip";
const PROJECT: &str = "project";
const COUNTER: &str = "security_counter";
const ZONE: &str = "timezone";

/// What is known of a device that matters here.
pub(crate) type Known = (DeviceRecord, Vec<(Path, LastValue)>);

/// What each of the devices that are next is: ready, or not. `None` if nothing has to be looked up.
pub(super) async fn look_up(
    app: &Arc<App>,
    campaign: &Campaign,
    now: u64,
) -> Option<HashMap<Arc<str>, Ready>> {
    let plan = &campaign.facts().plan;
    if campaign.facts().state != State::Running {
        return None;
    }
    let judge = Judge::of(app, plan);
    if !judge.has_questions() {
        return None;
    }
    let is_reachable = |name: &str| app.endpoints.shard_of(name).is_some();
    let names = campaign.candidates(now, &is_reachable, AT_ONCE);
    if names.is_empty() {
        return Some(HashMap::new());
    }
    let known = app.inventory.known(names.clone()).await;
    let ready = names.into_iter().zip(known).map(|(name, known)| {
        let ready = judge.ready(known.as_ref(), now);
        (name, ready)
    });
    Some(ready.collect())
}

/// What a plan asks of devices.
pub(super) struct Judge {
    image: Arc<Image>,
    requires: Requirements,
    window: Option<(Window, TimeZone)>,
}

impl Judge {
    pub(super) fn of(app: &App, plan: &Plan) -> Self {
        let image = app.firmware.get(&plan.release.digest).map(|image| image.is_for).unwrap_or_default();
        let window = plan.window.clone().map(|window| {
            // It was checked when the plan was made.
            let campaigns = zone(&window.zone).unwrap_or(TimeZone::UTC);
            (window, campaigns)
        });
        Self { image, requires: plan.requires.clone(), window }
    }

    pub(super) fn has_questions(&self) -> bool {
        self.window.is_some() || self.asks_for_facts()
    }

    pub(super) fn asks_for_facts(&self) -> bool {
        *self.image != Image::default() || self.requires != Requirements::default()
    }

    pub(super) fn verdict(&self, known: Option<&Known>) -> Verdict {
        let facts = known.map(facts).unwrap_or_default();
        compatibility::check(&self.image, &self.requires, &facts)
    }

    fn ready(&self, known: Option<&Known>, now: u64) -> Ready {
        if let Some(reason) = self.verdict(known).refusal(self.requires.unknown) {
            return Ready::Never(reason);
        }
        let Some((window, campaigns)) = &self.window else { return Ready::Now };
        let own = known.and_then(own_zone);
        let zone = own.as_ref().unwrap_or(campaigns);
        match opening(window, zone, now) {
            Opening::Open => Ready::Now,
            Opening::At(at) => {
                let of = zone.iana_name().unwrap_or("its time zone");
                Ready::At(at, format!("its maintenance window opens at {} ({of})", words::time(at)))
            }
        }
    }
}

/// The zone that the device told, or that operators noted of it.
fn own_zone((record, values): &Known) -> Option<TimeZone> {
    let told = values.iter().find(|(path, _)| *path == TIMEZONE).and_then(|(_, last)| match &last.value {
        Last::Text(name) => zone(name),
        Last::Number(_) => None,
    });
    told.or_else(|| zone(field(record, ZONE)?))
}

fn facts((record, _): &Known) -> Facts {
    let description = &record.description;
    Facts {
        model: description.model.clone(),
        hardware: description.hardware.clone(),
        firmware: description.firmware.clone(),
        chip: field(record, CHIP).map(str::to_owned),
        project: field(record, PROJECT).map(str::to_owned),
        counter: field(record, COUNTER).and_then(|counter| counter.trim().parse().ok()),
    }
}

fn field<'a>(record: &'a DeviceRecord, name: &str) -> Option<&'a str> {
    record.profile.as_ref()?.fields.get(name).map(String::as_str)
}
