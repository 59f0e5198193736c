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
    /// Percent of the devices fall silent for good when they have registered.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "0")]
    pub(super) offline: f64,
    /// What the link of each device carries in a second, both ways together, as in 64kbit or 2Mbit; no limit without it.
    #[arg(long, value_name = "RATE", value_parser = bits_per_second)]
    pub(super) slow: Option<u64>,
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
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    number.ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "give 0 to 100".to_owned())
}

/// `64kbit`, `2Mbit` or `9600bit`: bits in a second.
pub(crate) fn bits_per_second(text: &str) -> Result<u64, String> {
    let wrong = || "give a rate as in 9600bit, 64kbit or 2Mbit".to_owned();
    let (number, factor) = [("kbit", 1000), ("Mbit", 1_000_000), ("bit", 1)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    let bits = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bits.filter(|bits| *bits > 0).ok_or_else(wrong)
}

/// `90s`, `15m`, `2h` or `1d`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "give a duration as in 90s, 15m, 2h or 1d".to_owned();
    let (number, factor) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

impl Names {
    pub(super) fn names(&self) -> buoy_sim::swarm::Names {
        buoy_sim::swarm::Names { devices: self.devices, prefix: self.prefix.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_durations_are_read_with_their_units_and_not_without() {
        assert_eq!(bits_per_second("64kbit"), Ok(64_000));
        assert_eq!(bits_per_second("9600bit"), Ok(9600));
        assert_eq!(bits_per_second("2Mbit"), Ok(2_000_000));
        assert_eq!(seconds("1d"), Ok(86_400));
        for wrong in ["", "64", "kbit", "0bit", "-1bit", "99999999999999999999kbit"] {
            assert!(bits_per_second(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "7", "d", "-1d", "99999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
