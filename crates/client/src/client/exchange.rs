//! Which of the client's own messages an answer is for.

use crate::effects::ServerSlot;

/// The name of an exchange: its kind, and which server or observation it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    Register(ServerSlot),
    Update(ServerSlot),
    Deregister(ServerSlot),
    Send(ServerSlot),
    /// The observation of that number.
    Notification(u32),
    BootstrapRequest,
    BootstrapPack,
}

impl From<Exchange> for Tag {
    fn from(exchange: Exchange) -> Self {
        let (kind, number) = match exchange {
            Exchange::Register(slot) => (1, u32::from(slot.0)),
            Exchange::Update(slot) => (2, u32::from(slot.0)),
            Exchange::Deregister(slot) => (3, u32::from(slot.0)),
            Exchange::Send(slot) => (4, u32::from(slot.0)),
            Exchange::Notification(number) => (5, number),
            Exchange::BootstrapRequest => (6, 0),
            Exchange::BootstrapPack => (7, 0),
        };
        Self((kind << 32) | u64::from(number))
    }
}

impl Tag {
    pub(crate) const fn exchange(self) -> Option<Exchange> {
        let number = self.0 as u32;
        let slot = ServerSlot(number as u8);
        Some(match self.0 >> 32 {
            1 => Exchange::Register(slot),
            2 => Exchange::Update(slot),
            3 => Exchange::Deregister(slot),
            4 => Exchange::Send(slot),
            5 => Exchange::Notification(number),
            6 => Exchange::BootstrapRequest,
            7 => Exchange::BootstrapPack,
            _ => return None,
        })
    }
}
