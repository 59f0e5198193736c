//! What survives a reboot: one record for each object that has something to keep.
//!
//! Kept are the server accounts with what servers wrote to them, the access rights, and what each object saves of itself.
//! Observations and notification attributes are lost with a reboot: the device registers anew, and a server sets them
//! again (Core 1.1, sections 6.4.1 and 7.3.2 leave this to the device).
//!
//! A bootstrap changes several records. It first saves all of them as one, under an id that no object has, and empties that
//! record when the others are in their places; so a power cut leaves the old configuration or the new one.

/// Where records are kept; what [`Storage::save`] has returned from must be there after a power cut.
pub trait Storage {
    /// Why the storage failed.
    type Error;

    /// Reads a record into `record` and says how many bytes it has; `None` if there is none.
    ///
    /// # Errors
    /// The storage failed.
    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, Self::Error>;

    /// Keeps a record, in place of the one before.
    ///
    /// # Errors
    /// The storage failed; the record before is still there.
    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), Self::Error>;

    /// Forgets all records: the device is as it left the factory.
    ///
    /// # Errors
    /// The storage failed; ask again.
    fn wipe(&mut self) -> Result<(), Self::Error>;
}
