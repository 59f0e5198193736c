//! Where a database is.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::StoreError;

/// A server that does not answer is given up after this, if the URL says nothing else.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// What was sent and is not acknowledged by the other machine for so long is lost.
const SILENCE: Duration = Duration::from_secs(15);

/// The URL of a database. It is shown without its password.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) config: Config,
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let bad = |cause: String| StoreError::Unreachable {
            place: "the PostgreSQL URL that was given".into(),
            cause: format!("{cause}; write it as in postgres://user:password@host:5432/database"),
        };
        let mut config: Config = url.parse().map_err(|error| bad(super::failure::words(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad(
                "it names no host (a folder of a Unix socket is given as ?host=/var/run/postgresql)".into(),
            ));
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(bad("sslmode=require is not supported: reach the database by a Unix socket, on this machine, or through a tunnel".into()));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_PATIENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("buoy");
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        Ok(Self { config })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(f, "{separator}{}", folder.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(number).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
