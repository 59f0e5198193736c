//! The events that were: `buoy ctl logs`.

use buoy_api::TimedEvent;
use buoy_api::client::{Client, encode};

use super::events::words;
use super::output::{Output, time};
use super::series::moment;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only of this device.
    endpoint: Option<String>,
    /// Only of these types, separated by commas, as in registered,expired,refused.
    #[arg(long)]
    types: Option<String>,
    /// From this time on: as in 2026-12-01T08:00:00Z, or so long ago, as in 15min or 2h. `buoy serve --keep-events` says how long events are kept.
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "1h")]
    since: u64,
    /// Goes on with what happens, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn show(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let mut query = format!("/api/v1/events?since={}&follow={}", args.since, args.follow);
    for (name, value) in [("endpoint", &args.endpoint), ("types", &args.types)] {
        if let Some(value) = value {
            query += &format!("&{name}={}", encode(value));
        }
    }
    let mut failure = None;
    let mut each = |told: TimedEvent| {
        let lines = || vec![format!("{}  {}", time(told.at as i64), words(&told.event))];
        failure = out.print_line(&told, lines).err();
        failure.is_none()
    };
    if args.follow {
        client.events_of(&query, &mut each)?;
    } else {
        // Unknown events of a newer server are ignored.
        client.follow(&query, |_, data| serde_json::from_str(data).map_or(true, &mut each))?;
    }
    failure.map_or(Ok(()), Err)
}
