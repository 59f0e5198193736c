//! Answers to servers: device management and information reporting (LwM2M Core 1.1, sections 6.3 and 6.4).

mod answer;
mod discover;
mod observe;

use buoy_coap::block::{Assembled, Assembly, BadBlock, Block, block_option};
use buoy_coap::endpoint::{Request, Token};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::format::decode_paths;
use buoy_lwm2m::operation::{Content, Downlink, LwM2mVersion};
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

pub(super) use answer::{Answer, Besides, bad_block, refusal_of, write_outcome};
pub(super) use observe::{effective, set_at, single_value};

use observe::Asked;

use super::observation::Paths;
use super::transfer::{Body1, Key, Sink, Transfer, value_head};
use super::{Client, tree};
use crate::access::Rights;
use crate::effects::ServerSlot;
use crate::features::COMPOSITE;
use crate::object::{Context, Object, Operations, Piece, Refusal, refusal};
use crate::shape::{Body, Capacity as _, Shape};
use crate::tree::{Missing, Reading, Requester, Tree, at};

/// A body that nobody goes on with gives way after EXCHANGE_LIFETIME, which has so many seconds.
const TRANSFER_LIFETIME: u32 = 247;
/// More than any image, and few enough for a block's number.
const STREAM_MAX: usize = 256 << 20;

impl<R: Rng, S: Shape> Client<R, S> {
    /// Carries out a request and writes the answer into `out`.
    #[inline(never)]
    pub(super) fn answer(
        &mut self,
        now: Instant,
        request: &Request<'_, ServerSlot>,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> usize {
        let mut body = Body::<S>::ZEROES;
        let message = &request.message;
        let mut besides = Besides::default();
        let mut buffers = Buffers { body: &mut body, datagram: out };
        let outcome = self.serve(now, request.peer, message, objects, &mut besides, &mut buffers);
        let largest = self.config.block_size;
        let Some(session) = self.sessions.get_mut(usize::from(request.peer.0)) else { return 0 };
        self.endpoint.reply(request, &mut session.ids, out, |writer| {
            write_outcome(writer, message, outcome, &besides, &body, largest);
        })
    }

    fn serve(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        besides: &mut Besides,
        buffers: &mut Buffers<'_>,
    ) -> Result<Answer, Refusal> {
        refuse_proxying(message)?;
        let block = block_option(message, OptionNumber::BLOCK1).map_err(bad_block)?;
        let downlink = parse(message, message.payload())?;
        let Some(block) = block.filter(|block| block.more() || block.offset() > 0) else {
            let answer = self.carry_out(now, server, message, &downlink, objects, buffers.body)?;
            besides.block1 = block;
            return Ok(answer);
        };
        let key = Key::of(server, downlink.path(), message);
        if block.offset() == 0 {
            self.open_transfer(now, key, &downlink, objects)?;
        }
        let Some(is_last) = self.take_block(now, &key, message, block, objects, besides)? else {
            return Ok(Answer::of(Code::CONTINUE));
        };
        match is_last {
            Body1::Streamed => Ok(Answer::of(Code::CHANGED)),
            Body1::Collected => self.carry_out_whole(now, server, message, objects, buffers),
        }
    }

    /// Carries out a request whose body came in blocks. The buffer of the datagram is free until the answer is written into it, so it takes what
    /// is read while the memory for the answer has the body; only where it is smaller there is another one on the stack.
    fn carry_out_whole(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        buffers: &mut Buffers<'_>,
    ) -> Result<Answer, Refusal> {
        match buffers.datagram.get_mut(..S::Body::MAX) {
            Some(read) => self.carry_out_from(now, server, message, objects, buffers.body, read),
            None => self.carry_out_beside(now, server, message, objects, buffers.body),
        }
    }

    #[inline(never)]
    fn carry_out_beside(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let mut read = Body::<S>::ZEROES;
        self.carry_out_from(now, server, message, objects, body, &mut read)
    }

    /// Moves the body that was collected to `body`, and what is read for it from `read` to `body` afterwards.
    #[inline(never)]
    fn carry_out_from(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
        read: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let collected = self.body.as_slice().get(self.bootstrap.kept()..).unwrap_or_default();
        let payload = body.get_mut(..collected.len()).ok_or(Refusal::NO_ROOM)?;
        payload.copy_from_slice(collected);
        let downlink = parse(message, payload)?;
        let answer = self.carry_out(now, server, message, &downlink, objects, read)?;
        let (from, to) = (read.get(..answer.length), body.get_mut(..answer.length));
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
        }
        Ok(answer)
    }

    /// Takes a block of a body that has been opened. When the body is whole, says what has become of it.
    pub(super) fn take_block(
        &mut self,
        now: Instant,
        key: &Key,
        message: &Message<'_>,
        block: Block,
        objects: &mut [&mut dyn Object],
        besides: &mut Besides,
    ) -> Result<Option<Body1>, Refusal> {
        let size1 = message.uint(OptionNumber::SIZE1);
        let room = S::Body::MAX.saturating_sub(self.bootstrap.kept());
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.key == *key) else {
            return Err(bad_block(BadBlock::OutOfOrder));
        };
        transfer.touched = now;
        let payload = message.payload();
        let assembled = transfer.assembly.accept(block, payload.len(), size1).map_err(|bad| {
            let collects = matches!(transfer.sink, Sink::Collect);
            besides.size1 = (collects && bad == BadBlock::TooLarge).then_some(room as u32);
            bad_block(bad)
        })?;
        let (Assembled::More(answer) | Assembled::Complete(answer) | Assembled::Repeated(answer)) = assembled;
        besides.block1 = Some(answer);
        let is_last = matches!(assembled, Assembled::Complete(_));
        let sink = transfer.sink;
        if !matches!(assembled, Assembled::Repeated(_)) {
            let taken = match sink {
                Sink::Collect => self.collect(block.offset(), payload),
                Sink::Stream { head, length } => {
                    let offset = block.offset();
                    let bytes = if offset == 0 { payload.get(head..).unwrap_or_default() } else { payload };
                    let announced = size1.map(|size| (size as usize).saturating_sub(head));
                    let total = length.or(announced);
                    let piece = Piece { offset: offset.saturating_sub(head), bytes, total, is_last };
                    self.stream(now, key.path, piece, objects)
                }
            };
            if taken.is_err() {
                self.transfer = None;
            }
            taken?;
        }
        if !is_last {
            return Ok(None);
        }
        self.transfer = None;
        Ok(Some(if matches!(sink, Sink::Collect) { Body1::Collected } else { Body1::Streamed }))
    }

    /// Keeps a block behind what the memory for bodies has of a configuration.
    fn collect(&mut self, offset: usize, payload: &[u8]) -> Result<(), Refusal> {
        if offset == 0 {
            self.body.truncate(self.bootstrap.kept());
        }
        self.body.extend(payload).map_err(|_| bad_block(BadBlock::TooLarge))
    }

    fn stream(
        &mut self,
        now: Instant,
        path: Path,
        piece: Piece<'_>,
        objects: &mut [&mut dyn Object],
    ) -> Result<(), Refusal> {
        let (Some(id), Some(at)) = (path.object_id(), at(path)) else {
            return Err(Refusal::METHOD_NOT_ALLOWED);
        };
        let clock = self.clock(now);
        let mut tree = tree(&mut self.accounts, &mut self.access, objects);
        let object = tree.get_mut(id).ok_or(Refusal::NOT_FOUND)?;
        object.write_piece(&mut Context::new(clock, &mut self.effects), at, piece)
    }

    /// Begins a body with its first block; refuses it before it is sent whole.
    fn open_transfer(
        &mut self,
        now: Instant,
        key: Key,
        downlink: &Downlink<'_>,
        objects: &mut [&mut dyn Object],
    ) -> Result<(), Refusal> {
        let taken = self.transfer.as_ref().is_some_and(|transfer| {
            transfer.key.server != key.server && now < transfer.touched.after_seconds(TRANSFER_LIFETIME)
        });
        if taken {
            return Err(refusal!(Code::SERVICE_UNAVAILABLE, "another server is sending blocks; try later"));
        }
        let who = self.requester(key.server);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let sink = match downlink {
            Downlink::Write { path, content, .. } if is_streamed(&tree, *path) => {
                if let [object, instance, ..] = path.ids() {
                    tree.check_right(who, *object, *instance, Rights::WRITE)?;
                }
                let (head, length) = value_head(content.format, *path, content.payload)?;
                Sink::Stream { head, length }
            }
            _ => Sink::Collect,
        };
        self.begin_transfer(now, key, sink);
        Ok(())
    }

    pub(super) fn begin_transfer(&mut self, now: Instant, key: Key, sink: Sink) {
        let limit = match sink {
            Sink::Collect => S::Body::MAX.saturating_sub(self.bootstrap.kept()),
            Sink::Stream { .. } => STREAM_MAX,
        };
        let assembly = Assembly::new(limit, self.config.block_size);
        self.transfer = Some(Transfer { key, assembly, sink, touched: now });
    }

    #[inline(never)]
    fn carry_out(
        &mut self,
        now: Instant,
        server: ServerSlot,
        message: &Message<'_>,
        downlink: &Downlink<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let who = self.requester(server);
        let (asked, accept) = match *downlink {
            Downlink::Discover { path, depth } => return self.discover(server, path, depth, objects, body),
            Downlink::WriteAttributes { path, update } => {
                return self.write_attributes(server, path, &update, objects);
            }
            Downlink::Read { accept, .. }
            | Downlink::Observe { accept, .. }
            | Downlink::CancelObserve { accept, .. } => (None, accept),
            Downlink::ReadComposite { paths, accept }
            | Downlink::ObserveComposite { paths, accept, .. }
            | Downlink::CancelObserveComposite { paths, accept }
                if COMPOSITE =>
            {
                (Some(paths), accept)
            }
            _ => return self.change(now, who, downlink, objects, body),
        };
        let (paths, reading) = match asked {
            Some(content) => (composite_paths(content)?, self.composite_reading(content.format, accept)),
            None => (Paths::of(downlink.path()), self.reading(downlink.path(), accept)),
        };
        let token = Token::from_slice(message.token());
        let composite = asked.is_some();
        match downlink {
            Downlink::Observe { attributes, .. } | Downlink::ObserveComposite { attributes, .. } => {
                let asked = Asked { server, token, paths, attributes: *attributes, composite };
                return self.observe(now, who, &asked, reading, objects, body);
            }
            Downlink::CancelObserve { .. } | Downlink::CancelObserveComposite { .. } => {
                self.cancel_observation(server, token, &paths, composite);
            }
            _ => {}
        }
        let clock = self.clock(now);
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        let length = tree.encode(&clock, who, paths.as_slice(), reading, body)?;
        Ok(Answer::content(reading.format, length))
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
            Downlink::WriteComposite { content } if COMPOSITE => {
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
}

/// What a request has to itself.
struct Buffers<'b> {
    /// For the answer's payload.
    body: &'b mut [u8],
    /// For the answer as a datagram, which is written last.
    datagram: &'b mut [u8],
}

pub(super) fn refuse_proxying(message: &Message<'_>) -> Result<(), Refusal> {
    let proxy = [OptionNumber::PROXY_URI, OptionNumber::PROXY_SCHEME];
    if proxy.into_iter().any(|option| message.value(option).is_some()) {
        return Err(refusal!(Code::PROXYING_NOT_SUPPORTED, "this device is no proxy"));
    }
    Ok(())
}

fn parse<'a>(message: &Message<'a>, payload: &'a [u8]) -> Result<Downlink<'a>, Refusal> {
    Downlink::parse(message.code(), message.options(), payload).map_err(refusal_of)
}

fn is_streamed<S: Shape>(tree: &Tree<'_, '_, S>, path: Path) -> bool {
    path.level() == Level::Resource && tree.resource(path).is_ok_and(|resource| resource.streamed)
}

fn composite_paths(content: Content<'_>) -> Result<Paths, Refusal> {
    check_composite_format(content.format)?;
    let mut sorted = Paths::default();
    let mut asked = [Path::ROOT; super::observation::PATHS];
    let mut count = 0usize;
    for path in decode_paths(content.format, content.payload).map_err(crate::tree::unwritable)? {
        let path = path.map_err(crate::tree::unwritable)?;
        *asked.get_mut(count).ok_or(refusal!(Code::REQUEST_ENTITY_TOO_LARGE, "at most 8 paths at once"))? =
            path;
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
        _ => Err(refusal!(
            Code::UNSUPPORTED_CONTENT_FORMAT,
            "composite operations are written in SenML or LwM2M CBOR"
        )),
    }
}

fn execute<S: Shape>(
    tree: &mut Tree<'_, '_, S>,
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
        return Err(refusal!(Code::METHOD_NOT_ALLOWED, "the resource can't be executed"));
    }
    tree.check_right(who, object, at.instance, Rights::EXECUTE)?;
    tree.get_mut(object).ok_or(Refusal::NOT_FOUND)?.execute(context, at, arguments)
}
