//! Sends a message as mail.

use std::time::Duration;

use buoy_api::Secret;
use buoy_fleet::alerts::deliveries::{Attempt, Delivery};
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::address::{self, Network, NoConnection};
use super::message;
use super::receivers::{MailServer, Protection, ReceiverFault, mailbox};

/// How long one step of the exchange may take,
const PATIENCE: Duration = Duration::from_secs(10);
/// and all of it: whoever tests a receiver waits for it.
const ALL: Duration = Duration::from_secs(20);

/// Mail for some addresses.
pub(super) struct Mail<'a> {
    pub(super) server: &'a str,
    pub(super) sign_in: Option<(&'a str, &'a Secret)>,
    pub(super) from: &'a str,
    pub(super) to: &'a [String],
}

/// Sends a message.
pub(super) async fn send(mail: &Mail<'_>, delivery: &Delivery, allowed: &[Network]) -> Attempt {
    let message = match letter(mail, delivery) {
        Ok(message) => message,
        Err(fault) => return Attempt::Refused(fault.to_string()),
    };
    match tokio::time::timeout(ALL, hand_in(mail, message, allowed)).await {
        Ok(attempt) => attempt,
        Err(_) => failed(format!("it was not done within {} s", ALL.as_secs())),
    }
}

async fn hand_in(mail: &Mail<'_>, message: Message, allowed: &[Network]) -> Attempt {
    let server = match MailServer::parse(mail.server) {
        Ok(server) => server,
        Err(fault) => return Attempt::Refused(fault.to_string()),
    };
    let mut last = failed(format!("{} has no address", server.host));
    // The address that was checked is connected to, and the certificate has to have the name.
    let addresses = match address::resolve(&server.host, server.port, allowed).await {
        Ok(addresses) => addresses,
        Err(error @ NoConnection::Forbidden(_)) => return Attempt::Refused(error.to_string()),
        Err(error) => return failed(error.to_string()),
    };
    for address in addresses {
        let tls = match protection(&server) {
            Ok(tls) => tls,
            Err(error) => return failed(format!("TLS: {error}")),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(server.port)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::default())
            .tls(tls);
        if let Some((user, password)) = mail.sign_in {
            transport =
                transport.credentials(Credentials::new(user.to_owned(), password.reveal().to_owned()));
        }
        last = match transport.build().send(message.clone()).await {
            Ok(_) => return Attempt::Accepted,
            Err(error) => judge(&error),
        };
        if let Attempt::Refused(_) = last {
            return last;
        }
    }
    last
}

fn protection(server: &MailServer) -> Result<Tls, lettre::transport::smtp::Error> {
    let name = server.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(match server.protection {
        Protection::None => Tls::None,
        Protection::Tls => Tls::Wrapper(TlsParameters::new(name)?),
        Protection::StartTls => Tls::Required(TlsParameters::new(name)?),
    })
}

fn judge(error: &lettre::transport::smtp::Error) -> Attempt {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = format!("{why}: {inner}");
        source = inner.source();
    }
    let why = buoy_lwm2m::text::harmless(&why).to_string();
    // A sign-in that is refused may be mended at the mail server (RFC 4954 section 6).
    let is_sign_in = error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
    if error.is_permanent() && !is_sign_in { Attempt::Refused(why) } else { failed(why) }
}

fn letter(mail: &Mail<'_>, delivery: &Delivery) -> Result<Message, ReceiverFault> {
    let from = mailbox(mail.from)?;
    // The same for each attempt, also after a restart, so that what comes twice can be told.
    let id = format!("<buoy-{:x}-{}@{}>", delivery.created_at, delivery.id, from.email.domain());
    let mut letter = Message::builder()
        .from(from)
        .subject(message::subject(delivery))
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN);
    for address in mail.to {
        letter = letter.to(mailbox(address)?);
    }
    letter.body(message::text(delivery)).map_err(|error| ReceiverFault::Address(error.to_string()))
}

fn failed(error: String) -> Attempt {
    Attempt::Failed { error, retry_after: None }
}
