//! Who plays: an account of the demo's server, whose token and password lie in the demo's folder.

use std::path::Path;

use anyhow::Context;
use buoy_api::client::Client;
use buoy_api::{AddAccount, AddToken, Grant, Role, Secret, SignIn};
use buoy_files::{Access, replace};
use buoy_services::hex;
use serde_json::Value;

/// The name of the account.
pub(super) const NAME: &str = "operator";
/// Files in the demo's folder.
pub(super) const TOKEN_FILE: &str = "operator.token";
pub(super) const PASSWORD_FILE: &str = "operator.password";

/// Makes the account, an admin, and returns a client that acts for it.
pub(super) fn sign_up(http: &str, folder: &Path) -> anyhow::Result<Client> {
    let password = password()?;
    let nobody = Client::new(http);
    let grants = vec![Grant::everywhere(Role::Admin)];
    let account = AddAccount { name: NAME.into(), password: password.clone(), grants };
    nobody.send_json::<Value>(ureq::http::Method::POST, "/api/v1/accounts", &account)?;
    let session = nobody.sign_in(&SignIn { name: NAME.into(), password: password.clone(), code: None })?;
    let token = session.add_token(&AddToken { name: "demo".into(), grants: None, expires_in: None })?.secret;
    session.sign_out()?;
    for (name, secret) in [(TOKEN_FILE, &token), (PASSWORD_FILE, &password)] {
        let file = folder.join(name);
        replace(&file, secret.reveal().as_bytes(), Access::Owner)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(nobody.with_token(token))
}

fn password() -> anyhow::Result<Secret> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(hex::encode(&bytes)))
}
