//! A device that is given any delta: what it installs is the image that the release key signed, whatever the instructions make on the way.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use buoy_ota::container::{Envelope, Proof};
use buoy_ota::delta::{DeltaHeader, HEADER_LEN};
use buoy_ota::device::{Device, Identity};
use buoy_ota::host::{ImageBuilder, PrivateKey, ReleaseFacts, apply_delta, delta, sign_manifest};
use buoy_ota::image::{ChipId, Digest};
use buoy_ota::installer::{Installer, Request};
use buoy_ota::journal::Source;
use buoy_ota::partition::{Partition, PartitionTable, Role};
use buoy_ota::signature::{Algorithm, TrustStore};
use buoy_ota::simflash::SimFlash;
use buoy_ota::slots::{Layout, Slot};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const FLASH: u32 = 0x4_0000;

#[derive(Arbitrary, Debug)]
struct Input {
    package: Package,
    /// Sizes of the pieces in which it comes; then the rest at once.
    pieces: Vec<u8>,
    /// After so many pieces the device starts anew.
    restart_after: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Package {
    /// The release's delta, with changes.
    Changed { keep: u16, changes: Vec<(u16, u8)> },
    /// A right header, and any instructions.
    Instructions(Vec<u8>),
}

struct Release {
    old: Vec<u8>,
    new: Vec<u8>,
    manifest: Vec<u8>,
    delta: Vec<u8>,
    trust: TrustStore,
    layout: Layout,
}

fn release() -> &'static Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let key = PrivateKey::generate_from(Algorithm::Ed25519, &mut ChaCha20Rng::from_seed([6; 32]))
            .expect("a key");
        let old = ImageBuilder::new("fuzz", "1.0.0").payload_len(600).build();
        let new = ImageBuilder::new("fuzz", "1.1.0").payload_len(700).build();
        let manifest = sign_manifest(&new, &key, &ReleaseFacts::default()).expect("a manifest");
        let delta = delta(&old, &new, &manifest).expect("a delta");
        let mut trust = TrustStore::new();
        trust.trust(key.public_key().expect("a public key")).expect("room for one key");
        let rows = [
            (Role::OtaData, 0x9000, 0x2000, "otadata"),
            (Role::BuoyState, 0xB000, 0x5000, "buoy_state"),
            (Role::Ota(0), 0x1_0000, 0x3000, "ota_0"),
            (Role::Ota(1), 0x2_0000, 0x3000, "ota_1"),
            (Role::Factory, 0x3_0000, 0x3000, "factory"),
        ];
        let row = |(role, offset, len, name)| Partition::new(role, offset, len, name).expect("a partition");
        let layout = PartitionTable::build(&rows.map(row), FLASH).map(|table| Layout::from_table(&table));
        let layout = layout.expect("a table").expect("a layout");
        let release = Release { old, new, manifest, delta, trust, layout };
        let whole = Input {
            package: Package::Instructions(Vec::new()),
            pieces: vec![7; 40],
            restart_after: Some(20),
        };
        assert!(install(&release, &whole, &release.delta), "the release's own delta is installed");
        release
    })
}

fuzz_target!(|input: Input| {
    let release = release();
    let package = match &input.package {
        Package::Changed { keep, changes } => {
            let mut package = release.delta.clone();
            package.truncate(usize::from(*keep));
            for (at, byte) in changes {
                if let Some(place) = package.get_mut(usize::from(*at)) {
                    *place = *byte;
                }
            }
            package
        }
        Package::Instructions(instructions) => {
            let (base_len, stream_len) = (release.old.len() as u32, instructions.len() as u32);
            let header = DeltaHeader { base_len, base: Digest::of(&release.old), stream_len };
            let proof = Proof::recognise(&release.manifest).expect("a manifest is a proof");
            let mut buffer = [0; 1056];
            let envelope = Envelope { image_len: release.new.len() as u32, proof };
            let envelope = envelope.encode(&mut buffer).expect("an envelope");
            [&header.to_bytes()[..], envelope, instructions].concat()
        }
    };
    let made = apply_delta(&release.old, &package);

    if install(release, &input, &package) {
        assert_eq!(made.as_deref(), Ok(&release.new[..]), "a device installed what nobody signed");
    }
});

/// Whether a device that runs the old image found the package good.
fn install(release: &Release, input: &Input, package: &[u8]) -> bool {
    let mut flash = SimFlash::new(FLASH);
    let mut old = release.old.clone();
    old.resize(old.len().next_multiple_of(32), 0xFF);
    let factory = release.layout.slot(Slot::Factory).expect("a factory slot");
    factory.image.write(&mut flash, 0, &old).expect("the flash is new");
    let device =
        Device { layout: &release.layout, trust: &release.trust, identity: &Identity::any(ChipId::ESP32_C3) };
    let source = Source::new(b"coap://server/fw", b"");
    let request = Request { source, package_len: Some(package.len() as u32), proof: None };
    let Ok(mut installer) = Installer::begin(&mut flash, &device, Slot::Factory, &request) else {
        return false;
    };
    let mut sizes = input.pieces.iter().take(64).map(|size| usize::from(*size) + 1);
    for number in 0.. {
        let at = installer.next_offset();
        let rest = package.get(at as usize..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let piece = &rest[..rest.len().min(sizes.next().unwrap_or(HEADER_LEN * 8))];
        if installer.accept(&mut flash, &device, at, piece).is_err() || installer.next_offset() == at {
            return false;
        }
        if input.restart_after == Some(number) {
            match Installer::resume(&mut flash, &device, Slot::Factory, &request) {
                Ok(Some(resumed)) => installer = resumed,
                _ => match Installer::begin(&mut flash, &device, Slot::Factory, &request) {
                    Ok(begun) => installer = begun,
                    Err(_) => return false,
                },
            }
        }
        if number == u8::MAX {
            break;
        }
    }
    let Ok(verified) = installer.finish(&mut flash, &device) else { return false };
    verified.activate(&mut flash, &device).is_ok()
}
