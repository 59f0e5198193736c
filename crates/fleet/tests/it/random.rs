//! Devices that do anything: what is told of them is what they say, and every update ends.

use buoy_fleet::update::End;

use super::world::{
    Device, HEARD, HOUR, Kill, MINUTE, Move, NEW, OLD, RESULTS, Reply, Why, World, downloads, heard_as,
    installs,
};

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn script(&mut self) -> Vec<(u64, Move)> {
        let mut at = 0;
        let mut moves = Vec::new();
        for _ in 0..self.below(8) {
            at += self.of(&[0, 1, 500, 5_000, MINUTE, 7 * MINUTE, 3 * HOUR]);
            moves.push((
                at,
                match self.below(9) {
                    0..=2 => Move::State(self.of(&[0, 1, 2, 2, 3, 7])),
                    3 | 4 => Move::Result(self.of(&RESULTS)),
                    5 => Move::Version(self.of(&[OLD, NEW, "v1.1.0+0", "3.0.0"])),
                    6 => Move::Register,
                    7 => Move::Contact,
                    _ => self.of(&[Move::Away, Move::Back]),
                },
            ));
        }
        moves
    }

    /// Mostly what is usual, so that the story gets far.
    fn reply(&mut self) -> Reply {
        let others = [
            Reply::DoneInVain,
            Reply::DoneUnheard,
            Reply::Lost,
            Reply::Refused(4 << 5 | 5),
            Reply::Refused(4 << 5 | 8),
            Reply::Refused(5 << 5 | 3),
        ];
        if self.below(4) > 0 { Reply::Done } else { self.of(&others) }
    }

    fn after(&mut self, usual: Vec<(u64, Move)>) -> Vec<(u64, Move)> {
        match self.below(3) {
            0 => self.script(),
            1 => usual,
            // What is usual, with one thing in it that is not.
            _ => {
                let mut script = usual;
                let at = self.below(script.len());
                if let Some((_, other)) = self.script().first() {
                    script[at].1 = *other;
                }
                script
            }
        }
    }

    fn device(&mut self) -> Device {
        Device {
            state: self.of(&[0, 0, 0, 0, 0, 0, 1, 2, 3]),
            result: self.of(&RESULTS),
            result_of_reset: self.of(&[0, 10]),
            reset: self.reply(),
            orders_before: (0..self.below(3)).map(|_| self.reply()).collect(),
            order: self.reply(),
            executes_before: (0..self.below(3)).map(|_| self.reply()).collect(),
            execute: self.reply(),
            reason: self.of(&[Why::NoSuchResource, Why::Given("a hang"), Why::NoAnswer]),
            on_order: self.after(downloads()),
            on_execute: self.after(installs()),
            ..heard_as(self.of(&HEARD))
        }
    }
}

#[test]
fn whatever_a_device_does_its_update_ends_and_tells_what_it_says() {
    let mut ends = [0; 3];
    for seed in 1..=1_500 {
        let mut random = Random(seed);
        let device = random.device();
        let mut world = if random.below(2) == 0 { World::new(device) } else { World::push(device) };
        if random.below(3) == 0 {
            world.kill =
                Some((1 + random.below(8), random.of(&[Kill::BeforeSubmission, Kill::BeforeAnswers])));
        }
        world.run();
        let (device, end) = (world.device_at_end.as_ref().unwrap(), world.end());
        let runs_it = matches!(device.version, NEW | "v1.1.0+0");
        match &end {
            End::Updated | End::AlreadyRunning => {
                ends[0] += 1;
                assert!(runs_it, "seed {seed}: {end}, and it runs {}", device.version);
                assert!(
                    end != End::Updated || device.state == 0,
                    "seed {seed}: {end} in state {}",
                    device.state
                );
            }
            End::RolledBack { running, .. } | End::UnexpectedVersion { running, .. } => {
                ends[1] += 1;
                assert!(
                    *running == device.version && !runs_it,
                    "seed {seed}: {end}, and it runs {}",
                    device.version
                );
            }
            End::Refused { result } => assert_eq!(*result, device.result, "seed {seed}: {end}"),
            _ => ends[2] += 1,
        }
        assert!(world.executes() <= 3 && world.orders() <= 5, "seed {seed}: it was told too often");
        assert!(world.update().history().len() <= 64);
    }
    assert!(ends.iter().all(|count| *count > 15), "the seeds do not reach all ends: {ends:?}");
}
