//! Sign-in, accounts and API tokens.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use buoy_api::client::{Client, ClientError, encode};
use buoy_api::{
    Account, AddAccount, AddToken, ChangeAccount, ChangePassword, ConfirmSecondFactor, Grant, NewToken, Page,
    RecoveryCodes, RemoveSecondFactor, Role, SecondFactor, Secret, SignIn, Token,
};
use serde_json::{Value, json};
use ureq::http::Method;

use super::contexts::{self, Contexts, Place};
use super::output::{Output, ago, line, note, pairs, table, time};

const ACCOUNTS: &str = "/api/v1/accounts";
const TOKENS: &str = "/api/v1/tokens";
const SECOND_FACTOR: &str = "/api/v1/me/second-factor";
const DAY: u64 = 24 * 60 * 60;

#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    /// The name of the account, an admin.
    name: String,
    /// The one-time token [default: it is asked for]
    #[arg(long, value_name = "TOKEN")]
    setup_token: Option<String>,
    #[command(flatten)]
    saved: Saved,
}

#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// The name of the account.
    name: String,
    #[command(flatten)]
    saved: Saved,
}

/// `buoy login`: a server by its address.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct LoginAt {
    /// The server, as in `https://buoy.example.org`; without a scheme it is HTTPS.
    url: String,
    /// The name of the account [default: it is asked for]
    name: Option<String>,
    /// Certificates that are trusted, as the server's own (PEM) [default: those of the system]
    #[arg(long, env = "BUOY_CA", value_name = "FILE")]
    ca: Option<std::path::PathBuf>,
    /// The name under which the server is saved [default: that of the host]
    #[arg(long = "as", id = "saved_as_name", value_name = "CONTEXT")]
    saved_as: Option<String>,
    /// Days for which the saved token counts.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

#[derive(Debug, clap::Args)]
struct Saved {
    /// The name under which the server is saved.
    #[arg(long = "as", id = "saved_as", value_name = "CONTEXT", default_value = "default")]
    saved_as: String,
    /// Days for which the saved token counts.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountVerb {
    /// Lists the accounts.
    List,
    /// Shows an account.
    Show(Name),
    /// Makes an account; its password is asked for.
    Add(AddArgs),
    /// Changes what an account may do, or whether it may sign in.
    Change(Change),
    /// Gives an account a new password, which is asked for.
    ResetPassword(Name),
    /// Makes a link that opens the web page signed in to an account; once, and within ten minutes.
    Link(Name),
    /// Removes an account with its tokens.
    Remove(Name),
    /// Changes the password of the own account.
    Password(Own),
    /// Sets up a second factor for the own account, or removes it.
    SecondFactor(SecondFactorArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The account.
    name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Its name.
    name: String,
    /// What it may do: viewer, operator or admin; as in operator@north for the devices of the group north. May be given several times.
    #[arg(long = "grant", value_name = "ROLE[@GROUP]", required = true)]
    grants: Vec<Grant>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// The account.
    name: String,
    /// What it may do from now on, in place of what it might before. May be given several times.
    #[arg(long = "grant", value_name = "ROLE[@GROUP]")]
    grants: Vec<Grant>,
    /// It may sign in no more; its sign-ins end, its tokens don't count.
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// It may sign in again.
    #[arg(long)]
    enable: bool,
    /// Removes its second factor, which it lost.
    #[arg(long)]
    remove_second_factor: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Own {
    /// The account [default: that of the saved sign-in]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct SecondFactorArgs {
    #[command(flatten)]
    own: Own,
    /// Removes it.
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenVerb {
    /// Lists the tokens of the own account; for admins, of all.
    List,
    /// Makes a token of the own account, whose password is asked for. The token is shown this once.
    Add(AddTokenArgs),
    /// Removes a token: it counts no more.
    Remove(Id),
}

#[derive(Debug, clap::Args)]
pub(super) struct AddTokenArgs {
    /// Its name, as that of the program.
    name: String,
    /// What it may do [default: what the account may]. May be given several times.
    #[arg(long = "grant", value_name = "ROLE[@GROUP]")]
    grants: Vec<Grant>,
    /// Days for which it counts [default: for ever]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: Option<u64>,
    #[command(flatten)]
    own: Own,
}

#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// The token.
    id: u64,
}

pub(super) fn set_up(place: &Place, _: &Client, out: Output, args: &Setup) -> anyhow::Result<()> {
    let token = match &args.setup_token {
        Some(token) => Secret::new(token.clone()),
        None => ask("One-time token: ")?,
    };
    let password = new_password(&args.name)?;
    let request = buoy_api::Setup { token, name: args.name.clone(), password };
    let session = place.anonymous()?.set_up(&request)?;
    save(place, &session, out, &args.name, &args.saved)
}

pub(super) fn login(place: &Place, _: &Client, out: Output, args: &Login) -> anyhow::Result<()> {
    let session = sign_in(place, &args.name)?;
    save(place, &session, out, &args.name, &args.saved)
}

/// Signs in to a server, and saves it as a context under the name of its host.
pub(in crate::cli) fn login_at(args: &LoginAt) -> anyhow::Result<()> {
    let place = Place::at(&args.url, args.ca.as_deref());
    let name = match &args.name {
        Some(name) => name.clone(),
        None => ask_openly("Account: ")?,
    };
    let host = place.server.split("://").nth(1).unwrap_or(&place.server);
    let host = host.split('/').next().unwrap_or(host);
    let saved = Saved { saved_as: args.saved_as.clone().unwrap_or_else(|| host.to_owned()), days: args.days };
    let session = sign_in(&place, &name)?;
    save(&place, &session, Output::Table, &name, &saved)
}

/// Saves a token in place of the sign-in, which ends.
fn save(place: &Place, session: &Client, out: Output, account: &str, saved: &Saved) -> anyhow::Result<()> {
    let name = format!("buoy ctl as {}", saved.saved_as);
    let request = AddToken { name, grants: None, expires_in: Some(saved.days * DAY) };
    let NewToken { token, secret } = session.add_token(&request)?;
    session.sign_out()?;
    let mut contexts = Contexts::read()?;
    let context = contexts::Context {
        server: place.server.clone(),
        account: account.to_owned(),
        token: secret,
        token_id: token.id,
        ca: place.ca.as_deref().map(contexts::whole).transpose()?,
    };
    contexts.contexts.insert(saved.saved_as.clone(), context);
    contexts.current = Some(saved.saved_as.clone());
    contexts.save()?;
    out.print(&token, || {
        let (server, days) = (&place.server, saved.days);
        line(format_args!("signed in to {server} as {account}, for {days} days"));
    })
}

pub(super) fn logout(place: &Place, client: &Client, out: Output) -> anyhow::Result<()> {
    let mut contexts = Contexts::read()?;
    let name = place.context.clone().context("there is no saved sign-in for this server")?;
    let context = contexts.contexts.get(&name).context("there is no saved sign-in for this server")?;
    let removed = client.call::<Value>(Method::DELETE, &format!("{TOKENS}/{}", context.token_id), "", &[]);
    match removed {
        // It may have expired or been removed.
        Err(error) if !error.needs_sign_in() => return Err(error.into()),
        _ => {}
    }
    contexts.remove(&name);
    contexts.save()?;
    out.print(&name, || line(format_args!("signed out of {}", place.server)))
}

pub(super) fn whoami(client: &Client, out: Output) -> anyhow::Result<()> {
    let me = client.me()?;
    out.print(&me, || {
        let by = match me.by {
            buoy_api::SignedInBy::Loopback => {
                "nothing: the server has no account yet, and trusts this machine"
            }
            buoy_api::SignedInBy::Session => "name and password",
            buoy_api::SignedInBy::Token => "a token",
        };
        pairs([
            ("name", me.name.clone()),
            ("signed in by", by.to_owned()),
            ("may", words(&me.grants)),
            ("server", client.base().to_owned()),
            ("until", me.expires_at.map_or_else(|| "-".to_owned(), |at| time(at as i64))),
        ]);
    })
}

pub(super) fn accounts(
    place: &Place,
    client: &Client,
    out: Output,
    verb: &AccountVerb,
) -> anyhow::Result<()> {
    match verb {
        AccountVerb::List => {
            let page: Page<Account> = client.get(ACCOUNTS)?;
            out.print(&page.items, || show_accounts(&page.items))
        }
        AccountVerb::Show(Name { name }) => {
            let account: Account = client.get(&account_path(name))?;
            out.print(&account, || show_accounts(std::slice::from_ref(&account)))
        }
        AccountVerb::Add(AddArgs { name, grants }) => {
            let password = new_password(name)?;
            let request = AddAccount { name: name.clone(), password, grants: grants.clone() };
            let account: Account = client.send_json(Method::POST, ACCOUNTS, &request)?;
            out.print(&account, || show_accounts(std::slice::from_ref(&account)))
        }
        AccountVerb::Change(change) => {
            let request = ChangeAccount {
                grants: Some(change.grants.clone()).filter(|grants| !grants.is_empty()),
                password: None,
                disabled: (change.disable || change.enable).then_some(change.disable),
                second_factor: change.remove_second_factor.then_some(false),
            };
            if request == ChangeAccount::default() {
                bail!(
                    "nothing is to be changed; give --grant, --disable, --enable or --remove-second-factor"
                );
            }
            let account: Account = client.send_json(Method::PUT, &account_path(&change.name), &request)?;
            out.print(&account, || show_accounts(std::slice::from_ref(&account)))
        }
        AccountVerb::ResetPassword(Name { name }) => {
            let request = ChangeAccount { password: Some(new_password(name)?), ..ChangeAccount::default() };
            let account: Account = client.send_json(Method::PUT, &account_path(name), &request)?;
            out.print(&account, || {
                line(format_args!("{name} has a new password, and its sign-ins have ended"))
            })
        }
        AccountVerb::Link(Name { name }) => {
            let link = client.make_sign_in_link(name)?;
            out.print(&link, || line(link.address(client.base())))
        }
        AccountVerb::Remove(Name { name }) => {
            client.call::<Value>(Method::DELETE, &account_path(name), "", &[])?;
            out.print(&Value::Null, || line(format_args!("{name} is removed")))
        }
        AccountVerb::Password(own) => {
            let name = own.name(client)?;
            let current = ask(&format!("Password of {name}: "))?;
            let session = sign_in_with(place, &name, current.clone())?;
            let request = ChangePassword { current, new: new_password(&name)? };
            session.send_json::<Value>(Method::PUT, "/api/v1/me/password", &request)?;
            session.sign_out()?;
            out.print(&Value::Null, || line("the password is changed"))
        }
        AccountVerb::SecondFactor(args) if args.remove => {
            let name = args.own.name(client)?;
            let password = ask(&format!("Password of {name}: "))?;
            let session = sign_in_with(place, &name, password.clone())?;
            let request = RemoveSecondFactor { password };
            session.send_json::<Value>(Method::POST, &format!("{SECOND_FACTOR}/remove"), &request)?;
            session.sign_out()?;
            out.print(&Value::Null, || line("the second factor is removed"))
        }
        AccountVerb::SecondFactor(args) => set_up_second_factor(place, client, out, &args.own),
    }
}

fn set_up_second_factor(place: &Place, client: &Client, out: Output, own: &Own) -> anyhow::Result<()> {
    let session = sign_in(place, &own.name(client)?)?;
    let factor: SecondFactor = session.call(Method::POST, SECOND_FACTOR, "", &[])?;
    note(format_args!("Enter this secret into an authenticator: {}", factor.secret.reveal()));
    note(format_args!("or open this address with it: {}", factor.uri.reveal()));
    let code = ask("The code that it shows: ")?;
    let path = format!("{SECOND_FACTOR}/confirm");
    let codes: RecoveryCodes = session.send_json(Method::POST, &path, &ConfirmSecondFactor { code })?;
    session.sign_out()?;
    note("Each of these codes signs you in once if the authenticator is lost. They are shown this once:");
    out.print(&codes, || codes.codes.iter().for_each(|code| line(code.reveal())))
}

pub(super) fn tokens(place: &Place, client: &Client, out: Output, verb: &TokenVerb) -> anyhow::Result<()> {
    match verb {
        TokenVerb::List => {
            let page: Page<Token> = client.get(TOKENS)?;
            out.print(&page.items, || {
                let rows = page.items.iter().map(|token| {
                    [
                        token.id.to_string(),
                        token.name.clone(),
                        token.account.clone(),
                        words(&token.grants),
                        token.expires_at.map_or_else(|| "never".to_owned(), |at| time(at as i64)),
                        token
                            .last_used_at
                            .map_or_else(|| "never".to_owned(), |at| format!("{} ago", ago(at))),
                    ]
                });
                table(&["ID", "NAME", "ACCOUNT", "MAY", "EXPIRES", "LAST USED"], rows);
            })
        }
        TokenVerb::Add(args) => {
            let session = sign_in(place, &args.own.name(client)?)?;
            let request = AddToken {
                name: args.name.clone(),
                grants: Some(args.grants.clone()).filter(|grants| !grants.is_empty()),
                expires_in: args.days.map(|days| days * DAY),
            };
            let made = session.add_token(&request)?;
            session.sign_out()?;
            out.print(&made, || {
                note("The token is shown this once; BUOY_TOKEN, or the header `Authorization: Bearer …`, takes it:");
                line(made.secret.reveal());
            })
        }
        TokenVerb::Remove(Id { id }) => {
            client.call::<Value>(Method::DELETE, &format!("{TOKENS}/{id}"), "", &[])?;
            out.print(&json!({"id": id}), || line(format_args!("token {id} is removed")))
        }
    }
}

impl Own {
    /// The account that is named, or that of the saved token.
    fn name(&self, client: &Client) -> anyhow::Result<String> {
        match &self.account {
            Some(name) => Ok(name.clone()),
            None => client.me()?.account.context("name the account: --account NAME"),
        }
    }
}

fn sign_in(place: &Place, name: &str) -> anyhow::Result<Client> {
    let password = ask(&format!("Password of {name}: "))?;
    sign_in_with(place, name, password)
}

/// Signs in, and asks for the code of a second factor if one is needed.
fn sign_in_with(place: &Place, name: &str, password: Secret) -> anyhow::Result<Client> {
    let client = place.anonymous()?;
    let mut request = SignIn { name: name.to_owned(), password, code: None };
    match client.sign_in(&request) {
        Err(error @ ClientError::Refused { .. }) if error.needs_second_factor() => {
            request.code = Some(ask("Code of the second factor: ")?);
            Ok(client.sign_in(&request)?)
        }
        other => Ok(other?),
    }
}

/// Asks for a password twice on a terminal, once otherwise.
pub(in crate::cli) fn new_password(name: &str) -> anyhow::Result<Secret> {
    let first = ask(&format!("New password of {name}: "))?;
    if std::io::stdin().is_terminal() && ask("The same again: ")? != first {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

/// Asks for a secret: on a terminal without showing it, and otherwise as the next line of the standard input.
pub(in crate::cli) fn ask(prompt: &str) -> anyhow::Result<Secret> {
    if std::io::stdin().is_terminal() {
        return Ok(Secret::new(rpassword::prompt_password(prompt)?));
    }
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).context("the standard input cannot be read")?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() {
        let _ = std::io::stderr().flush();
        bail!("{prompt}the standard input has no line for it");
    }
    Ok(Secret::new(text))
}

/// Asks for a word that others may see.
pub(super) fn ask_openly(prompt: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let _ = std::io::stderr().write_all(prompt.as_bytes());
    }
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).context("the standard input cannot be read")?;
    match text.trim() {
        "" => bail!("{prompt}the standard input has no line for it"),
        text => Ok(text.to_owned()),
    }
}

fn account_path(name: &str) -> String {
    format!("{ACCOUNTS}/{}", encode(name))
}

fn show_accounts(accounts: &[Account]) {
    let rows = accounts.iter().map(|account| {
        let state = match (account.disabled, account.external) {
            (true, _) => "disabled",
            (false, true) => "by the identity provider",
            (false, false) => "enabled",
        };
        [
            account.name.clone(),
            words(&account.grants),
            state.to_owned(),
            if account.second_factor { "yes" } else { "no" }.to_owned(),
            account.last_sign_in.map_or_else(|| "never".to_owned(), |at| format!("{} ago", ago(at))),
        ]
    });
    table(&["NAME", "MAY", "STATE", "SECOND FACTOR", "LAST SIGN-IN"], rows);
}

fn words(grants: &[Grant]) -> String {
    let all = [Grant::everywhere(Role::Admin)];
    match grants {
        grants if *grants == all => "everything (admin)".to_owned(),
        grants => grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(", "),
    }
}
