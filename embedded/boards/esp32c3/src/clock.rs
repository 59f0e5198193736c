//! The time since the last reset, and waiting.
//!
//! With the radio both are esp-rtos's. Emulators stop the system timer that it lives on, so with their network the time is that of a timer group.

#[cfg(feature = "wifi")]
mod running {
    use esp_hal::time::{Duration, Instant};
    use esp_rtos::CurrentThreadHandle;

    /// Milliseconds since the last reset.
    #[must_use]
    pub fn milliseconds() -> u64 {
        Instant::now().duration_since_epoch().as_millis()
    }

    /// Leaves the processor to the radio's threads for so long.
    pub fn wait(milliseconds: u64) {
        CurrentThreadHandle::get().delay(Duration::from_millis(milliseconds));
    }
}

#[cfg(feature = "emulated-ethernet")]
mod running {
    use core::cell::RefCell;

    use critical_section::Mutex;
    use esp_hal::timer::Timer as _;
    use esp_hal::timer::timg::Timer;

    static TIMER: Mutex<RefCell<Option<Timer<'static>>>> = Mutex::new(RefCell::new(None));

    /// Takes the timer.
    pub fn start(timer: Timer<'static>) {
        timer.start();
        critical_section::with(|section| TIMER.borrow_ref_mut(section).replace(timer));
    }

    /// Milliseconds since the last reset.
    #[must_use]
    pub fn milliseconds() -> u64 {
        critical_section::with(|section| {
            TIMER
                .borrow_ref(section)
                .as_ref()
                .map_or(0, |timer| timer.now().duration_since_epoch().as_millis())
        })
    }

    /// Passes so many milliseconds.
    pub fn wait(milliseconds_more: u64) {
        let end = milliseconds() + milliseconds_more;
        while milliseconds() < end {
            core::hint::spin_loop();
        }
    }
}

pub use running::*;
