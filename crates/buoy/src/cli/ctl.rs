//! `buoy ctl`: every call of the REST interface as a verb.
//!
//! Tables are for people; `-o json` gives what the server said, one document or one line an event, for scripts. Standard output has values
//! and lists alone; what else there is to say goes to standard error.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod alerts;
mod audit;
mod bootstrap;
mod campaigns;
mod contexts;
#[cfg(test)]
mod coverage;
mod credentials;
mod desired;
mod devices;
mod events;
mod exit;
mod firmware;
mod groups;
mod jobs;
mod logs;
mod names;
mod naming;
mod operations;
mod output;
mod receivers;
mod records;
mod series;
mod status;
mod suggest;
mod trace;
mod watch;
mod why;

use std::time::Duration;

use buoy_api::client::Client;
use clap::Subcommand;

pub(super) use access::{LoginAt, login_at, new_password};
pub(super) use events::words as event_words;
pub(super) use exit::{EXIT_CODES, Exit};
pub(super) use names::{Completed, names};
use output::Output;

/// Shown below the help.
const AFTER_HELP: &str = "\
The exit codes: `buoy help exit-codes`.

Where a PATH is asked for, names stand for numbers: firmware-update/state is /5/0/3. Values of devices are shown with control characters and \
other characters that act on a terminal escaped; -o json is exact.";

/// Which server is meant, and what it is reached with.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct ServerArgs {
    /// The server [default: that of the context, or http://127.0.0.1:8080]
    #[arg(long, env = "BUOY_SERVER", value_name = "URL", global = true)]
    server: Option<String>,
    /// An API token [default: that of the context, if it is for this server]
    #[arg(long, env = "BUOY_TOKEN", value_name = "TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Certificates that are trusted over HTTPS, as the server's own (PEM) [default: those of the context, or of the system]
    #[arg(long, env = "BUOY_CA", value_name = "FILE", global = true)]
    ca: Option<std::path::PathBuf>,
    /// A server that `buoy ctl login` has saved, by its name [default: the last one]
    #[arg(long, env = "BUOY_CONTEXT", value_name = "NAME", global = true)]
    context: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The same as `-o json`.
    #[arg(long, global = true, conflicts_with = "format_of_answers")]
    json: bool,
    /// In which form answers are printed [default: table]
    #[arg(
        short = 'o',
        long = "output",
        id = "format_of_answers",
        value_enum,
        value_name = "FORM",
        global = true
    )]
    output: Option<Output>,
    /// Shows a list or a thing again and again, every 2 seconds or as often as is said, until Ctrl-C.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        global = true
    )]
    watch: Option<u64>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows what the server is like: whether it is ready, its devices, and what is under way.
    Status,
    /// Lists the devices that are registered or were, or counts them.
    Devices(devices::List),
    /// Shows one device: what is known of it, its registration, objects and observations.
    Device(devices::One),
    /// Says what is wrong with a device, what shows it, and what to do next.
    Why(why::Args),
    /// Shows the objects of a device, with the names, types and units of their resources.
    Objects(devices::Objects),
    /// Changes what is noted of a device: tags, groups, fields, notes.
    Note(records::Note),
    /// Notes what is known of many devices, from a CSV file; those that are not known are expected from now on.
    Import(records::Import),
    /// Prints devices as CSV.
    Export(records::Export),
    /// Shows the last values that a device reported.
    Values(devices::One),
    /// Groups of devices.
    #[command(subcommand)]
    Group(groups::Verb),
    /// Filters that were saved, and what a filter matches.
    #[command(subcommand)]
    Filter(groups::FilterVerb),
    /// Forgets a device that is not registered.
    Forget(devices::One),
    /// Shows the values that devices reported over time.
    Series(series::Args),
    /// Reads values; several paths are read at once (Read-Composite).
    Read(operations::Read),
    /// Writes values; several paths are written at once, all or none (Write-Composite).
    Write(operations::Write),
    /// Runs a resource, such as /3/0/4 to reboot.
    Execute(operations::Execute),
    /// Makes an instance of an object.
    Create(operations::Create),
    /// Takes an instance away.
    Delete(operations::Delete),
    /// Shows what a device has, and with which attributes.
    Discover(operations::Discover),
    /// Sets when a device notifies, as in pmin=10 pmax=60; NAME alone unsets.
    Attributes(operations::Attributes),
    /// Watches values live, until Ctrl-C, which ends the observation.
    Observe(operations::Observe),
    /// Ends an observation.
    Unobserve(operations::Unobserve),
    /// Lists operations, the newest first.
    Operations(operations::List),
    /// Shows one operation, with what the device answered.
    Operation(operations::One),
    /// Cancels an operation that has not ended.
    Cancel(operations::One),
    /// By what devices prove who they are.
    #[command(subcommand)]
    Credentials(credentials::Verb),
    /// The firmware library.
    #[command(subcommand)]
    Firmware(firmware::Verb),
    /// Updates the firmware of a device, and shows how it goes.
    Update(firmware::Start),
    /// Lists firmware updates, the newest first.
    Updates(firmware::List),
    /// Cancels a firmware update.
    CancelUpdate(firmware::Cancel),
    /// Keeps values and observations of devices as they are wanted.
    #[command(subcommand)]
    Desired(desired::Verb),
    /// Gives one command to many devices.
    #[command(subcommand)]
    Job(jobs::Verb),
    /// Brings one release to many devices, wave by wave.
    #[command(subcommand)]
    Campaign(Box<campaigns::Verb>),
    /// What fires, by which rules, and who is told.
    #[command(subcommand)]
    Alert(alerts::Verb),
    /// With what the bootstrap server configures devices, and which of them wait for a yes.
    #[command(subcommand)]
    Bootstrap(bootstrap::Verb),
    /// Shows who changed what, the newest first.
    Audit(audit::Args),
    /// Makes the first account of a server, by the one-time token that it printed at its start.
    Setup(access::Setup),
    /// Signs in, and saves a token for the verbs that follow.
    Login(access::Login),
    /// Removes the saved token, here and at the server.
    Logout,
    /// Shows for whom the verbs act, and what he may do.
    Whoami,
    /// The servers that were signed in to.
    #[command(subcommand)]
    Context(contexts::Verb),
    /// The accounts of people.
    #[command(subcommand)]
    Account(access::AccountVerb),
    /// The API tokens of programs.
    #[command(subcommand)]
    Token(access::TokenVerb),
    /// Follows what happens, until Ctrl-C.
    Events(events::Args),
    /// Shows what happened, as far as events are kept.
    Logs(logs::Args),
    /// Shows the CoAP messages of a device as they come and go, decrypted and decoded, until Ctrl-C.
    Trace(trace::Args),
}

/// Does what the command line says.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let out = args.output();
    output::begin(out);
    let place = contexts::Place::of(&args.server)?;
    let client: Client = place.client()?;
    let done = match args.watch.map(Duration::from_secs) {
        Some(every) => watch::repeat(&args.verb, every, || perform(&place, &client, out, &args.verb)),
        None => perform(&place, &client, out, &args.verb),
    };
    done.map_err(|error| suggest::explained(&client, error))
}

impl ServerArgs {
    /// A client of the server.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        contexts::Place::of(self)?.client()
    }
}

impl Args {
    fn output(&self) -> Output {
        let of_flag = if self.json { Output::Json } else { Output::Table };
        self.output.unwrap_or(of_flag)
    }
}

fn perform(place: &contexts::Place, client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Status => status::show(client, out),
        Verb::Devices(args) => devices::list(client, out, args),
        Verb::Device(args) => devices::one(client, out, args),
        Verb::Why(args) => why::why(client, out, args),
        Verb::Objects(args) => devices::objects(client, out, args),
        Verb::Note(args) => records::note(client, out, args),
        Verb::Import(args) => records::import(client, out, args),
        Verb::Export(args) => records::export(client, out, args),
        Verb::Values(args) => devices::values(client, out, args),
        Verb::Group(verb) => groups::run(client, out, verb),
        Verb::Filter(verb) => groups::run_filter(client, out, verb),
        Verb::Forget(args) => devices::forget(client, out, args),
        Verb::Series(args) => series::show(client, out, args),
        Verb::Read(args) => operations::read(client, out, args),
        Verb::Write(args) => operations::write(client, out, args),
        Verb::Execute(args) => operations::execute(client, out, args),
        Verb::Create(args) => operations::create(client, out, args),
        Verb::Delete(args) => operations::delete(client, out, args),
        Verb::Discover(args) => operations::discover(client, out, args),
        Verb::Attributes(args) => operations::attributes(client, out, args),
        Verb::Observe(args) => operations::observe(client, out, args),
        Verb::Unobserve(args) => operations::unobserve(client, out, args),
        Verb::Operations(args) => operations::list(client, out, args),
        Verb::Operation(args) => operations::one(client, out, args),
        Verb::Cancel(args) => operations::cancel(client, out, args),
        Verb::Credentials(verb) => credentials::run(client, out, verb),
        Verb::Firmware(verb) => firmware::library(client, out, verb),
        Verb::Update(args) => firmware::start(client, out, args),
        Verb::Updates(args) => firmware::list(client, out, args),
        Verb::CancelUpdate(args) => firmware::cancel(client, out, args),
        Verb::Desired(verb) => desired::run(client, out, verb),
        Verb::Job(verb) => jobs::run(client, out, verb),
        Verb::Alert(verb) => alerts::run(client, out, verb),
        Verb::Campaign(verb) => campaigns::run(client, out, verb),
        Verb::Bootstrap(verb) => bootstrap::run(client, out, verb),
        Verb::Audit(args) => audit::list(client, out, args),
        Verb::Setup(args) => access::set_up(place, client, out, args),
        Verb::Login(args) => access::login(place, client, out, args),
        Verb::Logout => access::logout(place, client, out),
        Verb::Whoami => access::whoami(client, out),
        Verb::Context(verb) => contexts::run(out, verb),
        Verb::Account(verb) => access::accounts(place, client, out, verb),
        Verb::Token(verb) => access::tokens(place, client, out, verb),
        Verb::Events(args) => events::follow(client, out, args),
        Verb::Logs(args) => logs::show(client, out, args),
        Verb::Trace(args) => trace::follow(client, out, args),
    }
}
