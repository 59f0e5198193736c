//! How an update went, as the device says it (object 5, resource 5).

/// 5/0/5
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateResult {
    /// 0
    #[default]
    Initial = 0,
    /// 1
    Success = 1,
    /// 2
    NotEnoughFlash = 2,
    /// 3
    OutOfMemory = 3,
    /// 4
    ConnectionLost = 4,
    /// 5
    IntegrityCheckFailed = 5,
    /// 6
    UnsupportedPackage = 6,
    /// 7
    InvalidUri = 7,
    /// 8
    UpdateFailed = 8,
    /// 9
    UnsupportedProtocol = 9,
    /// 10: a server has cancelled the update (since 1.1).
    Cancelled = 10,
    /// 11: the update waits (since 1.1).
    Deferred = 11,
}

impl UpdateResult {
    /// The result of that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Initial,
            1 => Self::Success,
            2 => Self::NotEnoughFlash,
            3 => Self::OutOfMemory,
            4 => Self::ConnectionLost,
            5 => Self::IntegrityCheckFailed,
            6 => Self::UnsupportedPackage,
            7 => Self::InvalidUri,
            9 => Self::UnsupportedProtocol,
            10 => Self::Cancelled,
            11 => Self::Deferred,
            _ => Self::UpdateFailed,
        }
    }
}
