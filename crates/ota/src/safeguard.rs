//! The safeguards by name, so that a test can switch each of them off and show that the power-cut sweep notices.
//!
//! Without the feature `mutants` nothing can be switched off: `off` is a constant, and the compiler removes the question. With it a
//! safeguard is off only for one thread, and only as long as a [`SwitchedOff`] lives.

/// One rule that keeps a device from harm.
#[cfg_attr(
    not(feature = "mutants"),
    expect(unreachable_pub, reason = "public for the tests that switch them off")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Safeguard {
    /// Nothing is installed or started that no trusted key has signed.
    OriginIsVerified,
    /// The boot decision refuses images below the security counter.
    BootChecksCounter,
    /// The boot decision refuses images for another chip.
    BootChecksChip,
    /// A slot is read a second time before its image is given up.
    BootReadsTwice,
    /// An image that was downloaded and never activated is not tried.
    OnlyTheActivatedIsTried,
    /// A start of an unconfirmed image is written down before it happens.
    AttemptIsCounted,
    /// An attempt that can't be written down doesn't happen.
    AttemptMustBeWritten,
    /// An unconfirmed image is started at most so many times.
    AttemptsAreLimited,
    /// An image on trial that can't be read is given up.
    UnreadableTrialIsGivenUp,
    /// A confirmed image that can't be read is kept for the next start.
    ConfirmedIsNeverGivenUp,
    /// A fallback must be the image that was confirmed, not another one in its slot.
    FallbackIsTheConfirmedImage,
    /// A key that was revoked verifies nothing.
    RevokedKeysAreRefused,
    /// A download is refused while the running image is on trial.
    TrialInstallsNothing,
    /// The slot of the running image is not written.
    RunningSlotIsSpared,
    /// A device that runs from factory does not overwrite its latest confirmed image.
    ConfirmedSlotIsSpared,
    /// A manifest is judged before anything is erased.
    ManifestIsJudgedFirst,
    /// A manifest binds the one image of its digest.
    ManifestBindsImage,
    /// The installer reads the flash again and verifies what is there.
    #[cfg(feature = "mutants")]
    InstallReadsBack,
    /// The installer refuses images below the security counter.
    InstallChecksCounter,
    /// The installer refuses images for another chip or project.
    InstallChecksImage,
    /// The installer refuses images for another vendor, class, component, hardware or slot.
    InstallChecksManifest,
    /// The device's rule for versions is kept.
    InstallChecksVersion,
    /// A delta is applied only to the image that it was made for.
    DeltaChecksBase,
    /// No byte is taken that was not announced.
    InstallChecksLength,
    /// A sector of a slot is erased before it is written.
    SlotIsErasedFirst,
    /// The sector of the envelope is erased before it is written.
    EnvelopeIsErasedFirst,
    /// Only the same package of the same source is resumed.
    ResumeInsistsOnSource,
    /// What is in the slot is hashed again before a download goes on.
    ResumeHashesPrefix,
    /// A record of the journal counts only if its CRC is right.
    JournalChecksCrc,
    /// A download that failed its checks is not resumed.
    FailedDownloadIsForgotten,
    /// An activation has a later sequence than all before.
    SequenceGrows,
    /// An image that was rejected is not confirmed afterwards.
    RejectedStaysRejected,
    /// The security counter rises when an image is confirmed, not before.
    CounterWaitsForConfirmation,
    /// A record of the ledger counts only if its CRC is right.
    LedgerChecksCrc,
    /// A record that was torn is skipped, and its place not used again.
    LedgerSkipsTornRecords,
    /// A fact counts only once the flash gives it back.
    LedgerReadsBack,
    /// The header of a new sector of the ledger is written last.
    LedgerHeaderComesLast,
    /// The facts of all slots go along when the ledger changes sectors.
    LedgerKeepsSlots,
    /// The CRC of an entry of otadata is checked.
    OtadataChecksCrc,
    /// A choice in otadata that is older than the ledger's is passed over.
    LedgerOutranksOtadata,
}

impl Safeguard {
    /// All of them.
    #[cfg(feature = "mutants")]
    pub const ALL: [Self; 40] = [
        Self::OriginIsVerified,
        Self::BootChecksCounter,
        Self::BootChecksChip,
        Self::BootReadsTwice,
        Self::OnlyTheActivatedIsTried,
        Self::AttemptIsCounted,
        Self::AttemptMustBeWritten,
        Self::AttemptsAreLimited,
        Self::UnreadableTrialIsGivenUp,
        Self::ConfirmedIsNeverGivenUp,
        Self::FallbackIsTheConfirmedImage,
        Self::RevokedKeysAreRefused,
        Self::TrialInstallsNothing,
        Self::RunningSlotIsSpared,
        Self::ConfirmedSlotIsSpared,
        Self::ManifestIsJudgedFirst,
        Self::ManifestBindsImage,
        Self::InstallReadsBack,
        Self::InstallChecksCounter,
        Self::InstallChecksImage,
        Self::InstallChecksManifest,
        Self::InstallChecksVersion,
        Self::DeltaChecksBase,
        Self::InstallChecksLength,
        Self::SlotIsErasedFirst,
        Self::EnvelopeIsErasedFirst,
        Self::ResumeInsistsOnSource,
        Self::ResumeHashesPrefix,
        Self::JournalChecksCrc,
        Self::FailedDownloadIsForgotten,
        Self::SequenceGrows,
        Self::RejectedStaysRejected,
        Self::CounterWaitsForConfirmation,
        Self::LedgerChecksCrc,
        Self::LedgerSkipsTornRecords,
        Self::LedgerReadsBack,
        Self::LedgerHeaderComesLast,
        Self::LedgerKeepsSlots,
        Self::OtadataChecksCrc,
        Self::LedgerOutranksOtadata,
    ];

    /// Switches this safeguard off for the current thread, until the result is dropped.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn switch_off(self) -> SwitchedOff {
        OFF.set(Some(self));
        SwitchedOff(())
    }
}

/// Whether the safeguard is switched off.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn off(_: Safeguard) -> bool {
    false
}

/// Whether the safeguard is switched off.
#[cfg(feature = "mutants")]
pub(crate) fn off(safeguard: Safeguard) -> bool {
    OFF.get() == Some(safeguard)
}

/// Whether the safeguard is on.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn on(_: Safeguard) -> bool {
    true
}

/// Whether the safeguard is on.
#[cfg(feature = "mutants")]
pub(crate) fn on(safeguard: Safeguard) -> bool {
    !off(safeguard)
}

#[cfg(feature = "mutants")]
std::thread_local! {
    static OFF: core::cell::Cell<Option<Safeguard>> = const { core::cell::Cell::new(None) };
}

/// A safeguard is off while this lives.
#[cfg(feature = "mutants")]
#[derive(Debug)]
pub struct SwitchedOff(());

#[cfg(feature = "mutants")]
impl Drop for SwitchedOff {
    fn drop(&mut self) {
        OFF.set(None);
    }
}

/// The outcome of a signature check, which is the same each time: the sweep would spend most of its time on it.
#[cfg(feature = "mutants")]
pub(crate) fn remembered(
    inputs: &[&[u8]],
    check: impl FnOnce() -> Result<(), crate::signature::SignatureError>,
) -> Result<(), crate::signature::SignatureError> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    inputs.iter().for_each(|input| hasher.update(input));
    let key: [u8; 32] = hasher.finalize().into();
    let known = CHECKED.with_borrow(|checked| checked.get(&key).copied());
    known.unwrap_or_else(|| {
        let outcome = check();
        CHECKED.with_borrow_mut(|checked| checked.insert(key, outcome));
        outcome
    })
}

#[cfg(feature = "mutants")]
std::thread_local! {
    static CHECKED: core::cell::RefCell<std::collections::HashMap<[u8; 32], Result<(), crate::signature::SignatureError>>> =
        core::cell::RefCell::default();
}
