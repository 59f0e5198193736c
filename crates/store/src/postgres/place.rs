//! Where a database is, and how it is reached.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::certificate::Roots;
use super::tls::{Mode, Tls};
use crate::StoreError;

/// A server that does not answer is given up after this, if the URL says nothing else.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// What was sent and is not acknowledged by the other machine for so long is lost.
const SILENCE: Duration = Duration::from_secs(15);

/// The URL of a database. It is shown without its password.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) config: Config,
    /// None if no TLS is wanted.
    pub(super) tls: Option<Tls>,
    /// Whether it was said that others may read along.
    is_cautioned: Arc<AtomicBool>,
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let Parameters { mut config, mode, roots } = Parameters::read(url).map_err(StoreError::NoUrl)?;
        // PostgreSQL has no TLS over Unix sockets.
        let is_on_network = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        let no_way_in = |cause| StoreError::NoWayIn { place: Shown(&config).to_string(), cause };
        let tls = Tls::new(mode, roots).map_err(no_way_in)?.filter(|_| is_on_network);
        config.ssl_mode(match mode {
            _ if tls.is_none() => SslMode::Disable,
            Mode::Prefer | Mode::Disable => SslMode::Prefer,
            Mode::Require | Mode::VerifyAuthority | Mode::VerifyName => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_PATIENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("buoy");
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        Ok(Self { config, tls, is_cautioned: Arc::default() })
    }

    /// How long it may take until a session is there, whatever the server says meanwhile.
    pub(super) fn patience(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(CONNECT_PATIENCE) * 2
    }

    /// Says once that others may read along, if they may.
    pub(super) fn caution_about_plain_connection(&self) {
        let addresses = self.config.get_hostaddrs();
        let is_elsewhere = match addresses {
            [] => self.config.get_hosts().iter().any(is_elsewhere),
            _ => !addresses.iter().all(IpAddr::is_loopback),
        };
        if is_elsewhere && !self.is_cautioned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the connection to the database {self} is not encrypted: whoever is between can read and change all of it; \
                 switch TLS on at the server, and write sslmode=verify-full into the URL"
            );
        }
    }
}

fn is_elsewhere(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name != "localhost" && !name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => false,
    }
}

/// What can be shown of a URL: without its password, and without parameters, of which one may be a password.
pub(super) fn without_password(url: &str) -> String {
    Parameters::read(url).map_or_else(
        |_| "a PostgreSQL database".to_owned(),
        |parameters| Shown(&parameters.config).to_string(),
    )
}

/// What a URL says.
struct Parameters {
    config: Config,
    mode: Mode,
    roots: Option<Roots>,
}

impl Parameters {
    /// # Errors
    /// What is wrong with it, without what may be a password.
    fn read(url: &str) -> Result<Self, String> {
        let scheme = url.find("://").map_or(0, |at| at + "://".len());
        // The name and the password of the user go up to the first @.
        let after_user = url.find('@').map_or(scheme, |at| at + 1);
        let user = url.get(scheme..after_user).unwrap_or_default().split(':').next().unwrap_or_default();
        if user.contains(['/', '?']) {
            return Err("an @ behind the host is written %40".into());
        }
        let (before, rest) = url.split_at(after_user);
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err("an @ of a user or a password is written %40".into());
        }
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => {
                    let words = "sslmode is one of disable, prefer, require, verify-ca and verify-full";
                    mode = Some(Mode::parse(value).ok_or(words)?);
                }
                Some(("sslrootcert", "system")) => roots = Some(Roots::System),
                Some(("sslrootcert", value)) => {
                    let path = percent_decode_str(value).decode_utf8();
                    let path = path.map_err(|_| "the path of sslrootcert is not UTF-8")?;
                    roots = Some(Roots::File(path.as_ref().into()));
                }
                _ => others.push(parameter),
            }
        }
        // The driver knows fewer modes, and no files.
        let separator = if others.is_empty() { "" } else { "?" };
        let rest = format!("{before}{place}{separator}{}", others.join("&"));
        let mut config: Config = rest.parse().map_err(|error| super::failure::words(&error))?;
        if config.get_hosts().is_empty() {
            // An address is a name as well as any.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().is_empty() {
            let example = "a folder of a Unix socket is given as ?host=/var/run/postgresql";
            return Err(format!("it names no host ({example})"));
        }
        let usual = if roots == Some(Roots::System) { Mode::VerifyName } else { Mode::Prefer };
        Ok(Self { config, mode: mode.unwrap_or(usual), roots })
    }
}

/// A database as it is shown.
struct Shown<'a>(&'a Config);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.0.get_user() {
            write!(f, "{user}@")?;
        }
        for (number, host) in self.0.get_hosts().iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "{separator}[{name}]")?,
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(f, "{separator}{}", folder.display())?,
            }
            let ports = self.0.get_ports();
            if let Some(port) = ports.get(number).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.0.get_dbname().unwrap_or_default())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.config).fmt(f)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
