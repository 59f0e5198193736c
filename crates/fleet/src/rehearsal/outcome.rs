//! What came out of a rehearsal.

/// What came out of a rehearsal. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// When it started.
    pub began: u64,
    /// The virtual time at its end.
    pub ended: u64,
    /// When each wave opened and passed.
    pub waves: Vec<WaveTimes>,
    /// Bytes of images that devices took.
    pub bytes: u64,
    /// When and why the campaign stopped itself, if it did.
    pub stopped: Option<(u64, String)>,
    /// How often a person has to say yes.
    pub asked_persons: u64,
    /// When these parts of all devices, in percent, had confirmed the release.
    pub milestones: Vec<(u8, u64)>,
}

/// How a rehearsal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The campaign ended.
    Done,
    /// It stopped itself.
    Stopped {
        /// Why.
        reason: String,
    },
    /// It would go on for ever, or for longer than a year.
    WithoutEnd {
        /// Devices that still wait.
        waiting: u64,
    },
    /// It does not start.
    NotStarted {
        /// Why.
        reason: String,
    },
    /// It was broken off.
    Unfinished,
}

/// The times of a wave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaveTimes {
    /// When its first devices could be updated.
    pub opened: Option<u64>,
    /// When it passed its gate.
    pub passed: Option<u64>,
}

/// The times at which 50, 90 and 99 percent of all devices had confirmed.
pub(super) fn milestones(confirmed: impl Iterator<Item = u64>, all: usize) -> Vec<(u8, u64)> {
    let mut times: Vec<u64> = confirmed.collect();
    times.sort_unstable();
    let at = |percent: u8| {
        let count = (all * usize::from(percent)).div_ceil(100);
        Some((percent, *times.get(count.checked_sub(1)?)?))
    };
    [50, 90, 99].into_iter().filter_map(at).collect()
}
