//! The settings of sign-in by OpenID Connect.

use std::path::PathBuf;

use anyhow::{Context, bail};
use buoy_api::Secret;
use buoy_services::provider::{ProviderSettings, RoleRule};

/// The most bytes of a client secret.
const LONGEST_SECRET: u64 = 4096;

/// Flags and variables of the environment.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Oidc {
    /// The issuer of an identity provider (OpenID Connect) that signs people in, as in `https://id.example.org/realms/ops` [default: none]
    #[arg(long, env = "BUOY_OIDC_ISSUER", value_name = "URL")]
    pub(super) oidc_issuer: Option<String>,
    /// The name that the server has at the provider
    #[arg(long, env = "BUOY_OIDC_CLIENT_ID", value_name = "ID")]
    pub(super) oidc_client_id: Option<String>,
    /// A file with the client's secret; a public client has none
    #[arg(long, env = "BUOY_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(super) oidc_client_secret_file: Option<PathBuf>,
    /// The client's secret itself; better in the environment, since others can read the command line
    #[arg(long, env = "BUOY_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true, value_parser = hidden)]
    pub(super) oidc_client_secret: Option<Secret>,
    /// The provider's name on the page [default: the host of the issuer]
    #[arg(long, env = "BUOY_OIDC_NAME", value_name = "NAME")]
    pub(super) oidc_name: Option<String>,
    /// What a group of the provider may do here, as in `staff=viewer` or `north-ops=operator@north`; the group * is everybody. May be given several times; in the environment, with ; between.
    #[arg(long, env = "BUOY_OIDC_ROLE", value_name = "GROUP=ROLE", value_delimiter = ';')]
    pub(super) oidc_role: Vec<String>,
    /// The claim with a person's groups; in an object, as in `realm_access.roles` [default: groups]
    #[arg(long, env = "BUOY_OIDC_GROUPS_CLAIM", value_name = "CLAIM")]
    pub(super) oidc_groups_claim: Option<String>,
    /// The claim that names a person's account [default: preferred_username]
    #[arg(long, env = "BUOY_OIDC_NAME_CLAIM", value_name = "CLAIM")]
    pub(super) oidc_name_claim: Option<String>,
    /// What the provider is asked for besides openid, with spaces between [default: profile email]
    #[arg(long, env = "BUOY_OIDC_SCOPES", value_name = "SCOPES")]
    pub(super) oidc_scopes: Option<String>,
    /// The URL by which browsers reach the page, as in `https://buoy.example.org` [default: what the browser says]
    #[arg(long, env = "BUOY_OIDC_INTERFACE_URL", value_name = "URL")]
    pub(super) oidc_interface_url: Option<String>,
}

impl Oidc {
    /// These, and what they do not say by the configuration file.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            oidc_issuer: self.oidc_issuer.or(file.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(file.oidc_client_id),
            oidc_client_secret_file: self.oidc_client_secret_file.or(file.oidc_client_secret_file),
            oidc_client_secret: self.oidc_client_secret.or(file.oidc_client_secret),
            oidc_name: self.oidc_name.or(file.oidc_name),
            oidc_role: if self.oidc_role.is_empty() { file.oidc_role } else { self.oidc_role },
            oidc_groups_claim: self.oidc_groups_claim.or(file.oidc_groups_claim),
            oidc_name_claim: self.oidc_name_claim.or(file.oidc_name_claim),
            oidc_scopes: self.oidc_scopes.or(file.oidc_scopes),
            oidc_interface_url: self.oidc_interface_url.or(file.oidc_interface_url),
        }
    }

    /// The provider, if there is one. `scheme` is that of the interface.
    pub(super) fn provider(self, scheme: &'static str) -> anyhow::Result<Option<ProviderSettings>> {
        let Some(issuer) = self.oidc_issuer else {
            if self.oidc_client_id.is_some() || !self.oidc_role.is_empty() {
                bail!("the settings of OpenID Connect name no provider; give --oidc-issuer");
            }
            return Ok(None);
        };
        if !ProviderSettings::is_issuer(&issuer) {
            bail!(
                "--oidc-issuer {issuer:?} is no issuer; write it as in https://id.example.org, without a query. HTTP is for providers on this machine"
            );
        }
        let client_id = self.oidc_client_id.filter(|id| !id.is_empty());
        let client_id =
            client_id.context("--oidc-issuer needs --oidc-client-id, the server's name at the provider")?;
        if self.oidc_role.is_empty() {
            bail!(
                "--oidc-issuer needs --oidc-role: without it no group of the provider may do anything here"
            );
        }
        let rule = |text: &String| {
            text.parse::<RoleRule>().map_err(|error| anyhow::anyhow!("--oidc-role {text:?} {error}"))
        };
        let interface_url = self.oidc_interface_url.map(super::public_url).transpose();
        let host = issuer.split('/').nth(2).unwrap_or(&issuer).to_owned();
        Ok(Some(ProviderSettings {
            name: self.oidc_name.unwrap_or(host),
            client_id,
            client_secret: secret(self.oidc_client_secret_file, self.oidc_client_secret)?,
            scopes: self
                .oidc_scopes
                .as_deref()
                .unwrap_or("profile email")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            groups_claim: self.oidc_groups_claim.unwrap_or_else(|| "groups".to_owned()),
            name_claim: self.oidc_name_claim.unwrap_or_else(|| "preferred_username".to_owned()),
            roles: self.oidc_role.iter().map(rule).collect::<anyhow::Result<_>>()?,
            interface_url: interface_url.context("--oidc-interface-url")?,
            scheme,
            issuer,
        }))
    }
}

fn hidden(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

fn secret(file: Option<PathBuf>, given: Option<Secret>) -> anyhow::Result<Option<Secret>> {
    let secret = match (file, given) {
        (Some(_), Some(_)) => bail!("give --oidc-client-secret-file or BUOY_OIDC_CLIENT_SECRET, not both"),
        (Some(path), None) => {
            let size = std::fs::metadata(&path).map(|file| file.len());
            let read = size.and_then(|size| match size <= LONGEST_SECRET {
                true => std::fs::read_to_string(&path),
                false => Err(std::io::Error::other("it is too long for a secret")),
            });
            let read =
                read.with_context(|| format!("--oidc-client-secret-file {} cannot be read", path.display()))?;
            Some(Secret::new(read.trim().to_owned()))
        }
        (None, given) => given,
    };
    if secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
        bail!("the client secret of OpenID Connect is empty; leave it out for a public client");
    }
    Ok(secret)
}
