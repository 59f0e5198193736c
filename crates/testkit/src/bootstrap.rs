//! The shell of a bootstrap server, with its configurations in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use buoy_coap::time::Instant;
use buoy_server::{
    BootstrapConfig, BootstrapDirectory, BootstrapEvent, BootstrapLimits, BootstrapOutbox, BootstrapRequest,
    BootstrapShard, BootstrapVerdict, Peer, SecurityConfig, SecurityMode, ServerConfig,
};

/// A bootstrap server and what it knows of devices.
#[derive(Debug)]
pub struct BootstrapServer {
    /// The engine.
    pub shard: BootstrapShard,
    /// The verdict by endpoint; a device that isn't here is refused.
    pub verdicts: BTreeMap<String, BootstrapVerdict>,
    /// What the devices' sessions can carry.
    pub longest_message: usize,
    /// What was told.
    pub events: Vec<BootstrapEvent>,
    /// Whose configurations are to be made.
    pub to_prepare: Vec<Arc<str>>,
    outbox: BootstrapOutbox,
}

impl BootstrapServer {
    /// A bootstrap server that knows no device.
    #[must_use]
    pub fn new(limits: BootstrapLimits) -> Self {
        Self {
            shard: BootstrapShard::new(limits, [9; 32]),
            verdicts: BTreeMap::new(),
            longest_message: usize::MAX,
            events: Vec::new(),
            to_prepare: Vec::new(),
            outbox: BootstrapOutbox::default(),
        }
    }

    /// Has a configuration for a device.
    pub fn configure(&mut self, endpoint: &str, config: BootstrapConfig) {
        let verdict = BootstrapVerdict::Configure { endpoint: endpoint.into(), config: Arc::new(config) };
        self.verdicts.insert(endpoint.to_owned(), verdict);
    }

    /// Takes a datagram; [`BootstrapServer::settle`] follows.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8]) {
        let mut known = Known { verdicts: &self.verdicts, longest_message: self.longest_message };
        self.shard.handle_datagram(now, peer, datagram, &mut known, &mut self.outbox);
    }

    /// Hands in a configuration that was to be made, or why there is none; [`BootstrapServer::settle`] follows.
    pub fn prepared(&mut self, now: Instant, endpoint: &str, made: Result<BootstrapConfig, &'static str>) {
        let made = made.map(Arc::new).map_err(Into::into);
        self.shard.prepared(now, endpoint, made, &mut self.outbox);
    }

    /// Does what is due; [`BootstrapServer::settle`] follows.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.shard.next_deadline().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, &mut self.outbox);
        }
    }

    /// Tells what is to be told, and returns what is to be sent.
    pub fn settle(&mut self, now: Instant) -> Vec<(Peer, Vec<u8>)> {
        self.shard.flush(now, &mut self.outbox);
        self.events.append(&mut self.outbox.events);
        self.to_prepare.extend(self.outbox.to_prepare.drain(..).map(|(endpoint, _)| endpoint));
        let sent = self.outbox.datagrams().map(|(peer, bytes)| (peer, bytes.to_vec())).collect();
        self.outbox.clear();
        sent
    }

    /// The steps that devices did, as in `2.04 Bootstrap-Write /0/1`.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        let step = |event: &BootstrapEvent| match event {
            BootstrapEvent::StepDone { step, code, .. } => Some(format!("{code} {step}")),
            _ => None,
        };
        self.events.iter().filter_map(step).collect()
    }

    /// How many sessions came to their end.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, BootstrapEvent::Finished { .. })).count()
    }
}

/// The account of a server at `uri` without credentials.
#[must_use]
pub fn unsecured(uri: &str, short_server_id: u16) -> SecurityConfig {
    SecurityConfig {
        uri: uri.to_owned(),
        bootstrap: false,
        mode: SecurityMode::None,
        identity: Vec::new(),
        server_key: Vec::new(),
        secret_key: Vec::new(),
        short_server_id: Some(short_server_id),
        hold_off: None,
        account_timeout: None,
    }
}

/// What a server with that short id wants of a device: a registration of five minutes.
#[must_use]
pub fn wanting(short_server_id: u16) -> ServerConfig {
    ServerConfig {
        short_server_id,
        lifetime: 300,
        default_pmin: None,
        default_pmax: None,
        disable_timeout: None,
        store_notifications: None,
        binding: "U".to_owned(),
        bootstrap_on_failure: None,
    }
}

/// A configuration with one server without credentials, in place of all before.
#[must_use]
pub fn one_server(short_server_id: u16) -> BootstrapConfig {
    BootstrapConfig {
        delete: vec!["/".to_owned()],
        security: [(1, unsecured("coap://192.0.2.1", short_server_id))].into(),
        servers: [(0, wanting(short_server_id))].into(),
        ..BootstrapConfig::default()
    }
}

/// The devices that the server has configurations for.
struct Known<'a> {
    verdicts: &'a BTreeMap<String, BootstrapVerdict>,
    longest_message: usize,
}

impl BootstrapDirectory for Known<'_> {
    fn look_up(&mut self, request: &BootstrapRequest<'_>) -> BootstrapVerdict {
        let known = request.endpoint.and_then(|name| self.verdicts.get(name));
        known.cloned().unwrap_or(BootstrapVerdict::Refused("nobody knows this device".into()))
    }

    fn longest_message(&self, _: Peer) -> usize {
        self.longest_message
    }
}
