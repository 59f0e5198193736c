//! What `buoy swarm` is told.

use super::keys::KeyArgs;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The server.
    #[arg(long, value_name = "coap[s]://IP:PORT", default_value = "coap://127.0.0.1:5683")]
    pub(super) server: String,
    #[command(flatten)]
    pub(super) names: Names,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Seconds for which they run once the last has started to register.
    #[arg(long, default_value_t = 10)]
    pub(super) seconds: u64,
    /// Registrations that may be under way at once.
    #[arg(long, default_value_t = 256)]
    pub(super) window: usize,
    /// Seconds: the registrations' lifetime. A device renews before it ends.
    #[arg(long, default_value_t = 60)]
    pub(super) lifetime: u32,
    /// The devices sleep between their contacts (queue mode).
    #[arg(long)]
    pub(super) queue: bool,
    /// Seconds between changes of each device's temperature; observed devices notify them.
    #[arg(long, default_value_t = 10)]
    pub(super) measure: u64,
    /// Lets each device forget its session once all have registered, and resume it with an Update.
    #[arg(long)]
    pub(super) resume: bool,
    /// The devices take firmware updates, by push and by pull over CoAP; they check no signature.
    #[arg(long)]
    pub(super) updates: bool,
    /// Percent of the devices crash on the version of --on, and go back to what they ran before.
    #[arg(long, value_name = "PERCENT", requires = "on", requires = "updates", value_parser = percent)]
    pub(super) crash: Option<f64>,
    /// The version on which they crash.
    #[arg(long, value_name = "VERSION", requires = "crash")]
    pub(super) on: Option<String>,
    /// Leaves the devices registered at the end.
    #[arg(long)]
    pub(super) keep: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Which devices there are.
#[derive(Debug, clap::Args)]
pub(super) struct Names {
    /// How many devices.
    #[arg(long, default_value_t = 1000)]
    pub(super) devices: u32,
    /// Their names start so.
    #[arg(long, default_value = "swarm")]
    pub(super) prefix: String,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Prints the keys of a swarm as lines for `buoy ctl credentials import`.
    Credentials {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        keys: KeyArgs,
    },
}

/// `3` or `3%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    number.ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "give 0 to 100".to_owned())
}

impl Names {
    pub(super) fn names(&self) -> buoy_sim::swarm::Names {
        buoy_sim::swarm::Names { devices: self.devices, prefix: self.prefix.clone() }
    }
}
