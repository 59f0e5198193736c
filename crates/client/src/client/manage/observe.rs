//! Observe, its attributes, and its end (LwM2M Core 1.1, sections 6.3.4 and 6.4).

use buoy_coap::endpoint::Token;
use buoy_coap::number::{Code, ContentFormat};
use buoy_coap::time::Instant;
use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
use buoy_lwm2m::operation::BadRequest;
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

use super::answer::{Answer, refusal_of};
use crate::access::Rights;
use crate::client::observation::{Observation, Paths, Single, Told};
use crate::client::{AttributeEntry, Client, digest, tree};
use crate::effects::{Event, ServerSlot};
use crate::object::{Object, Refusal};
use crate::shape::Shape;
use crate::tree::{Missing, Reading, Requester, Tree};

impl<R: Rng, S: Shape> Client<R, S> {
    pub(super) fn write_attributes(
        &mut self,
        server: ServerSlot,
        path: Path,
        update: &AttributeUpdate,
        objects: &mut [&mut dyn Object],
    ) -> Result<Answer, Refusal> {
        let who = self.requester(server);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        check_observable(&tree, who, path, update)?;
        let mine = |entry: &AttributeEntry| entry.server == server && entry.path == path;
        let above = effective(&self.attributes, server, path.truncated(path.len().saturating_sub(1)));
        let known = self.attributes.iter().position(|entry| entry.as_ref().is_some_and(mine));
        let index = known.or_else(|| self.attributes.iter().position(Option::is_none));
        let place = index.and_then(|index| self.attributes.get_mut(index)).ok_or(Refusal::NO_ROOM)?;
        let mut attributes = place.map_or_else(Attributes::default, |entry| entry.attributes);
        update.apply(&mut attributes);
        // What is inherited counts too: a limit of the resource and one of its instance may contradict each other.
        attributes
            .inherit(above)
            .check_consistency()
            .map_err(|error| refusal_of(BadRequest::Attribute(error)))?;
        let is_empty = attributes == Attributes::default();
        *place = (!is_empty).then_some(AttributeEntry { server, path, attributes });
        Ok(Answer::of(Code::CHANGED))
    }

    pub(super) fn observe(
        &mut self,
        now: Instant,
        who: Requester,
        asked: &Asked,
        reading: Reading,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let clock = self.clock(now);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let update = AttributeUpdate::setting(&asked.attributes);
        for path in asked.paths.as_slice().iter().filter(|path| !asked.composite && **path != Path::ROOT) {
            check_observable(&tree, who, *path, &update)?;
        }
        asked.attributes.check_consistency().map_err(|error| refusal_of(BadRequest::Attribute(error)))?;
        let length = tree.encode(&clock, who, asked.paths.as_slice(), reading, body)?;
        let value = single_value(&tree, &clock, who, asked.paths.as_slice());
        let digest = digest(body.get(..length).unwrap_or_default());
        let told = Told { at: now, confirmed: now, digest, value };
        let answer = Answer::content(reading.format, length);
        let Some(number) = self.add_observation(asked, reading.format, told) else {
            // RFC 7641 section 4.1: who can't be added to the list gets a plain answer.
            return Ok(answer);
        };
        Ok(Answer { observe: Some(number), ..answer })
    }

    /// Adds or renews an observation and gives the number for the first answer.
    fn add_observation(&mut self, asked: &Asked, format: ContentFormat, told: Told) -> Option<u32> {
        let token = asked.token?;
        let same = |known: &Observation| {
            known.server == asked.server
                && (known.token == token
                    || (known.paths == asked.paths && known.composite == asked.composite))
        };
        let known = self.observations.iter().position(|place| place.as_ref().is_some_and(same));
        let index = known.or_else(|| self.observations.iter().position(Option::is_none))?;
        let place = self.observations.get_mut(index)?;
        let mut sequence = place.as_ref().map(|known| known.sequence).unwrap_or_default();
        let answer = sequence.next_number();
        if let Some(known) = place.as_ref() {
            self.history.forget(known.number);
        }
        self.observations_begun = self.observations_begun.wrapping_add(1);
        *place = Some(Observation {
            number: self.observations_begun,
            server: asked.server,
            token,
            paths: asked.paths,
            composite: asked.composite,
            format,
            own: asked.attributes,
            sequence,
            told,
            seen: told.value,
            dirty: false,
            triggered: false,
            in_flight: false,
            evaluated: told.at,
            last_message_id: 0,
        });
        self.effects.emit(Event::ObservationStarted(asked.server, asked.paths.first()));
        Some(answer)
    }

    pub(super) fn cancel_observation(
        &mut self,
        server: ServerSlot,
        token: Option<Token>,
        paths: &Paths,
        composite: bool,
    ) {
        let same = |known: &Observation| {
            known.server == server
                && (Some(known.token) == token || (known.paths == *paths && known.composite == composite))
        };
        let number = self.observations.iter().flatten().find(|known| same(known)).map(|known| known.number);
        if let Some(number) = number {
            self.end_observation(number);
        }
    }

    /// Which server has the observation of that number.
    pub(in super::super) fn observer(&self, number: u32) -> Option<ServerSlot> {
        let mut observations = self.observations.iter().flatten();
        observations.find(|known| known.number == number).map(|known| known.server)
    }

    pub(in super::super) fn end_observation(&mut self, number: u32) {
        self.history.forget(number);
        for place in self.observations.iter_mut() {
            if let Some(known) = place.take_if(|known| known.number == number) {
                self.effects.emit(Event::ObservationEnded(known.server, known.paths.first()));
            }
        }
    }

    pub(in super::super) fn drop_observations_of(&mut self, server: ServerSlot) {
        for place in self.observations.iter_mut() {
            if let Some(known) = place.take_if(|known| known.server == server) {
                self.history.forget(known.number);
                self.effects.emit(Event::ObservationEnded(server, known.paths.first()));
            }
        }
    }

    /// What was observed of an instance, and its attributes, go with it.
    pub(super) fn forget_below(&mut self, path: Path) {
        for entry in &mut self.attributes {
            entry.take_if(|entry| entry.path.starts_with(path));
        }
        for place in self.observations.iter_mut() {
            let gone = |known: &mut Observation| !known.composite && known.paths.first().starts_with(path);
            if let Some(known) = place.take_if(gone) {
                self.history.forget(known.number);
                self.effects.emit(Event::ObservationEnded(known.server, known.paths.first()));
            }
        }
    }
}

/// An Observe or Observe-Composite.
pub(super) struct Asked {
    pub(super) server: ServerSlot,
    pub(super) token: Option<Token>,
    pub(super) paths: Paths,
    pub(super) attributes: Attributes,
    pub(super) composite: bool,
}

/// Whether a path is there, may be read by that server, and takes such attributes.
fn check_observable<S: Shape>(
    tree: &Tree<'_, '_, S>,
    who: Requester,
    path: Path,
    update: &AttributeUpdate,
) -> Result<(), Refusal> {
    let value_type = match path.ids() {
        [object] => {
            tree.check_object(*object)?;
            None
        }
        [object, instance] => {
            tree.check_right(who, *object, *instance, Rights::READ)?;
            None
        }
        [object, instance, ..] => {
            tree.check_right(who, *object, *instance, Rights::READ)?;
            Some(tree.resource(path)?.value_type)
        }
        [] => return Err(Refusal::METHOD_NOT_ALLOWED),
    };
    update.check_level(path.level(), value_type).map_err(|error| refusal_of(BadRequest::Attribute(error)))
}

/// The value that thresholds look at: there has to be exactly one.
pub(in super::super) fn single_value<S: Shape>(
    tree: &Tree<'_, '_, S>,
    clock: &crate::object::Clock,
    who: Requester,
    paths: &[Path],
) -> Single {
    let [path] = paths else { return Single::Other };
    if path.level() < Level::Resource {
        return Single::Other;
    }
    let mut single = Single::Other;
    let mut count = 0u8;
    let _unread = tree.visit(clock, who, *path, Missing::Refuse, &mut |_, value| {
        count = count.saturating_add(1);
        single = value.map_or(Single::Other, Single::from);
    });
    if count == 1 { single } else { Single::Other }
}

/// What holds at a path: its own attributes, and those of the levels above where it has none.
pub(in super::super) fn effective(
    entries: &[Option<AttributeEntry>],
    server: ServerSlot,
    path: Path,
) -> Attributes {
    (1..=path.len()).fold(Attributes::default(), |above, level| {
        let here = path.truncated(level);
        let mut mine = entries.iter().flatten().filter(|entry| entry.server == server);
        match mine.find(|entry| entry.path == here) {
            Some(entry) => entry.attributes.inherit(above),
            None => above,
        }
    })
}
