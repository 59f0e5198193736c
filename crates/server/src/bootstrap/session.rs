//! The bootstrap of one device: the remaining requests, and the state of the current one.

use std::collections::VecDeque;
use std::sync::Arc;

use buoy_coap::block::BlockSize;
use buoy_coap::number::{Code, ContentFormat};
use buoy_coap::time::Instant;
use buoy_coap::wire::Message;
use buoy_lwm2m::link::Links;
use buoy_lwm2m::operation::{BootstrapDownlink, Content};
use buoy_lwm2m::path::{Level, Path};

use super::{BootstrapConfig, BootstrapFailure, ConfigProblem};
use crate::operation::{Downlink, Failure, Reply};
use crate::peer::Peer;
use crate::registration::Proof;
use crate::transfer::{Step as TransferStep, Transfer};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Arc<str>,
    pub(super) peer: Peer,
    pub(super) deadline: Instant,
    /// Whether the device receives what is sent to its address.
    pub(super) proof: Proof,
    preparation: Preparation,
    config: Arc<BootstrapConfig>,
    format: ContentFormat,
    blocks: BlockSize,
    /// The one under way is the first.
    steps: VecDeque<Step>,
    transfer: Option<Transfer>,
}

/// Whether there is a configuration yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preparation {
    /// It has to be made once the device's address is verified.
    Wanted,
    /// It is being made.
    UnderWay,
    Done,
}

/// A request to a device.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A Discover that finds the device's account of this bootstrap server; the writes are planned from the answer.
    FindAccount,
    Discover,
    Read(Path),
    Delete(Path),
    Write(Path, Vec<u8>),
    Finish,
}

/// What follows a step.
pub(super) enum Next {
    Step,
    Finished,
}

impl Session {
    pub(super) fn new(
        endpoint: Arc<str>,
        (peer, proof): (Peer, Proof),
        format: ContentFormat,
        blocks: BlockSize,
        deadline: Instant,
    ) -> Self {
        Self {
            endpoint,
            peer,
            deadline,
            proof,
            preparation: Preparation::Wanted,
            config: Arc::default(),
            format,
            blocks,
            steps: VecDeque::new(),
            transfer: None,
        }
    }

    /// Plans the steps from the device's configuration.
    pub(super) fn plan(&mut self, config: Arc<BootstrapConfig>) -> Result<(), ConfigProblem> {
        let mut steps = VecDeque::new();
        if config.discover {
            steps.push_back(Step::Discover);
        }
        steps.extend(config.to_read()?.into_iter().map(Step::Read));
        // Before anything is deleted: a device that doesn't show which account is the bootstrap server's is not changed.
        if config.auto_security_ids {
            steps.push_back(Step::FindAccount);
        }
        steps.extend(config.to_delete()?.into_iter().map(Step::Delete));
        if !config.auto_security_ids {
            plan_writes(&config, self.format, &mut steps)?;
        }
        (self.config, self.steps, self.preparation) = (config, steps, Preparation::Done);
        Ok(())
    }

    /// Whether its configuration has not been made yet.
    pub(super) fn is_unprepared(&self) -> bool {
        self.preparation != Preparation::Done
    }

    /// Starts the making of the configuration; `false` if it exists or is being made.
    pub(super) fn begins_preparation(&mut self) -> bool {
        let begins = self.preparation == Preparation::Wanted;
        if begins {
            self.preparation = Preparation::UnderWay;
        }
        begins
    }

    /// The current step, for example `Bootstrap-Write /0/1`.
    pub(super) fn step(&self) -> Box<str> {
        if self.is_unprepared() {
            return "Bootstrap-Request".into();
        }
        let text = match self.steps.front() {
            Some(Step::FindAccount) => "Bootstrap-Discover /0".to_owned(),
            Some(Step::Discover) => "Bootstrap-Discover /".to_owned(),
            Some(Step::Read(path)) => format!("Bootstrap-Read {path}"),
            Some(Step::Delete(path)) => format!("Bootstrap-Delete {path}"),
            Some(Step::Write(path, _)) => format!("Bootstrap-Write {path}"),
            Some(Step::Finish) | None => "Bootstrap-Finish".to_owned(),
        };
        text.into()
    }

    /// The current request, which starts if there is none.
    pub(super) fn transfer(&mut self, tag: u32) -> Option<&Transfer> {
        let step = self.steps.front()?;
        let (format, blocks) = (self.format, self.blocks);
        Some(self.transfer.get_or_insert_with(|| Transfer::new(step.request(format), blocks, tag)))
    }

    pub(super) fn take_answer(
        &mut self,
        message: &Message<'_>,
        limit: usize,
    ) -> Result<TransferStep, Failure> {
        self.transfer.as_mut().ok_or(Failure::BadTransfer)?.answered(message, limit)
    }

    /// Continues with the next step if the device executed this one, or if its refusal is acceptable.
    pub(super) fn step_done(&mut self, reply: &Reply) -> Result<Next, BootstrapFailure> {
        let Some(step) = self.steps.front() else { return Ok(Next::Finished) };
        if *step == Step::FindAccount {
            let accounts = self.accounts(reply)?;
            let config = self.config.with_security_beside(&accounts);
            plan_writes(&config, self.format, &mut self.steps).map_err(BootstrapFailure::Config)?;
            self.config = Arc::new(config);
        } else if step.may_read_another_format(reply.code) && self.format != ContentFormat::TLV {
            self.go_on_in_tlv().map_err(BootstrapFailure::Config)?;
            return Ok(Next::Step);
        } else if !step.may_go_on(reply.code) {
            return Err(refused(reply));
        }
        self.steps.pop_front();
        self.transfer = None;
        Ok(if self.steps.is_empty() { Next::Finished } else { Next::Step })
    }
}

impl Session {
    /// Writes the rest in TLV, which every version of LwM2M has. Some devices request a text format but can't decode all of it, for
    /// example a key in base64url.
    fn go_on_in_tlv(&mut self) -> Result<(), ConfigProblem> {
        let is_write = |step: &&Step| matches!(step, Step::Write(..));
        let left = self.steps.iter().filter(is_write).count();
        let payloads = self.config.payloads(ContentFormat::TLV)?;
        let done = payloads.len().saturating_sub(left);
        let writes = payloads.into_iter().skip(done).map(|(path, payload)| Step::Write(path, payload));
        self.steps = writes.chain([Step::Finish]).collect();
        self.format = ContentFormat::TLV;
        self.transfer = None;
        Ok(())
    }

    /// The device's accounts of this bootstrap server, from its answer to a Discover of object 0.
    ///
    /// If the device doesn't support Discover and the configuration deletes all other accounts, the server assumes that there is no
    /// other account; then ids are counted from 0.
    fn accounts(&self, reply: &Reply) -> Result<Accounts, BootstrapFailure> {
        match reply.code {
            Code::CONTENT => {
                let accounts = Accounts::parse(&reply.payload).ok_or(BootstrapFailure::NoAccount)?;
                let rewrites = self.config.security.values().any(|security| security.bootstrap);
                match accounts.own() {
                    None if rewrites => Err(BootstrapFailure::NoAccount),
                    _ => Ok(accounts),
                }
            }
            Code::NOT_FOUND | Code::METHOD_NOT_ALLOWED | Code::NOT_IMPLEMENTED
                if self.config.deletes_security() =>
            {
                Ok(Accounts::default())
            }
            _ => Err(refused(reply)),
        }
    }
}

fn refused(reply: &Reply) -> BootstrapFailure {
    let words = String::from_utf8_lossy(&reply.payload).into();
    BootstrapFailure::DeviceRefused { code: reply.code, words }
}

impl Step {
    fn request(&self, format: ContentFormat) -> Downlink {
        let request = match self {
            Self::FindAccount => BootstrapDownlink::Discover { path: Path::object(0) },
            Self::Discover => BootstrapDownlink::Discover { path: Path::ROOT },
            Self::Read(path) => BootstrapDownlink::Read { path: *path, accept: Some(format) },
            Self::Delete(path) => BootstrapDownlink::Delete { path: *path },
            Self::Write(path, payload) => {
                BootstrapDownlink::Write { path: *path, content: Content { format, payload } }
            }
            Self::Finish => BootstrapDownlink::Finish,
        };
        Downlink::of_bootstrap(&request)
    }

    /// Whether the device may take the same values in another format.
    fn may_read_another_format(&self, code: Code) -> bool {
        let is_of_format =
            [Code::BAD_REQUEST, Code::NOT_ACCEPTABLE, Code::UNSUPPORTED_CONTENT_FORMAT].contains(&code);
        matches!(self, Self::Write(..)) && is_of_format
    }

    /// Deleting what doesn't exist has succeeded. Requests that LwM2M 1.0 doesn't have, and reads without a result, are optional.
    fn may_go_on(&self, code: Code) -> bool {
        match self {
            Self::Delete(_) => code == Code::DELETED || code == Code::NOT_FOUND,
            Self::Discover | Self::Read(_) => true,
            // `accounts` evaluates the answer.
            Self::FindAccount => true,
            Self::Write(..) | Self::Finish => code == Code::CHANGED,
        }
    }
}

fn plan_writes(
    config: &BootstrapConfig,
    format: ContentFormat,
    steps: &mut VecDeque<Step>,
) -> Result<(), ConfigProblem> {
    steps.extend(config.payloads(format)?.into_iter().map(|(path, payload)| Step::Write(path, payload)));
    steps.push_back(Step::Finish);
    Ok(())
}

/// The instances of object 0 that can be the device's account of this bootstrap server.
#[derive(Debug, Default)]
pub(super) struct Accounts(Vec<u16>);

impl Accounts {
    /// Parses the links of object 0; `None` if they can't be parsed, or if none of them can be that account.
    ///
    /// It is the instance without a short server id (Core 1.1.1 section 6.1.7.3). Some devices report one of the two ids that no server has.
    fn parse(payload: &[u8]) -> Option<Self> {
        let links: Vec<_> = Links::of_bootstrap(payload).ok()?.collect::<Result<_, _>>().ok()?;
        let instances = || {
            links.iter().filter_map(|link| {
                let path = link.path("/").filter(|path| path.level() == Level::ObjectInstance)?;
                let id = path.instance_id().filter(|_| path.object_id() == Some(0))?;
                Some((id, link.short_server_id()))
            })
        };
        let unnamed: Vec<u16> =
            instances().filter(|(_, server)| server.is_none()).map(|(id, _)| id).collect();
        let nobodys = instances().filter(|(_, server)| matches!(server, Some(0 | u16::MAX)));
        let accounts = if unnamed.is_empty() { nobodys.map(|(id, _)| id).collect() } else { unnamed };
        (!accounts.is_empty()).then_some(Self(accounts))
    }

    #[cfg(test)]
    pub(super) fn of(accounts: Vec<u16>) -> Self {
        Self(accounts)
    }

    /// The account, if only one instance can be it.
    pub(super) fn own(&self) -> Option<u16> {
        match *self.0 {
            [own] => Some(own),
            _ => None,
        }
    }

    pub(super) fn may_be(&self, id: u16) -> bool {
        self.0.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_the_bootstrap_server_is_found_in_every_form_of_the_list() {
        for (links, accounts) in [
            ("</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101", Some(vec![0])),
            ("lwm2m=\"1.1\",</0/0>,</0/1>;ssid=0", Some(vec![0])),
            ("lwm2m=\"1.0\",</0>,</0/1>;ssid=101,</0/2>", Some(vec![2])),
            (" lwm2m=1.0 , </0/3>", Some(vec![3])),
            ("</0/0>;ssid=65535,</0/1>;ssid=101", Some(vec![0])),
            ("</0/0>;ssid=0", Some(vec![0])),
            ("</0/0>,</0/1>,</0/2>;ssid=1", Some(vec![0, 1])),
            ("</0/0>;ssid=101", None),
            ("</0>", None),
            ("", None),
            ("lwm2m=\"1.0\"", None),
            ("</0/0>,<", None),
            ("</1/0>,</3/0>", None),
        ] {
            let found = Accounts::parse(links.as_bytes()).map(|accounts| accounts.0);
            assert_eq!(found, accounts, "{links}");
        }
        assert!(Accounts::parse(b"</0/0>,\xff").is_none());
    }
}
