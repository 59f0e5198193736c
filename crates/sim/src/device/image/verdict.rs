//! How an update ends: by what the new image proves, or by what went wrong before.

use std::ops::ControlFlow;

use buoy_client::firmware::{State, UpdateResult};
use buoy_time::Instant;

use super::{Exit, Image};
use crate::device::behaviour::Behaviour;
use crate::device::error::ImageError;
use crate::device::event::DeviceEvent;

impl Image<'_> {
    /// A new image proves itself: it runs, it has registered, and its self-test passes. Only then it is kept.
    pub(super) fn prove(&mut self, now: Instant) -> Result<ControlFlow<Exit>, ImageError> {
        if self.body.firmware.state() != State::Updating {
            return Ok(ControlFlow::Continue(()));
        }
        if self.behaviour == Behaviour::FailSelfTest {
            self.show(DeviceEvent::SelfTestFailed);
            let rejected = self.body.firmware.target_mut().reject();
            rejected
                .map_err(|error| ImageError::Verdict(format!("the image cannot be given up: {error:?}")))?;
            self.park_links();
            return Ok(ControlFlow::Break(Exit::Reboot));
        }
        let mut context = self.client.context(now);
        let confirmed = self.body.firmware.confirm(&mut context);
        confirmed
            .map_err(|result| ImageError::Verdict(format!("the image cannot be confirmed: {result:?}")))?;
        self.show(DeviceEvent::Confirmed);
        Ok(ControlFlow::Continue(()))
    }

    /// Tells how an update ended that did not succeed, and why, as far as it is known here.
    pub(super) fn tell_result(&mut self) {
        let result = self.body.firmware.result();
        if result == std::mem::replace(&mut self.told, result) {
            return;
        }
        let mut signatures = std::mem::take(&mut self.signature_names);
        if matches!(result, UpdateResult::Initial | UpdateResult::Success) {
            return;
        }
        if result != UpdateResult::IntegrityCheckFailed || signatures.len() < 2 {
            signatures.clear();
        }
        self.show(DeviceEvent::UpdateFailed { result, signatures });
    }
}
