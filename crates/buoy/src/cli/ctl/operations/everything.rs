//! `buoy ctl read DEVICE /`: all objects, one after the other.

use buoy_api::client::Client;
use buoy_api::{OperationState, PathValue, Request};
use serde::Serialize;

use super::{Read, check, check_answered, start, table_of};
use crate::cli::ctl::exit::{Exit, NotDone};
use crate::cli::ctl::naming::Names;
use crate::cli::ctl::output::{Output, note};

/// The object with the keys of a device, which no server may read (Core, section E.1), and the one about access to it.
const NOT_READABLE: [u16; 2] = [0, 21];

/// What a device has.
#[derive(Debug, Default, Serialize)]
struct Everything {
    values: Vec<PathValue>,
    /// Objects that could not be read, with the reason.
    refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Refused {
    path: String,
    reason: String,
}

/// Reads each object that the device has registered. One that is refused is told, and the others are read all the same.
pub(super) fn read(client: &Client, out: Output, args: &Read) -> anyhow::Result<()> {
    let names = Names::of(client, &args.endpoint)?;
    let mut all = Everything::default();
    for object in names.objects().iter().filter(|object| !NOT_READABLE.contains(&object.id)) {
        let path = format!("/{}", object.id);
        let request = Request::Read { path: path.clone(), format: args.format.clone() };
        let operation = start(client, &args.endpoint, request, &args.patience)?;
        // A device that does not answer once does not answer the next time either.
        check_answered(&operation, &args.patience)?;
        match operation.state {
            OperationState::Succeeded => all.values.extend(operation.values.unwrap_or_default()),
            _ if operation.code.is_none() => check(&operation)?,
            _ => {
                let code = operation.code.as_deref().unwrap_or_default();
                let detail = operation.detail.as_deref().unwrap_or_default();
                all.refused.push(Refused { path, reason: format!("{code} {detail}").trim().to_owned() });
            }
        }
    }
    out.print(&all, || {
        table_of(&names, &all.values);
        for Refused { path, reason } in &all.refused {
            note(format_args!("{path} was refused: {reason}"));
        }
    })?;
    if all.values.is_empty() {
        let reason = format!("{} has no object that can be read", args.endpoint);
        return Err(NotDone::error(Exit::Refused, reason));
    }
    Ok(())
}
