//! One device's bootstrap: the requests that are left, and where the one under way stands.

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
use crate::transfer::{Step as TransferStep, Transfer};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Arc<str>,
    pub(super) peer: Peer,
    pub(super) deadline: Instant,
    config: Arc<BootstrapConfig>,
    format: ContentFormat,
    blocks: BlockSize,
    /// The one under way is the first.
    steps: VecDeque<Step>,
    transfer: Option<Transfer>,
}

/// A request to a device.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Where the device has its account of this bootstrap server; the writes are planned by the answer.
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
        peer: Peer,
        config: Arc<BootstrapConfig>,
        format: ContentFormat,
        blocks: BlockSize,
        deadline: Instant,
    ) -> Result<Self, ConfigProblem> {
        let mut steps = VecDeque::new();
        if config.discover {
            steps.push_back(Step::Discover);
        }
        steps.extend(config.to_read()?.into_iter().map(Step::Read));
        steps.extend(config.to_delete()?.into_iter().map(Step::Delete));
        if config.auto_security_ids {
            steps.push_back(Step::FindAccount);
        } else {
            plan_writes(&config, format, &mut steps)?;
        }
        Ok(Self { endpoint, peer, deadline, config, format, blocks, steps, transfer: None })
    }

    /// The step under way, as in `Bootstrap-Write /0/1`.
    pub(super) fn step(&self) -> Box<str> {
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

    /// The request under way, which begins if none is.
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

    /// Goes on to the next step, if the device did this one or it doesn't matter.
    pub(super) fn step_done(&mut self, reply: &Reply) -> Result<Next, BootstrapFailure> {
        let Some(step) = self.steps.front() else { return Ok(Next::Finished) };
        if !step.may_go_on(reply.code) {
            let words = String::from_utf8_lossy(&reply.payload).into();
            return Err(BootstrapFailure::DeviceRefused { code: reply.code, words });
        }
        if *step == Step::FindAccount {
            let config = self.config.with_security_beside(account_in(&reply.payload));
            self.steps.pop_front();
            plan_writes(&config, self.format, &mut self.steps).map_err(BootstrapFailure::Config)?;
        } else {
            self.steps.pop_front();
        }
        self.transfer = None;
        Ok(if self.steps.is_empty() { Next::Finished } else { Next::Step })
    }
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

    /// What isn't there is deleted, and what a device of LwM2M 1.0 can't be asked, or has nothing to say to, isn't needed.
    fn may_go_on(&self, code: Code) -> bool {
        match self {
            Self::Delete(_) => code == Code::DELETED || code == Code::NOT_FOUND,
            Self::Discover | Self::Read(_) => true,
            Self::FindAccount => code == Code::CONTENT,
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

/// The instance of object 0 without a short server id: the bootstrap server's.
fn account_in(links: &[u8]) -> Option<u16> {
    let links = Links::new(links).ok()?.flatten();
    let mut accounts = links.filter(|link| link.short_server_id().is_none());
    accounts.find_map(|link| {
        let path = link.path("/")?;
        (path.level() == Level::ObjectInstance && path.object_id() == Some(0)).then(|| path.instance_id())?
    })
}
