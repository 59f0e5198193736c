//! Writing a downloaded package to the slot that is not running, and proving that it arrived.
//!
//! Knows no network: the shell brings bytes in order, from CoAP blocks or HTTP ranges, and asks
//! [`Installer::next_offset`] where to go on. A package is an image alone, with a signature beside it that comes before
//! ([`Request::proof`]) or after ([`Installer::accept_proof`]), or a [container](crate::container), told apart by their
//! first byte. What can be judged early is: a container's manifest before anything is erased, chip, project and counter
//! from the image's first bytes. Nothing counts until [`Installer::finish`] has read the flash again.

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::{put, take};
use crate::container::{ENVELOPE_MAX, Envelope, EnvelopeError, Proof, ProofError};
use crate::delta::{self, Applier, DeltaError, DeltaHeader, Failure};
use crate::device::{Device, RuleError, admit_counter};
use crate::flash::{FlashFault, RECORD, Region, SECTOR};
use crate::image::{ImageError, Scanner};
use crate::journal::{DeltaPlace, Form, Journal, Progress, Source, Start};
use crate::ledger::{Fact, Fingerprint, Ledger, Standing};
use crate::manifest::{SIGNED_MAX, SignedManifest};
use crate::otadata::{Entry, EntryState, OtaData, Sequence};
use crate::safeguard::{Safeguard, off, on};
use crate::slots::{AuthenticImage, Slot, SlotError, SlotRegion, authenticate, claimed_descriptor, scan};

/// A package on its way into a slot. Takes less than 2560 bytes of memory.
pub struct Installer {
    running: Slot,
    number: u8,
    place: SlotRegion,
    source: Source,
    package_len: Option<u32>,
    stage: Stage,
    proof: HeldProof,
    scanner: Scanner,
    staged: [u8; STAGING],
    staged_len: usize,
    judged: Judged,
    delta: Option<Delta>,
}

/// The old image of a delta, and how far its instructions are carried out.
#[derive(Clone)]
struct Delta {
    base: Region,
    base_len: u32,
    base_start: [u8; 4],
    stream_len: u32,
    applier: Applier,
}

/// What is to be fetched.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which package; resumption goes on only with the same one.
    pub source: Source,
    /// Bytes of the package, if the server said (Size1, Size2, Content-Length).
    pub package_len: Option<u32>,
    /// The signature or manifest, if it came first.
    pub proof: Option<Proof<'a>>,
}

/// A sound, authentic image that this device may run. Made only by [`Installer::finish`].
#[derive(Debug)]
pub struct VerifiedImage {
    image: AuthenticImage,
}

/// The image that will be tried at the next reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activated {
    /// Its slot.
    pub slot: Slot,
}

/// Why a package is not installed. [`InstallError::update_result`] gives the code of Object 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// The running image is not confirmed; its fallback must not be overwritten.
    RunningImageUnconfirmed,
    /// The layout has no slot besides the running one.
    NoSlot,
    /// The package has more bytes than the slot takes.
    PackageTooLarge {
        /// Bytes that the slot takes.
        capacity: u32,
    },
    /// The package is neither an image nor a container.
    UnknownPackage,
    /// The container's header is damaged or unknown.
    BadContainer(EnvelopeError),
    /// The package is a delta that can't be used.
    Delta(DeltaError),
    /// Bytes came for an offset behind the next one.
    Gap {
        /// The offset to go on at.
        expected: u32,
    },
    /// More bytes came than were announced.
    PeerSentTooMuch,
    /// The package ended early.
    PeerSentTooLittle,
    /// The image is damaged.
    Image(ImageError),
    /// No signature came.
    ProofMissing,
    /// The signature or the manifest does not hold.
    Proof(ProofError),
    /// The image is good, but not for this device.
    Refused(RuleError),
    /// What was written is not what is read.
    ReadBack(SlotError),
    /// The flash failed.
    Storage(FlashFault),
}

/// Where in the package the next byte belongs.
#[derive(Clone)]
enum Stage {
    /// Nothing came yet, or a part of a container's header.
    Head { len: usize },
    /// Image bytes.
    Image { head_len: u32, image_len: Option<u32>, received: u32, journal: Journal },
}

/// The proof of the image, or the part of the envelope that has arrived.
#[derive(Clone)]
struct HeldProof {
    bytes: [u8; ENVELOPE_MAX],
    kept: Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// So many bytes of a signature or manifest.
    Proof(usize),
    /// The envelope is in the slot already.
    InSlot,
}

/// Whether the image's own header has been judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    NotYet,
    Admitted,
}

/// Bytes that are collected before they are programmed: a flash page.
const STAGING: usize = 256;
const _: () = assert!((SECTOR as usize).is_multiple_of(STAGING) && STAGING.is_multiple_of(RECORD));

impl Installer {
    /// Begins a new download into the slot that is free; what was there is erased when the first image byte comes.
    ///
    /// # Errors
    /// [`InstallError`]; nothing has been written then.
    pub fn begin<F: NorFlash>(
        flash: &mut F,
        device: &Device<'_>,
        running: Slot,
        request: &Request<'_>,
    ) -> Result<Self, InstallError> {
        let mut installer = Self::begin_unproved(flash, device, running, request)?;
        installer.supply_requested(flash, device, request)?;
        Ok(installer)
    }

    /// The same, without a look at the proof of the request: a device whose proof comes with the package or after it has no verification on the
    /// stack here.
    ///
    /// # Errors
    /// As [`Installer::begin`].
    #[inline(never)]
    pub fn begin_unproved<F: NorFlash>(
        flash: &mut F,
        device: &Device<'_>,
        running: Slot,
        request: &Request<'_>,
    ) -> Result<Self, InstallError> {
        let ledger = Ledger::load(flash, device.layout.ledger())?;
        let free = Self::free_place(device, &ledger, running, request)?;
        Ok(Self::empty(running, free, request))
    }

    fn supply_requested<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        request: &Request<'_>,
    ) -> Result<(), InstallError> {
        match request.proof {
            Some(proof) if self.proof.kept != Kept::InSlot => {
                let ledger = Ledger::load(flash, device.layout.ledger())?;
                self.supply_proof(device, &ledger, proof)
            }
            _ => Ok(()),
        }
    }

    /// Goes on with the download that the journal knows, if it is of the same source; `None` if there is none.
    ///
    /// Reads what is in the slot again; what does not match the journal is fetched again.
    ///
    /// # Errors
    /// [`InstallError`].
    pub fn resume<F: NorFlash>(
        flash: &mut F,
        device: &Device<'_>,
        running: Slot,
        request: &Request<'_>,
    ) -> Result<Option<Self>, InstallError> {
        let mut resumed = Self::resume_unproved(flash, device, running, request)?;
        if let Some(installer) = &mut resumed {
            installer.supply_requested(flash, device, request)?;
        }
        Ok(resumed)
    }

    /// The same, without a look at the proof of the request.
    ///
    /// # Errors
    /// As [`Installer::resume`].
    #[inline(never)]
    pub fn resume_unproved<F: NorFlash>(
        flash: &mut F,
        device: &Device<'_>,
        running: Slot,
        request: &Request<'_>,
    ) -> Result<Option<Self>, InstallError> {
        let ledger = Ledger::load(flash, device.layout.ledger())?;
        let Some(journal) = Journal::open(flash, device.layout.journal())? else {
            return Ok(None);
        };
        let free = Self::free_place(device, &ledger, running, request)?;
        let start = *journal.start();
        let other_size = request.package_len.is_some() && request.package_len != start.package_len;
        if (start.source != request.source && on(Safeguard::ResumeInsistsOnSource))
            || start.slot != free.0
            || other_size
        {
            return Ok(None);
        }
        if let Progress::Whole { fingerprint, .. } = journal.progress()
            && ledger.image(Slot::Ota(start.slot), fingerprint).is_some()
        {
            // It was activated and only the journal's end was cut off; trying it again is not for the installer to say.
            Journal::clear(flash, device.layout.journal())?;
            return Ok(None);
        }
        let mut installer = Self::empty(running, free, request);
        installer.package_len = start.package_len;
        installer.reload(flash, device, journal)?;
        Ok(Some(installer))
    }

    /// Where in the package the next byte belongs: the number of bytes to skip in a resumed transfer.
    pub fn next_offset(&self) -> u32 {
        match &self.stage {
            Stage::Head { len } => u32::try_from(self.delta_head().saturating_add(*len)).unwrap_or(u32::MAX),
            Stage::Image { head_len, received, .. } => {
                let come = self.delta.as_ref().map_or(*received, |delta| delta.applier.consumed());
                head_len.saturating_add(come)
            }
        }
    }

    /// Bytes of the image that have come, or were made by a delta.
    pub fn image_bytes(&self) -> u32 {
        match self.stage {
            Stage::Head { .. } => 0,
            Stage::Image { received, .. } => received,
        }
    }

    /// Bytes of the whole package, if they are known.
    pub fn expected_len(&self) -> Option<u32> {
        match &self.stage {
            Stage::Image { head_len, image_len: Some(image_len), .. } => {
                let to_come = self.delta.as_ref().map_or(*image_len, |delta| delta.stream_len);
                head_len.checked_add(to_come)
            }
            _ => self.package_len,
        }
    }

    /// Whether every byte has come; never true while the length is unknown.
    pub fn is_complete(&self) -> bool {
        self.expected_len() == Some(self.next_offset())
    }

    /// Whether a signature has to be fetched from beside the image.
    pub fn needs_proof(&self) -> bool {
        self.proof.kept == Kept::Nothing && matches!(self.stage, Stage::Image { .. })
    }

    /// The slot that is written.
    pub fn slot(&self) -> Slot {
        Slot::Ota(self.number)
    }

    /// Takes a signature file or manifest that came beside the image; a manifest is checked and judged at once.
    ///
    /// # Errors
    /// [`InstallError::Proof`] or [`InstallError::Refused`] for a manifest.
    pub fn accept_proof<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        proof: Proof<'_>,
    ) -> Result<(), InstallError> {
        let ledger = Ledger::load(flash, device.layout.ledger())?;
        self.supply_proof(device, &ledger, proof)
    }

    /// Takes bytes of the package that belong at `offset`. Bytes that came before are skipped.
    ///
    /// # Errors
    /// [`InstallError::Gap`] leaves everything as it was; after any other error the download is to be
    /// [aborted](Self::abort).
    pub fn accept<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        offset: u32,
        bytes: &[u8],
    ) -> Result<(), InstallError> {
        let expected = self.next_offset();
        let skip = expected.checked_sub(offset).ok_or(InstallError::Gap { expected })?;
        let mut rest = bytes.get(skip as usize..).unwrap_or_default();
        while !rest.is_empty() {
            let used = match &self.stage {
                Stage::Head { .. } => self.take_head(flash, device, rest)?,
                Stage::Image { .. } if self.delta.is_some() => self.take_delta(flash, device, rest)?,
                Stage::Image { .. } => self.take_image(flash, device, rest)?,
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the download: writes what is left, reads the slot again, and checks everything.
    ///
    /// # Errors
    /// [`InstallError`]; the download is forgotten, except that [`InstallError::ProofMissing`] leaves it to be resumed.
    pub fn finish<F: NorFlash>(
        mut self,
        flash: &mut F,
        device: &Device<'_>,
    ) -> Result<VerifiedImage, InstallError> {
        self.finish_here(flash, device)
    }

    /// As [`Self::finish`], for an installer that stays where it is: a chip has no room on its stack for a second one. Afterwards it has no use.
    ///
    /// # Errors
    /// As [`Self::finish`].
    #[inline(never)]
    pub fn finish_here<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
    ) -> Result<VerifiedImage, InstallError> {
        let outcome = self.complete(flash, device);
        match &outcome {
            Ok(_)
            | Err(InstallError::ProofMissing | InstallError::Storage(_) | InstallError::PeerSentTooLittle) => {
            }
            Err(_) if off(Safeguard::FailedDownloadIsForgotten) => {}
            Err(_) => Journal::clear(flash, device.layout.journal())?,
        }
        outcome
    }

    /// Gives the download up. The slot keeps whatever it has; nothing will start it.
    ///
    /// # Errors
    /// The flash failed; the journal may still offer the download for resumption.
    pub fn abort<F: NorFlash>(self, flash: &mut F, device: &Device<'_>) -> Result<(), InstallError> {
        Ok(Journal::clear(flash, device.layout.journal())?)
    }

    /// Where the download goes, if one may begin.
    fn free_place(
        device: &Device<'_>,
        ledger: &Ledger,
        running: Slot,
        request: &Request<'_>,
    ) -> Result<(u8, SlotRegion), InstallError> {
        let on_trial =
            ledger.slot(running).is_none_or(|facts| !matches!(facts.standing, Standing::Confirmed { .. }));
        if running != Slot::Factory && on_trial && on(Safeguard::TrialInstallsNothing) {
            return Err(InstallError::RunningImageUnconfirmed);
        }
        let slot = device.layout.next(running, ledger).ok_or(InstallError::NoSlot)?;
        let (Slot::Ota(number), Some(place)) = (slot, device.layout.slot(slot)) else {
            return Err(InstallError::NoSlot);
        };
        let capacity = place.image.len();
        let most = u32::try_from(ENVELOPE_MAX).unwrap_or_default().saturating_add(capacity);
        if request.package_len.is_some_and(|len| len > most) {
            return Err(InstallError::PackageTooLarge { capacity });
        }
        Ok((number, place))
    }

    /// Nothing has come yet. No `Result` is around it, which would be another copy on the stack.
    #[inline(never)]
    fn empty(running: Slot, (number, place): (u8, SlotRegion), request: &Request<'_>) -> Self {
        Self {
            running,
            number,
            place,
            source: request.source,
            package_len: request.package_len,
            stage: Stage::Head { len: 0 },
            proof: HeldProof { bytes: [0; ENVELOPE_MAX], kept: Kept::Nothing },
            scanner: Scanner::new(),
            staged: [0xFF; STAGING],
            staged_len: 0,
            judged: Judged::NotYet,
            delta: None,
        }
    }

    fn supply_proof(
        &mut self,
        device: &Device<'_>,
        ledger: &Ledger,
        proof: Proof<'_>,
    ) -> Result<(), InstallError> {
        judge_proof(device, ledger, self.number, &proof)?;
        self.proof.hold(proof.as_bytes())
    }

    /// Collects a container's header, or finds that the package is an image alone.
    fn take_head<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        bytes: &[u8],
    ) -> Result<usize, InstallError> {
        let Stage::Head { len } = self.stage else {
            return Ok(0);
        };
        if len == 0 && bytes.first() == Some(&IMAGE_MAGIC) {
            self.start_image(flash, device, 0, self.package_len)?;
            return Ok(0);
        }
        if self.delta.is_none()
            && (len > 0 || bytes.first() == delta::MAGIC.first())
            && let Some(used) = self.take_delta_head(flash, device, len, bytes)?
        {
            return Ok(used);
        }
        if len == 0 {
            // A container brings its own proof; one from beside it would be about other bytes.
            self.proof.kept = Kept::Nothing;
        }
        let seen = self.proof.bytes.get(..len).unwrap_or_default();
        let needed = match Envelope::parse(seen) {
            Err(EnvelopeError::Incomplete { needed }) => needed,
            other => {
                return Err(other.err().map_or(InstallError::UnknownPackage, InstallError::BadContainer));
            }
        };
        let used = needed.saturating_sub(len).min(bytes.len());
        let fits = put(&mut self.proof.bytes, len, bytes.get(..used).unwrap_or_default());
        fits.then_some(()).ok_or(InstallError::UnknownPackage)?;
        let len = len.saturating_add(used);
        self.stage = Stage::Head { len };
        self.judge_head(flash, device, len)?;
        Ok(used)
    }

    fn judge_head<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        len: usize,
    ) -> Result<(), InstallError> {
        let bytes = self.proof.bytes;
        let (envelope, head_len) = match Envelope::parse(bytes.get(..len).unwrap_or_default()) {
            Ok(parsed) => parsed,
            Err(EnvelopeError::Incomplete { .. }) => return Ok(()),
            Err(EnvelopeError::NotAContainer) => return Err(InstallError::UnknownPackage),
            Err(error) => return Err(InstallError::BadContainer(error)),
        };
        let head_len = u32::try_from(head_len).unwrap_or(u32::MAX);
        let head_len = head_len.saturating_add(self.delta_head() as u32);
        let whole =
            head_len.saturating_add(self.delta.as_ref().map_or(envelope.image_len, |delta| delta.stream_len));
        match self.package_len {
            Some(announced) if announced < whole => return Err(InstallError::PeerSentTooLittle),
            Some(announced) if announced > whole => return Err(InstallError::PeerSentTooMuch),
            _ => {}
        }
        let ledger = Ledger::load(flash, device.layout.ledger())?;
        judge_proof(device, &ledger, self.number, &envelope.proof)?;
        self.proof.hold(envelope.proof.as_bytes())?;
        self.start_image(flash, device, head_len, Some(envelope.image_len))
    }

    /// Gives the slot up to the new image: from here on the old one is gone.
    fn start_image<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        head_len: u32,
        image_len: Option<u32>,
    ) -> Result<(), InstallError> {
        let capacity = self.place.image.len();
        if image_len.is_some_and(|len| len > capacity) {
            return Err(InstallError::PackageTooLarge { capacity });
        }
        let (form, to_come) = match &self.delta {
            Some(delta) => (Form::Delta, Some(delta.stream_len)),
            None => (Form::Whole, image_len),
        };
        let package_len = to_come.and_then(|len| len.checked_add(head_len));
        let start = Start { source: self.source, slot: self.number, package_len, head_len, form };
        Journal::clear(flash, device.layout.journal())?;
        match image_len {
            Some(image_len) if self.proof.kept != Kept::Nothing => self.write_envelope(flash, image_len)?,
            _ => self.place.envelope.erase_sector(flash, 0)?,
        }
        let journal = Journal::begin(flash, device.layout.journal(), start)?;
        self.stage = Stage::Image { head_len, image_len, received: 0, journal };
        Ok(())
    }

    /// Puts the held proof, if there is one, beside the image.
    #[inline(never)]
    fn write_envelope<F: NorFlash>(&mut self, flash: &mut F, image_len: u32) -> Result<(), InstallError> {
        let Kept::Proof(len) = self.proof.kept else {
            return Ok(());
        };
        let bytes = self.proof.bytes;
        let proof = Proof::recognise(bytes.get(..len).unwrap_or_default()).map_err(ProofError::Signature)?;
        let mut buffer = [0; ENVELOPE_MAX];
        let envelope =
            Envelope { image_len, proof }.encode(&mut buffer).map_err(InstallError::BadContainer)?;
        // Also when it should be erased already: a cut may have torn an earlier try.
        if on(Safeguard::EnvelopeIsErasedFirst) {
            self.place.envelope.erase_sector(flash, 0)?;
        }
        self.place.envelope.write(flash, 0, envelope)?;
        self.proof.kept = Kept::InSlot;
        Ok(())
    }

    fn take_image<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        bytes: &[u8],
    ) -> Result<usize, InstallError> {
        let Stage::Image { image_len, received, .. } = &mut self.stage else {
            return Ok(0);
        };
        let capacity = self.place.image.len();
        let room = image_len.unwrap_or(capacity).saturating_sub(*received) as usize;
        if room == 0 && off(Safeguard::InstallChecksLength) {
            return Ok(bytes.len());
        }
        if room == 0 {
            return Err(match image_len {
                Some(_) => InstallError::PeerSentTooMuch,
                None => InstallError::PackageTooLarge { capacity },
            });
        }
        let used = bytes.len().min(room).min(STAGING.saturating_sub(self.staged_len));
        let piece = bytes.get(..used).unwrap_or_default();
        let _fits = put(&mut self.staged, self.staged_len, piece);
        self.staged_len = self.staged_len.saturating_add(used);
        *received = received.saturating_add(u32::try_from(used).unwrap_or_default());
        self.scanner.push(piece)?;
        self.judge_early(flash, device)?;
        if self.staged_len == STAGING {
            self.flush(flash)?;
        }
        Ok(used)
    }

    /// Refuses an image for another device as soon as its first bytes say so.
    fn judge_early<F: NorFlash>(&mut self, flash: &mut F, device: &Device<'_>) -> Result<(), InstallError> {
        if self.judged == Judged::Admitted {
            return Ok(());
        }
        let Some((chip, descriptor)) = self.scanner.early() else {
            return Ok(());
        };
        device.identity.admit_image(chip, descriptor.project)?;
        let running = claimed_descriptor(flash, device.layout, self.running);
        device.identity.admit_version(descriptor.version, running)?;
        self.judged = Judged::Admitted;
        Ok(())
    }

    /// Programs what is staged, erasing the sector first when it is the sector's first page.
    fn flush<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), InstallError> {
        let Stage::Image { received, journal, .. } = &mut self.stage else {
            return Ok(());
        };
        if self.staged_len == 0 {
            return Ok(());
        }
        let at = received.saturating_sub(u32::try_from(self.staged_len).unwrap_or_default());
        if at.is_multiple_of(SECTOR) && on(Safeguard::SlotIsErasedFirst) {
            self.place.image.erase_sector(flash, at / SECTOR)?;
        }
        let padded = self.staged.get(..self.staged_len.next_multiple_of(RECORD)).unwrap_or_default();
        self.place.image.write(flash, at, padded)?;
        self.staged = [0xFF; STAGING];
        self.staged_len = 0;
        let image_bytes = *received;
        let stride = journal.stride(self.place.image.sectors());
        if image_bytes.is_multiple_of(stride.saturating_mul(SECTOR)) {
            if let Some(delta) = &self.delta
                && let Some(place) = delta.applier.place()
            {
                let Delta { base_len, base_start, .. } = *delta;
                journal.record_place(flash, DeltaPlace { image_bytes, place, base_len, base_start })?;
            }
            let fingerprint = Fingerprint::of(&self.scanner.digest_so_far());
            journal.record(flash, Progress::Partly { image_bytes, fingerprint })?;
        }
        Ok(())
    }

    fn complete<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
    ) -> Result<VerifiedImage, InstallError> {
        let Stage::Image { image_len, received, .. } = self.stage else {
            return Err(InstallError::PeerSentTooLittle);
        };
        if image_len.is_some_and(|len| received < len) {
            return Err(InstallError::PeerSentTooLittle);
        }
        self.flush(flash)?;
        self.note_whole(flash)?;
        self.write_envelope(flash, received)?;
        if self.proof.kept != Kept::InSlot {
            return Err(InstallError::ProofMissing);
        }
        let image = self.read_back(flash, device)?;
        let ledger = Ledger::load(flash, device.layout.ledger())?;
        self.admit(flash, device, &ledger, &image)?;
        Ok(VerifiedImage { image })
    }

    fn read_back<F: NorFlash>(
        &self,
        flash: &mut F,
        device: &Device<'_>,
    ) -> Result<AuthenticImage, SlotError> {
        #[cfg(feature = "mutants")]
        if off(Safeguard::InstallReadsBack) {
            let written = self.scanner.clone();
            return crate::slots::authenticate_as_written(
                flash,
                device.layout,
                device.trust,
                self.slot(),
                written,
            );
        }
        authenticate(flash, device.layout, device.trust, self.slot())
    }

    #[inline(never)]
    fn note_whole<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), InstallError> {
        let fingerprint = Fingerprint::of(&self.scanner.digest_so_far());
        let Stage::Image { received, journal, .. } = &mut self.stage else {
            return Ok(());
        };
        let whole = Progress::Whole { image_bytes: *received, fingerprint };
        if journal.progress() != whole {
            journal.record(flash, whole)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn admit<F: NorFlash>(
        &self,
        flash: &mut F,
        device: &Device<'_>,
        ledger: &Ledger,
        image: &AuthenticImage,
    ) -> Result<(), InstallError> {
        let descriptor = image.info().descriptor;
        device.identity.admit_image(image.info().chip, descriptor.project)?;
        if let Some(manifest) = image.provenance().manifest() {
            device.identity.admit_manifest(manifest, self.number)?;
        }
        let running = claimed_descriptor(flash, device.layout, self.running);
        device.identity.admit_version(descriptor.version, running)?;
        Ok(admit_counter(image.counter(), ledger.floor())?)
    }

    /// Takes up what is in the slot, as far as it is what the journal says.
    #[inline(never)]
    fn reload<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        journal: Journal,
    ) -> Result<(), InstallError> {
        let head_len = journal.start().head_len;
        let announced = match journal.start().form {
            Form::Whole => journal.start().package_len.and_then(|len| len.checked_sub(head_len)),
            Form::Delta => return self.reload_delta(flash, device, journal),
        };
        let (received, fingerprint, image_len) = match journal.progress() {
            Progress::Nothing => (0, None, announced),
            Progress::Partly { image_bytes, fingerprint } => (image_bytes, Some(fingerprint), announced),
            Progress::Whole { image_bytes, fingerprint } => {
                (image_bytes, Some(fingerprint), Some(image_bytes))
            }
        };
        let mut scanner = Scanner::new();
        let read = scan(flash, self.place.image, received, &mut scanner);
        let same = read.is_ok()
            && fingerprint.is_none_or(|noted| {
                noted == Fingerprint::of(&scanner.digest_so_far()) || off(Safeguard::ResumeHashesPrefix)
            });
        let envelope_kept = self.envelope_in_slot(flash, image_len)?;
        if !same || (head_len > 0 && !envelope_kept) {
            // The head is needed again, or the prefix rotted: from the start.
            return Ok(());
        }
        if envelope_kept {
            self.proof.kept = Kept::InSlot;
        }
        self.scanner = scanner;
        self.stage = Stage::Image { head_len, image_len, received, journal };
        Ok(())
    }

    /// As [`Self::reload`], if the old image is still the one that the delta is made for.
    #[inline(never)]
    fn reload_delta<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        journal: Journal,
    ) -> Result<(), InstallError> {
        let (head_len, package_len) = (journal.start().head_len, journal.start().package_len);
        let (received, fingerprint) = match journal.progress() {
            Progress::Partly { image_bytes, fingerprint } | Progress::Whole { image_bytes, fingerprint } => {
                (image_bytes, fingerprint)
            }
            Progress::Nothing => return Ok(()),
        };
        let mut buffer = [0; ENVELOPE_MAX];
        self.place.envelope.read(flash, 0, &mut buffer)?;
        let (Ok((envelope, _)), Some(stream_len)) =
            (Envelope::parse(&buffer), package_len.and_then(|len| len.checked_sub(head_len)))
        else {
            return Ok(());
        };
        let image_len = envelope.image_len;
        let is_whole = matches!(journal.progress(), Progress::Whole { .. });
        let mut scanner = Scanner::new();
        let read = scan(flash, self.place.image, received, &mut scanner);
        if read.is_err() || fingerprint != Fingerprint::of(&scanner.digest_so_far()) {
            return Ok(());
        }
        let Some(running) = device.layout.slot(self.running) else { return Ok(()) };
        let base = running.image;
        let delta = match journal.place() {
            Some(noted) if !is_whole => {
                let base_len = noted.base_len;
                if !self.base_is(flash, device, base_len, |digest| digest.starts_with(&noted.base_start))? {
                    return Ok(());
                }
                let applier = Applier::at(base_len, noted.place);
                Delta { base, base_len, base_start: noted.base_start, stream_len, applier }
            }
            // All of it was used up.
            _ if is_whole => {
                let place = delta::Place { consumed: stream_len, ..delta::Place::START };
                Delta { base, base_len: 0, base_start: [0; 4], stream_len, applier: Applier::at(0, place) }
            }
            _ => return Ok(()),
        };
        self.delta = Some(delta);
        self.proof.kept = Kept::InSlot;
        self.scanner = scanner;
        self.stage = Stage::Image { head_len, image_len: Some(image_len), received, journal };
        Ok(())
    }

    /// Whether the running image has this length and a digest that is accepted.
    fn base_is<F: NorFlash>(
        &self,
        flash: &mut F,
        device: &Device<'_>,
        base_len: u32,
        is_it: impl Fn(&[u8; 32]) -> bool,
    ) -> Result<bool, InstallError> {
        if off(Safeguard::DeltaChecksBase) {
            return Ok(true);
        }
        let place = device.layout.slot(self.running).ok_or(InstallError::NoSlot)?;
        let mut scanner = Scanner::new();
        match scan(flash, place.image, base_len, &mut scanner) {
            Ok(()) => Ok(is_it(&scanner.digest_so_far().0)),
            Err(SlotError::Storage(fault)) => Err(fault.into()),
            Err(_) => Ok(false),
        }
    }

    /// Bytes of a delta's header before the envelope.
    fn delta_head(&self) -> usize {
        if self.delta.is_some() { delta::HEADER_LEN } else { 0 }
    }

    /// Collects a delta's header; `None` if the package is none.
    fn take_delta_head<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        len: usize,
        bytes: &[u8],
    ) -> Result<Option<usize>, InstallError> {
        let used = delta::HEADER_LEN.saturating_sub(len).min(bytes.len());
        let piece = bytes.get(..used).unwrap_or_default();
        let mut head = self.proof.bytes;
        let _fits = put(&mut head, len, piece);
        let known = len.saturating_add(used);
        let seen = known.min(delta::MAGIC.len());
        if head.get(..seen) != delta::MAGIC.get(..seen) {
            return Ok(None);
        }
        self.proof.bytes = head;
        self.proof.kept = Kept::Nothing;
        if known < delta::HEADER_LEN {
            self.stage = Stage::Head { len: known };
            return Ok(Some(used));
        }
        let header: [u8; delta::HEADER_LEN] = take(&head, 0).unwrap_or([0; delta::HEADER_LEN]);
        let DeltaHeader { base_len, base, stream_len } = DeltaHeader::parse(&header)?;
        if !self.base_is(flash, device, base_len, |digest| *digest == base.0)? {
            return Err(DeltaError::OtherBase.into());
        }
        let running = device.layout.slot(self.running).ok_or(InstallError::NoSlot)?;
        let base_start = take(&base.0, 0).unwrap_or_default();
        let applier = Applier::new(base_len);
        self.delta = Some(Delta { base: running.image, base_len, base_start, stream_len, applier });
        self.stage = Stage::Head { len: 0 };
        Ok(Some(used))
    }

    /// Carries out instructions of a delta, as far as the bytes reach.
    fn take_delta<F: NorFlash>(
        &mut self,
        flash: &mut F,
        device: &Device<'_>,
        bytes: &[u8],
    ) -> Result<usize, InstallError> {
        let mut used = 0_usize;
        loop {
            let Some(delta) = &mut self.delta else { return Ok(used) };
            let left = delta.stream_len.saturating_sub(delta.applier.consumed()) as usize;
            let input = bytes.get(used..).unwrap_or_default();
            let input = input.get(..left.min(input.len())).unwrap_or_default();
            if delta.applier.needs_input() && input.is_empty() {
                break;
            }
            // Never beyond the end of what is staged: there the work is noted.
            let room = STAGING.saturating_sub(self.staged_len).min(delta::STEP);
            let mut made = [0; delta::STEP];
            let out = made.get_mut(..room).unwrap_or_default();
            let step = delta.applier.step(flash, delta.base, input, out)?;
            used = used.saturating_add(step.used);
            if step.made > 0 {
                let mut fresh = made.get(..step.made).unwrap_or_default();
                while !fresh.is_empty() {
                    let taken = self.take_image(flash, device, fresh)?;
                    fresh = fresh.get(taken..).unwrap_or_default();
                }
            }
        }
        if used == 0 && !bytes.is_empty() {
            return Err(InstallError::PeerSentTooMuch);
        }
        Ok(used)
    }

    #[inline(never)]
    fn envelope_in_slot<F: NorFlash>(
        &self,
        flash: &mut F,
        image_len: Option<u32>,
    ) -> Result<bool, InstallError> {
        let mut buffer = [0; ENVELOPE_MAX];
        self.place.envelope.read(flash, 0, &mut buffer)?;
        Ok(Envelope::parse(&buffer)
            .is_ok_and(|(envelope, _)| image_len.is_none_or(|len| len == envelope.image_len)))
    }
}

impl VerifiedImage {
    /// The image and who signed it.
    pub fn image(&self) -> &AuthenticImage {
        &self.image
    }

    /// Makes this the image that the next reset tries, and writes otadata as ESP-IDF does: the smallest later sequence
    /// for the slot, state NEW, in the sector that is not followed now.
    ///
    /// # Errors
    /// The flash failed. The image may nevertheless be tried at the next reset.
    pub fn activate<F: NorFlash>(
        self,
        flash: &mut F,
        device: &Device<'_>,
    ) -> Result<Activated, InstallError> {
        let slot = self.image.slot();
        let Slot::Ota(number) = slot else {
            return Err(InstallError::NoSlot);
        };
        let mut ledger = Ledger::load(flash, device.layout.ledger())?;
        admit_counter(self.image.counter(), ledger.floor())?;
        let mut otadata = OtaData::read(flash, device.layout.otadata())?;
        let floor = ledger.latest().map(|(_, facts)| facts.sequence).max(otadata.highest());
        let sequence =
            Sequence::next(floor.filter(|_| on(Safeguard::SequenceGrows)), number, device.layout.ota_count())
                .ok_or(InstallError::NoSlot)?;
        let fingerprint = Fingerprint::of(&self.image.info().digest);
        ledger.append(flash, Fact::Activated { slot: number, sequence, fingerprint })?;
        let half = otadata.spare();
        otadata.write(flash, device.layout.otadata(), half, Entry::new(sequence, EntryState::New))?;
        Journal::clear(flash, device.layout.journal())?;
        Ok(Activated { slot })
    }
}

impl HeldProof {
    fn hold(&mut self, proof: &[u8]) -> Result<(), InstallError> {
        let fits = proof.len() <= SIGNED_MAX && put(&mut self.bytes, 0, proof);
        fits.then_some(()).ok_or(InstallError::BadContainer(EnvelopeError::Malformed))?;
        self.kept = Kept::Proof(proof.len());
        Ok(())
    }
}

impl InstallError {
    /// The Update Result of LwM2M's Firmware Update object (Object 5, resource 5).
    ///
    /// What the package is decides: 5 if it is damaged or not authentic, 6 if it is sound and authentic but not for this
    /// device or older than allowed, 2 if it does not fit. A failing flash gives 8.
    pub fn update_result(&self) -> u8 {
        match self {
            Self::PackageTooLarge { .. } => 2,
            Self::PeerSentTooLittle | Self::Gap { .. } => 4,
            Self::PeerSentTooMuch
            | Self::Image(_)
            | Self::ProofMissing
            | Self::Proof(_)
            | Self::BadContainer(_)
            | Self::Delta(DeltaError::BadHeader | DeltaError::BadInstruction)
            | Self::ReadBack(_) => 5,
            Self::UnknownPackage | Self::Refused(_) | Self::Delta(DeltaError::OtherBase) => 6,
            Self::RunningImageUnconfirmed | Self::NoSlot | Self::Storage(_) => 8,
        }
    }
}

const IMAGE_MAGIC: u8 = 0xE9;

/// Judges what a proof says before the image is there; only a manifest says anything.
#[inline(never)]
fn judge_proof(
    device: &Device<'_>,
    ledger: &Ledger,
    into: u8,
    proof: &Proof<'_>,
) -> Result<(), InstallError> {
    let Proof::Manifest(bytes) = proof else {
        return Ok(());
    };
    if off(Safeguard::ManifestIsJudgedFirst) {
        return Ok(());
    }
    let signed = SignedManifest::decode(bytes).map_err(ProofError::Manifest)?;
    let authentic = signed.verify(device.trust).map_err(ProofError::Signature)?;
    device.identity.admit_manifest(authentic.manifest(), into)?;
    Ok(admit_counter(authentic.manifest().counter, ledger.floor())?)
}

impl From<FlashFault> for InstallError {
    fn from(fault: FlashFault) -> Self {
        Self::Storage(fault)
    }
}

impl From<DeltaError> for InstallError {
    fn from(error: DeltaError) -> Self {
        Self::Delta(error)
    }
}

impl From<Failure> for InstallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Delta(error) => Self::Delta(error),
            Failure::Storage(fault) => Self::Storage(fault),
        }
    }
}

impl From<ImageError> for InstallError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::NotAnImage => Self::UnknownPackage,
            error => Self::Image(error),
        }
    }
}

impl From<ProofError> for InstallError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

impl From<RuleError> for InstallError {
    fn from(error: RuleError) -> Self {
        Self::Refused(error)
    }
}

impl From<SlotError> for InstallError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::Image(error) => Self::Image(error),
            SlotError::Proof(error) => Self::Proof(error),
            SlotError::Storage(fault) => Self::Storage(fault),
            error => Self::ReadBack(error),
        }
    }
}

impl core::fmt::Display for InstallError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::RunningImageUnconfirmed => {
                write!(out, "the running image is not confirmed yet; confirm it first")
            }
            Self::NoSlot => write!(out, "there is no slot for an update"),
            Self::PackageTooLarge { capacity } => {
                write!(out, "the package is larger than the slot's {capacity} bytes")
            }
            Self::UnknownPackage => write!(out, "the package is neither an ESP32 image nor a container"),
            Self::BadContainer(error) => error.fmt(out),
            Self::Delta(error) => error.fmt(out),
            Self::Gap { expected } => write!(out, "bytes are missing: the next offset is {expected}"),
            Self::PeerSentTooMuch => write!(out, "the package has more bytes than announced"),
            Self::PeerSentTooLittle => write!(out, "the package ended early"),
            Self::Image(error) => error.fmt(out),
            Self::ProofMissing => write!(out, "the image came without a signature"),
            Self::Proof(error) => error.fmt(out),
            Self::Refused(error) => error.fmt(out),
            Self::ReadBack(error) => write!(out, "the flash does not give back what was written: {error}"),
            Self::Storage(fault) => fault.fmt(out),
        }
    }
}

impl core::error::Error for InstallError {}
