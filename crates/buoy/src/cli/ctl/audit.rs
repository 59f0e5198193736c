//! The audit log.

use buoy_api::client::{Client, encode};
use buoy_api::{AuditChain, AuditEntry};

use super::output::{Output, pairs, plain, table, time};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shows the end of the chain of hashes, with which a copy of the log is compared.
    #[arg(long, conflicts_with_all = ["principal", "action", "target"])]
    chain: bool,
    /// Only what this principal did.
    #[arg(long)]
    principal: Option<String>,
    /// Only this action, or all that begin with it, as in `credential` for `credential.revoke`.
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to this: an endpoint name, a digest, a pattern.
    #[arg(long)]
    target: Option<String>,
    /// How many entries, the newest first.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(super) fn list(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    if args.chain {
        let chain: AuditChain = client.get("/api/v1/audit/chain")?;
        let words = serde_json::to_value(&chain)?;
        return out.print(&chain, || {
            let members = words.as_object().into_iter().flatten();
            pairs(members.map(|(name, value)| (name.as_str(), plain(value))));
        });
    }
    let mut path = format!("/api/v1/audit?limit={}", args.limit);
    let filters = [("principal", &args.principal), ("action", &args.action), ("target", &args.target)];
    for (name, value) in filters {
        if let Some(value) = value {
            path += &format!("&{name}={}", encode(value));
        }
    }
    let page: buoy_api::Page<AuditEntry> = client.get(&path)?;
    out.print(&page.items, || {
        let rows = page.items.iter().map(|entry| {
            [
                time(entry.at as i64),
                entry.principal.clone(),
                entry.origin.clone(),
                entry.action.clone(),
                entry.target.clone(),
                entry.detail.clone(),
                entry.result.clone(),
            ]
        });
        table(&["TIME", "PRINCIPAL", "FROM", "ACTION", "TARGET", "DETAIL", "RESULT"], rows);
    })
}
