//! `buoy swarm`: a swarm of simulated devices. The exit code is 1 if anything failed.

mod args;
mod keys;
mod report;

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_sim::account::behind_scheme;
use buoy_sim::swarm::{self, End, Flaw, Progress, SwarmSettings};

use args::Command;
pub(crate) use args::{Args, bits_per_second, percent, seconds};

/// Runs the swarm to its end.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(Command::Credentials { names, keys }) = &args.command {
        if names.devices == 0 {
            bail!("--devices is 0, and there is nothing to print; name how many devices the swarm has");
        }
        return keys.print(names.names().all());
    }
    let settings = args.settings()?;
    let report = swarm::run(&settings, &|progress| show_progress(args, progress))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report::to_json(&report))?);
    } else {
        report::print(&report);
    }
    match report.failed() {
        0 => Ok(()),
        failures => bail!("{failures} exchanges or registrations failed"),
    }
}

/// Nobody should wait for a server that isn't there and not know it.
fn show_progress(args: &Args, Progress { registered, devices, .. }: Progress) {
    match registered {
        0 => eprintln!("no answer from {} so far; is a server there?", args.server),
        count => eprintln!("{count} of {devices} are registered"),
    }
}

impl Args {
    fn settings(&self) -> anyhow::Result<SwarmSettings> {
        let (secured, plain) = (behind_scheme(&self.server, "coaps"), behind_scheme(&self.server, "coap"));
        let is_secured = secured.is_some();
        let server = secured.or(plain).unwrap_or(&self.server);
        let server: SocketAddrV4 = server.trim_end_matches('/').parse().with_context(|| {
            format!(
                "--server {} is not as in coap://127.0.0.1:5683: the swarm takes an IPv4 address with its port",
                self.server
            )
        })?;
        if !is_secured && self.keys.are_given() {
            bail!("--server {} is plain CoAP, for which there are no keys; name it as coaps://", self.server);
        }
        Ok(SwarmSettings {
            server,
            keys: is_secured.then(|| self.keys.keys()).transpose()?,
            names: self.names.names(),
            run: Duration::from_secs(self.seconds),
            window: self.window,
            lifetime: self.lifetime,
            queue_mode: self.queue,
            measure_every: Duration::from_secs(self.measure),
            resume: self.resume,
            takes_updates: self.updates,
            flaw: self.crash.zip(self.on.clone()).map(|(percent, version)| Flaw { version, percent }),
            offline: self.offline,
            link: self.slow,
            end: if self.keep { End::Vanish } else { End::Deregister },
        })
    }
}
