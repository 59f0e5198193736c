//! placeholder
/// An update in the store: what is searched for, and the record of [`Update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRecord {
    /// Ids grow.
    pub id: u64,
    /// The device.
    pub endpoint: String,
    /// Whether nothing more will come of it.
    pub ended: bool,
    /// The update itself.
    pub record: Vec<u8>,
}
