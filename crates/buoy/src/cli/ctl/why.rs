//! Why a device is as it is.

use buoy_api::client::{Client, encode};
use buoy_api::{Evidence, Finding, Why};

use super::output::{Output, ago, line};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device, or a name under which somebody tried to come in.
    endpoint: String,
}

pub(super) fn why(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let why = client.get::<Why>(&format!("/api/v1/devices/{}/why", encode(&args.endpoint)))?;
    out.print(&why, || {
        line(format_args!("{}: {}", why.endpoint, why.summary));
        why.findings.iter().for_each(show);
        line("");
        line(format_args!("Looked at: {}.", why.looked_at.join("; ")));
    })
}

fn show(finding: &Finding) {
    line("");
    line(format_args!("{}: {}", finding.severity.name(), finding.cause));
    line(format_args!("  {}", finding.sentence));
    line(format_args!("  Next: {}", finding.next_step));
    finding.evidence.iter().for_each(|evidence| line(format_args!("  - {}", fact(evidence))));
}

fn fact(evidence: &Evidence) -> String {
    let kind = serde_json::to_value(evidence.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    let id = evidence.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let at = evidence.at.map(|at| format!(", {} ago", ago(at))).unwrap_or_default();
    format!("{kind}{id}{at}: {}", evidence.detail)
}
