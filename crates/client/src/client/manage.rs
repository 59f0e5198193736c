//! Answers to servers: device management and information reporting (LwM2M Core 1.1, sections 6.3 and 6.4).

use buoy_coap::block::{Assembly, BadBlock, Block, block_option, slice};
use buoy_coap::endpoint::{Request, Token};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Message, MessageWriter};
use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
use buoy_lwm2m::format::decode_paths;
use buoy_lwm2m::link::{LinkError, LinkWriter};
use buoy_lwm2m::operation::{BadRequest, Content, Downlink, Location, LwM2mVersion, Response};
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

use super::observation::{Observation, Paths, Single, Told};
use super::transfer::{Key, Progress, Sink, Transfer, value_head};
use super::{AttributeEntry, Client, digest, tree};
use crate::access::Rights;
use crate::effects::{Event, ServerSlot};
use crate::object::{At, Context, Object, Operations, Piece, Refusal};
use crate::text::Bytes;
use crate::tree::{Missing, Reading, Requester, Tree, at};

/// A body that nobody goes on with gives way after EXCHANGE_LIFETIME.
const TRANSFER_LIFETIME: core::time::Duration = core::time::Duration::from_secs(247);
/// More than any image, and few enough for a block's number.
const STREAM_MAX: usize = 256 << 20;

/// An answer; its payload is the beginning of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    code: Code,
    observe: Option<u32>,
    created: Option<Path>,
    format: Option<ContentFormat>,
    length: usize,
    block1: Option<Block>,
    size1: Option<u32>,
}

impl Answer {
    pub(super) const fn of(code: Code) -> Self {
        Self { code, observe: None, created: None, format: None, length: 0, block1: None, size1: None }
    }

    pub(super) const fn content(format: ContentFormat, length: usize) -> Self {
        Self { format: Some(format), length, ..Self::of(Code::CONTENT) }
    }

    pub(super) const fn with_block1(self, block1: Option<Block>) -> Self {
        Self { block1, ..self }
    }
}

impl<
    R: Rng,
    const SERVERS: usize,
    const OBSERVATIONS: usize,
    const MTU: usize,
    const BODY: usize,
    const KEY: usize,
> Client<R, SERVERS, OBSERVATIONS, MTU, BODY, KEY>
{
    /// Carries out a request and writes the answer into `out`.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        request: &Request<'_, ServerSlot>,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> usize {
        let mut body = [0; BODY];
        let message = &request.message;
        let answer = self.serve(now, request.peer, message, objects, &mut body);
        let largest = self.config.block_size;
        let Some(session) = self.sessions.get_mut(usize::from(request.peer.0)) else { return 0 };
        self.endpoint.reply(request, &mut session.ids, out, |writer| {
            match answer.and_then(|answer| write_answer(writer, message, &answer, &body, largest)) {
                Ok(()) => {}
                Err((refusal, block1, size1)) => write_refusal(writer, refusal, block1, size1),
            }
        })
    }

    fn serve(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8; BODY],
    ) -> Result<Answer, Failure> {
        refuse_proxying(message)?;
        let block = block_option(message, OptionNumber::BLOCK1).map_err(|bad| plain(bad_block(bad)))?;
        let downlink = parse(message, message.payload()).map_err(plain)?;
        match block.filter(|block| block.more() || block.offset() > 0) {
            Some(block) => self.take_block(now, server, message, &downlink, block, objects, body),
            None => {
                let token = Token::from_slice(message.token());
                let mut answer =
                    self.carry_out(now, server, token, &downlink, objects, body).map_err(plain)?;
                answer.block1 = block;
                Ok(answer)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything that a request comes with")]
    fn take_block(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        downlink: &Downlink<'_>,
        block: Block,
        objects: &mut [&mut dyn Object],
        body: &mut [u8; BODY],
    ) -> Result<Answer, Failure> {
        let tag =
            Bytes::new(message.value(OptionNumber::REQUEST_TAG).unwrap_or_default()).unwrap_or_default();
        let key = Key { server, code: message.code(), path: downlink.path(), tag };
        self.open_transfer(now, key, downlink, block, objects).map_err(plain)?;
        let size1 = message.uint(OptionNumber::SIZE1);
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.key == key) else {
            return Err(plain(bad_block(BadBlock::OutOfOrder)));
        };
        transfer.touched = now;
        let payload = message.payload();
        let offset = block.offset();
        let progress = match transfer.assembly.accept(block, payload.len(), size1) {
            Ok(assembled) => Progress::from(assembled),
            Err(bad) => {
                let limit = match transfer.sink {
                    Sink::Collect(_) => Some(BODY as u32),
                    Sink::Stream { .. } => None,
                };
                return Err((bad_block(bad), None, limit.filter(|_| bad == BadBlock::TooLarge)));
            }
        };
        let is_last = matches!(progress, Progress::Complete(_));
        let (Progress::More(answer) | Progress::Complete(answer) | Progress::Repeated(answer)) = progress;
        if !matches!(progress, Progress::Repeated(_)) {
            let taken = self.take_piece(now, downlink, offset, payload, is_last, size1, objects);
            if let Err(refusal) = taken {
                self.transfer = None;
                return Err((refusal, Some(answer), None));
            }
        }
        if !is_last {
            return Ok(Answer { block1: Some(answer), ..Answer::of(Code::CONTINUE) });
        }
        let whole = self.transfer.take().map(|transfer| transfer.sink);
        let mut last = match whole {
            Some(Sink::Collect(bytes)) => {
                let downlink = parse(message, bytes.as_slice()).map_err(plain)?;
                let token = Token::from_slice(message.token());
                self.carry_out(now, server, token, &downlink, objects, body)
                    .map_err(|refusal| (refusal, Some(answer), None))?
            }
            _ => Answer::of(Code::CHANGED),
        };
        last.block1 = Some(answer);
        Ok(last)
    }

    /// Begins a body with its first block; refuses it before it is sent whole.
    fn open_transfer(
        &mut self,
        now: Instant,
        key: Key,
        downlink: &Downlink<'_>,
        block: Block,
        objects: &mut [&mut dyn Object],
    ) -> Result<(), Refusal> {
        if block.offset() > 0 {
            return Ok(());
        }
        let taken = self.transfer.as_ref().is_some_and(|transfer| {
            transfer.key.server != key.server && now.since(transfer.touched) < TRANSFER_LIFETIME
        });
        if taken {
            return Err(Refusal::new(
                Code::SERVICE_UNAVAILABLE,
                "another server is sending blocks; try later",
            ));
        }
        let who = self.requester(key.server);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let sink = match downlink {
            Downlink::Write { path, content, .. } if is_streamed(&tree, *path) => {
                let id = path.ids();
                if let [object, instance, ..] = id {
                    tree.check_right(who, *object, *instance, Rights::WRITE)?;
                }
                let (head, length) = value_head(content.format, *path, content.payload)?;
                Sink::Stream { head, length }
            }
            _ => Sink::Collect(Bytes::EMPTY),
        };
        let limit = if matches!(sink, Sink::Collect(_)) { BODY } else { STREAM_MAX };
        let assembly = Assembly::new(limit, self.config.block_size);
        self.transfer = Some(Transfer { key, assembly, sink, touched: now });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "everything that a block comes with")]
    fn take_piece(
        &mut self,
        now: Instant,
        downlink: &Downlink<'_>,
        offset: usize,
        payload: &[u8],
        is_last: bool,
        size1: Option<u32>,
        objects: &mut [&mut dyn Object],
    ) -> Result<(), Refusal> {
        let clock = self.clock(now);
        let Some(transfer) = self.transfer.as_mut() else { return Ok(()) };
        let path = downlink.path();
        match &mut transfer.sink {
            Sink::Collect(bytes) => {
                if offset == 0 {
                    *bytes = Bytes::EMPTY;
                }
                bytes.extend(payload).map_err(|_| bad_block(BadBlock::TooLarge))
            }
            Sink::Stream { head, length } => {
                let (Some(id), Some(at)) = (path.object_id(), at(path)) else {
                    return Err(Refusal::METHOD_NOT_ALLOWED);
                };
                let bytes = if offset == 0 { payload.get(*head..).unwrap_or_default() } else { payload };
                let announced = size1.map(|size| (size as usize).saturating_sub(*head));
                let total = length.or(announced);
                let piece = Piece { offset: offset.saturating_sub(*head), bytes, total, is_last };
                let mut tree = tree(&mut self.accounts, &mut self.access, objects);
                let object = tree.get_mut(id).ok_or(Refusal::NOT_FOUND)?;
                object.write_piece(&mut Context::new(clock, &mut self.effects), at, piece)
            }
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        server: ServerSlot,
        token: Option<Token>,
        downlink: &Downlink<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8; BODY],
    ) -> Result<Answer, Refusal> {
        let who = self.requester(server);
        match *downlink {
            Downlink::Discover { path, depth } => self.discover(server, path, depth, objects, body),
            Downlink::Read { path, accept } => {
                self.read(now, who, &[path], self.reading(path, accept), objects, body)
            }
            Downlink::ReadComposite { paths, accept } => {
                let reading = self.composite_reading(paths.format, accept);
                let paths = composite_paths(paths)?;
                self.read(now, who, paths.as_slice(), reading, objects, body)
            }
            Downlink::Observe { path, accept, attributes } => {
                let reading = self.reading(path, accept);
                let asked = Asked { server, token, paths: Paths::of(path), attributes, composite: false };
                self.observe(now, who, &asked, reading, objects, body)
            }
            Downlink::ObserveComposite { paths, accept, attributes } => {
                let reading = self.composite_reading(paths.format, accept);
                let paths = composite_paths(paths)?;
                let asked = Asked { server, token, paths, attributes, composite: true };
                self.observe(now, who, &asked, reading, objects, body)
            }
            Downlink::CancelObserve { path, accept } => {
                self.cancel_observation(server, token, &Paths::of(path), false);
                self.read(now, who, &[path], self.reading(path, accept), objects, body)
            }
            Downlink::CancelObserveComposite { paths, accept } => {
                let reading = self.composite_reading(paths.format, accept);
                let paths = composite_paths(paths)?;
                self.cancel_observation(server, token, &paths, true);
                self.read(now, who, paths.as_slice(), reading, objects, body)
            }
            Downlink::WriteAttributes { path, update } => {
                self.write_attributes(server, path, &update, objects)
            }
            _ => self.change(now, who, downlink, objects, body),
        }
    }

    /// The operations that change something.
    fn change(
        &mut self,
        now: Instant,
        who: Requester,
        downlink: &Downlink<'_>,
        objects: &mut [&mut dyn Object],
        scratch: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let mut tree = tree(&mut self.accounts, &mut self.access, objects);
        let clock = crate::object::Clock { now, unix: self.effects.unix_at(now) };
        let mut context = Context::new(clock, &mut self.effects);
        match *downlink {
            Downlink::Write { path, mode, content } => {
                tree.write(&mut context, who, path, mode, content, scratch)?;
                Ok(Answer::of(Code::CHANGED))
            }
            Downlink::WriteComposite { content } => {
                check_composite_format(content.format)?;
                tree.check_items(who, Path::ROOT, content, scratch)?;
                tree.write_items(&mut context, Path::ROOT, content, scratch)?;
                Ok(Answer::of(Code::CHANGED))
            }
            Downlink::Execute { path, arguments } => {
                execute(&mut tree, &mut context, who, path, arguments)?;
                Ok(Answer::of(Code::CHANGED))
            }
            Downlink::Create { path, content } => {
                let object = path.object_id().ok_or(Refusal::METHOD_NOT_ALLOWED)?;
                let instance = tree.create(&mut context, who, object, content, scratch)?;
                Ok(Answer { created: path.child(instance), ..Answer::of(Code::CREATED) })
            }
            Downlink::Delete { path } => {
                tree.delete(&mut context, who, path)?;
                self.forget_below(path);
                Ok(Answer::of(Code::DELETED))
            }
            _ => Err(Refusal::METHOD_NOT_ALLOWED),
        }
    }

    fn read(
        &mut self,
        now: Instant,
        who: Requester,
        paths: &[Path],
        reading: Reading,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let clock = self.clock(now);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let length = tree.encode(&clock, who, paths, reading, body)?;
        Ok(Answer::content(reading.format, length))
    }

    /// Without Accept the format is TLV for LwM2M 1.0, and SenML CBOR since 1.1.
    pub(super) fn reading(&self, path: Path, accept: Option<ContentFormat>) -> Reading {
        let usual = match self.config.version {
            LwM2mVersion::V1_0 => ContentFormat::TLV,
            _ => ContentFormat::SENML_CBOR,
        };
        Reading { format: accept.unwrap_or(usual), base: path, missing: Missing::Refuse }
    }

    /// Without Accept a composite is answered as it was asked.
    fn composite_reading(&self, asked: ContentFormat, accept: Option<ContentFormat>) -> Reading {
        let usual = match asked {
            ContentFormat::SENML_JSON | ContentFormat::SENML_ETCH_JSON => ContentFormat::SENML_JSON,
            ContentFormat::LWM2M_CBOR => ContentFormat::LWM2M_CBOR,
            _ => ContentFormat::SENML_CBOR,
        };
        Reading { format: accept.unwrap_or(usual), base: Path::ROOT, missing: Missing::PassOver }
    }

    fn discover(
        &mut self,
        server: ServerSlot,
        path: Path,
        depth: Option<u8>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let attributes = &self.attributes;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        match path.ids() {
            [object] => tree.check_object(*object)?,
            [object, instance] => tree.check_instance(*object, *instance)?,
            _ => tree.resource(path).map(|_| ())?,
        }
        let mut listing = Listing { tree: &tree, attributes, server, links: LinkWriter::new(body) };
        let usual = if path.level() == Level::Object { 2 } else { 1 };
        listing.list(path, depth.unwrap_or(usual)).map_err(|_: LinkError| {
            Refusal::new(Code::INTERNAL_SERVER_ERROR, "the list is larger than this device's memory")
        })?;
        let length = listing.links.finish();
        Ok(Answer::content(ContentFormat::LINK, length))
    }

    fn write_attributes(
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

    fn observe(
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

    fn cancel_observation(
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
    pub(super) fn observer(&self, number: u32) -> Option<ServerSlot> {
        let mut observations = self.observations.iter().flatten();
        observations.find(|known| known.number == number).map(|known| known.server)
    }

    pub(super) fn end_observation(&mut self, number: u32) {
        self.history.forget(number);
        for place in &mut self.observations {
            if let Some(known) = place.take_if(|known| known.number == number) {
                self.effects.emit(Event::ObservationEnded(known.server, known.paths.first()));
            }
        }
    }

    pub(super) fn drop_observations_of(&mut self, server: ServerSlot) {
        for place in &mut self.observations {
            if let Some(known) = place.take_if(|known| known.server == server) {
                self.history.forget(known.number);
                self.effects.emit(Event::ObservationEnded(server, known.paths.first()));
            }
        }
    }

    /// What was observed of an instance, and its attributes, go with it.
    fn forget_below(&mut self, path: Path) {
        for entry in &mut self.attributes {
            entry.take_if(|entry| entry.path.starts_with(path));
        }
        for place in &mut self.observations {
            let gone = |known: &mut Observation| !known.composite && known.paths.first().starts_with(path);
            if let Some(known) = place.take_if(gone) {
                self.history.forget(known.number);
                self.effects.emit(Event::ObservationEnded(known.server, known.paths.first()));
            }
        }
    }
}

/// An Observe or Observe-Composite.
struct Asked {
    server: ServerSlot,
    token: Option<Token>,
    paths: Paths,
    attributes: Attributes,
    composite: bool,
}

/// A refusal, with the Block1 and the Size1 of its answer.
pub(super) type Failure = (Refusal, Option<Block>, Option<u32>);

pub(super) fn plain(refusal: Refusal) -> Failure {
    (refusal, None, None)
}

pub(super) fn refuse_proxying(message: &Message<'_>) -> Result<(), Failure> {
    let proxy = [OptionNumber::PROXY_URI, OptionNumber::PROXY_SCHEME];
    if proxy.into_iter().any(|option| message.value(option).is_some()) {
        return Err(plain(Refusal::new(Code::PROXYING_NOT_SUPPORTED, "this device is no proxy")));
    }
    Ok(())
}

fn parse<'a>(message: &Message<'a>, payload: &'a [u8]) -> Result<Downlink<'a>, Refusal> {
    Downlink::parse(message.code(), message.options(), payload).map_err(refusal_of)
}

pub(super) fn refusal_of(bad: BadRequest) -> Refusal {
    let words = match bad {
        BadRequest::NotFound => "nothing lives at this path",
        BadRequest::MethodNotAllowed => "the method does nothing at this path",
        BadRequest::UnsupportedOption(_) => "an option is not understood",
        BadRequest::PeerSentNoContentFormat => "the payload doesn't say its content format",
        BadRequest::UnsupportedContentFormat(_) => "that content format can't be used for this",
        BadRequest::Attribute(_) => "the attributes can't be set so",
        _ => "the request is malformed",
    };
    Refusal::new(bad.code(), words)
}

pub(super) fn bad_block(bad: BadBlock) -> Refusal {
    let words = match bad {
        BadBlock::OutOfOrder => "the block is not the one that comes next; begin again with block 0",
        BadBlock::TooLarge => "the body is larger than this device's memory",
        _ => "the block doesn't fit its number and size",
    };
    Refusal::new(bad.code(), words)
}

fn is_streamed<const N: usize, const KEY: usize>(tree: &Tree<'_, '_, N, KEY>, path: Path) -> bool {
    path.level() == Level::Resource && tree.resource(path).is_ok_and(|resource| resource.streamed)
}

fn composite_paths(content: Content<'_>) -> Result<Paths, Refusal> {
    check_composite_format(content.format)?;
    let mut sorted = Paths::default();
    let mut asked = [Path::ROOT; super::observation::PATHS];
    let mut count = 0usize;
    for path in decode_paths(content.format, content.payload).map_err(crate::tree::unwritable)? {
        let path = path.map_err(crate::tree::unwritable)?;
        *asked
            .get_mut(count)
            .ok_or(Refusal::new(Code::REQUEST_ENTITY_TOO_LARGE, "at most 8 paths at once"))? = path;
        count = count.saturating_add(1);
    }
    let asked = asked.get_mut(..count).unwrap_or_default();
    asked.sort_unstable();
    for path in asked.iter() {
        let covered = sorted.as_slice().iter().any(|known| path.starts_with(*known));
        if !covered {
            sorted.push(*path);
        }
    }
    Ok(sorted)
}

fn check_composite_format(format: ContentFormat) -> Result<(), Refusal> {
    match format {
        ContentFormat::SENML_JSON
        | ContentFormat::SENML_CBOR
        | ContentFormat::SENML_ETCH_JSON
        | ContentFormat::SENML_ETCH_CBOR
        | ContentFormat::LWM2M_CBOR => Ok(()),
        _ => Err(Refusal::new(
            Code::UNSUPPORTED_CONTENT_FORMAT,
            "composite operations are written in SenML or LwM2M CBOR",
        )),
    }
}

/// Whether a path is there, may be read by that server, and takes such attributes.
fn check_observable<const N: usize, const KEY: usize>(
    tree: &Tree<'_, '_, N, KEY>,
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
pub(super) fn single_value<const N: usize, const KEY: usize>(
    tree: &Tree<'_, '_, N, KEY>,
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

fn execute<const N: usize, const KEY: usize>(
    tree: &mut Tree<'_, '_, N, KEY>,
    context: &mut Context<'_>,
    who: Requester,
    path: Path,
    arguments: &str,
) -> Result<(), Refusal> {
    let (Some(object), Some(at)) = (path.object_id(), at(path)) else {
        return Err(Refusal::METHOD_NOT_ALLOWED);
    };
    let resource = tree.resource(path)?;
    if resource.operations != Operations::Execute {
        return Err(Refusal::new(Code::METHOD_NOT_ALLOWED, "the resource can't be executed"));
    }
    tree.check_right(who, object, at.instance, Rights::EXECUTE)?;
    tree.get_mut(object).ok_or(Refusal::NOT_FOUND)?.execute(context, at, arguments)
}

pub(super) fn write_answer(
    writer: &mut MessageWriter<'_>,
    request: &Message<'_>,
    answer: &Answer,
    body: &[u8],
    largest: buoy_coap::block::BlockSize,
) -> Result<(), Failure> {
    let asked = block_option(request, OptionNumber::BLOCK2).map_err(|bad| plain(bad_block(bad)))?;
    let whole = body.get(..answer.length).unwrap_or_default();
    let (block, range) = slice(asked, largest, whole.len()).map_err(|bad| plain(bad_block(bad)))?;
    let in_blocks = block.more() || block.offset() > 0 || (asked.is_some() && !whole.is_empty());
    let response = Response {
        code: answer.code,
        observe: answer.observe,
        location: answer.created.map(Location::of_path),
        content_format: answer.format,
        payload: whole.get(range).unwrap_or_default(),
    };
    writer.code(response.code);
    if in_blocks {
        writer.option(OptionNumber::ETAG, &digest(whole).to_be_bytes());
    }
    for (number, value) in response.options() {
        writer.option(number, &value);
    }
    if in_blocks {
        writer.uint(OptionNumber::BLOCK2, block.to_uint());
    }
    if let Some(block) = answer.block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    // RFC 7959 section 4: who asks for the size is told it.
    let asks_size = request.value(OptionNumber::SIZE2).is_some() && answer.format.is_some();
    if (in_blocks && block.offset() == 0) || asks_size {
        writer.uint(OptionNumber::SIZE2, whole.len() as u32);
    }
    if let Some(size) = answer.size1 {
        writer.uint(OptionNumber::SIZE1, size);
    }
    writer.payload(response.payload);
    Ok(())
}

pub(super) fn write_refusal(
    writer: &mut MessageWriter<'_>,
    refusal: Refusal,
    block1: Option<Block>,
    size1: Option<u32>,
) {
    writer.code(refusal.code);
    if let Some(block) = block1 {
        writer.uint(OptionNumber::BLOCK1, block.to_uint());
    }
    if let Some(size) = size1 {
        writer.uint(OptionNumber::SIZE1, size);
    }
    writer.payload(refusal.words.as_bytes());
}

/// Writes the links of a Discover.
struct Listing<'l, 'a, 'o, 'b, const N: usize, const KEY: usize> {
    tree: &'l Tree<'a, 'o, N, KEY>,
    attributes: &'l [Option<AttributeEntry>],
    server: ServerSlot,
    links: LinkWriter<'b>,
}

impl<const N: usize, const KEY: usize> Listing<'_, '_, '_, '_, N, KEY> {
    /// The path itself with what it inherits, and so many levels below it with what is set there.
    fn list(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        let inherited = if path.level() >= Level::Resource {
            effective(self.attributes, self.server, path)
        } else {
            self.set_at(path)
        };
        self.link(path, &inherited)?;
        self.children(path, depth)
    }

    fn children(&mut self, path: Path, depth: u8) -> Result<(), LinkError> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        let tree = self.tree;
        let Some(object) = path.object_id().and_then(|id| tree.get(id)) else { return Ok(()) };
        match path.ids() {
            [_] => {
                let mut instance = object.instance_after(None);
                while let Some(id) = instance {
                    self.child(path, id, depth)?;
                    instance = object.instance_after(Some(id));
                }
                Ok(())
            }
            [_, instance] => {
                let resources = object.definition().resources.iter();
                let here = |id| object.has_resource(At { instance: *instance, resource: id });
                for resource in resources.filter(|resource| here(resource.id)) {
                    self.child(path, resource.id, depth)?;
                }
                Ok(())
            }
            [_, _, _] => {
                let mut outcome = Ok(());
                let clock = Default::default();
                let mut each = |below: Path, _: Option<&buoy_lwm2m::value::Value<'_>>| {
                    if below.level() == Level::ResourceInstance && outcome.is_ok() {
                        outcome = self.link(below, &self.set_at(below));
                    }
                };
                let _unread = tree.visit(&clock, Requester::OnlyServer, path, Missing::PassOver, &mut each);
                outcome
            }
            _ => Ok(()),
        }
    }

    fn child(&mut self, path: Path, id: u16, depth: u8) -> Result<(), LinkError> {
        let Some(child) = path.child(id) else { return Ok(()) };
        self.link(child, &self.set_at(child))?;
        self.children(child, depth)
    }

    fn set_at(&self, path: Path) -> Attributes {
        let mut entries = self.attributes.iter().flatten();
        let found = entries.find(|entry| entry.server == self.server && entry.path == path);
        found.map_or_else(Attributes::default, |entry| entry.attributes)
    }

    fn link(&mut self, path: Path, attributes: &Attributes) -> Result<(), LinkError> {
        let dimension = self.dimension(path);
        let version = match path.ids() {
            [object] => self.tree.get(*object).map(|object| self.tree.said_version(object)),
            _ => None,
        };
        self.links.path(path)?;
        if let Some(version) =
            version.filter(|version| *version != buoy_lwm2m::operation::ObjectVersion::V1_0)
        {
            self.links.token("ver", format_args!("{}.{}", version.major, version.minor))?;
        }
        if let Some(dimension) = dimension {
            self.links.token("dim", dimension)?;
        }
        self.links.notification_attributes(attributes)?;
        Ok(())
    }

    /// How many instances a multiple resource has.
    fn dimension(&self, path: Path) -> Option<u16> {
        let resource = self.tree.resource(path).ok().filter(|_| path.level() == Level::Resource)?;
        if !resource.is_multiple() {
            return None;
        }
        let mut count = 0u16;
        let mut each = |below: Path, _: Option<&buoy_lwm2m::value::Value<'_>>| {
            count = count.saturating_add(u16::from(below.level() == Level::ResourceInstance));
        };
        let clock = Default::default();
        let _unread = self.tree.visit(&clock, Requester::OnlyServer, path, Missing::PassOver, &mut each);
        Some(count)
    }
}

/// What holds at a path: its own attributes, and those of the levels above where it has none.
pub(super) fn effective(entries: &[Option<AttributeEntry>], server: ServerSlot, path: Path) -> Attributes {
    (1..=path.len()).fold(Attributes::default(), |above, level| {
        let here = path.truncated(level);
        let mut mine = entries.iter().flatten().filter(|entry| entry.server == server);
        match mine.find(|entry| entry.path == here) {
            Some(entry) => entry.attributes.inherit(above),
            None => above,
        }
    })
}
