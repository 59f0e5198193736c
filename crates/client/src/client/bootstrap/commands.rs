//! What a bootstrap server asks for (LwM2M Core 1.1, section 6.1.7): Discover, Read, Write, Delete, Finish.

use buoy_coap::block::{Assembled, Assembly, Block, block_option};
use buoy_coap::endpoint::Request;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::link::{LinkError, LinkWriter};
use buoy_lwm2m::operation::{BootstrapDownlink, Content};
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

use super::super::manage::{
    Answer, Failure, bad_block, plain, refusal_of, refuse_proxying, write_answer, write_refusal,
};
use super::super::transfer::{Key, Sink, Transfer};
use super::super::{Client, tree};
use super::Staging;
use crate::accounts::Accounts;
use crate::effects::ServerSlot;
use crate::object::{Object, Refusal};
use crate::shape::{Body, Capacity as _, Shape};
use crate::staging::{ACCOUNTS, DEVICE, LogEntry, StagedAccounts};
use crate::text::Bytes;
use crate::tree::{Missing, Reading, Requester, Tree};

impl<R: Rng, S: Shape> Client<R, S> {
    /// Carries out a request of the bootstrap server's and writes the answer into `out`.
    pub(in super::super) fn answer_bootstrap(
        &mut self,
        now: Instant,
        request: &Request<'_, ServerSlot>,
        objects: &mut [&mut dyn Object],
        out: &mut [u8],
    ) -> usize {
        self.open_bootstrap(now);
        let mut body = Body::<S>::ZEROES;
        let message = &request.message;
        let answer = self.serve_bootstrap(now, message, objects, &mut body);
        let largest = self.config.block_size;
        self.endpoint.reply(request, &mut self.bootstrap.ids, out, |writer| {
            match answer.and_then(|answer| write_answer(writer, message, &answer, &body, largest)) {
                Ok(()) => {}
                Err((refusal, block1, size1)) => write_refusal(writer, refusal, block1, size1),
            }
        })
    }

    fn serve_bootstrap(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Failure> {
        refuse_proxying(message)?;
        let block = block_option(message, OptionNumber::BLOCK1).map_err(|bad| plain(bad_block(bad)))?;
        let request = parse(message, message.payload()).map_err(plain)?;
        match (block.filter(|block| block.more() || block.offset() > 0), request) {
            (Some(block), BootstrapDownlink::Write { path, .. }) => {
                self.take_bootstrap_block(now, message, path, block, objects, body)
            }
            _ => {
                let answer = self.carry_out_bootstrap(now, &request, objects, body).map_err(plain)?;
                Ok(answer.with_block1(block))
            }
        }
    }

    fn take_bootstrap_block(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        path: Path,
        block: Block,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Failure> {
        let tag =
            Bytes::new(message.value(OptionNumber::REQUEST_TAG).unwrap_or_default()).unwrap_or_default();
        let key = Key { server: ServerSlot::BOOTSTRAP, code: message.code(), path, tag };
        if block.offset() == 0 {
            let assembly = Assembly::new(S::Body::MAX, self.config.block_size);
            self.transfer = Some(Transfer { key, assembly, sink: Sink::Collect(Bytes::EMPTY), touched: now });
        }
        let transfer = self.transfer.as_mut().filter(|transfer| transfer.key == key);
        let out_of_order = || plain(bad_block(buoy_coap::block::BadBlock::OutOfOrder));
        let transfer = transfer.ok_or_else(out_of_order)?;
        let Sink::Collect(bytes) = &mut transfer.sink else { return Err(out_of_order()) };
        let payload = message.payload();
        let size1 = message.uint(OptionNumber::SIZE1);
        let too_large =
            |bad| matches!(bad, buoy_coap::block::BadBlock::TooLarge).then_some(S::Body::MAX as u32);
        let assembled = transfer.assembly.accept(block, payload.len(), size1);
        let assembled = assembled.map_err(|bad| (bad_block(bad), None, too_large(bad)))?;
        if !matches!(assembled, Assembled::Repeated(_)) {
            bytes.extend(payload).map_err(|_| plain(Refusal::NO_ROOM))?;
        }
        let answer = match assembled {
            Assembled::More(answer) | Assembled::Repeated(answer) => {
                return Ok(Answer::of(Code::CONTINUE).with_block1(Some(answer)));
            }
            Assembled::Complete(answer) => answer,
        };
        let whole = *bytes;
        self.transfer = None;
        let request = parse(message, whole.as_slice()).map_err(plain)?;
        let done = self.carry_out_bootstrap(now, &request, objects, body);
        let done = done.map_err(|refusal| (refusal, Some(answer), None))?;
        Ok(done.with_block1(Some(answer)))
    }

    fn carry_out_bootstrap(
        &mut self,
        now: Instant,
        request: &BootstrapDownlink<'_>,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        match *request {
            BootstrapDownlink::Discover { path } => self.bootstrap_discover(path, objects, body),
            BootstrapDownlink::Read { path, accept } => self.bootstrap_read(now, path, accept, body),
            BootstrapDownlink::Write { path, content } => self.bootstrap_write(path, content, objects, body),
            BootstrapDownlink::Delete { path } => self.bootstrap_delete(path, objects),
            BootstrapDownlink::Finish => {
                self.finish_bootstrap(now, objects, body)?;
                Ok(Answer::of(Code::CHANGED))
            }
        }
    }

    fn bootstrap_discover(
        &mut self,
        path: Path,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let version = self.config.version;
        let Staging::Open(staged) = &self.bootstrap.staging else { return Err(Refusal::METHOD_NOT_ALLOWED) };
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        if let Some(object) = path.object_id().filter(|id| !ACCOUNTS.contains(id)) {
            tree.check_object(object)?;
        }
        let mut links = LinkWriter::new(body);
        list(&mut links, version, &tree, &staged.accounts, path).map_err(|_: LinkError| {
            Refusal::new(Code::INTERNAL_SERVER_ERROR, "the list is larger than this device's memory")
        })?;
        let length = links.finish();
        Ok(Answer::content(ContentFormat::LINK, length))
    }

    /// Reads what has been written so far.
    fn bootstrap_read(
        &mut self,
        now: Instant,
        path: Path,
        accept: Option<ContentFormat>,
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let clock = self.clock(now);
        let format = self.reading(path, accept).format;
        let Staging::Open(staged) = &self.bootstrap.staging else { return Err(Refusal::METHOD_NOT_ALLOWED) };
        let mut accounts = Accounts::<S>::new(self.config.version);
        accounts.servers.instances = staged.accounts.servers;
        let mut access = staged.accounts.access;
        let tree = tree(&mut accounts, &mut access, &mut []);
        let reading = Reading { format, base: path, missing: Missing::Refuse };
        let length = tree.encode(&clock, Requester::OnlyServer, &[path], reading, body)?;
        Ok(Answer::content(format, length))
    }

    fn bootstrap_write(
        &mut self,
        path: Path,
        content: Content<'_>,
        objects: &mut [&mut dyn Object],
        scratch: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let Staging::Open(staged) = &mut self.bootstrap.staging else {
            return Err(Refusal::METHOD_NOT_ALLOWED);
        };
        if path.object_id().is_some_and(|id| ACCOUNTS.contains(&id)) {
            staged.accounts.write(path, content, scratch)?;
        } else {
            tree(&mut self.accounts, &mut self.access, objects).check_others(path, content, scratch)?;
            staged.others.push(LogEntry::Write { base: path, content })?;
        }
        Ok(Answer::of(Code::CHANGED))
    }

    fn bootstrap_delete(&mut self, path: Path, objects: &mut [&mut dyn Object]) -> Result<Answer, Refusal> {
        let Staging::Open(staged) = &mut self.bootstrap.staging else {
            return Err(Refusal::METHOD_NOT_ALLOWED);
        };
        let object = path.object_id();
        if object == Some(DEVICE) {
            return Err(Refusal::bad_value("the Device object stays"));
        }
        if object.is_none_or(|id| ACCOUNTS.contains(&id)) {
            staged.accounts.delete(path)?;
        } else if let Some(object) = object {
            tree(&mut self.accounts, &mut self.access, objects).check_object(object)?;
        }
        if object.is_none_or(|id| !ACCOUNTS.contains(&id)) {
            staged.others.push(LogEntry::Delete { path })?;
        }
        Ok(Answer::of(Code::DELETED))
    }
}

fn parse<'a>(message: &Message<'a>, payload: &'a [u8]) -> Result<BootstrapDownlink<'a>, Refusal> {
    BootstrapDownlink::parse(message.code(), message.options(), payload).map_err(refusal_of)
}

/// The answer to Bootstrap-Discover (Core 1.1, section 6.1.7.2): accounts with their short server ids, and the URI of each but
/// the bootstrap server's own.
fn list<S: Shape>(
    links: &mut LinkWriter<'_>,
    version: buoy_lwm2m::operation::LwM2mVersion,
    tree: &Tree<'_, '_, S>,
    staged: &StagedAccounts<S>,
    path: Path,
) -> Result<(), LinkError> {
    links.link("/")?.token("lwm2m", version.as_str())?;
    let is_named = |object: u16| path.level() == Level::Root || path.object_id() == Some(object);
    let mut next = tree.object_after(None);
    while let Some(object) = next.take() {
        next = tree.object_after(Some(object));
        match object {
            _ if !is_named(object) => {}
            0 => list_security(links, staged)?,
            1 => list_servers(links, staged)?,
            2 => {
                let mut instance = staged.access.instance_after(None);
                while let Some(id) = instance {
                    links.path(Path::instance(object, id))?;
                    instance = staged.access.instance_after(Some(id));
                }
            }
            _ => tree.write_object_link(object, links)?,
        }
    }
    Ok(())
}

fn list_security<S: Shape>(links: &mut LinkWriter<'_>, staged: &StagedAccounts<S>) -> Result<(), LinkError> {
    let mut last = None;
    let after = |last: Option<u16>| {
        let later = staged.security().filter(|it| last.is_none_or(|last| it.security.instance > last));
        later.min_by_key(|it| it.security.instance)
    };
    while let Some(staged) = after(last) {
        let security = &staged.security;
        links.path(Path::instance(0, security.instance))?;
        if !staged.is_bootstrap {
            links.token("ssid", security.short_server_id)?.quoted("uri", security.uri.as_str())?;
        }
        last = Some(security.instance);
    }
    Ok(())
}

fn list_servers<S: Shape>(links: &mut LinkWriter<'_>, staged: &StagedAccounts<S>) -> Result<(), LinkError> {
    let mut last = None;
    let after = |last: Option<u16>| {
        let servers = staged.servers.iter().flatten();
        servers.filter(|it| last.is_none_or(|last| it.instance > last)).min_by_key(|it| it.instance)
    };
    while let Some(server) = after(last) {
        links.path(Path::instance(1, server.instance))?.token("ssid", server.short_server_id)?;
        last = Some(server.instance);
    }
    Ok(())
}
