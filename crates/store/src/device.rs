//! What is known of a device, whether it is registered or not.

/// A device that was registered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The endpoint name.
    pub endpoint: String,
    /// When it first registered; milliseconds since the epoch.
    pub first_contact: u64,
    /// When its last registration ended, or when it was last heard before; milliseconds since the epoch. While it is registered, its
    /// registration knows better.
    pub last_contact: u64,
    /// Whether it has ever proved its name.
    pub proved: bool,
    /// What it says of itself.
    pub description: DeviceDescription,
}

/// What a device says of itself in object 3 (Device).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceDescription {
    /// Resource 0.
    pub manufacturer: Option<String>,
    /// Resource 1, the model number.
    pub model: Option<String>,
    /// Resource 2, the serial number.
    pub serial: Option<String>,
    /// Resource 3.
    pub firmware: Option<String>,
    /// Resource 18.
    pub hardware: Option<String>,
    /// Resource 19.
    pub software: Option<String>,
    /// When the device was last asked for all of it and answered; milliseconds since the epoch.
    pub read_at: Option<u64>,
}
