//! Notifications (LwM2M Core 1.1, sections 6.4 and 7.3.2; RFC 7641): what is told, and when.
//!
//! Nothing waits in a queue: a notification is made when the shell asks for the next datagram, from the values as they are
//! then. Non-confirmable ones go straight into the shell's buffer, confirmable ones through the endpoint.

use buoy_coap::block::slice;
use buoy_coap::endpoint::{Delivery, Outgoing, Purpose};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::observe::CONFIRM_AT_LEAST_EVERY;
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, MessageWriter};
use buoy_lwm2m::attributes::Attributes;
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::operation::{Content, Response};
use buoy_lwm2m::path::Path;
use rand_core::Rng;

use super::exchange::{Exchange, Tag};
use super::history::{History, has_times};
use super::manage::{effective, set_at, single_value};
use super::observation::{Observation, Told};
use super::register::BUSY;
use super::{Client, Link, Owner, Transmit, digest, earlier, tree};
use crate::effects::ServerSlot;
use crate::object::Object;
use crate::shape::{Body, Capacity as _, Shape};
use crate::tree::{Missing, Reading};

/// What came of the search for something to tell.
pub(super) enum Next {
    Nothing,
    /// A confirmable notification is with the endpoint, or an observation has ended.
    Queued,
    /// A device that sleeps says first that it is there: its address may be another by now.
    WakeFirst,
    /// A non-confirmable one is in the buffer.
    Written(Transmit),
}

impl<R: Rng, S: Shape> Client<R, S> {
    /// Makes the next notification that is due.
    pub(super) fn next_notification(
        &mut self,
        now: Instant,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> Next {
        for index in 0..S::Observations::MAX {
            let next = self.look_at(now, index, objects, out);
            if !matches!(next, Next::Nothing) {
                return next;
            }
        }
        Next::Nothing
    }

    // With a body on the stack: not in the frame of whoever calls other such functions.
    #[inline(never)]
    fn look_at(
        &mut self,
        now: Instant,
        index: usize,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> Next {
        let Some(observation) = self.observations.get(index).and_then(Option::as_ref) else {
            return Next::Nothing;
        };
        let timing = self.timing(observation);
        let looks = observation.is_to_be_evaluated(&timing, now);
        let repeats = observation.is_overdue(&timing, now);
        let catches_up = self.is_reachable(observation.server)
            && !observation.in_flight
            && self.history.has(observation.number);
        if !looks && !repeats && !catches_up && !observation.is_ready(&timing, now) {
            return Next::Nothing;
        }
        let observation = *observation;
        let mut body = Body::<S>::ZEROES;
        let Some(reading) = self.read_for(now, &observation, objects, &mut body) else {
            // What was observed is gone, or may not be read any more.
            self.end_observation(observation.number);
            return Next::Queued;
        };
        let Some(place) = self.observations.get_mut(index).and_then(Option::as_mut) else {
            return Next::Nothing;
        };
        if looks {
            place.dirty = false;
            place.evaluated = now;
            place.triggered |= place.takes_notice(&timing.attributes, &reading.told);
        }
        if !repeats && !catches_up && !place.is_ready(&timing, now) {
            return Next::Nothing;
        }
        if self.stores_for(&observation) {
            self.store(now, index, &timing, reading.told, objects);
            return Next::Nothing;
        }
        if !self.is_reachable(observation.server) {
            return Next::Nothing;
        }
        if self.is_asleep_to(now, observation.server) {
            if let Some(session) = self.session_mut(observation.server) {
                session.pending.update = true;
            }
            return Next::WakeFirst;
        }
        let mut reading = reading;
        if catches_up {
            // If it doesn't fit, what is so now is told alone.
            if let Some(length) = self.encode_history(now, &observation, objects, &mut body) {
                reading.length = length;
            } else {
                reading = match self.read_for(now, &observation, objects, &mut body) {
                    Some(reading) => reading,
                    None => return Next::Nothing,
                };
            }
            self.history.forget(observation.number);
        }
        self.notify(now, index, &timing, &reading, &body, out)
    }

    fn read_for(
        &mut self,
        now: Instant,
        observation: &Observation,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Option<Read> {
        let who = self.requester(observation.server);
        let clock = self.clock(now);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let paths = self.other_paths.of(observation);
        let paths = paths.as_slice();
        let (base, missing) = if observation.composite {
            (Path::ROOT, Missing::PassOver)
        } else {
            (observation.path, Missing::Refuse)
        };
        let reading = Reading { format: observation.format, base, missing };
        let length = tree.encode(&clock, who, paths, reading, body).ok()?;
        let value = single_value(&tree, &clock, who, paths);
        let digest = digest(body.get(..length).unwrap_or_default());
        Some(Read { length, told: Told { at: now, confirmed: now, digest, value } })
    }

    /// Whether what is due is kept for later.
    fn stores_for(&self, observation: &Observation) -> bool {
        let server = self.accounts.server(observation.server);
        History::<S>::EXISTS
            && self.link == Link::Down
            && has_times(observation.format)
            && self.timing(observation).attributes.hqmax != Some(0)
            && server.is_some_and(|server| server.store_notifications)
    }

    fn store(
        &mut self,
        now: Instant,
        index: usize,
        timing: &Timing,
        told: Told,
        objects: &mut [&mut dyn Object],
    ) {
        let Some(observation) = self.observations.get_mut(index).and_then(Option::as_mut) else { return };
        observation.triggered = false;
        observation.told = Told { confirmed: observation.told.confirmed, ..told };
        let (number, server) = (observation.number, observation.server);
        let paths = self.other_paths.of(observation);
        if let Some(most) = timing.attributes.hqmax {
            self.history.limit(number, most);
        }
        let (who, clock) = (self.requester(server), self.clock(now));
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        for path in paths.as_slice() {
            let _unread = tree.visit(&clock, who, *path, Missing::PassOver, &mut |path, value| {
                if let Some(value) = value {
                    self.history.push(number, now, path, value);
                }
            });
        }
    }

    /// Encodes what was kept for an observation, and what is so now.
    fn encode_history(
        &mut self,
        now: Instant,
        observation: &Observation,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Option<usize> {
        let (who, clock) = (self.requester(observation.server), self.clock(now));
        let base = if observation.composite { Path::ROOT } else { observation.path };
        let mut encoder = Encoder::new(observation.format, base, body).ok()?;
        self.history.encode(observation.number, &clock, &mut encoder);
        let time = clock.unix.map_or(0.0, |unix| unix as f64);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        for path in self.other_paths.of(observation).as_slice() {
            let _unread = tree.visit(&clock, who, *path, Missing::PassOver, &mut |path, value| {
                let _kept_by_the_encoder = value.map(|value| encoder.push(path, value, Some(time)));
            });
        }
        encoder.finish().ok()
    }

    fn notify(
        &mut self,
        now: Instant,
        index: usize,
        timing: &Timing,
        read: &Read,
        body: &[u8],
        out: &mut [u8],
    ) -> Next {
        let largest = self.config.block_size;
        let Some(observation) = self.observations.get_mut(index).and_then(Option::as_mut) else {
            return Next::Nothing;
        };
        let Some(session) = self.sessions.get_mut(usize::from(observation.server.0)) else {
            return Next::Nothing;
        };
        let confirms = timing.confirmable || now >= observation.told.confirmed.after(CONFIRM_AT_LEAST_EVERY);
        let whole = body.get(..read.length).unwrap_or_default();
        let number = observation.sequence.next_number();
        let format = observation.format;
        let write = |writer: &mut MessageWriter<'_>| {
            let Ok((block, range)) = slice(None, largest, whole.len()) else { return };
            let payload = whole.get(range).unwrap_or_default();
            let response = Response::notification(number, Content { format, payload });
            if block.more() {
                writer.option(OptionNumber::ETAG, &digest(whole).to_be_bytes());
            }
            response.each_option(&mut |number, value| {
                writer.option(number, value);
            });
            if block.more() {
                writer.uint(OptionNumber::BLOCK2, block.to_uint());
                writer.uint(OptionNumber::SIZE2, whole.len() as u32);
            }
            writer.payload(payload);
        };
        let message_id = session.ids.next_id();
        let server = observation.server;
        observation.last_message_id = message_id;
        let told = read.told;
        if confirms {
            let outgoing = Outgoing {
                peer: server,
                purpose: Purpose::Response,
                delivery: Delivery::Confirmable,
                code: Code::CONTENT,
                token: observation.token,
                message_id,
                tag: Tag::from(Exchange::Notification(observation.number)).0,
            };
            if self.endpoint.send(now, &mut self.rng, outgoing, write).is_err() {
                // The endpoint is full; what is under way makes room when it ends. Each attempt takes a message id, so there are few.
                observation.triggered = true;
                observation.told.at = now.after_seconds(BUSY);
                return Next::Nothing;
            }
            observation.in_flight = true;
            observation.triggered = false;
            observation.told = told;
            return Next::Queued;
        }
        observation.triggered = false;
        observation.told = Told { confirmed: observation.told.confirmed, ..told };
        let token = observation.token;
        let header =
            Header { kind: Kind::NonConfirmable, code: Code::CONTENT, message_id, token: token.as_slice() };
        let mut writer = MessageWriter::new(out, header);
        write(&mut writer);
        match writer.finish() {
            Ok(length) => Next::Written(Transmit { server, length }),
            Err(_) => Next::Queued,
        }
    }

    pub(super) fn notification_delivered(&mut self, tag: Tag) {
        let Some(Exchange::Notification(number)) = tag.exchange() else { return };
        let mut observations = self.observations.iter_mut().flatten();
        if let Some(observation) = observations.find(|known| known.number == number) {
            observation.in_flight = false;
        }
    }

    /// A Reset of a non-confirmable notification ends its observation.
    pub(super) fn notification_reset(&mut self, server: ServerSlot, message_id: u16) {
        let mut observations = self.observations.iter().flatten();
        let found = observations.find(|known| known.server == server && known.last_message_id == message_id);
        if let Some(number) = found.map(|known| known.number) {
            self.end_observation(number);
        }
    }

    pub(super) fn observation_deadline(&self) -> Option<Instant> {
        self.observations.iter().flatten().fold(None, |first, observation| {
            let is_reachable = self.is_reachable(observation.server);
            if !is_reachable && !self.stores_for(observation) {
                return first;
            }
            let catches_up = is_reachable && !observation.in_flight && self.history.has(observation.number);
            let deadline = if catches_up {
                Some(observation.told.at)
            } else {
                observation.deadline(&self.timing(observation))
            };
            earlier(first, deadline)
        })
    }

    /// What rules an observation: its own attributes, those of the path and above, the server's defaults.
    fn timing(&self, observation: &Observation) -> Timing {
        let set = if observation.composite {
            Attributes::default()
        } else {
            effective(&self.attributes, observation.server, observation.path)
        };
        let own = set_at(&self.attributes, Owner::Observation(observation.number), Path::ROOT);
        let mut attributes = own.inherit(set);
        let server = self.accounts.server(observation.server);
        attributes.pmin = attributes.pmin.or(server.map(|server| server.default_pmin));
        attributes.pmax = attributes.pmax.or(server.map(|server| server.default_pmax));
        let usual = server.is_some_and(|server| server.confirmable_notifications);
        Timing { attributes, confirmable: attributes.con.unwrap_or(usual) }
    }
}

struct Read {
    length: usize,
    told: Told,
}

struct Timing {
    attributes: Attributes,
    confirmable: bool,
}

/// All of these are in seconds.
impl Timing {
    fn pmin(&self) -> u32 {
        self.attributes.pmin.unwrap_or(0)
    }

    fn pmax(&self) -> Option<u32> {
        self.attributes.effective_pmax()
    }

    fn epmin(&self) -> u32 {
        self.attributes.epmin.unwrap_or(0)
    }

    fn epmax(&self) -> Option<u32> {
        self.attributes.epmax.filter(|epmax| *epmax > 0)
    }
}

impl Observation {
    /// Whether the values are to be looked at: something may have changed, or `epmax` is over.
    fn is_to_be_evaluated(&self, timing: &Timing, now: Instant) -> bool {
        self.evaluation(timing).is_some_and(|at| at <= now)
    }

    fn evaluation(&self, timing: &Timing) -> Option<Instant> {
        let look = self.dirty.then(|| self.evaluated.after_seconds(timing.epmin()));
        let evaluate = timing.epmax().map(|epmax| self.evaluated.after_seconds(epmax));
        earlier(look, evaluate)
    }

    /// Whether something is to be told, and `pmin` is over.
    fn is_ready(&self, timing: &Timing, now: Instant) -> bool {
        self.triggered && !self.in_flight && now >= self.told.at.after_seconds(timing.pmin())
    }

    /// Whether `pmax` is over.
    fn is_overdue(&self, timing: &Timing, now: Instant) -> bool {
        !self.in_flight && timing.pmax().is_some_and(|pmax| now >= self.told.at.after_seconds(pmax))
    }

    fn deadline(&self, timing: &Timing) -> Option<Instant> {
        let told = (!self.in_flight).then_some(self.told.at);
        let repeat = told.zip(timing.pmax()).map(|(at, pmax)| at.after_seconds(pmax));
        let ready = told.filter(|_| self.triggered).map(|at| at.after_seconds(timing.pmin()));
        earlier(earlier(repeat, ready), self.evaluation(timing))
    }
}
