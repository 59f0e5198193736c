//! `buoy serve`: settings from flags, environment and file, in this order.

mod oidc;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use self::oidc::Oidc;
use super::logging::{self, LogFormat};
use super::signal::Stop;
use buoy_services::alerts::Network;
use buoy_services::identity::Files as IdentityFiles;
use buoy_services::listen::{ListedPort, Listen, PublicHost};
use buoy_services::server::Settings;
use buoy_services::store_place::StorePlace;

use buoy_http::{Leshan, Proxy, Trust};

use crate::server::{HttpPorts, Protection, Server};

/// Settings; each can also stand in the environment, or in the configuration file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A TOML file with these settings.
    #[arg(long, env = "BUOY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for the database and the firmware [default: ./buoy-data]
    #[arg(long, env = "BUOY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the state is, if not in a file of the data folder: as in postgres://user:password@host/database
    #[arg(long, env = "BUOY_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// Seconds for which a database that is away is waited for at the start [default: 60]
    #[arg(long, env = "BUOY_STORE_PATIENCE", value_name = "SECONDS")]
    store_patience: Option<u64>,
    /// Where devices speak CoAP over DTLS, or off [default: 0.0.0.0:5684]
    #[arg(long, env = "BUOY_COAPS", value_name = "IP:PORT")]
    coaps: Option<Port>,
    /// Where devices speak plain CoAP, which proves nobody and hides nothing [default: off]
    #[arg(long, env = "BUOY_COAP", value_name = "IP:PORT")]
    coap: Option<Port>,
    /// Where devices are configured (bootstrapped) over DTLS [default: off]
    #[arg(long, env = "BUOY_BOOTSTRAPS", value_name = "IP:PORT")]
    bootstraps: Option<Port>,
    /// Where devices are configured over plain CoAP: keys that are given so can be read by others [default: off]
    #[arg(long, env = "BUOY_BOOTSTRAP", value_name = "IP:PORT")]
    bootstrap: Option<Port>,
    /// The name or address by which devices reach this machine, if not the one where it listens; loopback has no other.
    #[arg(long, env = "BUOY_PUBLIC_HOST", value_name = "HOST")]
    public_host: Option<String>,
    /// Where devices fetch firmware by HTTP; nothing else is served there [default: off]
    #[arg(long, env = "BUOY_FILES", value_name = "IP:PORT")]
    files: Option<SocketAddr>,
    /// Where devices fetch firmware by HTTPS [default: off]
    #[arg(long, env = "BUOY_FILES_TLS", value_name = "IP:PORT")]
    files_tls: Option<SocketAddr>,
    /// The certificate for HTTPS, and those between it and its authority (PEM) [default: the server's]
    #[arg(long, env = "BUOY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "BUOY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The URL by which devices reach the files, if a proxy stands before this machine, as in `https://files.example.org`
    #[arg(long, env = "BUOY_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Where the REST interface is [default: 127.0.0.1:8080]
    #[arg(long, env = "BUOY_HTTP", value_name = "IP:PORT")]
    http: Option<SocketAddr>,
    /// Where Leshan's REST interface for the bootstrap server is, with the credentials of that server [default: off]
    #[arg(long, env = "BUOY_BOOTSTRAP_HTTP", value_name = "IP:PORT")]
    bootstrap_http: Option<SocketAddr>,
    /// The certificate with which the REST interface speaks HTTPS, and those between it and its authority (PEM); read anew when it changes.
    /// Beyond loopback, without it, the server makes one itself and shows its fingerprint.
    #[arg(long, env = "BUOY_HTTP_CERT", value_name = "FILE", requires = "http_key")]
    http_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "BUOY_HTTP_KEY", value_name = "FILE", requires = "http_cert")]
    http_key: Option<PathBuf>,
    /// A proxy that speaks HTTPS is in front of the REST interface, and nothing else reaches it: X-Forwarded-For and X-Forwarded-Proto are believed.
    #[arg(long, env = "BUOY_BEHIND_PROXY")]
    behind_proxy: bool,
    /// Lets programs of this machine use Leshan's dialect without a token even if there are accounts.
    #[arg(long, env = "BUOY_LESHAN_ON_LOOPBACK")]
    leshan_on_loopback: bool,
    /// A public key of your releases, or a certificate that holds it (PEM): a signature that it doesn't verify is refused at the upload.
    /// May be given several times.
    #[arg(long, env = "BUOY_RELEASE_KEY", value_name = "FILE")]
    release_key: Vec<PathBuf>,
    /// A network in which receivers of alerts may be although it is private, as in 10.0.0.0/8 or 127.0.0.1. May be given several times.
    #[arg(long, env = "BUOY_ALLOW_RECEIVERS_IN", value_name = "CIDR", value_delimiter = ',')]
    allow_receivers_in: Vec<String>,
    #[command(flatten)]
    oidc: Oidc,
    /// Shards: threads that serve devices [default: one per core]
    #[arg(long, env = "BUOY_SHARDS", value_name = "N")]
    shards: Option<usize>,
    /// A folder with the OMA's XML definitions of further objects.
    #[arg(long, env = "BUOY_MODELS", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Days for which values and ended operations are kept [default: 30]
    #[arg(long, env = "BUOY_RETENTION_DAYS", value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Seconds for which a device in queue mode is taken to listen after it was heard [default: 93]
    #[arg(long, env = "BUOY_AWAKE_TIME", value_name = "SECONDS")]
    awake_time: Option<u64>,
    /// Seconds for which events are kept in memory for who reads them later; 0 keeps them only while somebody follows them, which costs
    /// devices nothing [default: 0]
    #[arg(long, env = "BUOY_KEEP_EVENTS", value_name = "SECONDS")]
    keep_events: Option<u64>,
    /// Whether devices are asked what they are (object 3) when they first register and after an update: on, or off [default: on]
    #[arg(long, env = "BUOY_SURVEY", value_name = "on|off")]
    survey: Option<Switch>,
    /// Whether values that came by reads are kept in series, as those that devices report: on, or off [default: off]
    #[arg(long, env = "BUOY_KEEP_READS", value_name = "on|off")]
    keep_reads: Option<Switch>,
    /// The server's private key (PEM) [default: one of its own, in the data folder]
    #[arg(long, env = "BUOY_SERVER_KEY", value_name = "FILE", requires = "server_cert")]
    server_key: Option<PathBuf>,
    /// Its certificate, and those between it and its authority (PEM)
    #[arg(long, env = "BUOY_SERVER_CERT", value_name = "FILE", requires = "server_key")]
    server_cert: Option<PathBuf>,
    /// Authorities (PEM): a device with a certificate of theirs is admitted under the certificate's name.
    #[arg(long, env = "BUOY_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// How logs look.
    #[arg(long, env = "BUOY_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
}

/// Whether something is done: devices are asked what they are, or what was read is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Switch {
    On,
    Off,
}

/// A port that is open, or not.
#[derive(Clone, Copy, Debug)]
enum Port {
    At(SocketAddr),
    Off,
}

impl Port {
    const DTLS: Self = Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5684));

    fn address(self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

/// What is no port.
#[derive(Debug)]
struct InvalidPort;

impl std::fmt::Display for InvalidPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an address is as in 127.0.0.1:5684 or [::1]:5684, or off")
    }
}

impl std::error::Error for InvalidPort {}

impl FromStr for Port {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| InvalidPort),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    store: Option<String>,
    store_patience: Option<u64>,
    coaps: Option<Port>,
    coap: Option<Port>,
    bootstraps: Option<Port>,
    bootstrap: Option<Port>,
    public_host: Option<String>,
    http: Option<SocketAddr>,
    bootstrap_http: Option<SocketAddr>,
    http_cert: Option<PathBuf>,
    http_key: Option<PathBuf>,
    #[serde(default)]
    behind_proxy: bool,
    #[serde(default)]
    leshan_on_loopback: bool,
    #[serde(default)]
    release_key: Vec<PathBuf>,
    #[serde(default)]
    allow_receivers_in: Vec<String>,
    oidc_issuer: Option<String>,
    oidc_client_id: Option<String>,
    oidc_client_secret_file: Option<PathBuf>,
    oidc_client_secret: Option<buoy_api::Secret>,
    oidc_name: Option<String>,
    #[serde(default)]
    oidc_role: Vec<String>,
    oidc_groups_claim: Option<String>,
    oidc_name_claim: Option<String>,
    oidc_scopes: Option<String>,
    oidc_interface_url: Option<String>,
    files: Option<SocketAddr>,
    files_tls: Option<SocketAddr>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    public_url: Option<String>,
    shards: Option<usize>,
    models: Option<PathBuf>,
    retention_days: Option<u32>,
    awake_time: Option<u64>,
    keep_events: Option<u64>,
    survey: Option<Switch>,
    keep_reads: Option<Switch>,
    server_key: Option<PathBuf>,
    server_cert: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    log_format: Option<LogFormat>,
}

impl File {
    /// What it says of OpenID Connect.
    fn oidc(&mut self) -> Oidc {
        Oidc {
            oidc_issuer: self.oidc_issuer.take(),
            oidc_client_id: self.oidc_client_id.take(),
            oidc_client_secret_file: self.oidc_client_secret_file.take(),
            oidc_client_secret: self.oidc_client_secret.take(),
            oidc_name: self.oidc_name.take(),
            oidc_role: std::mem::take(&mut self.oidc_role),
            oidc_groups_claim: self.oidc_groups_claim.take(),
            oidc_name_claim: self.oidc_name_claim.take(),
            oidc_scopes: self.oidc_scopes.take(),
            oidc_interface_url: self.oidc_interface_url.take(),
        }
    }
}

/// What the flags, the environment and the file say together.
pub(super) struct Planned {
    pub(super) settings: Settings,
    pub(super) ports: HttpPorts,
    log_format: LogFormat,
    /// Whether the place of the state was named.
    names_store: bool,
}

/// Reads the settings, and starts nothing.
pub(super) fn plan(args: Args) -> anyhow::Result<Planned> {
    let mut file = read(args.config.as_deref())?;
    let oidc = args.oidc.or(file.oidc());
    let log_format = args.log_format.or(file.log_format).unwrap_or_default();
    let data = args.data.or(file.data).unwrap_or_else(|| "buoy-data".into());
    let store = args.store.or(file.store);
    let mut settings = Settings {
        store: StorePlace::named_or_in(store.as_deref(), &data),
        store_patience: Duration::from_secs(args.store_patience.or(file.store_patience).unwrap_or(60)),
        data,
        listen: Listen {
            coaps: args.coaps.or(file.coaps).unwrap_or(Port::DTLS).address(),
            coap: args.coap.or(file.coap).and_then(Port::address),
            bootstraps: args.bootstraps.or(file.bootstraps).and_then(Port::address),
            bootstrap: args.bootstrap.or(file.bootstrap).and_then(Port::address),
            files: None,
            files_tls: None,
            public_host: args.public_host.or(file.public_host).map(public_host).transpose()?,
            public_url: args.public_url.or(file.public_url).map(public_url).transpose()?,
        },
        shards: args.shards.or(file.shards).unwrap_or_else(cores),
        models: args.models.or(file.models),
        release_keys: if args.release_key.is_empty() { file.release_key } else { args.release_key },
        retention_days: args.retention_days.or(file.retention_days).unwrap_or(30),
        awake_time: Duration::from_secs(args.awake_time.or(file.awake_time).unwrap_or(93)),
        keep_events: Duration::from_secs(args.keep_events.or(file.keep_events).unwrap_or(0)),
        survey: args.survey.or(file.survey) != Some(Switch::Off),
        keep_reads: args.keep_reads.or(file.keep_reads) == Some(Switch::On),
        identity: IdentityFiles {
            key: args.server_key.or(file.server_key),
            certificate: args.server_cert.or(file.server_cert),
            client_authorities: args.client_ca.or(file.client_ca),
        },
        allow_receivers_in: networks(if args.allow_receivers_in.is_empty() {
            file.allow_receivers_in
        } else {
            args.allow_receivers_in
        })?,
        provider: None,
        watched_certificates: Vec::new(),
    };
    let identity = &settings.identity;
    let own = identity.certificate.clone().zip(identity.key.clone());
    let interface = args.http.or(file.http).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    let bootstrap = args.bootstrap_http.or(file.bootstrap_http);
    let proxy = if args.behind_proxy || file.behind_proxy { Proxy::InFront } else { Proxy::None };
    let files = match (args.http_cert.or(file.http_cert), args.http_key.or(file.http_key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => bail!("http_cert and http_key go together; give both, or none"),
    };
    let is_outside = |address: &SocketAddr| !address.ip().is_loopback();
    let protection = match files {
        Some((certificate, key)) => Protection::Files(certificate, key),
        None if proxy == Proxy::None && [Some(interface), bootstrap].iter().flatten().any(is_outside) => {
            Protection::SelfSigned(names_of(&settings.listen, &[Some(interface), bootstrap]))
        }
        None => Protection::Plain,
    };
    let is_secure = proxy == Proxy::InFront || !matches!(protection, Protection::Plain);
    settings.provider = oidc.provider(if is_secure { "https" } else { "http" })?;
    let leshan =
        if args.leshan_on_loopback || file.leshan_on_loopback { Leshan::Open } else { Leshan::SignedIn };
    let ports = HttpPorts {
        interface,
        bootstrap,
        protection,
        trust: Trust { proxy, leshan },
        files: args.files.or(file.files),
        files_tls: args.files_tls.or(file.files_tls),
        tls: args.tls_cert.or(file.tls_cert).zip(args.tls_key.or(file.tls_key)).or(own),
    };
    let shown = [&ports.tls].into_iter().flatten().map(|(certificate, _)| certificate);
    settings.watched_certificates = shown.cloned().collect();
    if let Protection::Files(certificate, _) = &ports.protection {
        settings.watched_certificates.push(certificate.clone());
    }
    Ok(Planned { settings, ports, log_format, names_store: store.is_some() })
}

/// Runs the server until it is told to stop.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Planned { settings, ports, log_format, names_store } = plan(args)?;
    // What a database says as it stops, it says to each connection.
    logging::start(log_format, "info,tokio_postgres=warn");
    check(&settings)?;
    if let (true, StorePlace::Folder(folder)) = (names_store, &settings.store)
        && *folder != settings.data
        && !folder.is_dir()
    {
        // It is not shown: a URL that is misspelt may have a password in it.
        bail!(
            "--store is neither a URL, as in postgres://user:password@host/database, nor a folder that is there"
        );
    }
    run_threads_in_batches();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = settings.store.to_string();
        let server = Server::start(settings, &ports).await?;
        tracing::info!("the state is in {store}");
        println!("{:<10} {store}", "Store");
        for port in server.ports() {
            announce(&port);
        }
        announce_access(&server)?;
        for (name, uri) in server.interfaces() {
            tracing::info!("{name} at {uri}");
            println!("{name:<10} {uri}");
        }
        tokio::select! {
            signal = stop_signal() => signal?,
            failure = server.running().failed() => {
                // Nothing is lost: what was acknowledged is saved.
                bail!("{failure}; the server ends, since without this part it would serve nobody well. Start it again, and report this")
            }
        }
        tracing::info!("stopping");
        tokio::select! {
            stopped = server.stop() => stopped,
            // A store that fails would be waited for.
            _ = stop_signal() => bail!("ended at the second signal; what the store could not save is lost"),
        }
    })
}

/// Says where a port is and what devices are told of it, which the bootstrap server gives them for good.
fn announce(port: &ListedPort) {
    let ListedPort { name, bound, told, caution } = port;
    if told == bound {
        println!("{name:<10} {bound}");
    } else {
        println!("{name:<10} {bound} (devices are told {told})");
    }
    match caution {
        Some(caution) => tracing::warn!("{name} at {bound}: devices are told {told}; {caution}"),
        None => tracing::info!("{name} at {bound}: devices are told {told}"),
    }
}

fn networks(texts: Vec<String>) -> anyhow::Result<Vec<Network>> {
    let network = |text: &String| {
        text.parse().map_err(|error| anyhow::anyhow!("--allow-receivers-in {text:?} {error}"))
    };
    texts.iter().map(network).collect()
}

fn public_host(text: String) -> anyhow::Result<PublicHost> {
    PublicHost::parse(&text).map_err(|reason| anyhow::anyhow!("--public-host {reason}"))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(64)
}

fn read(path: Option<&std::path::Path>) -> anyhow::Result<File> {
    let Some(path) = path else { return Ok(File::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow::anyhow!(
            "the configuration file {} is wrong in line {line}: {}; correct it",
            path.display(),
            // One line: a message is shown with its control characters escaped.
            error.message().lines().collect::<Vec<_>>().join(", ")
        )
    })
}

/// Whoever is woken waits until the thread that runs has done its part, for this thread and for all that it starts. Under load each then
/// finds more to do at once, and less is lost in going from one to the other. A system that doesn't allow it serves all the same.
#[cfg(target_os = "linux")]
fn run_threads_in_batches() {
    // SAFETY: zeros are a valid value of this plain C structure, and its priority is the only one that this policy has.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call, which concerns this thread alone.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) } != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "threads keep the usual scheduling policy");
    }
}

#[cfg(not(target_os = "linux"))]
fn run_threads_in_batches() {}

/// A URL under which files are found: without a slash at its end.
fn public_url(text: String) -> anyhow::Result<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>".contains(&byte));
    if host.is_empty() || !is_plain {
        bail!("--public-url {text:?} is no URL of files; write it as in https://files.example.org/buoy");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The names of a certificate that the server makes itself: those by which it is reached, as far as they are known.
fn names_of(listen: &Listen, interfaces: &[Option<SocketAddr>]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names
        .extend(listen.public_host.as_ref().map(|host| host.to_string().trim_matches(['[', ']']).to_owned()));
    names.extend(host_name());
    let addresses = interfaces.iter().flatten().map(SocketAddr::ip);
    names.extend(addresses.filter(|address| !address.is_unspecified()).map(|address| address.to_string()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The name of this machine, if it can stand in a certificate.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let is_plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    is_plain.then(|| name.to_owned())
}

/// Says how the first account is made, and what certificate the interface shows.
fn announce_access(server: &Server) -> anyhow::Result<()> {
    if let Some((path, fingerprint)) = server.own_certificate()? {
        println!("{:<10} {} (self-signed; SHA-256 {fingerprint})", "HTTPS", path.display());
    }
    if let Some(token) = server.running().app().accounts().setup_token() {
        // The token is not in the log, which others may read.
        println!("{:<10} {} (one-time token for the first account)", "Setup", token.reveal());
    }
    Ok(())
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    let Listen { coap, coaps, bootstrap, bootstraps, .. } = &settings.listen;
    if coap.is_none() && coaps.is_none() && bootstrap.is_none() && bootstraps.is_none() {
        bail!("there is no port for devices; give --coaps, --coap, --bootstraps or --bootstrap");
    }
    for (flag, address) in [("--coap", coap), ("--bootstrap", bootstrap)] {
        if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
            tracing::warn!(
                "{flag} {address} can be reached from outside, and plain CoAP proves nobody and hides nothing"
            );
        }
    }
    if !(1..=64).contains(&settings.shards) {
        bail!("--shards is {}, and must be 1 to 64", settings.shards);
    }
    Ok(())
}

/// A terminal that is closed ends the server as a stop does: nothing that was asked for is cut off.
async fn stop_signal() -> std::io::Result<()> {
    Stop::listen()?.come().await;
    Ok(())
}
