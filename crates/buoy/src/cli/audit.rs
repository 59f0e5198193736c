//! `buoy audit`: the audit log, read from the store itself; a server may run on it.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use buoy_services::audit::{described, entry};
use buoy_services::hex;
use buoy_services::store_place::StorePlace;
use buoy_store::verify_audit;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data folder of the server.
    #[arg(long, env = "BUOY_DATA", value_name = "DIR", default_value = "buoy-data", global = true)]
    data: PathBuf,
    /// Where its state is, if not in a file of the data folder: as in postgres://user:password@host/database
    #[arg(long, env = "BUOY_STORE", value_name = "URL", hide_env_values = true, global = true)]
    store: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Checks whether an entry was changed, removed or inserted behind the server's back, and prints the hash of the last one.
    Verify {
        /// A hash that an earlier check printed, and that was noted elsewhere: it has to be that of an entry.
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
    /// Prints all entries with their hashes, as JSON lines, the oldest first.
    Export,
}

/// Does what the command line says.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let reader = StorePlace::named_or_in(args.store.as_deref(), &args.data).open_to_read()?;
    match &args.verb {
        Verb::Verify { expect } => {
            let expected = expect.as_deref().map(parse).transpose()?;
            let report = verify_audit(&*reader, expected.as_ref())?;
            let chain = described(&report);
            for fault in &chain.faults {
                println!("{fault}");
            }
            if report.without_hash > 0 {
                println!("{} entries are of an earlier version, which made no hashes", report.without_hash);
            }
            if !chain.intact {
                bail!(
                    "the audit log was changed behind the server's back; compare it with a backup or an export"
                );
            }
            if expected.is_some() && !report.has_expected {
                bail!("no entry has the hash that was noted: the log was written anew, or it is another one");
            }
            println!("{} entries are as they were written", chain.entries);
            println!("{} {}", chain.last, chain.head);
            Ok(())
        }
        Verb::Export => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let mut written = Ok(());
            reader.audit_chain(&mut |row, hash| {
                let hash = hash.map(|hash| hex::encode(&hash));
                let line = json!({"entry": entry(row), "hash": hash});
                if written.is_ok() {
                    written = writeln!(out, "{line}");
                }
            })?;
            written.and_then(|()| out.flush()).context("the entries cannot be written")
        }
    }
}

fn parse(text: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = hex::decode(text.trim()).and_then(|bytes| bytes.try_into().ok());
    bytes.context("a hash has 64 hexadecimal digits, as `buoy audit verify` prints it")
}
