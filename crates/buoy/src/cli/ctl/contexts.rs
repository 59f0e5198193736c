//! The servers that were signed in to, each with its token, in a file of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use buoy_api::Secret;
use buoy_api::client::Client;
use buoy_services::{certificates, private_file};
use serde::{Deserialize, Serialize};

use super::ServerArgs;
use super::exit::{Exit, NotDone};
use super::output::{Output, line, table};

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Contexts {
    /// The one that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    #[serde(default)]
    pub(super) contexts: BTreeMap<String, Context>,
}

/// A server that was signed in to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) server: String,
    pub(super) account: String,
    pub(super) token: Secret,
    /// The id of the token.
    pub(super) token_id: u64,
    /// Certificates that are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<PathBuf>,
}

/// A context as it is listed: without its token.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    server: String,
    account: String,
    current: bool,
}

/// The server of a command line, and what it is reached with.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: String,
    pub(super) token: Option<Secret>,
    pub(super) ca: Option<PathBuf>,
    /// The name of the context that it comes from.
    pub(super) context: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Lists them.
    List,
    /// Uses one from now on.
    Use(Name),
    /// Forgets one. Its token goes on counting at the server; `buoy ctl logout` removes both.
    #[command(visible_alias = "remove")]
    Forget(Name),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// Its name.
    name: String,
}

pub(super) fn run(out: Output, verb: &Verb) -> anyhow::Result<()> {
    let mut contexts = Contexts::read()?;
    match verb {
        Verb::List => {
            let rows: Vec<_> = contexts
                .contexts
                .iter()
                .map(|(name, context)| Listed {
                    name: name.clone(),
                    server: context.server.clone(),
                    account: context.account.clone(),
                    current: contexts.current.as_ref() == Some(name),
                })
                .collect();
            out.print(&rows, || {
                let mark = |is_current| if is_current { "*" } else { "" }.to_owned();
                let row =
                    |it: &Listed| [mark(it.current), it.name.clone(), it.server.clone(), it.account.clone()];
                table(&["", "NAME", "SERVER", "ACCOUNT"], rows.iter().map(row));
            })
        }
        Verb::Use(Name { name }) => {
            contexts.get(name)?;
            contexts.current = Some(name.clone());
            contexts.save()?;
            out.print(name, || line(format_args!("{name} is used from now on")))
        }
        Verb::Forget(Name { name }) => {
            contexts.get(name)?;
            contexts.remove(name);
            contexts.save()?;
            out.print(name, || line(format_args!("{name} is forgotten")))
        }
    }
}

impl Contexts {
    pub(super) fn read() -> anyhow::Result<Self> {
        let Some(path) = path() else { return Ok(Self::default()) };
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = private_file::read(&path)?;
        serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is no file of `buoy ctl login`; remove it, and sign in again", path.display())
        })
    }

    pub(super) fn save(&self) -> anyhow::Result<()> {
        let path = path().context("the user has no home folder to save a sign-in in; set BUOY_CONTEXTS to a file, or use BUOY_TOKEN")?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let text = zeroize::Zeroizing::new(serde_json::to_vec_pretty(self)?);
        private_file::replace(&path, &text)
    }

    fn get(&self, name: &str) -> anyhow::Result<&Context> {
        let known = self.contexts.get(name);
        known.ok_or_else(|| {
            let reason = format!("there is no context {name}; `buoy ctl context list` lists them");
            NotDone::error(Exit::WrongUse, reason)
        })
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = self.contexts.keys().next().cloned();
        }
    }
}

impl Place {
    /// A server that is named counts before that of a context. A context's token goes to no other server than its own.
    pub(super) fn of(args: &ServerArgs) -> anyhow::Result<Self> {
        Self::chosen(args.server.clone(), args.token.clone(), args.context.clone(), args.ca.clone())
    }

    fn chosen(
        server: Option<String>,
        token: Option<String>,
        context: Option<String>,
        ca: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let contexts = match (&server, &token, &context) {
            // A script that says everything doesn't depend on a file.
            (Some(_), Some(_), None) => Contexts::default(),
            _ => Contexts::read()?,
        };
        let context = match &context {
            Some(name) => Some((name, contexts.get(name)?)),
            None => {
                let current = contexts.current.as_ref();
                current.and_then(|name| Some((name, contexts.contexts.get(name)?)))
            }
        };
        let server = server.or_else(|| context.map(|(_, context)| context.server.clone()));
        let server = server.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        if server.contains(char::is_whitespace) || server.is_empty() {
            let reason = format!("--server {server:?} is no address of a server, as in {DEFAULT_SERVER}");
            return Err(NotDone::error(Exit::WrongUse, reason));
        }
        let context = context.filter(|(_, context)| is_same(&context.server, &server));
        let of_args = token.filter(|token| !token.is_empty()).map(Secret::new);
        Ok(Self {
            token: of_args.or_else(|| context.map(|(_, context)| context.token.clone())),
            ca: ca.or_else(|| context.and_then(|(_, context)| context.ca.clone())),
            context: context.map(|(name, _)| name.clone()),
            server,
        })
    }

    /// A server by its address, without a sign-in.
    pub(super) fn at(server: &str, ca: Option<&Path>) -> Self {
        let server = if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
        Self { server, token: None, ca: ca.map(Path::to_owned), context: None }
    }

    /// The server of the environment or of the context that is used, as for a completion, which sees no flags.
    pub(super) fn of_environment() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::chosen(
            set("BUOY_SERVER"),
            set("BUOY_TOKEN"),
            set("BUOY_CONTEXT"),
            set("BUOY_CA").map(PathBuf::from),
        )
    }

    /// A client of the server, with the token if there is one.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let client = self.anonymous()?;
        Ok(match &self.token {
            Some(token) => client.with_token(token.clone()),
            None => client,
        })
    }

    /// A client without a token.
    pub(super) fn anonymous(&self) -> anyhow::Result<Client> {
        if !self.server.starts_with("https://") {
            return Ok(Client::new(&self.server));
        }
        let trusted = match &self.ca {
            Some(path) => of_file(path)?,
            None => rustls_native_certs::load_native_certs().certs.iter().map(|der| der.to_vec()).collect(),
        };
        Ok(Client::trusting(&self.server, &trusted))
    }
}

fn of_file(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    use x509_cert::der::Encode;
    let all = certificates::read_certificates(path)?;
    all.iter().map(|certificate| Ok(certificate.to_der()?)).collect()
}

fn is_same(one: &str, other: &str) -> bool {
    let plain = |server: &str| {
        let server = server.trim_end_matches('/');
        if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
    };
    plain(one) == plain(other)
}

fn path() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("BUOY_CONTEXTS")
        .or_else(|| of("XDG_CONFIG_HOME").map(|folder| folder.join("buoy/contexts.json")))
        .or_else(|| of("HOME").map(|home| home.join(".config/buoy/contexts.json")))
}

/// A file for the certificates of a context, by its whole path: the next command may run elsewhere.
pub(super) fn whole(path: &Path) -> anyhow::Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) => bail!("{} cannot be read: {error}", path.display()),
    }
}
