//! The habit of a device: how long it is usually silent between two visits, learned from them in twelve bytes.
//!
//! A running mean and a running deviation, as TCP estimates its round trips (RFC 6298). A device that wakes once a day sends several messages
//! while it is awake; gaps that are much shorter than the habit are part of one visit and don't count, unless there are many in a row: then
//! the device has another habit now. A gap that is much longer replaces the habit at once.

/// Gaps that have to be seen before there is a habit.
const LEARNED: u8 = 3;
/// A gap that is this many times shorter or longer than the habit belongs to no variation of it.
const OTHER: u32 = 8;
/// So many gaps in a row that are too short are a new habit.
const NEW_HABIT: u8 = 8;
/// Nobody is late by less than this; seconds.
const LEAST_GRACE: u32 = 60;

/// The habit of one device. All lengths of time are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habit {
    mean: Span,
    deviation: Span,
    /// Gaps that made the mean, up to a limit.
    seen: u8,
    /// Gaps in a row that were too short.
    short: u8,
    /// When the device last came by itself; seconds since the epoch.
    visited_at: u32,
}

impl Habit {
    /// The device has sent something by itself: an answer to the server says nothing of when it would have come.
    pub fn visit(&mut self, at: u32) {
        let gap = at.saturating_sub(self.visited_at);
        let is_first = self.visited_at == 0;
        self.visited_at = self.visited_at.max(at);
        if !is_first && gap > 0 {
            self.learn(gap);
        }
    }

    /// When it last came by itself; 0 if it never did. Seconds since the epoch.
    #[must_use]
    pub const fn visited_at(self) -> u32 {
        self.visited_at
    }

    /// What was learned does not hold any more: there is another reason for it to come.
    pub fn begin_anew(&mut self) {
        *self = Self { visited_at: self.visited_at, ..Self::default() };
    }

    fn learn(&mut self, gap: u32) {
        let mean = self.mean.seconds();
        if self.seen == 0 || gap / OTHER > mean {
            // A first gap, or one of another order: what was learned before explains nothing.
            return self.start_at(gap);
        }
        if gap < mean / OTHER {
            self.short += 1;
            if self.short >= NEW_HABIT {
                self.start_at(gap);
            }
            return;
        }
        self.short = 0;
        self.seen = self.seen.saturating_add(1);
        let error = gap.abs_diff(mean);
        let deviation = self.deviation.seconds();
        self.deviation = Span::of(deviation - deviation / 4 + error / 4);
        let step = error / 8;
        self.mean = Span::of(if gap > mean { mean.saturating_add(step) } else { mean - step });
    }

    fn start_at(&mut self, gap: u32) {
        (self.mean, self.deviation) = (Span::of(gap), Span::of(gap / 4));
        (self.seen, self.short) = (1, 0);
    }

    /// How long the device is usually silent, if that is known.
    #[must_use]
    pub fn interval(self) -> Option<u32> {
        (self.seen >= LEARNED).then(|| self.mean.seconds())
    }

    /// When it will come next, if that is known; seconds since the epoch.
    #[must_use]
    pub fn next_visit(self) -> Option<u32> {
        Some(self.visited_at.saturating_add(self.interval()?))
    }

    /// After how long a silence the device is overdue: clearly longer than it usually is silent.
    #[must_use]
    pub fn overdue_after(self) -> Option<u32> {
        let mean = self.interval()?;
        let grace = self.deviation.seconds().saturating_mul(4).max(mean / 2).max(LEAST_GRACE);
        Some(mean.saturating_add(grace))
    }

    /// Whether the habit has just become known, or has been confirmed often since it was last saved.
    #[must_use]
    pub fn is_to_be_saved(self) -> bool {
        self.short == 0 && (self.seen == LEARNED || (self.seen > LEARNED && self.seen.is_multiple_of(32)))
    }

    /// What was learned, for a record: five bytes in one number.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.mean.0) << 24 | u64::from(self.deviation.0) << 8 | u64::from(self.seen)
    }

    /// From a record, of a device that came last at this time.
    #[must_use]
    pub const fn from_bits(bits: u64, visited_at: u32) -> Self {
        let (mean, deviation) = (Span((bits >> 24) as u16), Span((bits >> 8) as u16));
        Self { mean, deviation, seen: bits as u8, short: 0, visited_at }
    }
}

/// A length of time in two bytes: twelve bits, and by how many bits they are shifted. Up to four years, exact to a thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span(u16);

impl Span {
    const MANTISSA: u32 = 12;

    fn of(seconds: u32) -> Self {
        let shift = (u32::BITS - seconds.leading_zeros()).saturating_sub(Self::MANTISSA).min(15);
        let mantissa = (seconds >> shift).min((1 << Self::MANTISSA) - 1);
        Self((shift << Self::MANTISSA | mantissa) as u16)
    }

    const fn seconds(self) -> u32 {
        ((self.0 & ((1 << Self::MANTISSA) - 1)) as u32) << (self.0 >> Self::MANTISSA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 86_400;

    /// After visits with these gaps between them.
    fn habit(gaps: &[u32]) -> Habit {
        let mut habit = Habit::default();
        habit.visit(1_000_000_000);
        more(&mut habit, gaps);
        habit
    }

    fn more(habit: &mut Habit, gaps: &[u32]) {
        for gap in gaps {
            habit.visit(habit.visited_at().saturating_add(*gap));
        }
    }

    #[test]
    fn a_span_is_exact_to_a_thousandth_up_to_four_years() {
        for seconds in [0, 1, 59, 4095, 4096, 86_399, 604_800, 126_000_000] {
            let read = Span::of(seconds).seconds();
            assert!(read <= seconds && seconds - read <= seconds / 1000, "{seconds}: {read}");
        }
        assert!(Span::of(u32::MAX).seconds() > 130_000_000);
    }

    #[test]
    fn nothing_is_known_after_two_gaps_and_the_interval_after_three() {
        assert_eq!(habit(&[]).interval(), None);
        assert_eq!(habit(&[300, 300]).interval(), None);
        assert_eq!(habit(&[300, 300, 300]).interval(), Some(300));
    }

    #[test]
    fn a_device_that_wakes_once_a_day_and_sends_three_messages_is_expected_the_next_day() {
        let habit = habit(&[DAY, 2, 3].repeat(6));
        let interval = habit.interval().unwrap();
        assert!(interval.abs_diff(DAY) < DAY / 100, "{interval}");
        let overdue = habit.overdue_after().unwrap();
        assert!((DAY + DAY / 2 - 600..2 * DAY).contains(&overdue), "{overdue}");
    }

    #[test]
    fn a_regular_device_is_overdue_a_minute_after_its_time_and_an_irregular_one_later() {
        let regular = habit(&[10; 40]);
        assert_eq!(regular.overdue_after(), Some(70));
        let irregular: Vec<u32> = (0..40).map(|turn| if turn % 2 == 0 { 100 } else { 700 }).collect();
        let irregular = habit(&irregular);
        assert!(irregular.overdue_after().unwrap() > 2 * irregular.interval().unwrap());
    }

    #[test]
    fn a_new_habit_is_learned_in_both_directions() {
        let mut rarer = habit(&[10; 40]);
        more(&mut rarer, &[3600; 4]);
        assert_eq!(rarer.interval(), Some(3600));
        let mut oftener = habit(&[3600; 40]);
        more(&mut oftener, &[10; 12]);
        assert_eq!(oftener.interval(), Some(10));
    }

    #[test]
    fn a_habit_takes_twelve_bytes_and_survives_a_record() {
        assert_eq!(size_of::<Habit>(), 12);
        let learned = habit(&[600, 620, 590, 640]);
        assert_eq!(Habit::from_bits(learned.to_bits(), learned.visited_at()), learned);
        assert_eq!(learned.next_visit(), Some(learned.visited_at() + learned.interval().unwrap()));
    }

    #[test]
    fn no_sequence_of_visits_leads_to_a_panic() {
        let mut habit = habit(&[600; 5]);
        for at in [0, 1, u32::MAX, 0, u32::MAX - 1, 7, u32::MAX] {
            habit.visit(at);
            let _ = (habit.overdue_after(), habit.next_visit());
        }
        let mut old = Habit::from_bits(u64::MAX, u32::MAX);
        old.visit(5);
        let _ = (old.overdue_after(), old.next_visit(), old.is_to_be_saved());
    }

    #[test]
    fn a_habit_that_holds_no_more_is_learned_anew() {
        let mut habit = habit(&[10; 10]);
        habit.begin_anew();
        assert_eq!((habit.interval(), habit.overdue_after()), (None, None));
        more(&mut habit, &[3600; 3]);
        assert_eq!(habit.interval(), Some(3600));
    }
}
