//! Where a package goes: what the object asks of the flash behind it.

use super::UpdateResult;

/// Where firmware goes: a slot of a flash, or whatever stands for it.
pub trait FirmwareTarget {
    /// Begins a package anew.
    ///
    /// # Errors
    /// The result to report.
    fn begin(&mut self, package: &Package<'_>) -> Result<(), UpdateResult>;

    /// Goes on with a package that was begun before a reboot, and says at which offset; `None` if it has nothing of it.
    fn resume(&mut self, package: &Package<'_>) -> Option<u32> {
        let _ = package;
        None
    }

    /// Takes the bytes at `offset`, which is where the bytes before ended.
    ///
    /// # Errors
    /// The result to report; the package is aborted then.
    fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UpdateResult>;

    /// Whether the package had no signature in it, so that one has to come from beside it.
    fn needs_signature(&self) -> bool {
        false
    }

    /// Takes the signature from beside the package, whole.
    ///
    /// # Errors
    /// The result to report.
    fn signature(&mut self, signature: &[u8]) -> Result<(), UpdateResult> {
        let _ = signature;
        Ok(())
    }

    /// Ends the package and checks everything: size, digest, signature, whether it is for this device.
    ///
    /// # Errors
    /// The result to report.
    fn finish(&mut self) -> Result<(), UpdateResult>;

    /// Makes the checked package the one to start at the next reset.
    ///
    /// # Errors
    /// The result to report.
    fn activate(&mut self) -> Result<(), UpdateResult>;

    /// Gives the package up.
    fn abort(&mut self);

    /// What became of the last update, until [`FirmwareTarget::mark_reported`].
    fn outcome(&mut self) -> Option<Outcome> {
        None
    }

    /// Why the last update failed, in words, if more is known than its result says: result 8 stands for a crash, a failed test and a
    /// counter alike.
    fn failure_reason(&mut self) -> Option<&'static str> {
        None
    }

    /// Makes the running image permanent.
    ///
    /// # Errors
    /// The result to report.
    fn confirm(&mut self) -> Result<(), UpdateResult> {
        Ok(())
    }

    /// Notes that a server has been told the outcome.
    fn mark_reported(&mut self) {}

    /// Name and version of the package that was checked last, for 5/0/6 and 5/0/7.
    fn package_info(&self) -> Option<(&str, &str)> {
        None
    }
}

/// Which package is to come.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// Where from; none for one that is pushed.
    pub uri: Option<&'a str>,
    /// The ETag, if the server said one.
    pub etag: &'a [u8],
    /// Bytes, if they are known.
    pub length: Option<u32>,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new image runs and isn't confirmed.
    OnTrial,
    /// The new image runs for good.
    Succeeded,
    /// The old image runs again.
    Failed(UpdateResult),
}
