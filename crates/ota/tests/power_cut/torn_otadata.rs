//! Otadata is a copy for others. Whatever is in it, the confirmed image is started, or one that somebody has chosen is tried and given up.

use buoy_ota::boot::{Attempts, BootReason, decide};
use buoy_ota::otadata::{Entry, EntryState, Sequence};
use buoy_ota::simflash::SimFlash;

use crate::stories::updated_twice;
use crate::story::Story;

const STATES: [EntryState; 7] = [
    EntryState::New,
    EntryState::PendingVerify,
    EntryState::Valid,
    EntryState::Invalid,
    EntryState::Aborted,
    EntryState::Undefined,
    EntryState::Unknown(0xFFFF_FF00),
];

/// What a half of otadata can hold: entries of each state, and what a cut leaves of them.
fn contents() -> Vec<[u8; 32]> {
    let mut contents = vec![[0xFF; 32], [0; 32], [0x5A; 32]];
    // An intact choice of another confirmed image would be followed (3), and is none of a cut.
    for (sequence, state) in [1, 2, 4].into_iter().flat_map(|sequence| STATES.map(|state| (sequence, state)))
    {
        contents.push(Entry::new(Sequence::new(sequence).unwrap(), state).to_bytes());
    }
    for sequence in 1..=3 {
        let entry = Entry::new(Sequence::new(sequence).unwrap(), EntryState::New).to_bytes();
        for units in 1..8 {
            let mut torn = [0xFF; 32];
            torn[..units * 4].copy_from_slice(&entry[..units * 4]);
            contents.push(torn);
            // The other way round: the end of the entry is there, its beginning is not.
            let mut torn = entry;
            torn[..units * 4].fill(0xFF);
            contents.push(torn);
        }
        for seed in 1..6_u8 {
            let mask = |at: usize| seed.wrapping_mul(37).wrapping_add(at as u8).wrapping_mul(101);
            let mut torn = entry;
            torn.iter_mut().enumerate().for_each(|(at, byte)| *byte |= mask(at));
            contents.push(torn);
        }
        let mut wrong_crc = entry;
        wrong_crc[28] ^= 1;
        contents.push(wrong_crc);
    }
    contents
}

/// The version that is started, and whether it is on trial.
fn started(story: &Story, flash: &mut SimFlash) -> (String, bool) {
    let decision =
        decide(flash, &story.device(&story.trust), Attempts::DEFAULT).expect("something is started");
    let is_trial = matches!(decision.reason, BootReason::Trial { .. });
    (decision.image.info().descriptor.version.as_str().to_owned(), is_trial)
}

#[test]
fn no_kind_of_torn_otadata_loses_the_confirmed_image() {
    let (story, confirmed) = updated_twice();
    let version = story.releases[confirmed].version;
    let region = story.layout.otadata();
    let contents = contents();
    let mut tried = 0;
    for (first, second) in
        contents.iter().flat_map(|first| contents.iter().map(move |second| (first, second)))
    {
        let mut flash = story.flash.clone();
        flash.flash_externally(region.offset(), first);
        flash.flash_externally(region.offset() + 4096, second);
        let mut trials = 0;
        let last = loop {
            match started(&story, &mut flash) {
                (version, false) => break version,
                (_, true) => trials += 1,
            }
            // Only an intact entry of a later sequence is somebody's choice, and then it is tried as any other.
            assert!(trials <= 3, "{first:x?} {second:x?}");
        };
        assert_eq!(last, version, "{first:x?} {second:x?}");
        assert_eq!(started(&story, &mut flash), (version.to_owned(), false), "{first:x?} {second:x?}");
        tried += 1;
    }
    println!("{tried} kinds of otadata");
}
