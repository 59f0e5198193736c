//! Values that devices report: notifications (RFC 7641) and Send (LwM2M Core 1.1 section 6.4.5).

use std::sync::Arc;

use buoy_coap::endpoint::{acknowledge, reject};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Kind, Message};
use buoy_lwm2m::format::{FormatError, decode};
use buoy_lwm2m::operation::Content;
use buoy_lwm2m::path::Path;

use super::{Answer, Directory, Refusal, Shard, refusal};
use crate::objects::ObjectList;
use crate::observation::ObservationId;
use crate::operation::Reply;
use crate::outbox::{Change, Event, Outbox, Report, ReportSource};
use crate::peer::Peer;
use crate::registrations::Index;
use crate::transfer::{Step, Transfer};

type Observed = (ObservationId, Arc<[Path]>, bool);

impl<D: Directory> Shard<D> {
    /// Handles a response that matches no request: it may be a notification.
    pub(super) fn reported(&mut self, now: Instant, peer: Peer, message: &Message<'_>, outbox: &mut Outbox) {
        let id = ObservationId::from_token(message.token());
        let Some((id, index)) = id.and_then(|id| Some((id, *self.observations.get(&id)?))) else {
            return self.unwanted(now, peer, message, outbox);
        };
        if !self.may_speak_for(index, peer) {
            return self.unwanted(now, peer, message, outbox);
        }
        if message.kind() == Kind::Confirmable {
            let length = outbox.write(&acknowledge(message.message_id()));
            self.send_reply(now, peer, length, outbox);
        }
        // Over plain CoAP only the device knows the token, so the message is from the device, even from a new address. A session that carries the
        // registration may have a new address; only a Register or an Update moves the registration to another session.
        let is_at = |session| self.registrations.get(index).is_some_and(|it| it.peer.session == session);
        if is_at(peer.session) {
            self.moved(now, index, peer, message.datagram().len(), outbox);
        }
        if !message.code().is_success() {
            self.observation_refused(index, id, outbox);
        } else if self.is_news(now, index, id, message) {
            self.counters.notifications += 1;
            self.notified(now, index, id, message, outbox);
        } else {
            self.counters.notifications_dropped += 1;
        }
        self.contacted(now, index, outbox);
    }

    /// Resets a notification of an unknown observation, which cancels it (RFC 7641 section 3.6). If this shard doesn't know the sender, the
    /// notification may be for another shard.
    fn unwanted(&mut self, now: Instant, peer: Peer, message: &Message<'_>, outbox: &mut Outbox) {
        self.counters.notifications_dropped += 1;
        let Some(index) = self.registrations.by_peer(peer) else {
            let datagram = message.datagram().into();
            outbox.events.push(Event::Misdirected { shard: None, peer, datagram });
            return;
        };
        let answer = match (self.is_beginning(index, message), message.kind()) {
            (false, _) => reject(message.message_id()),
            (true, Kind::Confirmable) => acknowledge(message.message_id()),
            (true, _) => return,
        };
        let length = outbox.write(&answer);
        self.send_reply(now, peer, length, outbox);
    }

    /// Whether a message is a notification of an observation whose first answer is still arriving in blocks.
    fn is_beginning(&self, index: Index, message: &Message<'_>) -> bool {
        let registration = self.registrations.get(index);
        registration.is_some_and(|it| self.operations.has_under_way(&it.endpoint, message.token()))
    }

    fn is_news(&mut self, now: Instant, index: Index, id: ObservationId, message: &Message<'_>) -> bool {
        let observations =
            self.registrations.get_mut(index).map(|registration| &mut registration.observations);
        let observation =
            observations.and_then(|all| all.iter_mut().find(|observation| observation.id == id));
        let number = message.uint(OptionNumber::OBSERVE).unwrap_or(0);
        observation.is_some_and(|observation| observation.freshness.accept(now, number))
    }

    fn notified(
        &mut self,
        now: Instant,
        index: Index,
        id: ObservationId,
        message: &Message<'_>,
        outbox: &mut Outbox,
    ) {
        let Some(registration) = self.registrations.get(index) else { return };
        let Some(observation) = registration.observations.iter().find(|it| it.id == id) else { return };
        let endpoint = registration.endpoint.clone();
        let observed = (id, observation.paths.clone(), observation.composite);
        let request = observation.request.clone();
        let mut transfer = Transfer::continuing(request, self.config.block_size);
        match transfer.answered(message, self.config.max_body) {
            Ok(Step::Done { .. }) => {
                self.report(now, &endpoint, observed, message.content_format(), message.payload(), outbox);
            }
            Ok(Step::Again) => self.fetch_rest(now, &endpoint, id, transfer, outbox),
            Err(_) => self.counters.notifications_dropped += 1,
        }
    }

    /// Handles a complete notification.
    pub(super) fn completed_report(
        &mut self,
        now: Instant,
        id: ObservationId,
        reply: &Reply,
        outbox: &mut Outbox,
    ) {
        let index = self.observations.get(&id).copied();
        let Some(registration) = index.and_then(|index| self.registrations.get(index)) else { return };
        let Some(observation) = registration.observations.iter().find(|it| it.id == id) else { return };
        let endpoint = registration.endpoint.clone();
        let observed = (id, observation.paths.clone(), observation.composite);
        self.report(now, &endpoint, observed, reply.format, &reply.payload, outbox);
    }

    /// Saves and publishes reported values.
    pub(super) fn report(
        &mut self,
        now: Instant,
        endpoint: &Arc<str>,
        (observation, paths, composite): Observed,
        format: Option<ContentFormat>,
        payload: &[u8],
        outbox: &mut Outbox,
    ) {
        let format = format.unwrap_or(ContentFormat::TEXT);
        let base = if composite { Path::ROOT } else { paths.first().copied().unwrap_or(Path::ROOT) };
        let source = ReportSource::Notification { observation, paths, composite };
        let (readable, flaw) = readable(format, base, payload);
        if let Some(reason) = flaw {
            let (endpoint, source) = (endpoint.clone(), source.clone());
            outbox.events.push(Event::Unreadable { endpoint, source, format, reason });
        }
        if readable == 0 && flaw.is_some() {
            return;
        }
        let report = Report {
            endpoint: endpoint.clone(),
            source,
            received_at: self.calendar.date_of(now),
            format,
            payload: payload.into(),
        };
        outbox.changes.push(Change::PutReport(Box::new(report.clone())));
        outbox.events.push(Event::Reported(report));
    }

    /// An error in place of a notification ends the observation (RFC 7641 section 3.2).
    fn observation_refused(&mut self, index: Index, id: ObservationId, outbox: &mut Outbox) {
        if let Some(registration) = self.registrations.get(index) {
            self.observation_ended(registration.endpoint.clone(), id, outbox);
        }
    }

    /// Removes an observation that the device doesn't have, and publishes that.
    pub(super) fn observation_ended(&mut self, endpoint: Arc<str>, id: ObservationId, outbox: &mut Outbox) {
        if self.forget_observation(id, outbox).is_some() {
            outbox.events.push(Event::ObservationEnded { endpoint, observation: id });
        }
    }

    /// Handles a Send, which is accepted only from a registered device.
    pub(super) fn take_send(
        &mut self,
        now: Instant,
        peer: Peer,
        content: &Content<'_>,
        outbox: &mut Outbox,
    ) -> Result<Answer, Refusal> {
        let unknown = || refusal(Code::NOT_FOUND, "no device is registered from here; register first");
        let index = self.registrations.by_peer(peer).ok_or_else(unknown)?;
        let registration = self.registrations.get(index).ok_or_else(unknown)?;
        check_send(content, &registration.objects)?;
        let endpoint = registration.endpoint.clone();
        self.counters.sends += 1;
        let report = Report {
            endpoint,
            source: ReportSource::Send,
            received_at: self.calendar.date_of(now),
            format: content.format,
            payload: content.payload.into(),
        };
        outbox.changes.push(Change::PutReport(Box::new(report.clone())));
        outbox.events.push(Event::Reported(report));
        self.awake(now, index, outbox);
        Ok(Answer::of(index, Code::CHANGED))
    }
}

/// Saves the older values in an answer to an Observe. The caller gets the answer itself, but only reports are saved as history.
pub(super) fn save_history(
    received_at: u64,
    endpoint: &Arc<str>,
    (observation, paths, composite): Observed,
    reply: &Reply,
    outbox: &mut Outbox,
) {
    let report = Report {
        endpoint: endpoint.clone(),
        source: ReportSource::Notification { observation, paths, composite },
        received_at,
        format: reply.format.unwrap_or(ContentFormat::TEXT),
        payload: reply.payload.as_slice().into(),
    };
    if report.items().iter().any(|(_, moment)| !moment.is_present) {
        outbox.changes.push(Change::PutReport(Box::new(report)));
    }
}

/// How many items of a payload can be decoded, and the error of the next one.
fn readable(format: ContentFormat, base: Path, payload: &[u8]) -> (usize, Option<FormatError>) {
    let mut count = 0;
    match decode(format, base, payload) {
        Err(flaw) => (0, Some(flaw)),
        Ok(items) => {
            for item in items {
                match item {
                    Ok(_) => count += 1,
                    Err(flaw) => return (count, Some(flaw)),
                }
            }
            (count, None)
        }
    }
}

/// Checks a Send: it must contain values, in a format that has paths, of objects that the device has registered (Core 1.1.1 section 6.4.5).
fn check_send(content: &Content<'_>, objects: &ObjectList) -> Result<(), Refusal> {
    let flawed = |flaw: FormatError| match flaw {
        FormatError::UnsupportedFormat(_) => {
            refusal(Code::UNSUPPORTED_CONTENT_FORMAT, "values can't be sent in this Content-Format")
        }
        flaw => (Code::BAD_REQUEST, format!("the payload is not of its Content-Format: {flaw}").into()),
    };
    let mut values = 0;
    for item in decode(content.format, Path::ROOT, content.payload).map_err(flawed)? {
        let item = item.map_err(flawed)?;
        match item.path.object_id() {
            Some(object) if !objects.may_have(object) => {
                return Err((
                    Code::NOT_FOUND,
                    format!("object {object} is not in the list of objects that the device registered")
                        .into(),
                ));
            }
            Some(_) if item.value.is_some() => values += 1,
            _ => {}
        }
    }
    if values == 0 { Err(refusal(Code::BAD_REQUEST, "the payload has no values")) } else { Ok(()) }
}
