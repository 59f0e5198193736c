//! `buoy serve`: settings from flags, environment and file, in this order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::logging::{self, LogFormat};
use crate::serve::{IdentityFiles, Server, Settings};

/// Settings; each can also stand in the environment, or in the configuration file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A TOML file with these settings.
    #[arg(long, env = "BUOY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for the database and the firmware [default: ./buoy-data]
    #[arg(long, env = "BUOY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where devices speak CoAP over UDP [default: 127.0.0.1:5683]
    #[arg(long, env = "BUOY_COAP", value_name = "IP:PORT")]
    coap: Option<SocketAddr>,
    /// Where the REST interface is [default: 127.0.0.1:8080]
    #[arg(long, env = "BUOY_HTTP", value_name = "IP:PORT")]
    http: Option<SocketAddr>,
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

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    coap: Option<SocketAddr>,
    http: Option<SocketAddr>,
    shards: Option<usize>,
    models: Option<PathBuf>,
    retention_days: Option<u32>,
    awake_time: Option<u64>,
    server_key: Option<PathBuf>,
    server_cert: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    log_format: Option<LogFormat>,
}

/// Runs the server until it is told to stop.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let file = read(args.config.as_deref())?;
    logging::start(args.log_format.or(file.log_format).unwrap_or_default(), "info");
    let settings = Settings {
        data: args.data.or(file.data).unwrap_or_else(|| "buoy-data".into()),
        coap: args.coap.or(file.coap).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5683))),
        http: args.http.or(file.http).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
        shards: args.shards.or(file.shards).unwrap_or_else(cores),
        models: args.models.or(file.models),
        retention_days: args.retention_days.or(file.retention_days).unwrap_or(30),
        awake_time: Duration::from_secs(args.awake_time.or(file.awake_time).unwrap_or(93)),
        identity: IdentityFiles {
            key: args.server_key.or(file.server_key),
            certificate: args.server_cert.or(file.server_cert),
            client_authorities: args.client_ca.or(file.client_ca),
        },
    };
    check(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(settings).await?;
        println!("CoAP  coap://{}", server.coap_address());
        println!("REST  http://{}", server.http_address());
        stop_signal().await?;
        tracing::info!("stopping");
        server.stop().await
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(64)
}

fn read(path: Option<&std::path::Path>) -> anyhow::Result<File> {
    let Some(path) = path else { return Ok(File::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    toml::from_str(&text).with_context(|| {
        format!("the configuration file {} is wrong; correct the line that is named", path.display())
    })
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    // The REST interface has no log-in yet, and CoAP without DTLS proves nobody.
    for (flag, address) in [("--coap", settings.coap), ("--http", settings.http)] {
        if !address.ip().is_loopback() {
            bail!(
                "{flag} {address} is not a loopback address: without log-in and DTLS the server must not be reached from outside; use 127.0.0.1 or [::1]"
            );
        }
    }
    if !(1..=64).contains(&settings.shards) {
        bail!("--shards is {}, and must be 1 to 64", settings.shards);
    }
    Ok(())
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
