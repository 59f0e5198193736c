//! The loop: the client engine, its objects, and the ways to its servers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Write;

use buoy_client::firmware::{State, UpdateResult};
use buoy_client::text::Text;
use buoy_client::time::Instant;
use buoy_client::{Chip, Client, ClientConfig, Event, Security, Server, ServerSlot, Storage};
use buoy_ota::device::{Device, Identity};
use buoy_ota::partition::{PartitionTable, Role, TABLE_LEN, TABLE_OFFSET};
use buoy_ota::signature::{PublicKey, TrustStore};
use buoy_ota::slots::Layout;
use embedded_storage::nor_flash::ReadNorFlash as _;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng};

use crate::behaviour::Behaviour;
use crate::board::{Board, Image};
use crate::download::Fetching;
use crate::firmware::Target;
use crate::link::{Keep, LinkError, Unreachable};
use crate::link::{Link, Means};
use crate::network::{MTU, Network};
use crate::objects::Objects;
use crate::retained::{self, End, LastRun};
use crate::settings::Settings;
use crate::setup;
use crate::sntp::Sntp;
use crate::store::Store;
use crate::vault::Vault;

/// The short id of the server of the factory settings.
const SHORT_SERVER_ID: u16 = 1;
/// How often the temperature is measured, in milliseconds.
const MEASURE_EVERY: u64 = 1000;
/// A turn without work waits so many milliseconds at most: the network has no other way to wake the loop.
const TURN: u64 = 1;
/// What was said last has so many milliseconds to leave before a reset.
const FLUSH: u64 = 50;
/// A start costs more than a shorter sleep saves, in milliseconds.
const SHORTEST_SLEEP: u64 = 10_000;
/// The clocks of chips that sleep drift; a day, in milliseconds.
const LONGEST_SLEEP: u64 = 86_400_000;
/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;
/// A download is told in steps of so many bytes.
const PROGRESS: u32 = 64 << 10;
const NVS: &str = "the partition table has no partition nvs of two sectors or more";

/// The running image.
pub(crate) struct Running<'b, B: Board> {
    pub(crate) board: &'b mut B,
    pub(crate) client: Client<ChaCha12Rng, Chip>,
    pub(crate) objects: Objects<B::Flash>,
    pub(crate) store: Store<B::Flash>,
    pub(crate) vault: Vault,
    pub(crate) network: Network,
    pub(crate) rng: ChaCha12Rng,
    pub(crate) links: Vec<Link>,
    pub(crate) fetching: Option<Fetching>,
    sntp: Option<Sntp>,
    behaviour: Behaviour,
    next_measurement: u64,
    /// When an image on trial has to be registered.
    trial_ends: Option<Instant>,
    crash_at: Option<Instant>,
    told: UpdateResult,
    /// Bytes of the package that were there when it was last looked.
    progress: u32,
}

/// Runs the device. It ends with a reset.
pub fn run<B: Board>(board: &mut B, image: &Image<'_>) -> ! {
    let by_watchdog = board.has_watchdog_bitten();
    let cause = board.reset_cause();
    let last = LastRun::read(board.retained(), by_watchdog, cause);
    retained::begin(board.retained(), image.version());
    // Nobody may listen.
    let _ = writeln!(board.console(), "app: version {} in {}, after: {last}", image.version(), image.slot);
    let behaviour = Behaviour::of_this_image();
    match behaviour {
        Behaviour::CrashEarly => panic!("this release crashes early, on purpose"),
        Behaviour::Hang => loop {
            core::hint::spin_loop();
        },
        _ => {}
    }
    let mut running = Running::new(board, image, &last, behaviour);
    running.start();
    loop {
        running.turn();
    }
}

/// What firmware is judged by, for as long as the device runs.
fn device<B: Board>(board: &B, image: &Image<'_>) -> (Device<'static>, PartitionTable) {
    let mut bytes = [0; TABLE_LEN];
    // The boot loader has read the same table, with the same code.
    let read = board.flash().read(TABLE_OFFSET, &mut bytes);
    let table = PartitionTable::parse(&bytes, B::FLASH_LEN);
    let (Ok(()), Ok(table)) = (read, table) else { panic!("the partition table can't be read") };
    let Ok(layout) = Layout::from_table(&table) else { panic!("the partition table has no slots") };
    let mut trust = TrustStore::new();
    let Ok(key) = PublicKey::from_spki(image.release_key) else { panic!("the release key can't be read") };
    let Ok(_) = trust.trust(key) else { panic!("the release key can't be used") };
    let device = Device {
        layout: Box::leak(Box::new(layout)),
        trust: Box::leak(Box::new(trust)),
        identity: Box::leak(Box::new(Identity::any(B::CHIP))),
    };
    (device, table)
}

impl<'b, B: Board> Running<'b, B> {
    fn new(board: &'b mut B, image: &Image<'_>, last: &LastRun, behaviour: Behaviour) -> Self {
        let (device, table) = device(board, image);
        let mut rng = ChaCha12Rng::from_seed(board.seed());
        let mut buffer = [0; 1024];
        let (settings, wrong) = Settings::parse(board.factory_settings(&mut buffer));
        if let Some(line) = wrong {
            let _ =
                writeln!(board.console(), "app: this line of the factory settings makes no sense: {line}");
        }
        let nvs = table.find(Role::Nvs).map(|partition| partition.region);
        let mut store = nvs.and_then(|region| Store::new(board.flash(), region)).expect(NVS);
        let Ok(vault) = Vault::open(&mut store, &mut rng) else { panic!("the settings can't be read") };
        let endpoint = settings.endpoint;
        let Ok(mut config) = ClientConfig::new(endpoint.as_str()) else {
            panic!("the endpoint name is empty")
        };
        config.queue_mode = settings.queue;
        let mut client = Client::new(config, ChaCha12Rng::from_rng(&mut rng));
        if let Some(account) = settings.server {
            let account = Security { short_server_id: SHORT_SERVER_ID, ..account };
            let server = Server::new(SHORT_SERVER_ID, settings.lifetime);
            let Ok(_) = client.add_server(account, server) else { panic!("the account is too long") };
        }
        if let Some(account) = settings.bootstrap {
            let Ok(()) = client.set_bootstrap_server(account) else { panic!("the account is too long") };
        }
        let version = image.version();
        let target = Target::new(board.flash(), device, image.slot, version, last);
        let mut objects =
            Objects::new(endpoint.as_str(), B::MODEL, version, B::BEARER, board.temperature(), target);
        let mut reason = Text::<96>::EMPTY;
        let _ = write!(Clipped(&mut reason), "{last}");
        objects.device.reset_reason = Text::clipped(reason.as_str());
        let address = board.hardware_address();
        let seed = rng.next_u64();
        let mut network = Network::new(board.network(), address, seed);
        let sntp = settings.ntp.map(|server| Sntp::new(&mut network, server));
        let trial = Instant::from_millis(board.milliseconds()).after_seconds(settings.trial);
        Self {
            board,
            client,
            objects,
            store,
            vault,
            network,
            rng,
            links: Vec::new(),
            fetching: None,
            sntp,
            behaviour,
            next_measurement: 0,
            trial_ends: Some(trial),
            crash_at: None,
            told: UpdateResult::Initial,
            progress: 0,
        }
    }

    fn start(&mut self) {
        if self.client.restore(&mut self.objects.all(), &mut self.store).is_err() {
            let _ = writeln!(
                self.board.console(),
                "app: stored settings are damaged; the factory's hold in their place"
            );
        }
        self.persist();
        self.open_links();
        let now = self.now();
        self.client.start(now, &mut self.objects.all());
        if self.objects.firmware.state() != State::Updating {
            self.trial_ends = None;
        }
        if self.behaviour == Behaviour::CrashLate {
            self.crash_at = Some(Instant::from_millis(now.as_millis() + HOUR));
        }
        // A download that a power cut broke off goes on.
        self.begin_download(now);
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.board.milliseconds())
    }

    /// One turn of the loop.
    fn turn(&mut self) {
        self.board.feed_watchdog();
        let now = self.now();
        assert!(self.crash_at.is_none_or(|at| now < at), "this release crashes after an hour, on purpose");
        if self.network.poll(now.as_millis(), self.board.network()) {
            self.address_changed(now);
        }
        let mut is_busy = self.receive(now);
        self.client.handle_timeout(now, &mut self.objects.all());
        self.transmit(now);
        is_busy |= self.drive_download(now);
        self.settle_links(now);
        while let Some(event) = self.client.poll_event() {
            self.event(now, event);
            is_busy = true;
        }
        if let Some(seconds) =
            self.sntp.as_mut().and_then(|sntp| sntp.step(now.as_millis(), &mut self.network, &mut self.rng))
        {
            let _ = writeln!(self.board.console(), "app: it is {seconds} s since 1970");
            self.client.set_utc(now, seconds);
        }
        self.watch_trial(now);
        if now.as_millis() >= self.next_measurement {
            self.next_measurement = now.as_millis() + MEASURE_EVERY;
            let celsius = self.board.temperature();
            self.objects.measured(&mut self.client.context(now), celsius);
            if let Some(dbm) = self.board.signal_strength() {
                self.objects.monitoring.set_signal_strength(&mut self.client.context(now), dbm);
            }
            if let Some((millivolts, level)) = self.board.battery() {
                self.objects.battery_is(&mut self.client.context(now), millivolts, level);
            }
        }
        if self.board.wants_factory_reset() {
            self.forget_everything();
        }
        if let Some(level) = self.objects.new_level() {
            self.board.set_light(level);
        }
        self.tell();
        self.network.poll(now.as_millis(), self.board.network());
        if !is_busy {
            self.sleep_if_worth_it(now);
            self.board.wait(TURN);
        }
    }

    /// In queue mode the device is off while nothing is due, if the board can be. Sessions are saved, and the next run goes on with them.
    fn sleep_if_worth_it(&mut self, now: Instant) {
        if !B::SLEEPS || self.fetching.is_some() || self.trial_ends.is_some() {
            return;
        }
        let Some(until) = self.client.sleep_until(now) else { return };
        let milliseconds = until.as_millis().saturating_sub(now.as_millis()).min(LONGEST_SLEEP);
        if milliseconds < SHORTEST_SLEEP || self.network.address().is_none() {
            return;
        }
        let _ = writeln!(self.board.console(), "app: sleeps for {} s", milliseconds / 1000);
        self.prepare_reset(End::Sleep);
        self.board.sleep(milliseconds)
    }

    fn address_changed(&mut self, now: Instant) {
        match self.network.address() {
            Some(address) => {
                let mut text = Text::<40>::EMPTY;
                let _ = write!(Clipped(&mut text), "{address}");
                let _ = writeln!(self.board.console(), "app: has the address {}", text.as_str());
                self.objects.address_is(text.as_str());
            }
            None => {
                let _ = writeln!(self.board.console(), "app: has no address any more");
            }
        }
        self.client.set_online(now, self.network.address().is_some(), &mut self.objects.all());
    }

    /// Takes what came from servers.
    fn receive(&mut self, now: Instant) -> bool {
        let mut has_received = false;
        for index in 0..self.links.len() {
            while let Some(link) = self.links.get_mut(index) {
                let slot = link.slot();
                let Some(messages) = link.receive(now, &mut self.rng, &mut self.network) else { break };
                has_received = true;
                for message in messages {
                    self.take_message(now, slot, &message);
                }
            }
        }
        has_received
    }

    fn take_message(&mut self, now: Instant, slot: ServerSlot, message: &[u8]) {
        self.objects.statistics.count_received(message.len());
        if self.take_fetched(now, slot, message) {
            return;
        }
        let mut out = [0; MTU];
        let length = self.client.handle_datagram(now, slot, message, &mut self.objects.all(), &mut out);
        // Nothing is acknowledged before it is safe.
        if self.persist() {
            self.send(now, slot, out.get(..length).unwrap_or_default());
        }
    }

    /// Sends what the engine has to send.
    fn transmit(&mut self, now: Instant) {
        let mut out = [0; MTU];
        while let Some(transmit) = self.client.poll_transmit(now, &mut self.objects.all(), &mut out) {
            if self.persist() {
                self.send(now, transmit.server, out.get(..transmit.length).unwrap_or_default());
            }
        }
        self.persist();
    }

    /// Saves what has to survive. `false` if the flash fails: then nothing may be said of it.
    fn persist(&mut self) -> bool {
        !self.client.wants_persist() || self.client.persist(&mut self.objects.all(), &mut self.store).is_ok()
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Registered(_) => {
                let _ = writeln!(self.board.console(), "app: registered");
                self.prove(now);
            }
            Event::BootstrapFinished => {
                let _ = writeln!(self.board.console(), "app: bootstrapped");
                self.open_links();
            }
            Event::BootstrapFailed(failure) => {
                let _ = writeln!(self.board.console(), "app: the bootstrap failed: {failure:?}");
            }
            Event::BootstrapAccountExpired => self.open_links(),
            Event::RegistrationFailed(_, failure) => {
                let _ = writeln!(self.board.console(), "app: the registration failed: {failure:?}");
            }
            Event::Reboot(_) => self.restart(End::Reboot),
            Event::FactoryReset => self.wipe(),
            Event::DownloadRequested => self.begin_download(now),
            Event::DownloadCancelled => self.end_download(),
            _ => {}
        }
    }

    /// A new image proves itself: it runs, it has registered, and its self-test passes. Only then it is kept.
    fn prove(&mut self, now: Instant) {
        if self.objects.firmware.state() != State::Updating {
            return;
        }
        if self.behaviour == Behaviour::FailSelfTest {
            let _ = writeln!(self.board.console(), "app: the self-test failed");
            // If the flash fails, the trial's end comes to the same.
            let _ = self.objects.firmware.target_mut().reject();
            self.restart(End::SelfTest);
        }
        let confirmed = self.objects.firmware.confirm(&mut self.client.context(now));
        let line = if confirmed.is_ok() { "confirmed" } else { "can't be confirmed: the flash fails" };
        let _ = writeln!(self.board.console(), "app: {line}");
        if confirmed.is_ok() {
            self.trial_ends = None;
            if self.behaviour == Behaviour::CrashLate {
                self.crash_at = Some(Instant::from_millis(now.as_millis() + HOUR));
            }
        }
    }

    /// An image on trial that can't register is of no use, however well it runs.
    fn watch_trial(&mut self, now: Instant) {
        if self.trial_ends.is_some_and(|at| at <= now) {
            let _ = writeln!(self.board.console(), "app: could not register in its trial");
            self.restart(End::NotRegistered);
        }
    }

    /// Has what was said last leave the device.
    fn flush(&mut self) {
        let until = self.board.milliseconds() + FLUSH;
        while self.board.milliseconds() < until {
            let now = self.now();
            self.network.poll(now.as_millis(), self.board.network());
            self.board.wait(TURN);
        }
    }

    fn restart(&mut self, why: End) -> ! {
        self.prepare_reset(why);
        self.board.reset()
    }

    fn prepare_reset(&mut self, why: End) {
        self.persist();
        self.flush();
        let (mut means, links) = self.means();
        links.iter_mut().for_each(|link| link.park(&mut means));
        retained::end(self.board.retained(), why);
    }

    /// A factory reset: the factory's settings hold again, or those that were made where the device stands.
    fn wipe(&mut self) -> ! {
        self.flush();
        // What is still there is of no use without the rest: the next start wipes nothing that is whole.
        while self.store.wipe().is_err() {
            self.board.wait(TURN);
        }
        retained::end(self.board.retained(), End::FactoryReset);
        self.board.reset()
    }

    /// Somebody at the device asks for it: what was set up there is forgotten too.
    fn forget_everything(&mut self) -> ! {
        let _ = writeln!(self.board.console(), "app: forgets everything, as the button asks");
        // Without the partition there is nothing to forget.
        let _ = setup::clear(self.board.flash(), B::FLASH_LEN);
        self.wipe()
    }

    /// Tells how a slot fills, and how an update ended that did not succeed.
    fn tell(&mut self) {
        let filling = self.objects.firmware.target().filling();
        let bytes = filling.map_or(0, |(_, bytes, _)| bytes);
        let before = core::mem::replace(&mut self.progress, bytes);
        if before == 0 && bytes > MTU as u32 {
            let _ = writeln!(self.board.console(), "app: the download goes on at byte {bytes}");
        } else if bytes / PROGRESS > before / PROGRESS {
            let _ = writeln!(self.board.console(), "app: has {bytes} bytes of the package");
        }
        let result = self.objects.firmware.result();
        if result == core::mem::replace(&mut self.told, result) {
            return;
        }
        match self.objects.firmware.target().last_error() {
            Some(error) => {
                let _ = writeln!(self.board.console(), "app: the package is refused: {error}");
            }
            None => {
                let _ = writeln!(self.board.console(), "app: update result {}", result as u8);
            }
        }
    }

    /// Opens the ways that the accounts describe, and closes those that they don't any more.
    fn open_links(&mut self) {
        let servers = self.client.servers().map(|(slot, account, _)| (slot, *account));
        let bootstrap = self.client.bootstrap_server().map(|account| (ServerSlot::BOOTSTRAP, *account));
        let wanted: Vec<(ServerSlot, Security<Chip>)> = servers.chain(bootstrap).collect();
        let old = core::mem::take(&mut self.links);
        for link in old {
            if wanted.iter().any(|(slot, account)| *slot == link.slot() && link.leads_to(account)) {
                self.links.push(link);
            } else {
                link.close(&mut self.means().0);
            }
        }
        for (slot, account) in wanted {
            if self.links.iter().any(|link| link.slot() == slot) {
                continue;
            }
            let opened = Link::open(slot, &account, Keep::Session, &mut self.means().0);
            match opened {
                Ok(link) => self.links.push(link),
                Err(error) => {
                    let why = match error {
                        LinkError::Uri => {
                            "its URI can't be read, or is of a scheme that this device doesn't speak"
                        }
                        LinkError::Credentials => "this device proves itself by shared keys alone",
                    };
                    let _ = writeln!(self.board.console(), "app: there is no way to a server: {why}");
                    self.client.set_unreachable(self.now(), slot, &mut self.objects.all());
                }
            }
        }
    }

    pub(crate) fn send(&mut self, now: Instant, slot: ServerSlot, message: &[u8]) {
        if message.is_empty() || self.behaviour == Behaviour::Mute {
            return;
        }
        self.objects.statistics.count_sent(message.len());
        if let Some(link) = self.links.iter_mut().find(|link| link.slot() == slot) {
            link.send(now, &mut self.rng, &mut self.network, message);
        }
    }

    fn settle_links(&mut self, now: Instant) {
        let mut unreachable = Vec::new();
        let (mut means, links) = self.means();
        for link in links {
            if let Err(Unreachable) = link.settle(now, &mut means) {
                unreachable.push(link.slot());
            }
        }
        for slot in unreachable {
            let _ = writeln!(self.board.console(), "app: a handshake failed");
            self.client.set_unreachable(now, slot, &mut self.objects.all());
        }
    }

    /// What links are handled with, and the links.
    pub(crate) fn means(&mut self) -> (Means<'_, B::Flash>, &mut [Link]) {
        let Self { network, store, vault, rng, links, .. } = self;
        (Means { network, store, vault, rng }, links)
    }
}

/// Text of which the end is cut off if there is no room.
struct Clipped<'a, const N: usize>(&'a mut Text<N>);

impl<const N: usize> Write for Clipped<'_, N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.chars().try_for_each(|letter| {
            self.0.push_str(letter.encode_utf8(&mut [0; 4])).map_err(|_| core::fmt::Error)
        })
    }
}
