//! A device that is given anything as an update: it installs what the release key signed, whole, and nothing else.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use buoy_ota::container::Proof;
use buoy_ota::device::{Device, Identity};
use buoy_ota::host::{ImageBuilder, PrivateKey, ReleaseFacts, container, sign_manifest};
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

#[derive(Arbitrary, Debug, Default)]
struct Input {
    /// How the package starts: the signed container, the bare image, or nothing.
    start: u8,
    keep: u16,
    changes: Vec<(u16, u8)>,
    tail: Vec<u8>,
    /// A detached proof that comes beside it.
    proof: Option<Vec<u8>>,
    has_good_proof: bool,
    announces_length: bool,
    /// Where and in which pieces the network delivers it; then the rest in order.
    pieces: Vec<(u16, u8)>,
    /// After so many pieces the device starts anew.
    restart_after: Option<u8>,
}

struct Release {
    image: Vec<u8>,
    manifest: Vec<u8>,
    container: Vec<u8>,
    trust: TrustStore,
    layout: Layout,
}

fn release() -> &'static Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let key = PrivateKey::generate_from(Algorithm::Ed25519, &mut ChaCha20Rng::from_seed([5; 32]))
            .expect("a key");
        let image = ImageBuilder::new("fuzz", "1.1.0").counter(1).payload_len(600).build();
        let manifest = sign_manifest(&image, &key, &ReleaseFacts::default()).expect("a manifest");
        let container = container(&image, &manifest).expect("a container");
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
        let release = Release { image, manifest, container, trust, layout };
        // A target that begins no installation would find nothing.
        let installed = install(&release, &Input::default(), &release.container, None);
        assert_eq!(installed, Some(Digest::of(&release.image)), "the release is installed");
        release
    })
}

fuzz_target!(|input: Input| {
    let release = release();
    let mut package = match input.start % 3 {
        0 => release.container.clone(),
        1 => release.image.clone(),
        _ => Vec::new(),
    };
    package.truncate(usize::from(input.keep));
    for (at, byte) in &input.changes {
        if let Some(place) = package.get_mut(usize::from(*at)) {
            *place = *byte;
        }
    }
    package.extend_from_slice(&input.tail);
    let proof = if input.has_good_proof { Some(&release.manifest) } else { input.proof.as_ref() };

    let installed = install(release, &input, &package, proof.and_then(|proof| Proof::recognise(proof).ok()));

    // Bytes behind a whole image are refused, and the image is good without them.
    if let Some(digest) = installed {
        assert_eq!(digest, Digest::of(&release.image), "a device installed what nobody signed");
    }
});

/// The digest of the image that the device found good.
fn install(release: &Release, input: &Input, package: &[u8], proof: Option<Proof<'_>>) -> Option<Digest> {
    let mut flash = SimFlash::new(FLASH);
    let device =
        Device { layout: &release.layout, trust: &release.trust, identity: &Identity::any(ChipId::ESP32_C3) };
    let request = Request {
        source: Source::new(b"coap://server/fw", b""),
        package_len: input.announces_length.then_some(package.len() as u32),
        proof,
    };
    let Ok(mut installer) = Installer::begin(&mut flash, &device, Slot::Factory, &request) else {
        return None;
    };
    for (number, (at, len)) in input.pieces.iter().take(32).enumerate() {
        let start = usize::from(*at).min(package.len());
        let end = (start + usize::from(*len)).min(package.len());
        let _ = installer.accept(&mut flash, &device, start as u32, &package[start..end]);
        if input.restart_after.is_some_and(|after| usize::from(after) == number) {
            match Installer::resume(&mut flash, &device, Slot::Factory, &request) {
                Ok(Some(resumed)) => installer = resumed,
                _ => return None,
            }
        }
    }
    while let Some(rest) = package.get(installer.next_offset() as usize..).filter(|rest| !rest.is_empty()) {
        let piece = &rest[..rest.len().min(256)];
        let (at, before) = (installer.next_offset(), installer.next_offset());
        if installer.accept(&mut flash, &device, at, piece).is_err() || installer.next_offset() == before {
            break;
        }
    }
    let Ok(verified) = installer.finish(&mut flash, &device) else { return None };
    let digest = verified.image().info().digest;
    verified.activate(&mut flash, &device).ok().map(|_| digest)
}
