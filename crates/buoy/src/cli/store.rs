//! `buoy migrate` and `buoy move-store`: where the state of a server is.

use buoy_services::store_place::StorePlace;

/// What to bring up to date.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// Where the state is: a data folder, or as in postgres://user:password@host/database
    #[arg(
        long,
        env = "BUOY_STORE",
        value_name = "FOLDER|URL",
        default_value = "buoy-data",
        hide_env_values = true
    )]
    store: String,
}

/// Brings a schema up to date.
pub(crate) fn migrate(args: &MigrateArgs) -> anyhow::Result<()> {
    let place = StorePlace::parse(&args.store);
    place.migrate()?;
    println!("{place} is up to date");
    Ok(())
}

/// What to move.
#[derive(Debug, clap::Args)]
pub(crate) struct MoveArgs {
    /// Where the state is: a data folder, or as in postgres://user:password@host/database
    #[arg(value_name = "FROM")]
    from: String,
    /// Where it is to be: likewise. It has to be empty.
    #[arg(value_name = "TO")]
    to: String,
}

/// Moves the state of a server that does not run.
pub(crate) fn move_store(args: &MoveArgs) -> anyhow::Result<()> {
    let (from, to) = (StorePlace::parse(&args.from), StorePlace::parse(&args.to));
    for moved in from.move_to(&to)? {
        println!("{:<18} {:>10} rows", moved.table, moved.rows);
    }
    println!("the state is in {to} now, and was read back; keys and firmware stay in the data folder");
    Ok(())
}
