//! An update as it lies in the store.
//!
//! A record begins with a zero and the number of its shape. Records of before have no such head: they begin with the update's id, which
//! is a varint and never zero, so the two cannot be mistaken for each other.

use super::{Facts, Update, Work};

/// What stands before the number of the shape.
const VERSIONED: u8 = 0;
/// The shape that is written.
const SHAPE: u8 = 2;
/// The shape before, which had no reason of the device.
const SHAPE_WITHOUT_REASON: u8 = 1;
/// No reason, as [`postcard`] writes it.
const NO_REASON: u8 = 0;

/// An update in the store: what is searched for, and the record of [`Update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRecord {
    /// Ids grow from one.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// Whether nothing more will come of it.
    pub ended: bool,
    /// The update itself.
    pub record: Vec<u8>,
}

impl Update {
    /// The record to save.
    #[must_use]
    pub fn record(&self) -> UpdateRecord {
        // Writing to memory fails only for lack of it.
        let record = postcard::to_extend(&self.facts, vec![VERSIONED, SHAPE]).unwrap_or_default();
        UpdateRecord {
            id: self.id(),
            endpoint: self.endpoint().as_ref().into(),
            ended: self.has_ended(),
            record,
        }
    }

    /// Reads a record of this or of the shape before; `None` if it is damaged.
    #[must_use]
    pub fn restore(record: &UpdateRecord) -> Option<Self> {
        let facts = match record.record.as_slice() {
            [VERSIONED, SHAPE, facts @ ..] => postcard::from_bytes::<Facts>(facts).ok()?,
            [VERSIONED, SHAPE_WITHOUT_REASON, facts @ ..] => {
                // The reason is the last of the facts.
                let facts = [facts, &[NO_REASON]].concat();
                postcard::from_bytes::<Facts>(&facts).ok()?
            }
            [VERSIONED, ..] => return None,
            old => postcard::from_bytes::<old::Update>(old).ok()?.into(),
        };
        Some(Self { facts, work: Work::default() })
    }
}

/// The shape of before the records were numbered.
mod old {
    use serde::Deserialize;

    use super::super::{self as new, Facts, Goal, Patience, millis};
    use crate::verdict::{Said, Since};

    #[derive(Deserialize)]
    #[cfg_attr(test, derive(serde::Serialize))]
    pub(super) struct Update {
        pub(super) id: u64,
        pub(super) endpoint: String,
        pub(super) goal: Goal,
        pub(super) patience: Patience,
        pub(super) stage: Stage,
        pub(super) history: Vec<Entry>,
        pub(super) old_version: Option<String>,
        // What follows was never read again.
    }

    #[derive(Deserialize)]
    #[cfg_attr(test, derive(serde::Serialize, Clone))]
    pub(super) struct Entry {
        pub(super) at: u64,
        pub(super) stage: Stage,
    }

    #[derive(Deserialize)]
    #[cfg_attr(test, derive(serde::Serialize, Clone))]
    pub(super) enum Stage {
        Inspecting,
        Ordering,
        Downloading,
        Executing,
        Installing,
        Confirming,
        Ended(End),
    }

    #[derive(Deserialize)]
    #[cfg_attr(test, derive(serde::Serialize, Clone))]
    pub(super) enum End {
        Updated,
        AlreadyRunning,
        RolledBack { running: String, result: i64 },
        Refused { result: i64 },
        Failed { reason: String },
        TimedOut { stage: Box<Stage> },
        Cancelled,
    }

    impl From<Update> for Facts {
        /// An update that waited for its package is begun anew: whose package the device has was not noted then.
        fn from(old: Update) -> Self {
            let mut history: Vec<_> = old.history.into_iter().map(new::Entry::from).collect();
            let entered_at = history.last().map_or(0, |entry| entry.at);
            let (patience, stage) = match new::Stage::from(old.stage) {
                new::Stage::Inspecting => (old.patience.contact, new::Stage::Inspecting),
                new::Stage::Ordering | new::Stage::Downloading => {
                    history.push(new::Entry { at: entered_at, stage: new::Stage::Inspecting });
                    (old.patience.contact, new::Stage::Inspecting)
                }
                new::Stage::Executing => (old.patience.contact, new::Stage::Executing),
                stage => (old.patience.install, stage),
            };
            let has_registered = stage == new::Stage::Confirming;
            Self {
                id: old.id,
                endpoint: old.endpoint.into(),
                goal: old.goal,
                patience: old.patience,
                limit_at: entered_at.saturating_add(millis(patience)),
                stage,
                history,
                old_version: old.old_version,
                since: Since { registered: has_registered, is_ours: true, ..Since::default() },
                orders: 1,
                executes: 1,
                reason: None,
            }
        }
    }

    impl From<Entry> for new::Entry {
        fn from(old: Entry) -> Self {
            Self { at: old.at, stage: old.stage.into() }
        }
    }

    impl From<Stage> for new::Stage {
        fn from(old: Stage) -> Self {
            match old {
                Stage::Inspecting => Self::Inspecting,
                Stage::Ordering => Self::Ordering,
                Stage::Downloading => Self::Downloading,
                Stage::Executing => Self::Executing,
                Stage::Installing => Self::Installing,
                Stage::Confirming => Self::Confirming,
                Stage::Ended(end) => Self::Ended(end.into()),
            }
        }
    }

    impl From<End> for new::End {
        fn from(old: End) -> Self {
            match old {
                End::Updated => Self::Updated,
                End::AlreadyRunning => Self::AlreadyRunning,
                End::RolledBack { running, result } => Self::RolledBack { running, result: Some(result) },
                End::Refused { result } => Self::Refused { result },
                End::Failed { reason } => Self::Failed { reason },
                End::TimedOut { stage } => {
                    Self::TimedOut { stage: Box::new((*stage).into()), said: Said::default() }
                }
                End::Cancelled => Self::Cancelled,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delivery, End, Goal, Patience, Stage, Step};
    use super::*;
    fn old_record(id: u64, stage: old::Stage) -> UpdateRecord {
        let update = old::Update {
            id,
            endpoint: "buoy-1".into(),
            goal: Goal {
                version: "1.1.0".into(),
                digest: "ab".into(),
                delivery: Delivery::Pull("coap://h/fw".into()),
            },
            patience: Patience::default(),
            stage: stage.clone(),
            history: vec![old::Entry { at: 1, stage: old::Stage::Inspecting }, old::Entry { at: 7, stage }],
            old_version: Some("1.0.0".into()),
        };
        UpdateRecord {
            id,
            endpoint: "buoy-1".into(),
            ended: false,
            record: postcard::to_stdvec(&update).unwrap_or_default(),
        }
    }

    #[test]
    fn ended_updates_of_the_old_shape_are_read_as_they_were_told() {
        let ends = [
            (old::End::Updated, "updated"),
            (old::End::AlreadyRunning, "already running this version"),
            (
                old::End::RolledBack { running: "1.0.0".into(), result: 8 },
                "rolled back to 1.0.0 (result 8, update failed)",
            ),
            (old::End::Refused { result: 5 }, "refused (result 5, integrity check failed)"),
            (old::End::Failed { reason: "x".into() }, "failed: x"),
            (old::End::TimedOut { stage: Box::new(old::Stage::Installing) }, "timed out while installing"),
            (old::End::Cancelled, "cancelled"),
        ];
        for id in [1, 127, 128, 300, 1 << 40] {
            for (end, told) in &ends {
                let update = Update::restore(&old_record(id, old::Stage::Ended(end.clone()))).unwrap();
                assert_eq!((update.id(), update.stage().to_string().as_str()), (id, *told));
                assert_eq!((update.old_version(), update.history().len()), (Some("1.0.0"), 2));
                assert_eq!(Update::restore(&update.record()).unwrap().facts, update.facts);
            }
        }
    }

    #[test]
    fn open_updates_of_the_old_shape_go_on_without_an_order_to_install_of_an_unknown_package() {
        let stages = [
            (old::Stage::Inspecting, Stage::Inspecting),
            (old::Stage::Ordering, Stage::Inspecting),
            (old::Stage::Downloading, Stage::Inspecting),
            (old::Stage::Executing, Stage::Executing),
            (old::Stage::Installing, Stage::Installing),
            (old::Stage::Confirming, Stage::Confirming),
        ];
        for (before, after) in stages {
            let mut update = Update::restore(&old_record(1, before)).unwrap();
            assert_eq!(update.stage(), &after);
            let mut steps = Vec::new();
            update.resume(10, &mut steps);
            let [Step::Submit(_, action)] = steps.as_slice() else { panic!("{after}: {steps:?}") };
            assert_eq!(action, &super::super::Action::Read(super::super::STATE), "{after}");
        }
    }

    /// Written by the server of before.
    fn written(id: u64, hex: &str) -> UpdateRecord {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let record = (0..hex.len()).step_by(2).map(byte).collect();
        UpdateRecord { id, endpoint: "buoy-1".into(), ended: false, record }
    }

    #[test]
    fn records_that_the_server_of_before_wrote_are_read() {
        let downloading = "ac020662756f792d3105312e312e30026162000b636f61703a2f2f682f667780f5240080a3050080a305000203e80700ea0701\
                           eb07020105312e302e30000102000000";
        let rolled_back = "ac020662756f792d3105312e312e30026162000b636f61703a2f2f682f667780f5240080a3050080a30500060205312e302e30\
                           1007e80700ea0701eb0702ed0703ee0704ef0705f007060205312e302e30100105312e302e300105312e302e30010001100000";
        let timed_out =
            "01016205312e312e300261620180f5240080a3050080a305000605000205008588b2a002060500000000000000";

        let update = Update::restore(&written(300, downloading)).unwrap();
        assert_eq!((update.id(), update.stage()), (300, &Stage::Inspecting));
        assert_eq!(update.old_version(), Some("1.0.0"));
        assert_eq!(update.goal().delivery, Delivery::Pull("coap://h/fw".into()));
        let update = Update::restore(&written(300, rolled_back)).unwrap();
        let end = End::RolledBack { running: "1.0.0".into(), result: Some(8) };
        assert_eq!((update.stage(), update.history().len()), (&Stage::Ended(end), 7));
        let update = Update::restore(&written(1, timed_out)).unwrap();
        assert_eq!(update.stage().to_string(), "timed out while inspecting");
    }

    #[test]
    fn a_record_of_the_shape_without_a_reason_is_read_and_one_with_a_reason_keeps_it() {
        let mut update =
            Update::restore(&old_record(1, old::Stage::Ended(old::End::Refused { result: 8 }))).unwrap();
        let mut before = update.record();
        assert_eq!(before.record.pop(), Some(NO_REASON));
        before.record[1] = SHAPE_WITHOUT_REASON;
        assert_eq!(Update::restore(&before).unwrap().facts, update.facts);
        update.facts.reason = Some("a hang".into());
        assert_eq!(Update::restore(&update.record()).unwrap().reason(), Some("a hang"));
    }

    #[test]
    fn a_damaged_record_is_no_update() {
        let good = Update::restore(&old_record(1, old::Stage::Ended(old::End::Updated))).unwrap().record();
        assert_eq!(Update::restore(&good).unwrap().stage(), &Stage::Ended(End::Updated));
        for record in [vec![], vec![0], vec![0, 99, 1, 2], good.record[..good.record.len() - 3].to_vec()] {
            assert!(Update::restore(&UpdateRecord { record, ..good.clone() }).is_none());
        }
    }
}
