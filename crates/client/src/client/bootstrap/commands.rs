//! What a bootstrap server asks for (LwM2M Core 1.1, section 6.1.7): Discover, Read, Write, Delete, Finish.

use buoy_coap::block::block_option;
use buoy_coap::endpoint::Request;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::link::{LinkError, LinkWriter};
use buoy_lwm2m::operation::{BootstrapDownlink, Content};
use buoy_lwm2m::path::{Level, Path};
use rand_core::Rng;

use super::super::manage::{Answer, Besides, bad_block, refusal_of, refuse_proxying, write_outcome};
use super::super::transfer::{Key, Sink};
use super::super::{Client, tree};
use crate::accounts::Accounts;
use crate::effects::ServerSlot;
use crate::object::{Object, Refusal, refusal};
use crate::record::Record;
use crate::shape::{Body, Shape};
use crate::staging::{ACCOUNTS, DEVICE, FULL, LogEntry, StagedAccounts};
use crate::tree::{Missing, Reading, Requester, Tree};

/// What a request does to the accounts in the making, with a scratch for values.
type Change<'c, S> = dyn Fn(&mut StagedAccounts<S>, &mut [u8]) -> Result<(), Refusal> + 'c;

impl<R: Rng, S: Shape> Client<R, S> {
    /// Carries out a request of the bootstrap server's and writes the answer into `out`.
    #[inline(never)]
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
        let mut besides = Besides::default();
        let outcome = self.serve_bootstrap(now, message, objects, &mut besides, &mut body);
        let largest = self.config.block_size;
        self.endpoint.reply(request, &mut self.bootstrap.ids, out, |writer| {
            write_outcome(writer, message, outcome, &besides, &body, largest);
        })
    }

    fn serve_bootstrap(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        besides: &mut Besides,
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        refuse_proxying(message)?;
        let block = block_option(message, OptionNumber::BLOCK1).map_err(bad_block)?;
        let request = parse(message, message.payload())?;
        if let (Some(block), BootstrapDownlink::Write { path, .. }) = (block, request)
            && (block.more() || block.offset() > 0)
        {
            let key = Key::of(ServerSlot::BOOTSTRAP, path, message);
            if block.offset() == 0 {
                self.begin_transfer(now, key, Sink::Collect);
            }
            if self.take_block(now, &key, message, block, objects, besides)?.is_none() {
                return Ok(Answer::of(Code::CONTINUE));
            }
            return self.carry_out_collected(now, message, objects, besides, body);
        }
        let answer = self.carry_out_bootstrap(now, &request, objects, besides, body)?;
        besides.block1 = block;
        Ok(answer)
    }

    /// A Write that came in blocks. Its bytes lie behind the configuration in the making, which grows while it is carried out.
    #[inline(never)]
    fn carry_out_collected(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        objects: &mut [&mut dyn Object],
        besides: &mut Besides,
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let whole = self.body;
        let request = parse(message, whole.as_slice().get(self.bootstrap.kept..).unwrap_or_default())?;
        self.carry_out_bootstrap(now, &request, objects, besides, body)
    }

    fn carry_out_bootstrap(
        &mut self,
        now: Instant,
        request: &BootstrapDownlink<'_>,
        objects: &mut [&mut dyn Object],
        besides: &mut Besides,
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        match *request {
            BootstrapDownlink::Discover { path } => self.bootstrap_discover(path, objects, body),
            BootstrapDownlink::Read { path, accept } => self.bootstrap_read(now, path, accept, body),
            BootstrapDownlink::Write { path, content } => self.bootstrap_write(path, content, objects, body),
            BootstrapDownlink::Delete { path } => self.bootstrap_delete(path, objects, body),
            BootstrapDownlink::Finish => {
                besides.refused_with = Some(Code::NOT_ACCEPTABLE);
                self.finish_bootstrap(now, objects, body)?;
                Ok(Answer::of(Code::CHANGED))
            }
        }
    }

    #[inline(never)]
    fn bootstrap_discover(
        &mut self,
        path: Path,
        objects: &mut [&mut dyn Object],
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let version = self.config.version;
        let mut staged = StagedAccounts::empty(version);
        self.read_staged(&mut staged)?;
        let tree = tree(&mut self.accounts, &mut self.access, objects);
        if let Some(object) = path.object_id().filter(|id| !ACCOUNTS.contains(id)) {
            tree.check_object(object)?;
        }
        let mut links = LinkWriter::new(body);
        list(&mut links, version, &tree, &staged, path).map_err(|_: LinkError| {
            refusal!(Code::INTERNAL_SERVER_ERROR, "the list is larger than this device's memory")
        })?;
        let length = links.finish();
        Ok(Answer::content(ContentFormat::LINK, length))
    }

    /// Reads what has been written so far.
    #[inline(never)]
    fn bootstrap_read(
        &mut self,
        now: Instant,
        path: Path,
        accept: Option<ContentFormat>,
        body: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let clock = self.clock(now);
        let format = self.reading(path, accept).format;
        let mut staged = StagedAccounts::empty(self.config.version);
        self.read_staged(&mut staged)?;
        let mut accounts = Accounts::<S>::new(self.config.version);
        accounts.servers.instances = staged.servers;
        let tree = tree(&mut accounts, &mut staged.access, &mut []);
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
        if path.object_id().is_some_and(|id| ACCOUNTS.contains(&id)) {
            self.change_staged(scratch, None, &|staged, scratch| staged.write(path, content, scratch))?;
        } else {
            tree(&mut self.accounts, &mut self.access, objects).check_others(path, content, scratch)?;
            let entry = LogEntry::Write { base: path, content };
            self.change_staged(scratch, Some(entry), &|_, _| Ok(()))?;
        }
        Ok(Answer::of(Code::CHANGED))
    }

    fn bootstrap_delete(
        &mut self,
        path: Path,
        objects: &mut [&mut dyn Object],
        scratch: &mut [u8],
    ) -> Result<Answer, Refusal> {
        let object = path.object_id();
        if object == Some(DEVICE) {
            return Err(refusal!(Code::BAD_REQUEST, "the Device object stays"));
        }
        let of_accounts = object.is_some_and(|id| ACCOUNTS.contains(&id));
        if let Some(object) = object.filter(|_| !of_accounts) {
            tree(&mut self.accounts, &mut self.access, objects).check_object(object)?;
        }
        let entry = (!of_accounts).then_some(LogEntry::Delete { path });
        self.change_staged(scratch, entry, &|staged, _| {
            if of_accounts || object.is_none() { staged.delete(path) } else { Ok(()) }
        })?;
        Ok(Answer::of(Code::DELETED))
    }

    /// Changes the configuration in the making, all of it or with a refusal nothing. What a server was sending in blocks meanwhile is lost.
    fn change_staged(
        &mut self,
        scratch: &mut [u8],
        entry: Option<LogEntry<'_>>,
        change: &Change<'_, S>,
    ) -> Result<(), Refusal> {
        let mut staged = StagedAccounts::empty(self.config.version);
        let log = self.read_staged(&mut staged)?;
        change(&mut staged, scratch)?;
        let mut writer = Record::new(scratch);
        staged.save(&mut writer);
        writer.raw(log);
        if let Some(entry) = entry {
            entry.save(&mut writer);
        }
        let length = writer.fitting().ok_or(FULL)?;
        self.transfer.take_if(|transfer| matches!(transfer.sink, Sink::Collect));
        self.keep_staged(scratch.get(..length).unwrap_or_default())
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
            links.number("ssid", security.short_server_id)?.quoted("uri", security.uri.as_str())?;
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
        links.path(Path::instance(1, server.instance))?.number("ssid", server.short_server_id)?;
        last = Some(server.instance);
    }
    Ok(())
}
