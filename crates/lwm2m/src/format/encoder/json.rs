//! Records in JSON, of SenML and of LwM2M 1.0.

use super::super::number::write_float;
use super::super::{FormatError, lwm2m_json, senml_json};
use super::{Naming, Slash, Tail, write_base, write_tail};
use crate::output::Output;
use crate::path::Path;
use crate::value::Value;

/// Puts a comma before every member of a JSON object but the first.
struct Members(bool);

impl Members {
    fn next(&mut self, output: &mut Output<'_>) -> Result<(), FormatError> {
        if self.0 {
            output.byte(b',')?;
        }
        self.0 = true;
        Ok(())
    }
}

pub(super) fn write_senml(
    naming: &mut Naming,
    path: Path,
    value: Option<&Value<'_>>,
    time: Option<f64>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    output.bytes(if naming.begun.is_none() { b"[{" } else { b",{" })?;
    let names = naming.next(path);
    let mut members = Members(false);
    if let Some(base) = names.base {
        members.next(output)?;
        output.bytes(b"\"bn\":\"")?;
        write_base(base, output)?;
        output.byte(b'"')?;
    }
    write_members(&senml_json::LABELS, members, names.tail, value, time, output)
}

pub(super) fn write_lwm2m(
    naming: &mut Naming,
    path: Path,
    value: Option<&Value<'_>>,
    time: Option<f64>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    let is_first = naming.begun.is_none();
    let names = naming.next(path);
    match (is_first, names.base) {
        (true, base) => {
            begin_lwm2m(base, output)?;
            output.byte(b'{')?;
        }
        (false, None) => output.bytes(b",{")?,
        // There is only one base name in this format, and it has been written.
        (false, Some(_)) => return Err(FormatError::OutOfOrder),
    }
    write_members(&lwm2m_json::LABELS, Members(false), names.tail, value, time, output)
}

/// The names of a composite payload are whole, so its base name is empty.
fn begin_lwm2m(base: Option<(Path, Slash)>, output: &mut Output<'_>) -> Result<(), FormatError> {
    output.bytes(b"{\"bn\":\"")?;
    if let Some(base) = base {
        write_base(base, output)?;
    }
    Ok(output.bytes(b"\",\"e\":[")?)
}

pub(super) fn finish_lwm2m(naming: &mut Naming, output: &mut Output<'_>) -> Result<(), FormatError> {
    if naming.begun.is_none() {
        begin_lwm2m(Some((naming.base, Slash::LeftOut)), output)?;
    }
    Ok(output.bytes(b"]}")?)
}

fn write_members(
    labels: &senml_json::Labels,
    mut members: Members,
    tail: Option<Tail>,
    value: Option<&Value<'_>>,
    time: Option<f64>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    if let Some(tail) = tail {
        members.next(output)?;
        output.bytes(b"\"n\":\"")?;
        write_tail(&tail, output)?;
        output.byte(b'"')?;
    }
    if let Some(time) = time {
        members.next(output)?;
        output.bytes(b"\"t\":")?;
        write_float(time, output)?;
    }
    if let Some(value) = value {
        members.next(output)?;
        senml_json::write_value(labels, value, output)?;
    }
    Ok(output.byte(b'}')?)
}
