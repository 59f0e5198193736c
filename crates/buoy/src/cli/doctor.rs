//! `buoy doctor`: looks at the settings, the folder, the store, the ports and the machine of a server, which may be running, and says what to do.
//!
//! It changes nothing. Each check is a function that returns what it found, with a hint if there is something to do.

mod machine;
mod ports;
mod state;

use serde::Serialize;

use super::serve;
use buoy_lwm2m::text::harmless;

#[derive(Debug, clap::Args)]
// Its settings are a group of their own, which has the same name.
#[group(skip)]
pub(crate) struct Args {
    /// How the findings are printed.
    #[arg(short = 'o', long = "output", id = "form", value_enum, default_value_t = Form::Table, value_name = "FORM")]
    form: Form,
    #[command(flatten)]
    settings: serve::Args,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Result {
    Ok,
    Warning,
    Failed,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    result: Result,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, result: Result::Ok, detail: detail.into(), hint: None }
    }

    fn warning(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, result: Result::Warning, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn failed(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, result: Result::Failed, detail: detail.into(), hint: Some(hint.into()) }
    }
}

/// Checks everything, and fails if a check failed.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let findings = match serve::plan(args.settings) {
        Ok(planned) => all(&planned),
        Err(error) => vec![Finding::failed(
            "settings",
            format!("{error:#}"),
            "correct it; nothing else can be checked before",
        )],
    };
    print(args.form, &findings)?;
    let failed = findings.iter().filter(|finding| finding.result == Result::Failed).count();
    anyhow::ensure!(failed == 0, "{failed} of {} checks failed", findings.len());
    Ok(())
}

fn all(planned: &serve::Planned) -> Vec<Finding> {
    let serve::Planned { settings, ports, .. } = planned;
    let is_running = state::is_running(&settings.data);
    let mut findings = vec![Finding::ok("settings", "they can be read")];
    findings.extend(state::check(settings, is_running));
    findings.extend(state::certificates(settings, ports));
    findings.extend(ports::check(settings, ports, is_running));
    findings.extend(machine::check());
    findings
}

fn print(form: Form, findings: &[Finding]) -> anyhow::Result<()> {
    if form == Form::Json {
        println!("{}", serde_json::to_string_pretty(findings)?);
        return Ok(());
    }
    for Finding { check, result, detail, hint } in findings {
        let word = match result {
            Result::Ok => "ok",
            Result::Warning => "warning",
            Result::Failed => "FAILED",
        };
        println!("{word:<8} {check:<14} {}", harmless(detail));
        if let Some(hint) = hint {
            println!("{:<23} → {}", "", harmless(hint));
        }
    }
    Ok(())
}
