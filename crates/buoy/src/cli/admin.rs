//! `buoy admin`: accounts, for who is locked out and has the server's machine. The server must not run meanwhile.

use std::path::PathBuf;

use buoy_api::ChangeAccount;
use buoy_services::accounts::offline::Offline;
use buoy_services::store_place::StorePlace;

use super::ctl::new_password;

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
    /// Lists the accounts.
    List,
    /// Makes an account that may do everything; its password is asked for, or read from the standard input.
    Create(Name),
    /// Gives an account a new password, which is asked for, or read from the standard input. Its sign-ins end.
    ResetPassword(Name),
    /// Removes the second factor of an account, which lost it.
    DisableSecondFactor(Name),
    /// Lets an account that was disabled sign in again.
    Enable(Name),
}

#[derive(Debug, clap::Args)]
struct Name {
    /// The account.
    name: String,
}

/// Does what the command line says.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let place = StorePlace::named_or_in(args.store.as_deref(), &args.data);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let accounts = Offline::open(&args.data, &place)?;
        match &args.verb {
            Verb::List => {
                for account in accounts.list()? {
                    let grants: Vec<String> = account.grants.iter().map(ToString::to_string).collect();
                    let state = if account.disabled { ", disabled" } else { "" };
                    let factor = if account.second_factor { ", with a second factor" } else { "" };
                    println!("{}: {}{factor}{state}", account.name, grants.join(", "));
                }
            }
            Verb::Create(Name { name }) => {
                let account = accounts.create(name, new_password(name)?).await?;
                println!("{} may do everything (admin); sign in with it", account.name);
            }
            Verb::ResetPassword(Name { name }) => {
                let password = Some(new_password(name)?);
                accounts.edit(name, ChangeAccount { password, ..ChangeAccount::default() }).await?;
                println!("{name} has a new password");
            }
            Verb::DisableSecondFactor(Name { name }) => {
                let change = ChangeAccount { second_factor: Some(false), ..ChangeAccount::default() };
                accounts.edit(name, change).await?;
                println!("{name} signs in without a second factor");
            }
            Verb::Enable(Name { name }) => {
                let change = ChangeAccount { disabled: Some(false), ..ChangeAccount::default() };
                accounts.edit(name, change).await?;
                println!("{name} may sign in again");
            }
        }
        Ok(())
    })
}
