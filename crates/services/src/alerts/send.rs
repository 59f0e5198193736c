//! Sends one message to one receiver.

use std::sync::Arc;

use buoy_api::AlertTarget;
use buoy_fleet::alerts::deliveries::{Attempt, Delivery};

use super::mail::{self, Mail};
use super::receivers::{ReceiverRecord, http_url};
use super::webhook::{self, Post};
use super::{message, mqtt, nats};
use crate::app::App;

/// Sends a message. It ends within a time, whatever the receiver does.
pub(super) async fn send(app: &Arc<App>, receiver: &ReceiverRecord, delivery: &Delivery) -> Attempt {
    let (app, receiver, delivery) = (app.clone(), receiver.clone(), delivery.clone());
    // A task of its own: what a receiver says must not end the server, not even if it makes a library panic.
    let sent = tokio::spawn(async move { hand_over(&app, &receiver, &delivery).await });
    let broken =
        |error| Attempt::Failed { error: format!("it could not be sent: {error}"), retry_after: None };
    sent.await.unwrap_or_else(broken)
}

async fn hand_over(app: &App, receiver: &ReceiverRecord, delivery: &Delivery) -> Attempt {
    let means = &app.alerts.means;
    let target = match receiver.open(&means.sealer) {
        Ok(target) => target,
        Err(error) => return Attempt::Refused(format!("its secrets can't be read: {error}")),
    };
    let post = async |url, secret, body| match http_url(url) {
        Ok(uri) => {
            let post = Post { uri: &uri, body, secret, id: delivery.id, now: app.now() };
            webhook::post(post, &means.authorities, &means.allowed).await
        }
        Err(fault) => Attempt::Refused(fault.to_string()),
    };
    match &target {
        AlertTarget::Webhook { url, secret } => post(url, secret.as_ref(), message::json(delivery)).await,
        AlertTarget::Slack { url } => post(url, None, message::slack(delivery)).await,
        AlertTarget::Email { server, user, password, from, to } => {
            let sign_in = user.as_deref().zip(password.as_ref());
            mail::send(&Mail { server, sign_in, from, to }, delivery, &means.allowed).await
        }
        AlertTarget::Mqtt { server, topic, user, password } => {
            let sign_in = user.as_deref().zip(password.as_ref());
            mqtt::publish(server, topic, sign_in, message::json(delivery), means).await
        }
        AlertTarget::Nats { server, subject, user, password } => {
            let sign_in = user.as_deref().zip(password.as_ref());
            nats::publish(server, subject, sign_in, message::json(delivery), means).await
        }
        _ => Attempt::Refused("this version can't send to this kind of receiver".into()),
    }
}
