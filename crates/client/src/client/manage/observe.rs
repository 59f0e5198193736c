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
use crate::client::{AttributeEntry, Client, Owner, digest, tree};
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
        check_observable(&tree(&mut self.accounts, &mut self.access, objects), who, path, update)?;
        let owner = Owner::Server(server);
        let mut attributes = set_at(&self.attributes, owner, path);
        update.apply(&mut attributes);
        // What is inherited counts too: a limit of the resource and one of its instance may contradict each other.
        let above = effective(&self.attributes, server, path.truncated(path.len().saturating_sub(1)));
        let joined = attributes.inherit(above);
        joined.check_consistency().map_err(|error| refusal_of(BadRequest::Attribute(error)))?;
        if !set(&mut self.attributes, AttributeEntry { owner, path, attributes }) {
            return Err(Refusal::NO_ROOM);
        }
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
        let known = self.find_observation(asked.server, Some(token), &asked.paths, asked.composite);
        let index = known.or_else(|| self.observations.iter().position(Option::is_none))?;
        let known = self.observations.get(index)?.as_ref();
        let mut sequence = known.map(|known| known.sequence).unwrap_or_default();
        let before = known.map(|known| known.number);
        let answer = sequence.next_number();
        self.observations_begun = self.observations_begun.wrapping_add(1);
        let number = self.observations_begun;
        let own = AttributeEntry {
            owner: Owner::Observation(number),
            path: Path::ROOT,
            attributes: asked.attributes,
        };
        before.into_iter().for_each(|before| self.forget_parts(before));
        let is_kept = self.other_paths.keep(number, &asked.paths) && set(&mut self.attributes, own);
        let path = asked.paths.first();
        let observation = Observation {
            number,
            server: asked.server,
            token,
            path,
            composite: asked.composite,
            format,
            sequence,
            told,
            seen: told.value,
            dirty: false,
            triggered: false,
            in_flight: false,
            evaluated: told.at,
            last_message_id: 0,
        };
        *self.observations.get_mut(index)? = is_kept.then_some(observation);
        if !is_kept {
            self.forget_parts(number);
            return None;
        }
        self.effects.emit(Event::ObservationStarted(asked.server, path));
        Some(answer)
    }

    /// Where an observation is that a request repeats or ends: one of the same token, or of the same paths.
    fn find_observation(
        &self,
        server: ServerSlot,
        token: Option<Token>,
        paths: &Paths,
        composite: bool,
    ) -> Option<usize> {
        let same = |known: &Observation| {
            known.server == server
                && (Some(known.token) == token
                    || (known.composite == composite
                        && known.path == paths.first()
                        && self.other_paths.of(known) == *paths))
        };
        self.observations.iter().position(|place| place.as_ref().is_some_and(same))
    }

    pub(super) fn cancel_observation(
        &mut self,
        server: ServerSlot,
        token: Option<Token>,
        paths: &Paths,
        composite: bool,
    ) {
        let index = self.find_observation(server, token, paths, composite);
        if let Some(Some(known)) = index.and_then(|index| self.observations.get(index)) {
            self.end_observation(known.number);
        }
    }

    /// What is kept elsewhere of an observation.
    fn forget_parts(&mut self, number: u32) {
        self.history.forget(number);
        self.other_paths.forget(number);
        for entry in self.attributes.iter_mut() {
            entry.take_if(|entry| entry.owner == Owner::Observation(number));
        }
    }

    /// Which server has the observation of that number.
    pub(in super::super) fn observer(&self, number: u32) -> Option<ServerSlot> {
        let mut observations = self.observations.iter().flatten();
        observations.find(|known| known.number == number).map(|known| known.server)
    }

    pub(in super::super) fn end_observation(&mut self, number: u32) {
        self.end_observations(&|known| known.number == number);
    }

    pub(in super::super) fn drop_observations_of(&mut self, server: ServerSlot) {
        self.end_observations(&|known| known.server == server);
    }

    fn end_observations(&mut self, which: &dyn Fn(&Observation) -> bool) {
        for index in 0..self.observations.len() {
            let place = self.observations.get_mut(index);
            if let Some(known) = place.and_then(|place| place.take_if(|known| which(known))) {
                self.forget_parts(known.number);
                self.effects.emit(Event::ObservationEnded(known.server, known.path));
            }
        }
    }

    /// What was observed of an instance, and its attributes, go with it.
    pub(super) fn forget_below(&mut self, path: Path) {
        for entry in self.attributes.iter_mut() {
            entry.take_if(|entry| matches!(entry.owner, Owner::Server(_)) && entry.path.starts_with(path));
        }
        self.end_observations(&|known| !known.composite && known.path.starts_with(path));
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
    let mut joined = Attributes::default();
    for level in 1..=path.len() {
        let here = path.truncated(level);
        if let Some(entry) = find(entries, Owner::Server(server), here) {
            joined = entry.attributes.inherit(joined);
        }
    }
    joined
}

/// What somebody has set at a path itself.
pub(in super::super) fn set_at(entries: &[Option<AttributeEntry>], owner: Owner, path: Path) -> Attributes {
    find(entries, owner, path).map_or_else(Attributes::default, |entry| entry.attributes)
}

fn find(entries: &[Option<AttributeEntry>], owner: Owner, path: Path) -> Option<&AttributeEntry> {
    entries.iter().flatten().find(|entry| entry.owner == owner && entry.path == path)
}

/// Sets attributes in place of those before; says no if there is no room. None need no room.
fn set(entries: &mut [Option<AttributeEntry>], new: AttributeEntry) -> bool {
    let same = |entry: &AttributeEntry| entry.owner == new.owner && entry.path == new.path;
    let known = entries.iter().position(|entry| entry.as_ref().is_some_and(same));
    let is_empty = new.attributes.is_empty();
    if is_empty && known.is_none() {
        return true;
    }
    let index = known.or_else(|| entries.iter().position(Option::is_none));
    let Some(place) = index.and_then(|index| entries.get_mut(index)) else { return false };
    *place = (!is_empty).then_some(new);
    true
}
