//! The lives that are cut.

use buoy_ota::boot::{Attempts, decide};
use buoy_ota::confirm;
use buoy_ota::device::{Identity, VersionRule};
use buoy_ota::host::{ImageBuilder, PrivateKey, ReleaseFacts, container, delta, sign_manifest};
use buoy_ota::image::ChipId;
use buoy_ota::installer::{Installer, Request};
use buoy_ota::journal::Source;
use buoy_ota::ledger::Cause;
use buoy_ota::otadata::{Entry, EntryState, OtaData, Sequence};
use buoy_ota::partition::{Partition, PartitionTable, Role};
use buoy_ota::signature::{Algorithm, TrustStore};
use buoy_ota::simflash::{Fault, SimFlash};
use buoy_ota::slots::{Layout, Slot};
use buoy_ota::version::Name;

use crate::story::{Delivery, End, Release, Step, Story, Temper, Trouble};

const FLASH_LEN: u32 = 0x3_5000;
/// Where the device keeps its settings, between what updates write.
const SETTINGS: u32 = 0xF000;
/// An image of one sector, and one of two.
const SMALL: usize = 100;
const LARGE: usize = 4400;

// The releases that every story has.
const FACTORY: usize = 0;
const OLD: usize = 1;

struct Maker {
    keys: [PrivateKey; 3],
    layout: Layout,
    trust: TrustStore,
}

/// What a release is made of.
#[derive(Clone, Copy)]
struct Recipe {
    version: &'static str,
    counter: u32,
    payload: usize,
    temper: Temper,
    key: usize,
    chip: ChipId,
    class: &'static str,
    /// Of the image that the manifest speaks of, if it is another.
    manifest_of: Option<&'static str>,
    /// Most bytes are those of all other such releases.
    is_alike: bool,
    may_start: bool,
}

const GOOD: Recipe = Recipe {
    version: "1.10.0",
    counter: 3,
    payload: SMALL,
    temper: Temper::Good,
    key: 0,
    chip: ChipId::ESP32_C3,
    class: "buoy",
    manifest_of: None,
    is_alike: false,
    may_start: true,
};
const FACTORY_RECIPE: Recipe = Recipe { version: "1.0.0", counter: 1, ..GOOD };
const OLD_RECIPE: Recipe = Recipe { version: "1.9.0", counter: 2, ..GOOD };

impl Maker {
    fn new() -> Self {
        let keys = [1, 2, 3].map(|_| PrivateKey::generate(Algorithm::Ed25519).unwrap());
        let rows = [
            (Role::OtaData, 0x9000, 0x2000, "otadata"),
            (Role::BuoyState, 0xB000, 0x3000, "buoy_state"),
            (Role::Factory, 0x1_0000, 0x3000, "factory"),
            (Role::Ota(0), 0x2_0000, 0x3000, "ota_0"),
            (Role::Ota(1), 0x3_0000, 0x3000, "ota_1"),
        ];
        let partitions: Vec<_> = rows
            .iter()
            .map(|(role, at, len, name)| Partition::new(*role, *at, *len, name).unwrap())
            .collect();
        let table = PartitionTable::build(&partitions, FLASH_LEN).unwrap();
        let mut trust = TrustStore::new();
        // The third key is a stranger's.
        for key in &keys[..2] {
            trust.trust(key.public_key().unwrap()).unwrap();
        }
        Self { keys, layout: Layout::from_table(&table).unwrap(), trust }
    }

    fn release(&self, recipe: Recipe) -> Release {
        let image = |version| {
            let builder = ImageBuilder::new("demo", version).counter(recipe.counter).chip(recipe.chip);
            if recipe.is_alike {
                builder.payload(&alike(version, recipe.payload)).build()
            } else {
                builder.payload_len(recipe.payload).build()
            }
        };
        let key = &self.keys[recipe.key];
        let facts = ReleaseFacts {
            sequence: u64::from(recipe.counter),
            class: Name::new(recipe.class),
            ..ReleaseFacts::default()
        };
        let manifest =
            sign_manifest(&image(recipe.manifest_of.unwrap_or(recipe.version)), key, &facts).unwrap();
        let image = image(recipe.version);
        Release {
            version: recipe.version,
            counter: recipe.counter,
            container: container(&image, &manifest).unwrap(),
            delta: Vec::new(),
            image,
            manifest,
            temper: recipe.temper,
            key: key.public_key().unwrap().id(),
            may_start: recipe.may_start,
        }
    }

    /// A device that has its factory image, and runs 1.9.0 from `ota_0`.
    fn story(&self, name: &'static str, recipes: &[Recipe], steps: Vec<Step>) -> Story {
        self.story_after(OLD_RECIPE, name, recipes, steps)
    }

    /// The same with another image that runs at first.
    fn story_after(&self, old: Recipe, name: &'static str, recipes: &[Recipe], steps: Vec<Step>) -> Story {
        let mut story = self.device(old, name, recipes, steps);
        update(&mut story, OLD, Slot::Factory);
        story.confirmed = Some(OLD);
        story
    }

    /// A device as it comes from the factory.
    fn blank(&self, name: &'static str, recipes: &[Recipe], steps: Vec<Step>) -> Story {
        self.device(OLD_RECIPE, name, recipes, steps)
    }

    fn device(&self, old: Recipe, name: &'static str, recipes: &[Recipe], steps: Vec<Step>) -> Story {
        // Deltas are from a release that is much like the new one.
        let is_alike = recipes.iter().any(|recipe| recipe.is_alike);
        let old = if is_alike { Recipe { payload: LARGE, is_alike, ..old } } else { old };
        let recipes = [FACTORY_RECIPE, old].into_iter().chain(recipes.iter().copied());
        let mut releases: Vec<_> = recipes.map(|recipe| self.release(recipe)).collect();
        let base = releases[OLD].image.clone();
        for release in &mut releases {
            release.delta = delta(&base, &release.image, &release.manifest).unwrap();
        }
        let identity = Identity {
            class: Name::new("buoy"),
            versions: VersionRule::NotOlder,
            ..Identity::any(ChipId::ESP32_C3)
        };
        let mut story = Story {
            name,
            layout: self.layout.clone(),
            trust: self.trust.clone(),
            identity,
            settings: SETTINGS,
            releases,
            steps,
            flash: SimFlash::new(FLASH_LEN).strict(),
            confirmed: None,
        };
        let factory = story.contents(Slot::Factory, &story.releases[FACTORY]);
        let at = story.layout.slot(Slot::Factory).unwrap().image.offset();
        story.flash.flash_externally(at, &factory);
        story
    }
}

/// The good way from one release to the next, without a cut.
fn update(story: &mut Story, release: usize, running: Slot) -> Slot {
    let mut flash = story.flash.clone();
    let device = story.device(&story.trust);
    let package = &story.releases[release].container;
    let request = Request {
        source: Source::new(b"before", &[release as u8]),
        package_len: Some(package.len() as u32),
        proof: None,
    };
    let mut installer = Installer::begin(&mut flash, &device, running, &request).unwrap();
    installer.accept(&mut flash, &device, 0, package).unwrap();
    installer.finish(&mut flash, &device).unwrap().activate(&mut flash, &device).unwrap();
    let slot = decide(&mut flash, &device, Attempts::DEFAULT).unwrap().slot();
    confirm::confirm(&mut flash, &device, slot).unwrap();
    confirm::mark_reported(&mut flash, &device).unwrap();
    story.flash = flash;
    slot
}

/// A program that was built anew: the same but for some places, and a piece that was moved.
fn alike(version: &str, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|at| (at * at / 7 % 251) as u8).collect();
    let seed = version.bytes().fold(7_usize, |seed, byte| seed * 31 + usize::from(byte));
    for at in (seed % 90..len).step_by(333) {
        bytes[at] = bytes[at].wrapping_add(seed as u8 | 1);
    }
    bytes.rotate_left(seed % 5 * 40);
    bytes
}

fn install(release: usize) -> Step {
    Step::Install { release, delivery: Delivery::Container, trouble: Trouble::None, end: End::Confirmed }
}

fn with_trouble(release: usize, delivery: Delivery, trouble: Trouble) -> Step {
    Step::Install { release, delivery, trouble, end: End::Confirmed }
}

fn ends(release: usize, end: End) -> Step {
    Step::Install { release, delivery: Delivery::Container, trouble: Trouble::None, end }
}

fn ends_late(release: usize, end: End) -> Step {
    Step::Install { release, delivery: Delivery::ImageThenManifest, trouble: Trouble::None, end }
}

/// A device that runs its second update, and which release that is.
pub(crate) fn updated_twice() -> (Story, usize) {
    let later = Recipe { counter: OLD_RECIPE.counter, ..GOOD };
    let mut story = Maker::new().story("updated twice", &[later], Vec::new());
    update(&mut story, R2, Slot::Ota(0));
    (story, R2)
}

pub(crate) fn stories() -> Vec<Story> {
    let maker = Maker::new();
    let mut stories = good(&maker);
    stories.extend(bad(&maker));
    stories.extend(broken_off(&maker));
    stories.extend(deltas(&maker));
    stories.extend(refused(&maker));
    stories.extend(worn(&maker));
    stories.extend(crowded_ledger(&maker));
    stories
}

const R2: usize = 2;
const R3: usize = 3;

fn good(maker: &Maker) -> Vec<Story> {
    let later = Recipe { version: "1.11.0", ..GOOD };
    let greedy = Recipe { temper: Temper::InstallsTooEarly, ..GOOD };
    let other_key = Recipe { key: 1, ..GOOD };
    let stale = Recipe { version: "1.12.0", counter: 3, ..GOOD };
    let revoke = Step::Revoke(maker.keys[0].public_key().unwrap().id());
    vec![
        maker.story("an update that works", &[GOOD], vec![install(R2), Step::Runs(R2)]),
        maker.story(
            "two updates, and settings between",
            &[GOOD, later],
            vec![Step::Store(1), install(R2), Step::Store(2), install(R3), Step::Store(3), Step::Runs(R3)],
        ),
        maker.blank("the first update", &[GOOD], vec![install(R2), Step::Runs(R2)]),
        maker.story(
            "two sectors, the manifest last",
            &[Recipe { payload: LARGE, ..GOOD }],
            vec![with_trouble(R2, Delivery::ImageThenManifest, Trouble::None), Step::Runs(R2)],
        ),
        maker.story("an image that installs on trial", &[greedy], vec![install(R2), Step::Runs(R2)]),
        maker.story(
            "a key is revoked",
            &[other_key, stale],
            vec![install(R2), revoke, ends(R3, End::RefusedAtOnce(5)), Step::Runs(R2)],
        ),
        maker.story(
            "the counter rises",
            &[Recipe { counter: 9, ..GOOD }, Recipe { version: "1.12.0", counter: 8, ..GOOD }],
            vec![
                install(R2),
                ends(R3, End::RefusedAtOnce(6)),
                ends_late(R3, End::Refused(6)),
                Step::Runs(R2),
            ],
        ),
    ]
}

fn bad(maker: &Maker) -> Vec<Story> {
    let crashes = Recipe { version: "2.0.0", temper: Temper::Crashes, ..GOOD };
    let fails = Recipe { version: "2.0.0", temper: Temper::FailsItsTest, ..GOOD };
    let rolled_back = |cause| ends(R2, End::RolledBack(cause));
    vec![
        maker.story(
            "an update that crashes, then a good one",
            &[crashes, Recipe { version: "2.1.0", ..GOOD }],
            vec![rolled_back(Cause::NeverConfirmed), Step::Runs(OLD), install(R3), Step::Runs(R3)],
        ),
        maker.story(
            "an update that fails its test",
            &[fails],
            vec![rolled_back(Cause::SelfTestFailed), Step::Runs(OLD)],
        ),
        maker.blank(
            "a first update that crashes",
            &[crashes],
            vec![rolled_back(Cause::NeverConfirmed), Step::Runs(FACTORY)],
        ),
    ]
}

fn broken_off(maker: &Maker) -> Vec<Story> {
    let large = Recipe { payload: LARGE, ..GOOD };
    let other = Recipe { version: "1.11.0", payload: LARGE, ..GOOD };
    vec![
        maker.story(
            "a download that is resumed",
            &[large],
            vec![with_trouble(R2, Delivery::Container, Trouble::ResetAt(4700)), Step::Runs(R2)],
        ),
        maker.story(
            "a download whose beginning rots",
            &[large],
            vec![with_trouble(R2, Delivery::Container, Trouble::RotsAt(4700)), Step::Runs(R2)],
        ),
        maker.story(
            "a file that changes on the server",
            &[large, other],
            vec![with_trouble(R2, Delivery::Container, Trouble::OtherFrom(4700, R3)), Step::Runs(R3)],
        ),
        maker.story(
            "a wrong bit on the way",
            &[GOOD],
            vec![with_trouble(R2, Delivery::ImageThenManifest, Trouble::BitFlips), Step::Runs(R2)],
        ),
        maker.story(
            "a manifest of another image at first",
            &[GOOD],
            vec![with_trouble(R2, Delivery::ImageThenManifest, Trouble::WrongManifest), Step::Runs(R2)],
        ),
        maker.story(
            "a download that is cancelled, then another",
            &[large, GOOD],
            vec![Step::Cancel { release: R2, at: 4700 }, Step::Runs(OLD), install(R3), Step::Runs(R3)],
        ),
    ]
}

fn deltas(maker: &Maker) -> Vec<Story> {
    let alike = Recipe { payload: LARGE, is_alike: true, ..GOOD };
    let later = Recipe { version: "1.11.0", ..alike };
    let by_delta =
        |release, end| Step::Install { release, delivery: Delivery::Delta, trouble: Trouble::None, end };
    vec![
        maker.story(
            "a delta",
            &[alike],
            vec![with_trouble(R2, Delivery::Delta, Trouble::ResetAt(800)), Step::Runs(R2)],
        ),
        maker.story(
            "a delta for another image, then the whole",
            &[alike, later],
            vec![install(R2), by_delta(R3, End::RefusedAtOnce(6)), install(R3), Step::Runs(R3)],
        ),
    ]
}

fn refused(maker: &Maker) -> Vec<Story> {
    let strange = Recipe { version: "3.0.0", key: 2, may_start: false, ..GOOD };
    let other_chip = Recipe { chip: ChipId::ESP32, ..strange };
    let other_chip = Recipe { key: 0, ..other_chip };
    let other_class = Recipe { class: "lamp", key: 0, ..strange };
    let other_manifest = Recipe { manifest_of: Some("3.0.1"), key: 0, ..strange };
    let older = Recipe { version: "1.8.0", counter: 5, ..GOOD };
    let low = Recipe { version: "3.0.0", counter: 1, ..GOOD };
    let refuse = |name, recipe, steps: Vec<Step>| {
        maker.story(name, &[recipe], steps.into_iter().chain([Step::Runs(OLD)]).collect())
    };
    vec![
        refuse(
            "a stranger's image",
            strange,
            vec![ends(R2, End::RefusedAtOnce(5)), ends_late(R2, End::Refused(5))],
        ),
        refuse(
            "another chip",
            other_chip,
            vec![ends(R2, End::RefusedAtOnce(6)), ends_late(R2, End::Refused(6))],
        ),
        refuse(
            "another class",
            other_class,
            vec![ends(R2, End::RefusedAtOnce(6)), ends_late(R2, End::Refused(6))],
        ),
        refuse("another image's manifest", other_manifest, vec![ends_late(R2, End::Refused(5))]),
        refuse("an older version", older, vec![ends_late(R2, End::Refused(6))]),
        refuse("a lower counter", low, vec![ends(R2, End::RefusedAtOnce(6)), ends_late(R2, End::Refused(6))]),
        refuse(
            "more bytes than announced",
            GOOD,
            vec![Step::Install {
                release: R2,
                delivery: Delivery::TooLong,
                trouble: Trouble::None,
                end: End::Refused(5),
            }],
        ),
    ]
}

/// Writes a release into the slot that the device runs from, or would.
fn put(story: &Story, flash: &mut SimFlash, slot: Slot, release: usize) {
    let contents = story.contents(slot, &story.releases[release]);
    let at = story.layout.slot(slot).unwrap().image.offset();
    flash.flash_externally(at, &contents);
}

fn flip(story: &Story, flash: &mut SimFlash, release: usize) {
    let slot = story.slot_of(flash, release).expect("it is there");
    let at = story.layout.slot(slot).unwrap().image.offset() + 340;
    let byte = flash.bytes()[at as usize];
    flash.flash_externally(at, &[byte ^ 1]);
}

fn flip_newest(story: &Story, flash: &mut SimFlash) {
    flip(story, flash, story.releases.len() - 1);
}

fn flip_second(story: &Story, flash: &mut SimFlash) {
    flip(story, flash, R2);
}

fn forge_last(story: &Story, flash: &mut SimFlash) {
    put(story, flash, Slot::Ota(1), story.releases.len() - 1);
}

/// Somebody writes an image to the first slot, and chooses it.
fn choose_last(story: &Story, flash: &mut SimFlash) {
    put(story, flash, Slot::Ota(0), story.releases.len() - 1);
    let bytes = Entry::new(Sequence::new(1).unwrap(), EntryState::New).to_bytes();
    flash.flash_externally(story.layout.otadata().offset(), &bytes);
}

fn flip_old(story: &Story, flash: &mut SimFlash) {
    flip(story, flash, OLD);
}

/// Somebody writes an old choice to otadata that a stock boot loader would follow.
fn choose_again(story: &Story, flash: &mut SimFlash) {
    let region = story.layout.otadata();
    for (half, number) in [(0, 1), (1, u32::MAX - 3)] {
        let mut bytes = Entry::new(Sequence::new(1).unwrap(), EntryState::New).to_bytes();
        if number != 1 {
            bytes[..4].copy_from_slice(&number.to_le_bytes());
        }
        flash.flash_externally(region.offset() + half * 4096, &bytes);
    }
    assert!(OtaData::read(flash, region).unwrap().highest().is_some());
}

fn running_slot(story: &Story, slot: Slot) -> std::ops::Range<u32> {
    let place = story.layout.slot(slot).unwrap();
    place.image.offset()..place.envelope.end()
}

fn worn(maker: &Maker) -> Vec<Story> {
    let same = Recipe { version: "1.10.0", counter: 2, ..GOOD };
    let later = Recipe { version: "1.11.0", counter: 2, ..GOOD };
    let forged = Recipe { version: "6.6.6", key: 2, may_start: false, ..GOOD };
    let other_chip = Recipe { version: "6.6.6", chip: ChipId::ESP32, may_start: false, ..GOOD };
    let rolled_back = |release, cause| ends(release, End::RolledBack(cause));
    let crashes = Recipe { version: "2.0.0", counter: 2, temper: Temper::Crashes, ..GOOD };
    vec![
        maker.story(
            "the confirmed image rots, and heals",
            &[same],
            vec![
                install(R2),
                Step::Damage(flip_newest),
                Step::Runs(OLD),
                Step::Damage(flip_newest),
                Step::Runs(R2),
            ],
        ),
        maker.story(
            "the confirmed image rots behind a finished download",
            &[same, later],
            vec![
                install(R2),
                Step::DownloadOnly { release: R3 },
                Step::Damage(flip_second),
                Step::RunsNothing,
                Step::Damage(flip_second),
                Step::Runs(R2),
            ],
        ),
        maker.story(
            "one bad read",
            &[same],
            vec![
                install(R2),
                Step::Fault(|story| Fault::MisreadsOnce {
                    place: running_slot(story, Slot::Ota(1)),
                    times: 1,
                }),
                Step::Runs(R2),
            ],
        ),
        maker.story(
            "a forged image in the slot",
            &[same, forged],
            vec![install(R2), Step::Damage(forge_last), Step::Runs(OLD)],
        ),
        maker.story(
            "an image for another chip in the slot",
            &[same, other_chip],
            vec![install(R2), Step::Damage(forge_last), Step::Runs(OLD)],
        ),
        maker.story(
            "somebody else writes otadata",
            &[GOOD],
            vec![install(R2), Step::Damage(choose_again), Step::Runs(R2)],
        ),
        maker.story(
            "a slot that loses what is written",
            &[same],
            vec![
                Step::Fault(|story| {
                    let image = story.layout.slot(Slot::Ota(1)).unwrap().image;
                    Fault::LosesWrites(image.offset()..image.end())
                }),
                ends(R2, End::Refused(5)),
                Step::Runs(OLD),
                Step::Mend,
                install(R2),
                Step::Runs(R2),
            ],
        ),
        maker.story(
            "one bad read of an image on trial",
            &[same],
            vec![
                with_trouble(
                    R2,
                    Delivery::Container,
                    Trouble::FailsAfterwards(|story| Fault::MisreadsOnce {
                        place: running_slot(story, Slot::Ota(1)),
                        times: 1,
                    }),
                ),
                Step::Runs(R2),
            ],
        ),
        maker.story(
            "an image that rots before it is tried",
            &[same],
            vec![Step::Install {
                release: R2,
                delivery: Delivery::Container,
                trouble: Trouble::RotsAfterwards,
                end: End::RolledBack(Cause::NotAuthentic),
            }],
        ),
        never_tried(maker, "a ledger that can't be written", |story| Fault::FailsToWrite(ledger(story))),
        never_tried(maker, "a ledger that loses what is written", |story| Fault::LosesWrites(ledger(story))),
        maker.blank(
            "a choice of an image for another chip",
            &[other_chip],
            vec![Step::Damage(choose_last), Step::Runs(FACTORY)],
        ),
        maker.blank(
            "a choice of a forged image",
            &[forged],
            vec![Step::Damage(choose_last), Step::Runs(FACTORY)],
        ),
        maker.story(
            "an update of a device that fell back",
            &[same],
            vec![install(R2), Step::Damage(flip_newest), Step::Runs(OLD), Step::DownloadOnly { release: R2 }],
        ),
        maker.story_after(
            Recipe { counter: 1, ..OLD_RECIPE },
            "a download while the factory image runs",
            &[same],
            vec![
                Step::Damage(flip_old),
                Step::Runs(FACTORY),
                Step::DownloadOnly { release: R2 },
                Step::Damage(flip_old),
                Step::Runs(OLD),
            ],
        ),
        maker.story(
            "a crash after all",
            &[crashes],
            vec![rolled_back(R2, Cause::NeverConfirmed), Step::Runs(OLD)],
        ),
    ]
}

/// An image that crashes, and a ledger in which its attempts can't be counted.
fn never_tried(maker: &Maker, name: &'static str, fault: fn(&Story) -> Fault) -> Story {
    let crashes = Recipe { version: "2.0.0", counter: 2, temper: Temper::Crashes, ..GOOD };
    let install = Step::Install {
        release: R2,
        delivery: Delivery::Container,
        trouble: Trouble::FailsAfterwards(fault),
        end: End::NeverTried,
    };
    maker.story(name, &[crashes], vec![install, Step::Runs(OLD)])
}

fn ledger(story: &Story) -> std::ops::Range<u32> {
    let ledger = story.layout.ledger();
    ledger.offset()..ledger.end()
}

/// Devices whose ledger changes sectors in the middle of an update.
fn crowded_ledger(maker: &Maker) -> Vec<Story> {
    let crashes = Recipe { version: "2.0.0", temper: Temper::Crashes, ..GOOD };
    let rolled_back = ends(R2, End::RolledBack(Cause::NeverConfirmed));
    let works = maker.story("the ledger changes sectors", &[GOOD], vec![install(R2), Step::Runs(R2)]);
    let rolls_back =
        maker.story("the ledger changes sectors, and back", &[crashes], vec![rolled_back, Step::Runs(OLD)]);
    [crowded(works), crowded(rolls_back)].concat()
}

/// The story with a ledger that is almost full, once from each slot.
fn crowded(mut story: Story) -> Vec<Story> {
    let header = |story: &Story| {
        let at = story.layout.ledger().offset() as usize;
        [at, at + 4096].map(|at| story.flash.bytes()[at..at + 32].to_vec())
    };
    let mut slot = Slot::Ota(0);
    let mut found: Vec<(Slot, Story)> = Vec::new();
    // One that runs from each slot.
    while found.len() < 2 {
        let (before, running) = (story.clone(), slot);
        slot = update(&mut story, OLD, slot);
        story.flash.take_log();
        if header(&before) != header(&story) && found.iter().all(|(slot, _)| *slot != running) {
            found.push((running, before));
        }
    }
    found.into_iter().map(|(_, story)| story).collect()
}
