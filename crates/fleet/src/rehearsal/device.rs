//! A simulated device of a rehearsal: it sleeps, downloads, reboots, and crashes on a release.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::campaign::Plan;
use crate::update::Action;
use crate::verdict::state;

/// A device in queue mode listens for so long after each message (LwM2M Transport Bindings, section 6.5: MAX_TRANSMIT_WAIT); milliseconds.
const AWAKE: u64 = 93_000;
/// From the order to install to the registration of the new image; milliseconds.
const REBOOT: u64 = 30_000;
/// A device that crashes starts the new image so often before it goes back.
const TRIALS: u64 = 3;
/// One request and its answer, besides what the link takes; milliseconds.
const ROUND_TRIP: u64 = 200;
/// Bits of a request and its answer, with the headers of CoAP, DTLS, UDP and IP.
const EXCHANGE_BITS: u64 = 8 * 300;
/// The result of an update that failed (5/0/5).
const UPDATE_FAILED: i64 = 8;
const UPDATED: i64 = 1;

/// The devices of a rehearsal, and what is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// How many.
    pub devices: u32,
    /// This part of them crashes on a version and goes back to its image before, in percent.
    pub crash: f64,
    /// The version on which they crash; without it, that of the campaign.
    pub crash_on: Option<String>,
    /// This part of them can't be reached at all, in percent.
    pub offline: f64,
    /// Bits in a second that the link of each carries; 0 if it is no limit.
    pub link: u64,
    /// Seconds between two wakes; 0 if devices never sleep.
    pub sleep: u64,
    /// By which part of that a device may be late, in percent.
    pub jitter: f64,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// What the devices run before.
    pub version_before: String,
    /// Another number has other devices crash, be offline, and wake at other times.
    pub seed: u64,
}

impl Conditions {
    /// How long an exchange takes; milliseconds.
    pub(super) fn round_trip(&self) -> u64 {
        ROUND_TRIP + self.time_of(EXCHANGE_BITS)
    }

    /// How long the image takes; milliseconds.
    pub(super) fn transfer(&self) -> u64 {
        ROUND_TRIP + self.time_of(self.image_bytes.saturating_mul(8))
    }

    fn time_of(&self, bits: u64) -> u64 {
        bits.saturating_mul(1000).checked_div(self.link).unwrap_or(0)
    }
}

/// What a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Before,
    Release,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: Arc<str>,
    pub(super) is_offline: bool,
    crashes: bool,
    /// Between two wakes; 0 if it never sleeps.
    sleep: u64,
    awake_until: u64,
    pub(super) will_wake: bool,
    pub(super) running: Running,
    /// 5/0/3
    pub(super) state: i64,
    /// 5/0/5
    pub(super) result: i64,
    downloads: u32,
    /// What it starts next.
    installs: Running,
    /// The operation that waits for it: its update, its token, and what it is.
    pub(super) pending: Option<(u64, u64, Action)>,
}

impl Device {
    pub(super) fn new(number: u32, conditions: &Conditions, plan: &Plan) -> Self {
        let name: Arc<str> = format!("rehearsal-{number:06}").into();
        let is_flawed = match &conditions.crash_on {
            Some(version) => *version == plan.release.version,
            None => true,
        };
        Self {
            is_offline: share("offline", &name, conditions.seed) * 100.0 < conditions.offline,
            crashes: is_flawed && share("crash", &name, conditions.seed) * 100.0 < conditions.crash,
            sleep: conditions.sleep.saturating_mul(1000),
            awake_until: 0,
            will_wake: false,
            running: Running::Before,
            state: state::IDLE,
            result: 0,
            downloads: 0,
            installs: Running::Before,
            pending: None,
            name,
        }
    }

    pub(super) fn is_awake(&self, now: u64) -> bool {
        !self.is_offline && (self.sleep == 0 || now < self.awake_until)
    }

    pub(super) fn stay_awake(&mut self, now: u64) {
        self.awake_until = self.awake_until.max(now + AWAKE);
    }

    /// When it wakes after `now`. Each device has a time of its own in the period, and is late by another part of it each time.
    pub(super) fn next_wake(&self, now: u64, conditions: &Conditions) -> u64 {
        if self.sleep == 0 {
            return now + 1;
        }
        let period = self.sleep;
        let phase = (share("phase", &self.name, conditions.seed) * period as f64) as u64;
        let late = |round: u64| {
            let part = share("late", &(round, &*self.name), conditions.seed) * conditions.jitter / 100.0;
            (part * period as f64) as u64
        };
        let round = now.saturating_sub(phase) / period;
        let wakes = (round.saturating_sub(1)..round + 3).map(|round| phase + round * period + late(round));
        wakes.filter(|at| *at > now).min().unwrap_or(now + period)
    }

    /// Begins a download that ends at a time; says its number.
    pub(super) fn begin_download(&mut self, ends_at: u64) -> u32 {
        self.downloads += 1;
        (self.state, self.result) = (state::DOWNLOADING, 0);
        self.awake_until = self.awake_until.max(ends_at + AWAKE);
        self.downloads
    }

    /// Whether the download that is under way has this number.
    pub(super) fn download_is(&self, number: u32) -> bool {
        self.state == state::DOWNLOADING && self.downloads == number
    }

    pub(super) fn has_downloaded(&mut self, now: u64) {
        self.state = state::DOWNLOADED;
        self.stay_awake(now);
    }

    pub(super) fn drop_package(&mut self) {
        (self.state, self.result) = (state::IDLE, 0);
    }

    /// Starts to install; says after which time it registers again.
    pub(super) fn install(&mut self, now: u64, what: Running, conditions: &Conditions) -> u64 {
        (self.state, self.installs) = (state::UPDATING, what);
        let takes = if self.will_crash() { REBOOT * (TRIALS + 1) } else { REBOOT };
        self.awake_until = self.awake_until.max(now + takes + AWAKE);
        takes + conditions.round_trip()
    }

    /// Only on the release; what it ran before it can run again.
    fn will_crash(&self) -> bool {
        self.crashes && self.installs == Running::Release
    }

    pub(super) fn start_anew(&mut self, now: u64) {
        self.state = state::IDLE;
        (self.running, self.result) =
            if self.will_crash() { (Running::Before, UPDATE_FAILED) } else { (self.installs, UPDATED) };
        self.stay_awake(now);
    }
}

/// A number from 0 to 1 that is always the same for the same device.
fn share(of: &str, name: &(impl Hash + ?Sized), seed: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (of, seed).hash(&mut hasher);
    name.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
}
