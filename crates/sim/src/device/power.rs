//! What ends an image from outside, and what shows that it lives.

use std::sync::mpsc::Sender;

/// What the boot loader hears.
pub(super) enum Signal {
    /// The image lives.
    Alive,
    /// The image's thread is over.
    Ended,
    /// The device is switched off.
    PowerOff,
}

/// Says that an image's thread is over, however it ends.
pub(super) struct EndNotice(pub(super) Sender<Signal>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        // Without a boot loader nobody needs to know.
        let _ = self.0.send(Signal::Ended);
    }
}
