//! The server with its faces: engines and services, and the HTTP listeners before them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use buoy_http::{Interface, TlsListener, Trust};
use buoy_services::identity;
use buoy_services::listen::ListedPort;
use buoy_services::server::{Opened, Running, Settings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long requests that are under way may go on at a stop. Event streams never end by themselves.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Where HTTP is spoken.
#[derive(Clone, Debug)]
pub(crate) struct HttpPorts {
    /// To people and their programs.
    pub(crate) interface: SocketAddr,
    /// The same in Leshan's dialect for the bootstrap server.
    pub(crate) bootstrap: Option<SocketAddr>,
    /// To devices, which fetch files.
    pub(crate) files: Option<SocketAddr>,
    /// To devices, over TLS.
    pub(crate) files_tls: Option<SocketAddr>,
    /// The certificate and the key for TLS, if not the server's own.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// How the interfaces for people are protected.
    pub(crate) protection: Protection,
    /// Who may use them without a sign-in.
    pub(crate) trust: Trust,
}

/// How the interfaces for people are protected on their way.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// Not at all: they are on loopback, or behind a proxy.
    Plain,
    /// By HTTPS with the operator's certificate and key.
    Files(PathBuf, PathBuf),
    /// By HTTPS with a certificate that the server makes itself, for these names.
    SelfSigned(Vec<String>),
}

/// A server that runs.
pub(crate) struct Server {
    running: Running,
    interface: SocketAddr,
    bootstrap: Option<SocketAddr>,
    /// The certificate of the interfaces and whether the server made it itself, if they speak HTTPS.
    certificate: Option<(PathBuf, bool)>,
    listeners: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    /// Starts everything; devices can register when this returns.
    pub(crate) async fn start(mut settings: Settings, ports: &HttpPorts) -> anyhow::Result<Self> {
        let interface = bind("HTTP", ports.interface).await?;
        let bootstrap = bind_some("bootstrap HTTP", ports.bootstrap).await?;
        let files = bind_some("file", ports.files).await?;
        let files_tls = bind_some("HTTPS file", ports.files_tls).await?;
        settings.listen.files = files.as_ref().map(TcpListener::local_addr).transpose()?;
        settings.listen.files_tls = files_tls.as_ref().map(TcpListener::local_addr).transpose()?;
        let https = https_files(&settings.data, &ports.protection)?;
        let own = (settings.data.join(identity::CERTIFICATE_FILE), settings.data.join(identity::KEY_FILE));
        let running = Opened::open(settings)?.bind()?.start()?;
        let app = running.app().clone();
        let mut server = Self {
            interface: interface.local_addr()?,
            bootstrap: bootstrap.as_ref().map(TcpListener::local_addr).transpose()?,
            certificate: https.as_ref().map(|(certificate, _)| {
                (certificate.clone(), matches!(ports.protection, Protection::SelfSigned(_)))
            }),
            running,
            listeners: Vec::new(),
        };
        let failures = app.failures().clone();
        let mut serve = |part, stop, served: ServedBy| {
            let task = failures.spawn(part, served);
            server.listeners.push((stop, task));
        };
        if let Some(files) = files {
            let (stop, stopped) = oneshot::channel();
            serve("the file server", stop, Box::pin(buoy_http::serve_files(files, app.clone(), stopped)));
        }
        if let Some(files) = files_tls {
            let (certificate, key) = ports.tls.clone().unwrap_or(own);
            let files = TlsListener::new(files, &certificate, &key)?;
            let (stop, stopped) = oneshot::channel();
            serve(
                "the HTTPS file server",
                stop,
                Box::pin(buoy_http::serve_files(files, app.clone(), stopped)),
            );
        }
        if let Some(listener) = bootstrap {
            let (stop, stopped) = oneshot::channel();
            let routes = buoy_http::bootstrap_interface(app.clone(), ports.trust);
            serve(
                "the HTTP server for bootstrap",
                stop,
                served_by(listener, https.as_ref(), routes, stopped)?,
            );
        }
        let (stop, stopped) = oneshot::channel();
        let routes = buoy_http::interface(app, ports.trust);
        serve("the HTTP server", stop, served_by(interface, https.as_ref(), routes, stopped)?);
        Ok(server)
    }

    /// The ports for devices, and what they are told of them.
    pub(crate) fn ports(&self) -> Vec<ListedPort> {
        self.running.app().addresses().listed()
    }

    /// The ports for people, each with its name and its URI.
    pub(crate) fn interfaces(&self) -> Vec<(&'static str, String)> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let bootstrap = self.bootstrap.map(|address| ("BootREST", format!("{scheme}://{address}")));
        bootstrap.into_iter().chain([("REST", format!("{scheme}://{}", self.interface))]).collect()
    }

    /// The certificate that the server made for its interfaces, and its fingerprint.
    pub(crate) fn own_certificate(&self) -> anyhow::Result<Option<(&std::path::Path, String)>> {
        let made = self.certificate.as_ref().filter(|(_, is_own)| *is_own);
        made.map(|(path, _)| Ok((path.as_path(), identity::fingerprint(path)?))).transpose()
    }

    /// The parts that run.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Saves what is to be saved, answers what is to be answered, and ends.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let tasks: Vec<_> = self
            .listeners
            .into_iter()
            .map(|(stop, task)| {
                // One that has ended needs no word.
                let _ = stop.send(());
                task
            })
            .collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(LAST_REQUESTS, all).await;
        self.running.stop().await
    }
}

/// The certificate and the key of the interfaces, if they speak HTTPS.
fn https_files(
    data: &std::path::Path,
    protection: &Protection,
) -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    match protection {
        Protection::Plain => Ok(None),
        Protection::Files(certificate, key) => Ok(Some((certificate.clone(), key.clone()))),
        Protection::SelfSigned(names) => {
            buoy_services::private_file::create_folder(data).with_context(|| {
                format!("the data folder {} cannot be made; choose another --data", data.display())
            })?;
            identity::https_files(data, names).map(Some)
        }
    }
}

fn served_by(
    listener: TcpListener,
    https: Option<&(PathBuf, PathBuf)>,
    routes: Interface,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<ServedBy> {
    Ok(match https {
        None => Box::pin(buoy_http::serve_interface(listener, routes, stopped)),
        Some((certificate, key)) => {
            let listener = TlsListener::new(listener, certificate, key)?;
            Box::pin(buoy_http::serve_interface(listener, routes, stopped))
        }
    })
}

type ServedBy = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

async fn bind_some(what: &str, address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(address) => bind(what, address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| buoy_services::listen::in_use(what, address))
}

#[cfg(test)]
mod tests {
    use buoy_services::listen::Listen;
    use buoy_services::store_place::StorePlace;

    use super::*;

    async fn start(data: &std::path::Path) -> Server {
        let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let settings = Settings {
            data: data.to_owned(),
            store: StorePlace::Folder(data.to_owned()),
            store_patience: Duration::ZERO,
            listen: Listen {
                coap: any,
                coaps: None,
                bootstrap: any,
                bootstraps: None,
                files: None,
                files_tls: None,
                public_host: None,
                public_url: None,
            },
            shards: 2,
            models: None,
            retention_days: 1,
            awake_time: Duration::from_secs(93),
            survey: false,
            keep_reads: false,
            identity: identity::Files::default(),
            allow_receivers_in: Vec::new(),
            provider: None,
            watched_certificates: Vec::new(),
            release_keys: Vec::new(),
            keep_events: Duration::ZERO,
        };
        let interface = SocketAddr::from(([127, 0, 0, 1], 0));
        let ports = HttpPorts {
            interface,
            bootstrap: None,
            files: None,
            files_tls: None,
            tls: None,
            protection: Protection::Plain,
            trust: Trust::default(),
        };
        Server::start(settings, &ports).await.unwrap()
    }

    /// The status of `/readyz`, and what it says.
    async fn ready(server: &Server) -> (u16, String) {
        let uri = format!("http://{}/readyz", server.interface);
        let ask = move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
            let mut answer = agent.get(uri).call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_of_which_a_thread_has_died_is_not_ready_and_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await;
        assert_eq!(ready(&server).await, (200, "ready\n".to_owned()));
        server.running().app().shards()[1].run(|_, _, _| panic!("killed by a test"));
        let failure = server.running().failed().await;
        assert_eq!(failure.to_string(), "shard-1 failed: killed by a test");
        let (status, text) = ready(&server).await;
        assert_eq!(status, 503);
        assert!(text.contains("shard-1"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_whose_parts_were_stopped_has_not_failed() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await;
        let failures = server.running().app().failures().clone();
        server.stop().await.unwrap();
        assert_eq!(failures.first(), None);
    }
}
