//! `buoy settings`: the reference of all settings of the server, made from the definitions of the command line. The guide has a copy.

use clap::{Arg, CommandFactory};

/// Before the table.
const HEAD: &str = "\
# Settings

All settings of `buoy serve`. This page is made from the program by `buoy settings`.

A setting can stand in three places: as a flag on the command line, as a variable of the environment, and as a key of the TOML file that `--config` names. The
command line has precedence over the environment, and the environment over the file. `buoy doctor` takes the same settings, and checks what they lead to.
A key that is not known is refused, with its line.

| key of the file | flag | environment | default | meaning |
|---|---|---|---|---|
";

/// Behind it.
const TAIL: &str = "
A port is written as `IP:PORT`, as in `0.0.0.0:5684` or `[::]:5684`; where it can be closed, `off` closes it. A flag without a value is a truth in the file:
`behind_proxy = true`. A setting that may be given several times is a list in the file.

The log is chosen by `RUST_LOG`, as in `RUST_LOG=debug`.
";

/// The page.
pub(super) fn page() -> String {
    let program = super::Cli::command();
    let rows = program.find_subcommand("serve").into_iter().flat_map(|serve| serve.get_arguments());
    let rows = rows.filter(|arg| arg.get_env().is_some()).map(row).collect::<String>();
    format!("{HEAD}{rows}{TAIL}")
}

fn row(arg: &Arg) -> String {
    let id = arg.get_id().to_string();
    let flag = arg.get_long().unwrap_or_default();
    let value =
        arg.get_value_names().and_then(|names| names.first()).filter(|_| arg.get_action().takes_values());
    let flag =
        value.map_or_else(|| format!("--{flag}"), |value| format!("--{flag} {}", value.replace('|', "\\|")));
    let environment = arg.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (meaning, default) = match help.rsplit_once(" [default: ") {
        Some((meaning, default)) => (meaning.to_owned(), default.trim_end_matches(']').to_owned()),
        None => (help, String::new()),
    };
    let default = if default.is_empty() { "".to_owned() } else { default };
    let key = if id == "config" { "-".to_owned() } else { format!("`{id}`") };
    let meaning = meaning.trim_end_matches('.').replace('|', "\\|");
    format!("| {key} | `{flag}` | `{environment}` | {default} | {meaning} |\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_of_the_guide_is_that_of_the_program() {
        let checked_in = include_str!("../../../../docs/guide/src/configuration.md");
        assert!(
            checked_in == super::page(),
            "docs/guide/src/configuration.md is stale; run `cargo run -- settings > docs/guide/src/configuration.md`"
        );
    }
}
