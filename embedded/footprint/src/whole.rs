//! A whole device: the engine, its objects, DTLS, and firmware updates where the shape has them. `cargo xtask embedded size` tells what takes how much.
//!
//! Each thing that stays in memory is a static with a name of its own.

use core::mem::MaybeUninit;

#[cfg(not(feature = "full"))]
use buoy_client::UpTo;
#[cfg(feature = "update")]
use buoy_client::firmware::{FirmwareUpdate, Protocol, fetch::CoapFetch};
use buoy_client::objects::{Device, LightControl, Temperature};
use buoy_client::time::Instant;
use buoy_client::{Client, ClientConfig, Object, Path, Security, Server, ServerSlot};
use buoy_dtls::Context;
use buoy_dtls::config::{ClientConfig as Dtls, ClientCredentials, Psk};
use buoy_dtls::tunnel::{News, Tunnel};
#[cfg(feature = "saves")]
use buoy_dtls::{Connection, ExportKey, Reserve};

use crate::outside::{Outside, pass};

/// As [`buoy_client::Sensor`], but without values that are kept while there is no network.
#[cfg(not(feature = "full"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape;

#[cfg(not(feature = "full"))]
impl buoy_client::Shape for Shape {
    type Servers = UpTo<1>;
    type Observations = UpTo<8>;
    type Attributes = UpTo<4>;
    type Outgoing = UpTo<1248>;
    type Body = UpTo<1280>;
    type Kept = UpTo<0>;
    type Key = UpTo<32>;
    type Location = UpTo<64>;
}

#[cfg(feature = "full")]
use buoy_client::Chip as Shape;

/// Servers, and the bootstrap server.
const TUNNELS: usize = SERVERS + cfg!(feature = "bootstrap") as usize;
const SERVERS: usize = if cfg!(feature = "full") { 3 } else { 1 };

/// The longest datagram.
const DATAGRAM: usize = 1280;

/// Memory for one value, which is made where it stays.
macro_rules! memory {
    ($name:ident: $type:ty = $value:expr) => {{
        #[unsafe(no_mangle)]
        static mut $name: core::mem::MaybeUninit<$type> = core::mem::MaybeUninit::uninit();
        // SAFETY: once, and by nobody else.
        unsafe { (*(&raw mut $name)).write($value) }
    }};
}

/// Everything that a device does: bootstrap, registration, every operation, notifications, Send, saving and going on, sessions and updates.
pub(crate) fn run() {
    if let Some(mut device) = start() {
        loop {
            device.turn();
        }
    }
}

/// What stays in memory.
struct Running {
    client: &'static mut Client<Outside, Shape>,
    dtls: &'static Dtls,
    objects: &'static mut Objects,
    tunnels: &'static mut [Tunnel; TUNNELS],
    #[cfg(feature = "update")]
    fetching: &'static mut Option<CoapFetch<Outside>>,
    incoming: &'static mut [u8; DATAGRAM],
    outgoing: &'static mut [u8; DATAGRAM],
}

#[inline(never)]
fn start() -> Option<Running> {
    let running = Running {
        client: client()?,
        dtls: dtls()?,
        objects: objects()?,
        tunnels: memory!(SESSIONS: [Tunnel; TUNNELS] = [const { Tunnel::new(is_confirmable) }; TUNNELS]),
        #[cfg(feature = "update")]
        fetching: memory!(FETCH: Option<CoapFetch<Outside>> = None),
        incoming: memory!(DATAGRAM_IN: [u8; DATAGRAM] = [0; DATAGRAM]),
        outgoing: memory!(DATAGRAM_OUT: [u8; DATAGRAM] = [0; DATAGRAM]),
    };
    running.client.restore(&mut running.objects.all(), &mut Outside).ok()?;
    running.client.start(Instant::ZERO, &mut running.objects.all());
    Some(running)
}

impl Running {
    /// `cargo xtask embedded size` tells how deep the stack gets from here on.
    #[unsafe(export_name = "whole_turn")]
    #[inline(never)]
    extern "C" fn turn(&mut self) {
        let Self { client, dtls, objects, tunnels, incoming, outgoing, .. } = self;
        #[cfg(feature = "update")]
        let fetching = &mut *self.fetching;
        let length = pass(*incoming);
        let now = Instant::from_millis(length as u64);
        let from = ServerSlot(incoming[1]);
        let Some(tunnel) = tunnels.get_mut(usize::from(from.0)) else { return };
        let mut rng = Outside;
        let mut context = Context::new(now, &mut rng);
        tunnel.receive(dtls, &mut context, &mut incoming[..length], |message| {
            #[cfg(feature = "update")]
            if let Some(fetch) = fetching.as_mut().filter(|fetch| fetch.expects(message)) {
                let mut context = client.context(now);
                let firmware = &mut objects.firmware;
                let length = fetch.handle_datagram(now, message, firmware, &mut context, *outgoing);
                pass(&mut outgoing[..length]);
                return;
            }
            let length = client.handle_datagram(now, from, message, &mut objects.all(), *outgoing);
            pass(&mut outgoing[..length]);
        });
        let length = pass(*outgoing);
        tunnel.send(now, dtls, &mut Context::new(now, &mut rng), &outgoing[..length]);
        tunnel.handle_timeout(now);
        while let Some(news) = tunnel.poll_news() {
            pass(&mut [u8::from(matches!(news, News::Failed(_)))]);
        }
        #[cfg(feature = "saves")]
        keep(tunnel);
        while let Some(length) = tunnel.poll_transmit(*incoming) {
            pass(&mut incoming[..length]);
        }
        client.handle_timeout(now, &mut objects.all());
        while let Some(transmit) = client.poll_transmit(now, &mut objects.all(), *outgoing) {
            let Some(tunnel) = tunnels.get_mut(usize::from(transmit.server.0)) else { return };
            tunnel.send(now, dtls, &mut Context::new(now, &mut rng), &outgoing[..transmit.length]);
        }
        #[cfg(feature = "update")]
        update::drive(now, client, &mut objects.firmware, fetching, outgoing);
        if client.persist(&mut objects.all(), &mut Outside).is_err() {
            return;
        }
        while let Some(event) = client.poll_event() {
            pass(&mut [u8::from(matches!(event, buoy_client::Event::Reboot(_)))]);
        }
        objects.temperature.set(&mut client.context(now), 0, length as f64);
        let sent = client.send(now, from, &[Path::ROOT], &mut objects.all());
        pass(&mut [u8::from(sent.is_ok() && client.poll_timeout().is_some_and(|at| at <= now))]);
    }
}

/// The engine with its accounts. What only the start needs of the stack is given back before the loop.
#[inline(never)]
fn client() -> Option<&'static mut Client<Outside, Shape>> {
    #[unsafe(no_mangle)]
    static mut CLIENT: MaybeUninit<Client<Outside, Shape>> = MaybeUninit::uninit();
    // SAFETY: once, and by nobody else.
    let place = unsafe { &mut *(&raw mut CLIENT) };
    let client = Client::new_in(place, ClientConfig::new("buoy-1").ok()?, Outside);
    for id in 1..=SERVERS as u16 {
        let account = Security::psk("coaps://192.0.2.1", b"buoy-1", b"0123456789abcdef").ok()?;
        client.add_server(Security { short_server_id: id, ..account }, Server::new(id, 300)).ok()?;
    }
    #[cfg(feature = "bootstrap")]
    let bootstrap = Security::psk("coaps://192.0.2.2", b"buoy-1", b"0123456789abcdef").ok()?;
    #[cfg(feature = "bootstrap")]
    client.set_bootstrap_server(bootstrap).ok()?;
    Some(client)
}

#[inline(never)]
fn dtls() -> Option<&'static Dtls> {
    let psk = Psk::new(b"buoy-1", b"0123456789abcdef")?;
    Some(memory!(DTLS: Dtls = Dtls::new(ClientCredentials::Psk(psk))))
}

#[inline(never)]
fn objects() -> Option<&'static mut Objects> {
    #[cfg(feature = "update")]
    let target = update::target()?;
    Some(memory!(OBJECTS: Objects = Objects {
        device: Device::new("Buoy", "Chip", "1", "1.0.0"),
        light: LightControl::new(),
        temperature: Temperature::new(20.0, None),
        #[cfg(feature = "update")]
        firmware: FirmwareUpdate::new(target, &[Protocol::Coap, Protocol::Coaps]),
    }))
}

struct Objects {
    device: Device,
    light: LightControl<1>,
    temperature: Temperature<1>,
    #[cfg(feature = "update")]
    firmware: update::Firmware,
}

impl Objects {
    #[cfg(not(feature = "update"))]
    fn all(&mut self) -> [&mut dyn Object; 3] {
        let Self { device, light, temperature } = self;
        [device, light, temperature]
    }

    #[cfg(feature = "update")]
    fn all(&mut self) -> [&mut dyn Object; 4] {
        let Self { device, light, temperature, firmware } = self;
        [device, light, temperature, firmware]
    }
}

/// Saves a session, and goes on with one that was saved.
#[cfg(feature = "saves")]
#[inline(never)]
fn keep(tunnel: &mut Tunnel) {
    let key = ExportKey::new([1; 32]);
    if tunnel.save_is_due()
        && let Some(session) = tunnel.session()
        && let Some(mut export) = session.export(&key, b"x", Reserve::default(), &mut Outside)
    {
        pass(&mut export.bytes);
        session.saved(export.reservation);
    }
    let mut saved = [0; 256];
    pass(&mut saved);
    if let Ok(session) = Connection::import(&key, b"x", &saved) {
        *tunnel = Tunnel::with_session(session, is_confirmable);
    }
}

fn is_confirmable(message: &[u8]) -> bool {
    message.first().is_some_and(|first| first & 0x30 == 0)
}

/// Firmware updates: pulled and pushed, resumed, verified, tried and rolled back.
#[cfg(feature = "update")]
mod update {
    use buoy_client::Client;
    use buoy_client::firmware::FirmwareUpdate;
    use buoy_client::firmware::fetch::CoapFetch;
    use buoy_client::firmware::ota::OtaTarget;
    use buoy_client::time::Instant;
    use buoy_coap::block::BlockSize;
    use buoy_ota::device::{Device, Identity};
    use buoy_ota::image::ChipId;
    use buoy_ota::partition::{PartitionTable, TABLE_LEN};
    use buoy_ota::signature::{PublicKey, TrustStore};
    use buoy_ota::slots::{Layout, Slot};

    use super::{DATAGRAM, Shape};
    use crate::outside::{Outside, pass};

    pub(super) type Firmware = FirmwareUpdate<OtaTarget<'static, Outside>>;

    /// The slots of the flash.
    pub(super) fn target() -> Option<OtaTarget<'static, Outside>> {
        let layout = memory!(LAYOUT: Layout = layout()?);
        let trust = memory!(TRUST: TrustStore = TrustStore::new());
        let mut key = [0; 128];
        let length = pass(&mut key);
        trust.trust(PublicKey::from_spki(&key[..length]).ok()?).ok()?;
        let identity = memory!(IDENTITY: Identity = Identity::any(ChipId::ESP32_C3));
        Some(OtaTarget::new(Outside, Device { layout, trust, identity }, Slot::Ota(0)))
    }

    #[inline(never)]
    fn layout() -> Option<Layout> {
        let (mut table, mut bytes) = (PartitionTable::new(), [0; TABLE_LEN]);
        pass(&mut bytes);
        table.read(&bytes, 4 << 20).ok()?;
        Layout::from_table(&table).ok()
    }

    /// Fetches what the object wants, and confirms what runs.
    #[inline(never)]
    pub(super) fn drive(
        now: Instant,
        client: &mut Client<Outside, Shape>,
        firmware: &mut Firmware,
        fetching: &mut Option<CoapFetch<Outside>>,
        answer: &mut [u8; DATAGRAM],
    ) {
        if fetching.is_none()
            && let Some(download) = firmware.download()
        {
            *fetching = CoapFetch::new(&download, BlockSize::MAX, Outside).ok();
        }
        let mut context = client.context(now);
        if let Some(fetch) = fetching {
            while let Some(length) = fetch.poll_transmit(now, firmware, &mut context, answer) {
                pass(&mut answer[..length]);
            }
            if fetch.is_done() {
                *fetching = None;
            }
        }
        if pass(answer) == 9 {
            pass(&mut [u8::from(firmware.confirm(&mut context).is_ok())]);
        }
    }
}
