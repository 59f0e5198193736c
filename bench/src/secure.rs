//! Many devices behind DTLS, each with a loopback address and a session of its own: handshakes, and then messages within them.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use buoy_dtls::config::{ClientConfig, ClientCredentials, OwnKey, Psk, ServerTrust};
use buoy_dtls::crypto::{AwsLc, PublicKey};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Client, Connection, Context, Datagram};
use buoy_sim::crowd::Crowd;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::devices::{self, endpoint};
use crate::measured::Measured;
use crate::peer::Buoy;

/// What is not answered is sent again after this,
const PATIENCE: Duration = Duration::from_secs(1);
/// and so often altogether; then the measurement fails.
const MOST_REPEATS: u64 = 50_000;
/// The key that all devices share with the server: what differs is their identities.
const KEY: [u8; 16] = *b"sixteen bytes ok";

type Session = Connection<Client, AwsLc>;

/// By what the devices prove themselves.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Each by its identity; TLS_PSK_WITH_AES_128_CCM_8.
    Psk,
    /// Each by a raw public key; TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8. The server has this one.
    Rpk(PublicKey),
}

impl Mode {
    fn config(self, number: usize) -> Result<ClientConfig> {
        let (credentials, suite) = match self {
            Self::Psk => {
                let psk = Psk::new(endpoint(number).as_bytes(), &KEY).context("no PSK")?;
                (ClientCredentials::Psk(psk), CipherSuite::PskAes128Ccm8)
            }
            Self::Rpk(server) => {
                let (own, server) = (own_key(number)?, ServerTrust::RawPublicKey(server));
                (ClientCredentials::Certificate { own, server }, CipherSuite::EcdheEcdsaAes128Ccm8)
            }
        };
        let mut config = ClientConfig::new(credentials);
        config.suites = [suite].into();
        Ok(config)
    }
}

/// The raw public key of a device.
pub(crate) fn own_key(number: usize) -> Result<OwnKey> {
    let mut private = [1; 32];
    private[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    OwnKey::raw_public_key::<AwsLc>(&private).context("no key")
}

/// The credentials of the first devices, as a list for `buoy ctl credentials import`.
pub(crate) fn list(mode: Mode, count: usize) -> Result<String> {
    let mut text = String::from("endpoint,kind,identity,key\n");
    for number in 0..count {
        let name = endpoint(number);
        match mode {
            Mode::Psk => text += &format!("{name},psk,{name},{}\n", hex(&KEY)),
            Mode::Rpk(_) => text += &format!("{name},rpk,,{}\n", hex(&own_key(number)?.public().to_spki())),
        }
    }
    Ok(text)
}

/// Tells a server of devices.
pub(crate) fn import(program: &Path, server: &Buoy, folder: &Path, list: &str) -> Result<()> {
    let file = folder.join("devices.csv");
    std::fs::write(&file, list)?;
    let url = format!("http://{}", server.http);
    run(Command::new(program).args(["ctl", "--server", &url, "credentials", "import"]).arg(file))
}

/// The raw public key of a server that made its own.
pub(crate) fn server_key(data: &Path) -> Result<PublicKey> {
    let der = data.join("server.der");
    let key = data.join("server.key");
    run(Command::new("openssl")
        .args(["pkey", "-pubout", "-outform", "DER", "-in"])
        .arg(key)
        .arg("-out")
        .arg(&der))?;
    PublicKey::from_spki(&std::fs::read(der)?).context("the server's key is none")
}

/// Leshan's server with a key of its own, and with the raw public keys of the first devices: how to start it.
pub(crate) fn leshan_keys(folder: &Path, count: usize) -> Result<(Mode, Vec<String>)> {
    let (key, certificate) = (folder.join("key.der"), folder.join("cert.der"));
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        run(command.args(arguments.split(' ')).current_dir(folder))
    };
    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem")?;
    openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der")?;
    openssl("req -x509 -key key.pem -subj /CN=bench -days 2 -outform DER -out cert.der")?;
    openssl("pkey -in key.pem -pubout -outform DER -out pub.der")?;
    let public = PublicKey::from_spki(&std::fs::read(folder.join("pub.der"))?).context("no key")?;
    let mut arguments = Vec::new();
    for number in 0..count {
        let file = folder.join(format!("{number}.der"));
        std::fs::write(&file, own_key(number)?.public().to_spki())?;
        arguments.extend(["--rpk".to_owned(), format!("{}={}", endpoint(number), file.display())]);
    }
    arguments.extend(["--key".to_owned(), key.display().to_string()]);
    arguments.extend(["--certificate".to_owned(), certificate.display().to_string()]);
    arguments.extend(["--secure-port", "0"].map(str::to_owned));
    Ok((Mode::Rpk(public), arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The shared key in hexadecimal digits.
pub(crate) fn shared_key() -> String {
    hex(&KEY)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The devices.
pub(crate) struct SecureDevices {
    server: SocketAddrV4,
    crowd: Crowd,
    all: Vec<Device>,
    /// A session asks for a configuration, and needs it only as long as its handshake goes on.
    any: ClientConfig,
    rng: ChaCha12Rng,
    started: Instant,
}

#[derive(Default)]
struct Device {
    session: Option<Session>,
    /// Only during the handshake.
    config: Option<Box<ClientConfig>>,
    device: devices::Device,
    /// When what is under way began.
    began: Option<Instant>,
    /// When it was sent last.
    sent: Option<Instant>,
}

impl SecureDevices {
    pub(crate) fn new(server: SocketAddrV4, count: usize) -> Result<Self> {
        Ok(Self {
            server,
            crowd: Crowd::bind()?,
            all: (0..count).map(|_| Device::default()).collect(),
            any: Mode::Psk.config(0)?,
            rng: ChaCha12Rng::from_seed([3; 32]),
            started: Instant::now(),
        })
    }

    /// A full handshake of each device, so many at once.
    pub(crate) fn connect(&mut self, mode: Mode, window: usize) -> Result<Measured> {
        let mut configs =
            (0..self.all.len()).map(|number| mode.config(number)).collect::<Result<VecDeque<_>>>()?;
        self.run(window, |devices, number| {
            let config = Box::new(configs.pop_front().context("each device connects once")?);
            let mut context = Context::new(now(devices.started), &mut devices.rng);
            let device = &mut devices.all[number];
            device.session = Some(Session::client(&config, &mut context, None));
            device.config = Some(config);
            Ok(())
        })
    }

    /// Registers every device within its session, or renews its registration if it has one.
    pub(crate) fn register(&mut self, window: usize) -> Result<Measured> {
        self.run(window, |devices, number| {
            devices.all[number].device.next_message();
            Ok(())
        })
    }

    /// Registers every device anew, so many times.
    pub(crate) fn register_anew(&mut self, window: usize, rounds: usize) -> Result<Measured> {
        let mut all = Measured::new();
        for _ in 0..rounds {
            self.all.iter_mut().for_each(|device| device.device.forget_registration());
            all = all.and(&self.register(window)?);
        }
        Ok(all)
    }

    /// Lets each device begin in its turn, and goes on until all have ended.
    fn run(
        &mut self,
        window: usize,
        mut begin: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<Measured> {
        let mut measured = Measured::new();
        let (count, started) = (self.all.len(), Instant::now());
        let (mut begun, mut done, mut last_look) = (0, 0, started);
        while done < count {
            while begun < count && begun - done < window {
                begin(self, begun)?;
                self.all[begun].began = Some(Instant::now());
                self.transmit(begun)?;
                begun += 1;
            }
            self.crowd.flush();
            self.crowd.wait(Duration::from_millis(50))?;
            done += self.take(&mut measured)?;
            if last_look.elapsed() > PATIENCE {
                last_look = Instant::now();
                self.repeat_lost(&mut measured)?;
            }
        }
        measured.elapsed = started.elapsed();
        Ok(measured)
    }

    /// Sends what a device has to send: its flight, or its request.
    fn transmit(&mut self, number: usize) -> Result<()> {
        let Self { server, crowd, all, .. } = self;
        let device = &mut all[number];
        device.sent = Some(Instant::now());
        let session = device.session.as_mut().context("no session")?;
        let from = Crowd::address(number as u32);
        if session.is_established() && device.config.is_none() {
            let mut message = [0; 512];
            let length = device.device.write_next(number, &mut message);
            let mut sealed = Ok(0);
            crowd.send(from, *server, |buffer| {
                sealed = session.seal(&message[..length], buffer);
                *sealed.as_ref().unwrap_or(&0)
            });
            sealed.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            return Ok(());
        }
        let mut more = true;
        while more {
            crowd.send(from, *server, |buffer| {
                let length = session.poll_transmit(buffer).unwrap_or(0);
                more = length > 0;
                length
            });
        }
        Ok(())
    }

    fn repeat_lost(&mut self, measured: &mut Measured) -> Result<()> {
        for number in 0..self.all.len() {
            let device = &mut self.all[number];
            let is_late = device.began.is_some() && device.sent.is_some_and(|sent| sent.elapsed() > PATIENCE);
            if !is_late {
                continue;
            }
            measured.repeated += 1;
            if let (Some(session), true) = (&mut device.session, device.config.is_some()) {
                session.handle_timeout(now(self.started));
            }
            self.transmit(number)?;
        }
        ensure!(measured.repeated < MOST_REPEATS, "the server loses too much");
        Ok(())
    }

    /// Takes what has come; how many devices are done with what they began.
    fn take(&mut self, measured: &mut Measured) -> Result<usize> {
        let mut done = 0;
        while self.crowd.receive()? > 0 {
            let mut to_transmit = Vec::new();
            for (to, _, bytes) in self.crowd.datagrams() {
                let number = Crowd::number(to) as usize;
                let Some(device) = self.all.get_mut(number) else { continue };
                let Some(session) = &mut device.session else { continue };
                let mut context = Context::new(now(self.started), &mut self.rng);
                let mut datagram = Datagram::new(bytes);
                let config = device.config.as_deref().unwrap_or(&self.any);
                let answer = session.handle_datagram(config, &mut context, &mut datagram);
                let ended = match answer {
                    _ if device.config.is_some() => {
                        to_transmit.push(number);
                        session.is_established()
                    }
                    Some(answer) => device.device.takes(answer)?,
                    None => false,
                };
                if let (true, Some(began)) = (ended, device.began) {
                    measured.record(began.elapsed());
                    device.began = None;
                    done += 1;
                }
            }
            for number in to_transmit {
                self.transmit(number)?;
                let device = &mut self.all[number];
                let session = device.session.as_mut().context("no session")?;
                if session.is_established() {
                    session.poll_event();
                    device.config = None;
                } else if let Some(event) = session.poll_event() {
                    bail!("{}: {event:?}", endpoint(number));
                }
            }
        }
        Ok(done)
    }
}

fn now(started: Instant) -> buoy_dtls::time::Instant {
    buoy_dtls::time::Instant::from_millis(started.elapsed().as_millis() as u64)
}
