//! Sends messages as they are due: one at a time to each receiver, and to all receivers at the same time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buoy_fleet::alerts::deliveries::{Attempt, Delivery};

use super::receivers::ReceiverRecord;
use super::{saving, send};
use crate::app::App;
use crate::journal::NotSaved;

/// The wait when nothing is due.
const IDLE: u64 = 60_000;

/// Sends messages until the server stops.
pub(crate) async fn run(app: Arc<App>) -> Result<(), Infallible> {
    loop {
        let wait = {
            // What is due is saved: whoever adds a message has the turn until it is.
            let _turn = app.alerts.edits.lock().await;
            let (due, wait) = take_due(&app);
            for (receiver, delivery) in due {
                app.failures.spawn("a receiver of alerts", deliver(app.clone(), receiver, delivery));
            }
            wait
        };
        tokio::select! {
            () = app.alerts.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What is due, and how long to wait for what is next.
fn take_due(app: &App) -> (Vec<(ReceiverRecord, Delivery)>, Duration) {
    let now = app.now();
    let mut core = app.alerts.core();
    let receivers: Vec<ReceiverRecord> = core.receivers.values().cloned().collect();
    let (mut due, mut next) = (Vec::new(), now + IDLE);
    for receiver in receivers {
        if let Some(delivery) = core.deliveries.next(now, &receiver.name) {
            due.push((receiver, delivery));
        } else if let Some(at) = core.deliveries.next_due(&receiver.name) {
            next = next.min(at);
        }
    }
    (due, Duration::from_millis(next.saturating_sub(now).max(1)))
}

async fn deliver(app: Arc<App>, receiver: ReceiverRecord, delivery: Delivery) -> Result<(), NotSaved> {
    let attempt = send::send(&app, &receiver, &delivery).await;
    let (name, id) = (&receiver.name, delivery.id);
    match &attempt {
        Attempt::Accepted => tracing::debug!(receiver = name, message = id, "a message was delivered"),
        Attempt::Failed { error, .. } if delivery.attempts == 1 => {
            tracing::warn!(
                receiver = name,
                message = id,
                error,
                "a message was not accepted; it is tried again"
            );
        }
        Attempt::Failed { .. } => {}
        Attempt::Refused(error) => {
            tracing::warn!(
                receiver = name,
                message = id,
                error,
                "a message is given up; it can be sent again"
            );
        }
    }
    let _turn = app.alerts.edits.lock().await;
    app.alerts.core().deliveries.done(app.now(), name, id, attempt);
    let saved = saving::save_messages(&app, Vec::new()).await;
    app.alerts.wake.notify_one();
    match saved {
        Err(NotSaved::Rejected(rejection)) => Err(NotSaved::Rejected(rejection)),
        // At the stop of the server: it is sent again after the next start.
        Ok(()) | Err(_) => Ok(()),
    }
}
