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
    #[arg(value_name = "TO", required_unless_present = "undo")]
    to: Option<String>,
    /// Lets what an earlier move left in FROM be used again. What has happened since is not in it.
    #[arg(long, conflicts_with = "to")]
    undo: bool,
}

/// Moves the state of a server that does not run.
pub(crate) fn move_store(args: &MoveArgs) -> anyhow::Result<()> {
    let from = StorePlace::parse(&args.from);
    let Some(to) = args.to.as_deref().map(StorePlace::parse) else {
        let moved = from.undo_move()?;
        println!(
            "{from} can be used again; what has happened since it was moved is in {} only",
            moved.target
        );
        return Ok(());
    };
    for moved in from.move_to(&to)? {
        println!("{:<18} {:>10} rows", moved.table, moved.rows);
    }
    println!("the state is in {to} now, and was read back; keys and firmware stay in the data folder");
    println!(
        "{from} is as it was, and no server starts on it any more; remove it when you need it no longer"
    );
    Ok(())
}
