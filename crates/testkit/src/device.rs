//! The shell of a device engine, with its storage in memory.

use std::collections::BTreeMap;
use std::ops::Deref;

use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::{Client, ClientConfig, Event, Security, Server, ServerSlot, Shape, Storage, UpTo};
use buoy_coap::block::BlockSize;
use buoy_coap::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::message::Datagram;
use crate::objects::Objects;

/// The engine in tests.
pub type SimClient = Client<ChaCha8Rng, Simulated>;

/// The shape of a device in tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulated;

impl Shape for Simulated {
    type Servers = UpTo<3>;
    type Observations = UpTo<16>;
    type Attributes = UpTo<12>;
    type Outgoing = UpTo<5120>;
    type Body = UpTo<4096>;
    type Kept = UpTo<2048>;
    type Key = UpTo<96>;
    type Location = UpTo<544>;
}

/// A device.
pub struct Device {
    /// The engine.
    pub client: SimClient,
    /// Its objects.
    pub objects: Objects,
    /// What survives a reboot.
    pub storage: Memory,
    /// What the engine told, since the device was made.
    pub events: Vec<Event>,
    /// How often it was started again.
    pub reboots: u32,
    config: ClientConfig,
    rng: ChaCha8Rng,
    fetch: Option<CoapFetch<ChaCha8Rng>>,
}

/// Records that outlive an engine.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<u16, Vec<u8>>);

/// A message of a device's.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To which server.
    pub server: ServerSlot,
    /// What.
    pub datagram: Datagram,
}

impl Device {
    /// A device that has not started.
    #[must_use]
    pub fn new(config: ClientConfig, servers: &[Server], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut client = SimClient::new(config, fork(&mut rng));
        for server in servers {
            let security = Security::none("coap://192.0.2.1").expect("a short URI");
            client.add_server(security, *server).expect("room for three servers");
        }
        Self {
            client,
            objects: Objects::default(),
            storage: Memory::default(),
            events: Vec::new(),
            reboots: 0,
            config,
            rng,
            fetch: None,
        }
    }

    /// A device that knows a bootstrap server and no other.
    #[must_use]
    pub fn blank(config: ClientConfig, seed: u64) -> Self {
        let mut device = Self::new(config, &[], seed);
        device
            .client
            .set_bootstrap_server(Security::none("coap://192.0.2.2").expect("a short URI"))
            .expect("a short record");
        device
    }

    /// Lets the engine register.
    pub fn start(&mut self, now: Instant) {
        let client = &mut self.client;
        self.objects.with(|objects| client.start(now, objects));
    }

    /// Cuts the power and starts the engine again with what was stored. What the objects keep in their own memory stays,
    /// since it stands for sensors and switches.
    pub fn reboot(&mut self, now: Instant) {
        self.reboots += 1;
        self.fetch = None;
        self.client = SimClient::new(self.config, fork(&mut self.rng));
        let (client, storage) = (&mut self.client, &mut self.storage);
        self.objects.with(|objects| client.restore(objects, storage).expect("records of its own"));
        self.start(now);
    }

    /// Takes a datagram from a server and returns the answer.
    pub fn handle_datagram(&mut self, now: Instant, from: ServerSlot, datagram: &[u8]) -> Option<Sent> {
        let mut out = [0; 1280];
        let client = &mut self.client;
        let length =
            self.objects.with(|objects| client.handle_datagram(now, from, datagram, objects, &mut out));
        self.persist();
        (length > 0).then(|| Sent { server: from, datagram: Datagram::new(&out[..length]) })
    }

    /// Does what the time has made due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let client = &mut self.client;
        self.objects.with(|objects| client.handle_timeout(now, objects));
    }

    /// Stores what is to be stored, returns what is to be sent, and keeps what was told.
    pub fn settle(&mut self, now: Instant) -> Vec<Sent> {
        self.persist();
        let mut sent = Vec::new();
        let mut out = [0; 1280];
        let client = &mut self.client;
        self.objects.with(|objects| {
            while let Some(transmit) = client.poll_transmit(now, objects, &mut out) {
                let datagram = Datagram::new(&out[..transmit.length]);
                sent.push(Sent { server: transmit.server, datagram });
            }
        });
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
            self.heed(event);
        }
        sent
    }

    fn persist(&mut self) {
        let (client, storage) = (&mut self.client, &mut self.storage);
        self.objects.with(|objects| client.persist(objects, storage).expect("records that fit"));
    }

    fn heed(&mut self, event: Event) {
        match event {
            Event::DownloadRequested => {
                let download = self.objects.firmware.as_ref().and_then(|firmware| firmware.download());
                self.fetch =
                    download.and_then(|it| CoapFetch::new(&it, BlockSize::MAX, fork(&mut self.rng)).ok());
            }
            Event::DownloadCancelled => self.fetch = None,
            _ => {}
        }
    }

    /// When the engine or a download has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let fetch = self.fetch.as_ref().and_then(CoapFetch::poll_timeout);
        self.client.poll_timeout().into_iter().chain(fetch).min()
    }

    /// Takes a datagram on the socket of the download, and returns the answer.
    pub fn handle_download(&mut self, now: Instant, datagram: &[u8]) -> Option<Datagram> {
        let (fetch, firmware) = (self.fetch.as_mut()?, self.objects.firmware.as_mut()?);
        let mut out = [0; 1280];
        let mut context = self.client.context(now);
        let length = fetch.handle_datagram(now, datagram, firmware, &mut context, &mut out);
        (length > 0).then(|| Datagram::new(&out[..length]))
    }

    /// What the download wants sent.
    pub fn settle_download(&mut self, now: Instant) -> Vec<Datagram> {
        let mut sent = Vec::new();
        let (Some(fetch), Some(firmware)) = (self.fetch.as_mut(), self.objects.firmware.as_mut()) else {
            return sent;
        };
        let mut out = [0; 1280];
        let mut context = self.client.context(now);
        while let Some(length) = fetch.poll_transmit(now, firmware, &mut context, &mut out) {
            sent.push(Datagram::new(&out[..length]));
        }
        if fetch.is_done() {
            self.fetch = None;
        }
        sent
    }

    /// Whether an event was told.
    #[must_use]
    pub fn saw(&self, event: Event) -> bool {
        self.events.contains(&event)
    }

    /// Lets the first temperature sensor measure.
    pub fn set_temperature(&mut self, now: Instant, celsius: f64) {
        let mut context = self.client.context(now);
        self.objects.temperature.set(&mut context, 0, celsius);
    }
}

impl Deref for Sent {
    type Target = Datagram;

    fn deref(&self) -> &Datagram {
        &self.datagram
    }
}

impl Storage for Memory {
    type Error = core::convert::Infallible;

    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        Ok(self.0.get(&object).map(|bytes| {
            record[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }))
    }

    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), Self::Error> {
        self.0.insert(object, record.to_vec());
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Self::Error> {
        self.0.clear();
        Ok(())
    }
}

/// Another generator, which this one seeds.
fn fork(rng: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(rng.next_u64())
}
