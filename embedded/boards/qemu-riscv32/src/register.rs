//! Registers of devices.

use core::ptr::{read_volatile, write_volatile};

/// A register of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Register<T>(*mut T);

impl<T: Copy> Register<T> {
    /// The register at an address.
    ///
    /// # Safety
    /// A device has it there.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address as *mut T)
    }

    pub(crate) fn read(self) -> T {
        // SAFETY: whoever made the register says that it is there.
        unsafe { read_volatile(self.0) }
    }

    pub(crate) fn write(self, value: T) {
        // SAFETY: whoever made the register says that it is there.
        unsafe { write_volatile(self.0, value) }
    }
}
