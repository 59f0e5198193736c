//! Operations on devices.

mod everything;

use std::collections::BTreeMap;

use std::time::Duration;

use buoy_api::client::Client;
use buoy_api::{Event, Operation, OperationState, PathValue, Request, StartOperation, WriteMode};
use serde_json::Value;

use super::exit::{Exit, NotDone};
use super::naming::{self, Names};
use super::output::{Output, ago, line, note, pairs, table, time};

/// How often an operation is looked at that an observation waits for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a caller waits.
#[derive(Debug, clap::Args)]
pub(super) struct Patience {
    /// Seconds to wait for the device's answer.
    #[arg(long, default_value_t = 5)]
    wait: u64,
    /// Seconds until it is too late for the device to get it: a day is 86400.
    #[arg(long)]
    deadline: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Read {
    /// The device.
    endpoint: String,
    /// As in /3/0/9 or device/battery-level; / is everything that the device has.
    #[arg(required = true)]
    paths: Vec<String>,
    /// TEXT, OPAQUE, TLV, JSON, CBOR, SENML_JSON, SENML_CBOR or LWM2M_CBOR.
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn read(client: &Client, out: Output, args: &Read) -> anyhow::Result<()> {
    let paths = naming::paths(client, &args.endpoint, &args.paths)?;
    if paths == ["/"] {
        return everything::read(client, out, args);
    }
    let request = read_request(&paths, args.format.clone());
    perform(client, out, &args.endpoint, request, &args.patience)
}

pub(super) fn read_request(paths: &[String], format: Option<String>) -> Request {
    match paths {
        [path] => Request::Read { path: path.clone(), format },
        paths => Request::ReadComposite { paths: paths.to_vec(), path_format: None, format },
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Write {
    /// The device.
    endpoint: String,
    /// As in /3311/0/5850=true; a value that is no JSON is text.
    #[arg(required = true, value_name = "PATH=VALUE")]
    values: Vec<String>,
    /// The content format.
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn write(client: &Client, out: Output, args: &Write) -> anyhow::Result<()> {
    let mut values = assignments(&args.values)?;
    for value in &mut values {
        value.path = naming::path(client, &args.endpoint, &value.path)?;
    }
    let request = write_request(values, args.format.clone());
    perform(client, out, &args.endpoint, request, &args.patience)
}

pub(super) fn write_request(values: Vec<PathValue>, format: Option<String>) -> Request {
    match values.as_slice() {
        [one] => Request::Write { path: one.path.clone(), values, mode: WriteMode::Update, format },
        _ => Request::WriteComposite { values, format },
    }
}

pub(super) fn assignments(texts: &[String]) -> anyhow::Result<Vec<PathValue>> {
    let split = |text: &String| -> anyhow::Result<PathValue> {
        let wrong = || format!("{text}: a value is given as PATH=VALUE, as in /3311/0/5850=true");
        let (path, value) = text.split_once('=').ok_or_else(|| NotDone::error(Exit::WrongUse, wrong()))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let value =
            if value.is_object() || value.is_array() { Value::String(value.to_string()) } else { value };
        Ok(PathValue { path: path.to_owned(), value, kind: None, at: None })
    };
    texts.iter().map(split).collect()
}

#[derive(Debug, clap::Args)]
pub(super) struct Execute {
    /// The device.
    endpoint: String,
    /// As in /3/0/4.
    path: String,
    /// As in "0,1='text'".
    arguments: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn execute(client: &Client, out: Output, args: &Execute) -> anyhow::Result<()> {
    let path = naming::path(client, &args.endpoint, &args.path)?;
    let request = Request::Execute { path, arguments: args.arguments.clone() };
    perform(client, out, &args.endpoint, request, &args.patience)
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The device.
    endpoint: String,
    /// The object, as in /3303.
    object: String,
    /// The instance's id; the device chooses if there is none.
    #[arg(long)]
    instance: Option<u16>,
    /// As in 5700=20.5; without any the instance gets what the device gives it
    #[arg(value_name = "RESOURCE=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn create(client: &Client, out: Output, args: &Create) -> anyhow::Result<()> {
    let request = Request::Create {
        path: naming::path(client, &args.endpoint, &args.object)?,
        instance: args.instance,
        values: assignments(&args.values)?,
        format: None,
    };
    perform(client, out, &args.endpoint, request, &args.patience)
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The device.
    endpoint: String,
    /// As in /3303/1.
    path: String,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn delete(client: &Client, out: Output, args: &Delete) -> anyhow::Result<()> {
    let path = naming::path(client, &args.endpoint, &args.path)?;
    perform(client, out, &args.endpoint, Request::Delete { path }, &args.patience)
}

#[derive(Debug, clap::Args)]
pub(super) struct Discover {
    /// The device.
    endpoint: String,
    /// As in /3.
    path: String,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn discover(client: &Client, out: Output, args: &Discover) -> anyhow::Result<()> {
    let path = naming::path(client, &args.endpoint, &args.path)?;
    perform(client, out, &args.endpoint, Request::Discover { path }, &args.patience)
}

#[derive(Debug, clap::Args)]
pub(super) struct Attributes {
    /// The device.
    endpoint: String,
    /// As in /3303/0/5700.
    path: String,
    /// As in pmin=10; NAME alone unsets.
    #[arg(required = true, value_name = "NAME[=VALUE]")]
    attributes: Vec<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn attributes(client: &Client, out: Output, args: &Attributes) -> anyhow::Result<()> {
    let path = naming::path(client, &args.endpoint, &args.path)?;
    let request = attributes_request(&path, &args.attributes);
    perform(client, out, &args.endpoint, request, &args.patience)
}

pub(super) fn attributes_request(path: &str, texts: &[String]) -> Request {
    let split = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), None),
    };
    let attributes: BTreeMap<_, _> = texts.iter().map(split).collect();
    Request::WriteAttributes { path: path.to_owned(), attributes }
}

#[derive(Debug, clap::Args)]
pub(super) struct Observe {
    /// The device.
    endpoint: String,
    /// As in /3303/0/5700.
    #[arg(required = true)]
    paths: Vec<String>,
    /// The content format.
    #[arg(long)]
    format: Option<String>,
    /// Ends after so many notifications.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Leaves the observation at the device at the end; its values go on to be kept.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn observe(client: &Client, out: Output, args: &Observe) -> anyhow::Result<()> {
    let observed = naming::paths(client, &args.endpoint, &args.paths)?;
    let request = observe_request(&observed, args.format.clone());
    begin_to_observe(client, out, args, request)?;
    let end = {
        let (client, endpoint, paths, keep) =
            (client.clone(), args.endpoint.clone(), observed.clone(), args.keep);
        move || if keep { Ok(()) } else { stop_observing(&client, &endpoint, &paths) }
    };
    end_by_interrupt(end.clone())?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut failure = None;
    let names = if out.is_for_people() { Names::if_known(client, &args.endpoint) } else { Names::default() };
    client.events(Some(&args.endpoint), Some("notification"), |told| {
        let Event::Notification { paths, values, history, .. } = &told.event else { return true };
        if *paths != observed {
            return true;
        }
        let shown = |value: &PathValue| {
            let at = time(value.at.unwrap_or(told.at) as i64);
            let name = names.name(&value.path).map(|name| format!(" {name}")).unwrap_or_default();
            format!("{at}  {}{name}  {}", value.path, names.shown(value))
        };
        let lines = || history.iter().chain(values).map(shown).collect();
        failure = out.print_line(&told, lines).err();
        left -= 1;
        left > 0 && failure.is_none()
    })?;
    end()?;
    failure.map_or(Ok(()), Err)
}

pub(super) fn observe_request(paths: &[String], format: Option<String>) -> Request {
    match paths {
        [path] => Request::Observe { path: path.clone(), format },
        paths => Request::ObserveComposite { paths: paths.to_vec(), path_format: None, format },
    }
}

/// Asks for an observation, and waits until the device has answered: as long as its operation goes on.
fn begin_to_observe(client: &Client, out: Output, args: &Observe, request: Request) -> anyhow::Result<()> {
    let mut operation = start(client, &args.endpoint, request, &args.patience)?;
    if !operation.ended {
        note(format_args!(
            "{} has not answered yet; waiting until {} (`buoy ctl cancel {}` gives it up)",
            args.endpoint,
            time(operation.deadline as i64),
            operation.id
        ));
    }
    while !operation.ended {
        std::thread::sleep(LOOK_EVERY);
        operation = client.operation(operation.id)?;
    }
    show(client, out, &operation)?;
    check(&operation)
}

/// Ctrl-C ends the program, after `end`.
fn end_by_interrupt(end: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let code = match end() {
                Ok(()) => 0,
                Err(error) => {
                    note(format_args!("buoy: {error:#}"));
                    Exit::of(&error) as i32
                }
            };
            std::process::exit(code);
        }
    });
    Ok(())
}

fn stop_observing(client: &Client, endpoint: &str, paths: &[String]) -> anyhow::Result<()> {
    let operation = client.start_operation(&StartOperation {
        endpoint: endpoint.to_owned(),
        request: cancel_request(paths),
        deadline: None,
        wait: None,
    })?;
    check(&operation)
}

pub(super) fn cancel_request(paths: &[String]) -> Request {
    match paths {
        [path] => Request::CancelObserve { path: path.clone() },
        paths => Request::CancelObserveComposite { paths: paths.to_vec(), path_format: None },
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Unobserve {
    /// The device.
    endpoint: String,
    /// The paths of the observation.
    #[arg(required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    patience: Patience,
}

pub(super) fn unobserve(client: &Client, out: Output, args: &Unobserve) -> anyhow::Result<()> {
    let paths = naming::paths(client, &args.endpoint, &args.paths)?;
    let operation = start(client, &args.endpoint, cancel_request(&paths), &args.patience)?;
    out.print(&operation, || {
        // The device answers with the values once more, which nobody asked for.
        if operation.state == OperationState::Succeeded {
            line("no longer observed");
        }
    })?;
    check_answered(&operation, &args.patience)?;
    check(&operation)
}

/// Has an operation done, and shows what became of it.
fn perform(
    client: &Client,
    out: Output,
    endpoint: &str,
    request: Request,
    patience: &Patience,
) -> anyhow::Result<()> {
    let operation = start(client, endpoint, request, patience)?;
    show(client, out, &operation)?;
    check_answered(&operation, patience)?;
    check(&operation)
}

fn start(
    client: &Client,
    endpoint: &str,
    request: Request,
    patience: &Patience,
) -> anyhow::Result<Operation> {
    Ok(client.start_operation(&StartOperation {
        endpoint: endpoint.to_owned(),
        request,
        deadline: patience.deadline,
        wait: Some(patience.wait),
    })?)
}

/// Shows what a device answered.
fn show(client: &Client, out: Output, operation: &Operation) -> anyhow::Result<()> {
    out.print(operation, || {
        if let Some(all) = &operation.values {
            show_values(client, &operation.endpoint, all);
            if !operation.history.is_empty() {
                note(format_args!(
                    "{} earlier values came with it; --json has them",
                    operation.history.len()
                ));
            }
        } else if let Some(links) = &operation.links {
            let attributes = |link: &buoy_api::Link| -> String {
                let all = link.attributes.iter().map(|(name, value)| match value.is_empty() {
                    true => name.clone(),
                    false => format!("{name}={value}"),
                });
                all.collect::<Vec<_>>().join(" ")
            };
            table(&["PATH", "ATTRIBUTES"], links.iter().map(|link| [link.path.clone(), attributes(link)]));
        } else if let Some(location) = &operation.location {
            line(location);
        } else if operation.state == OperationState::Succeeded {
            line(format_args!("done ({})", operation.code.as_deref().unwrap_or("no code")));
        }
    })
}

/// Values by path; one value stands alone.
fn show_values(client: &Client, endpoint: &str, values: &[PathValue]) {
    let is_text = |value: &PathValue| value.value.is_string();
    // A text is shown as it is, for which no name is needed.
    let names = match values {
        [one] if is_text(one) => Names::default(),
        _ => Names::if_known(client, endpoint),
    };
    match values {
        [one] => line(names.shown(one)),
        _ => table_of(&names, values),
    }
}

fn table_of(names: &Names, values: &[PathValue]) {
    let name = |value: &PathValue| names.name(&value.path).unwrap_or("-").to_owned();
    let rows = values.iter().map(|value| [value.path.clone(), name(value), names.shown(value)]);
    table(&["PATH", "NAME", "VALUE"], rows);
}

/// An operation that has not ended has no answer yet.
fn check_answered(operation: &Operation, patience: &Patience) -> anyhow::Result<()> {
    if operation.ended {
        return Ok(());
    }
    let Operation { id, endpoint, .. } = operation;
    let until = time(operation.deadline as i64);
    let reason = match operation.state {
        OperationState::Sent => format!("{endpoint} has not answered within {} s", patience.wait),
        _ => format!("{endpoint} cannot be reached now: the operation is queued until {until}"),
    };
    let next = format!("`buoy ctl operation {id}` shows how it goes, `buoy ctl cancel {id}` gives it up");
    Err(NotDone::error(Exit::NoAnswer, format!("{reason}; {next}")))
}

/// An operation that did not end well is an error.
pub(super) fn check(operation: &Operation) -> anyhow::Result<()> {
    if !operation.ended || operation.state == OperationState::Succeeded {
        return Ok(());
    }
    let words = operation.detail.as_deref().unwrap_or("no reason was given");
    let Operation { id, endpoint, state, .. } = operation;
    Err(match (&operation.code, state) {
        (Some(code), _) => NotDone::error(Exit::Refused, format!("{endpoint} answered {code}: {words}")),
        (None, OperationState::Cancelled) => {
            NotDone::error(Exit::Refused, format!("operation {id} was cancelled"))
        }
        (None, _) => NotDone::error(Exit::NoAnswer, format!("operation {id} of {endpoint} {state}: {words}")),
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only of this device.
    #[arg(long)]
    endpoint: Option<String>,
    /// Only those that have not ended.
    #[arg(long)]
    open: bool,
    /// How many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(super) fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    let page = client.operations(args.endpoint.as_deref(), args.open.then_some(false), args.limit.into())?;
    if page.items.is_empty() {
        check_known(client, args.endpoint.as_deref())?;
    }
    out.print(&page.items, || {
        let rows = page.items.iter().map(|operation| {
            [
                operation.id.to_string(),
                operation.endpoint.clone(),
                operation.state.to_string(),
                format!("{} {}", operation.method, operation.path),
                ago(operation.created_at),
                operation.code.clone().unwrap_or_default(),
                operation.detail.clone().unwrap_or_default(),
            ]
        });
        table(&["ID", "ENDPOINT", "STATE", "REQUEST", "AGE", "CODE", "DETAIL"], rows);
    })
}

/// A list that is empty because its device's name is wrong is an error.
pub(super) fn check_known(client: &Client, endpoint: Option<&str>) -> anyhow::Result<()> {
    endpoint.map_or(Ok(()), |endpoint| Ok(client.device(endpoint).map(drop)?))
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// Which.
    id: u64,
}

pub(super) fn one(client: &Client, out: Output, args: &One) -> anyhow::Result<()> {
    let operation = client.operation(args.id)?;
    if out.is_for_people() {
        pairs([
            ("operation", operation.id.to_string()),
            ("endpoint", operation.endpoint.clone()),
            ("request", format!("{} {}", operation.method, operation.path)),
            ("state", operation.state.to_string()),
            ("asked for", time(operation.created_at as i64)),
            ("changed", time(operation.changed_at as i64)),
            ("deadline", time(operation.deadline as i64)),
        ]);
    }
    show(client, out, &operation)?;
    if let Some(detail) = operation.detail.as_ref().filter(|_| out.is_for_people()) {
        line(detail);
    }
    Ok(())
}

pub(super) fn cancel(client: &Client, out: Output, args: &One) -> anyhow::Result<()> {
    let operation = client.cancel_operation(args.id)?;
    out.print(&operation, || line("cancelled"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_json_or_else_text() {
        let read = |text: &str| assignments(&[text.to_owned()]).map(|mut all| all.remove(0).value);
        assert_eq!(read("/1/0/1=300").unwrap(), json!(300));
        assert_eq!(read("/3311/0/5850=true").unwrap(), json!(true));
        assert_eq!(read("/3/0/15=Europe/Berlin").unwrap(), json!("Europe/Berlin"));
        assert_eq!(read("/9/0/1=a=b").unwrap(), json!("a=b"));
        let wrong = read("/3/0/15").unwrap_err();
        assert!(wrong.to_string().contains("PATH=VALUE"));
        assert_eq!(Exit::of(&wrong), Exit::WrongUse);
    }
}
