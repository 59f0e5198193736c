//! With what devices are configured, and which of them wait for a yes.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use buoy_api::client::{Client, encode};
use buoy_api::{
    BootstrapClaim, BootstrapConfig, BootstrapCredentials, BootstrapServer, Operation, Page, Request,
    StartOperation,
};
use serde_json::Value;
use ureq::http::Method;

use super::operations::check;
use super::output::{Output, ago, line, table};

const CONFIGS: &str = "/api/v1/bootstrap/configs";
const CLAIMS: &str = "/api/v1/bootstrap/claims";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Lists the configurations.
    List,
    /// Shows a configuration, as it can be changed and put again.
    Show(Pattern),
    /// Configures the devices whose names fit a pattern: they register at this server, each with a key of its own.
    Add(Add),
    /// Takes a configuration from a JSON file: several servers, access control, further resources.
    Put(Put),
    /// Forgets a configuration. Devices that have it keep it.
    Remove(Pattern),
    /// Lists the devices that wait for a yes.
    Pending,
    /// Says yes to a device: its next request within a day is granted.
    Accept(Endpoint),
    /// Forgets that a device waits, or that it was said yes to.
    Refuse(Endpoint),
    /// Asks a device to have itself configured anew, as to roll its key over (Bootstrap-Request Trigger, 1/x/9).
    Trigger(Trigger),
}

#[derive(Debug, clap::Args)]
pub(super) struct Pattern {
    /// A name, or one with * for any part of it.
    pattern: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Endpoint {
    /// The device.
    endpoint: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// A name, or one with * for any part of it.
    pattern: String,
    /// Where the devices register, if not at this server.
    #[arg(long, value_name = "coaps://HOST:PORT")]
    uri: Option<String>,
    /// Seconds.
    #[arg(long, default_value_t = 86_400)]
    lifetime: u32,
    /// As in U, or UQ for devices that sleep.
    #[arg(long, default_value = "U")]
    binding: String,
    /// Whether the devices ask to be configured anew when they can't register [default: yes, as LwM2M has it]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    bootstrap_on_failure: Option<bool>,
    /// No keys: the devices register over plain CoAP.
    #[arg(long)]
    without_security: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Put {
    /// A JSON document as `show` prints it, with its secrets; - reads from the standard input.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Trigger {
    /// The device.
    endpoint: String,
    /// The instance of its server object.
    #[arg(long, default_value_t = 0)]
    instance: u16,
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => list(client, out),
        Verb::Show(Pattern { pattern }) => {
            let config: Value = client.get(&config_path(pattern))?;
            // It is for `put`, whoever reads it.
            let out = if out.is_for_people() || out == Output::Csv { Output::Json } else { out };
            out.print(&config, || {})
        }
        Verb::Add(add) => put(client, out, &add.config()),
        Verb::Put(from) => put(client, out, &from.read()?),
        Verb::Remove(Pattern { pattern }) => {
            client.call::<Value>(Method::DELETE, &config_path(pattern), "", &[])?;
            out.print(&Value::Null, || line(format_args!("{pattern} is forgotten")))
        }
        Verb::Pending => pending(client, out),
        Verb::Accept(Endpoint { endpoint }) => {
            let path = format!("{CLAIMS}/{}/accept", encode(endpoint));
            let claim: BootstrapClaim = client.call(Method::POST, &path, "", &[])?;
            out.print(&claim, || line(format_args!("{endpoint} may come within a day")))
        }
        Verb::Refuse(Endpoint { endpoint }) => {
            let path = format!("{CLAIMS}/{}", encode(endpoint));
            client.call::<Value>(Method::DELETE, &path, "", &[])?;
            out.print(&Value::Null, || line(format_args!("{endpoint} is forgotten")))
        }
        Verb::Trigger(args) => trigger(client, out, args),
    }
}

fn list(client: &Client, out: Output) -> anyhow::Result<()> {
    let configs = client.get::<Page<BootstrapConfig>>(CONFIGS)?.items;
    out.print(&configs, || {
        let rows = configs.iter().map(|config| {
            let servers = config.servers.iter().map(|server| {
                let uri = server.uri.as_deref().unwrap_or("this server");
                format!("{uri} ({})", credentials_name(&server.credentials))
            });
            [
                config.pattern.clone(),
                servers.collect::<Vec<_>>().join(", "),
                ago(config.changed_at.unwrap_or_default()),
            ]
        });
        table(&["PATTERN", "SERVERS", "CHANGED"], rows);
    })
}

fn credentials_name(credentials: &BootstrapCredentials) -> &'static str {
    match credentials {
        BootstrapCredentials::MintPsk => "a key for each",
        BootstrapCredentials::Psk { .. } => "one key",
        BootstrapCredentials::Rpk { .. } => "raw public key",
        BootstrapCredentials::X509 { .. } => "certificate",
        BootstrapCredentials::None => "no security",
    }
}

fn put(client: &Client, out: Output, config: &BootstrapConfig) -> anyhow::Result<()> {
    let config: BootstrapConfig = client.send_json(Method::PUT, CONFIGS, config)?;
    out.print(&config, || line(format_args!("{} is configured from now on", config.pattern)))
}

impl Add {
    fn config(&self) -> BootstrapConfig {
        let credentials = match self.without_security {
            true => BootstrapCredentials::None,
            false => BootstrapCredentials::MintPsk,
        };
        let server = BootstrapServer {
            short_server_id: 1,
            uri: self.uri.clone(),
            credentials,
            lifetime: self.lifetime,
            binding: self.binding.clone(),
            default_pmin: None,
            default_pmax: None,
            disable_timeout: None,
            store_notifications: None,
            bootstrap_on_failure: self.bootstrap_on_failure,
        };
        BootstrapConfig {
            pattern: self.pattern.clone(),
            delete: ["/0", "/1", "/2"].map(str::to_owned).to_vec(),
            servers: vec![server],
            bootstrap_server: None,
            acls: Vec::new(),
            writes: Vec::new(),
            changed_at: None,
        }
    }
}

impl Put {
    fn read(&self) -> anyhow::Result<BootstrapConfig> {
        let mut text = String::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text).context("the standard input cannot be read")?;
        } else {
            text = std::fs::read_to_string(&self.file)
                .with_context(|| format!("{} cannot be read", self.file.display()))?;
        }
        serde_json::from_str(&text).with_context(|| {
            format!("{} is no bootstrap configuration; correct the line that is named", self.file.display())
        })
    }
}

fn pending(client: &Client, out: Output) -> anyhow::Result<()> {
    let claims = client.get::<Page<BootstrapClaim>>(CLAIMS)?.items;
    out.print(&claims, || {
        let rows = claims.iter().map(|claim| {
            let asked = |at| if at == 0 { "never".to_owned() } else { ago(at) };
            let state = if claim.accepted_at.is_some() { "may come" } else { "waits" };
            [
                claim.endpoint.clone(),
                state.to_owned(),
                claim.address.clone(),
                asked(claim.first_asked),
                asked(claim.last_asked),
            ]
        });
        table(&["ENDPOINT", "STATE", "ADDRESS", "FIRST ASKED", "LAST ASKED"], rows);
    })
}

fn trigger(client: &Client, out: Output, args: &Trigger) -> anyhow::Result<()> {
    let operation: Operation = client.start_operation(&StartOperation {
        endpoint: args.endpoint.clone(),
        request: Request::Execute { path: format!("/1/{}/9", args.instance), arguments: None },
        deadline: None,
        wait: None,
    })?;
    check(&operation)?;
    out.print(&operation, || line(format_args!("{}: {}", args.endpoint, operation.state)))
}

fn config_path(pattern: &str) -> String {
    format!("{CONFIGS}/{}", encode(pattern))
}
