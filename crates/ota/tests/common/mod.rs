//! A small device for tests: 256 KiB of flash, a factory image, two slots, and a release key.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use buoy_ota::boot::{Attempts, BootDecision, BootError, decide};
use buoy_ota::device::{Device, Identity};
use buoy_ota::host::{ImageBuilder, PrivateKey, ReleaseFacts, container, sign_manifest, slot_contents};
use buoy_ota::image::ChipId;
use buoy_ota::installer::{InstallError, Installer, Request, VerifiedImage};
use buoy_ota::journal::Source;
use buoy_ota::partition::{Partition, PartitionTable, Role};
use buoy_ota::signature::{Algorithm, TrustStore};
use buoy_ota::simflash::SimFlash;
use buoy_ota::slots::{Layout, Slot};
use buoy_ota::{confirm, container::Proof};

pub const FLASH_LEN: u32 = 0x4_0000;
pub const CHUNK: usize = 1000;

/// A signed image: alone, with its manifest, and as a container.
#[derive(Clone)]
pub struct Release {
    pub version: &'static str,
    pub image: Vec<u8>,
    pub manifest: Vec<u8>,
    pub container: Vec<u8>,
}

#[derive(Clone)]
pub struct World {
    pub flash: SimFlash,
    pub layout: Layout,
    pub trust: TrustStore,
    pub identity: Identity,
    pub key: std::rc::Rc<PrivateKey>,
}

impl World {
    /// A device with version 1.0.0 in its factory slot, signed with an Ed25519 key.
    pub fn new() -> Self {
        Self::with_key(PrivateKey::generate(Algorithm::Ed25519).unwrap())
    }

    pub fn with_key(key: PrivateKey) -> Self {
        let rows = [
            (Role::OtaData, 0x9000, 0x2000, "otadata"),
            (Role::BuoyState, 0xB000, 0x5000, "buoy_state"),
            (Role::Factory, 0x1_0000, 0x6000, "factory"),
            (Role::Ota(0), 0x2_0000, 0x6000, "ota_0"),
            (Role::Ota(1), 0x3_0000, 0x6000, "ota_1"),
        ];
        let partitions: Vec<_> =
            rows.iter().map(|(r, o, l, n)| Partition::new(*r, *o, *l, n).unwrap()).collect();
        let table = PartitionTable::build(&partitions, FLASH_LEN).unwrap();
        let mut trust = TrustStore::new();
        trust.trust(key.public_key().unwrap()).unwrap();
        let mut world = Self {
            flash: SimFlash::new(FLASH_LEN),
            layout: Layout::from_table(&table).unwrap(),
            trust,
            identity: Identity::any(ChipId::ESP32_C3),
            key: std::rc::Rc::new(key),
        };
        let factory = world.release("1.0.0", 1, 2000);
        world.put_in_factory(&factory);
        world
    }

    pub fn put_in_factory(&mut self, release: &Release) {
        let place = self.layout.slot(Slot::Factory).unwrap();
        let contents = slot_contents(&place, &release.image, Proof::Manifest(&release.manifest)).unwrap();
        self.flash.flash_externally(place.image.offset(), &contents);
    }

    pub fn release(&self, version: &'static str, counter: u32, payload_len: usize) -> Release {
        release_by(&self.key, version, counter, payload_len)
    }

    pub fn boot(&mut self) -> Result<BootDecision, BootError> {
        let device = Device { layout: &self.layout, trust: &self.trust, identity: &self.identity };
        decide(&mut self.flash, &device, Attempts::DEFAULT)
    }

    /// Downloads a package from the start to the end and checks it.
    pub fn install(
        &mut self,
        running: Slot,
        package: &[u8],
        proof: Option<&[u8]>,
    ) -> Result<VerifiedImage, InstallError> {
        let device = Device { layout: &self.layout, trust: &self.trust, identity: &self.identity };
        let request = Request {
            source: Source::new(package, b""),
            package_len: Some(package.len() as u32),
            proof: proof.map(|bytes| Proof::recognise(bytes).unwrap()),
        };
        let mut installer = Installer::begin(&mut self.flash, &device, running, &request)?;
        for (index, chunk) in package.chunks(CHUNK).enumerate() {
            installer.accept(&mut self.flash, &device, (index * CHUNK) as u32, chunk)?;
        }
        installer.finish(&mut self.flash, &device)
    }

    /// Installs, activates, starts and confirms a release: the good way from one version to the next.
    pub fn update_to(&mut self, running: Slot, release: &Release) -> Slot {
        let verified = self.install(running, &release.container, None).unwrap();
        let device = Device { layout: &self.layout, trust: &self.trust, identity: &self.identity };
        verified.activate(&mut self.flash, &device).unwrap();
        let slot = self.boot().unwrap().slot();
        let device = Device { layout: &self.layout, trust: &self.trust, identity: &self.identity };
        confirm::confirm(&mut self.flash, &device, slot).unwrap();
        confirm::mark_reported(&mut self.flash, &device).unwrap();
        slot
    }
}

pub fn release_by(key: &PrivateKey, version: &'static str, counter: u32, payload_len: usize) -> Release {
    let image = ImageBuilder::new("demo", version).counter(counter).payload_len(payload_len).build();
    let facts = ReleaseFacts { sequence: u64::from(counter), ..ReleaseFacts::default() };
    let manifest = sign_manifest(&image, key, &facts).unwrap();
    let container = container(&image, &manifest).unwrap();
    Release { version, image, manifest, container }
}

pub fn version_of(decision: &BootDecision) -> &str {
    decision.image.info().descriptor.version.as_str()
}
