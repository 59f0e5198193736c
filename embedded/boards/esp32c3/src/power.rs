//! Resets, the watchdog, deep sleep, and the memory that outlives them.

use esp_hal::peripherals::{LPWR, RTC_TIMER};
use esp_hal::ram;
use esp_hal::rtc_cntl::sleep::{LowPower, RtcSleepConfig};
use esp_hal::rtc_cntl::{Rtc, RwdtStage, RwdtStageAction, SocResetReason, reset_reason};
use esp_hal::system::Cpu;
use esp_hal::time::{Duration, Instant};

/// Seconds without a sign of life after which the watchdog of the RTC resets the chip. The longest step is the check of a whole image.
pub const PATIENCE: u32 = 20;
/// Bytes of the memory that outlives a reset and deep sleep.
const RETAINED: usize = buoy_app::retained::LEN;

#[ram(unstable(rtc_fast, persistent))]
static mut MEMORY: [u8; RETAINED] = [0; RETAINED];

/// The bytes that outlive a reset.
///
/// # Safety
/// Nobody else has them.
#[must_use]
pub unsafe fn retained() -> &'static mut [u8] {
    let memory = &raw mut MEMORY;
    // SAFETY: the caller says so.
    unsafe { &mut *memory }
}

/// What switches the chip off and on.
pub struct Power {
    rtc: Rtc<'static>,
    low: LowPower<'static>,
}

impl Power {
    /// Arms the watchdog, before anything that may hang.
    #[must_use]
    pub fn start(timer: RTC_TIMER<'static>, low: LPWR<'static>) -> Self {
        let mut rtc = Rtc::new(timer);
        rtc.rwdt.enable();
        rtc.rwdt.set_timeout(RwdtStage::Stage0, Duration::from_secs(PATIENCE.into()));
        // A reset of the RTC itself might cost the record of this run.
        rtc.rwdt.set_stage_action(RwdtStage::Stage0, RwdtStageAction::ResetCore);
        rtc.rwdt.feed();
        Self { rtc, low: LowPower::new(low) }
    }

    /// Gives the watchdog its sign of life.
    pub fn feed_watchdog(&mut self) {
        self.rtc.rwdt.feed();
    }

    /// Sleeps with all off but the clock and the memory of the RTC. Its end is a reset.
    pub fn sleep(&mut self, milliseconds: u64) -> ! {
        let mut config = RtcSleepConfig::deep();
        #[cfg(feature = "esp32c3")]
        config.set_rtc_fastmem_pd_en(false);
        self.low.set_wakeup_deadline(Instant::now() + Duration::from_millis(milliseconds));
        self.low.sleep_deep(config)
    }
}

/// Whether a watchdog has caused the last reset.
#[must_use]
pub fn has_watchdog_bitten() -> bool {
    use SocResetReason as Reason;
    matches!(
        reset_reason(Cpu::ProCpu),
        Some(
            Reason::CoreRtcWdt
                | Reason::Cpu0RtcWdt
                | Reason::SysRtcWdt
                | Reason::CoreMwdt0
                | Reason::CoreMwdt1
        )
    )
}

/// What else the chip knows of its last reset.
#[must_use]
pub fn reset_cause() -> Option<&'static str> {
    use SocResetReason as Reason;
    match reset_reason(Cpu::ProCpu)? {
        Reason::SysBrownOut => Some("brown-out: the supply's voltage was too low"),
        #[cfg(feature = "esp32c3")]
        Reason::SysSuperWdt => Some("the super watchdog of the chip"),
        #[cfg(feature = "esp32c3")]
        Reason::SysClkGlitch => Some("a glitch of the clock"),
        #[cfg(feature = "esp32c3")]
        Reason::CorePwrGlitch => Some("a glitch of the supply"),
        #[cfg(feature = "esp32c3")]
        Reason::CoreUsbUart | Reason::CoreUsbJtag => Some("reset by USB"),
        _ => None,
    }
}
