//! Mail: one message to one mailbox, as plain text in UTF-8.
//!
//! Every address of `alerts.to` is a sink of its own, so that one that is refused does not keep the
//! others from being told. The words of a mail server are never repeated in an error: some servers
//! quote the command they refuse, and that may be the password.

use std::{net::IpAddr, str::FromStr, time::Duration};

use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use reqwest::Url;

use super::{AlertSink, Message, line};
use crate::{machine::FailureKind, podcast::Failure};

/// The longest wait for one answer of the server, and for the whole of it.
const ANSWER: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);

/// Why a mail server cannot be set up. Never quotes the address of the server: its password is in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none.
    #[error("the address of the mail server is no URL: {0}")]
    Url(String),
    /// It says something that is not known here.
    #[error("the address of the mail server has {0}")]
    Unknown(&'static str),
    /// A password on a way that is not encrypted.
    #[error("the password of the mail server could be read on its way")]
    Exposed,
    /// A mailbox that is none.
    #[error("{0:?} is no mail address")]
    Mailbox(String),
    /// TLS cannot be set up.
    #[error("TLS for mail cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// A mail server: `smtps://user:password@host:465` (TLS from the start) or
/// `smtp://user:password@host:587` (STARTTLS, and no mail without it). A host that is this machine,
/// and any with `?tls=none`, is spoken to in the clear; then without a password, unless it is
/// this machine.
#[derive(Clone)]
pub struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// One mailbox that is told.
pub struct Mail {
    server: Server,
    name: String,
    to: Mailbox,
}

impl Server {
    /// A server, and who the mail is from. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(url: &str, from: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|error| Error::Url(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(Error::Unknown("no host"));
        }
        let credentials = credentials(&url)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.clone());
        let tls = || TlsParameters::new_rustls(host.clone()).map_err(Error::Tls);
        let (tls, port) = match (url.scheme(), is_plain(&url, &host)?) {
            ("smtps", false) => (Tls::Wrapper(tls()?), 465),
            ("smtp", false) => (Tls::Required(tls()?), 587),
            ("smtp", true) => (Tls::None, 25),
            _ => return Err(Error::Unknown("a scheme that is neither smtps nor smtp")),
        };
        if matches!(tls, Tls::None) && credentials.is_some() && !is_here(&host) {
            return Err(Error::Exposed);
        }
        let mut builder = builder.tls(tls).port(url.port().unwrap_or(port)).timeout(Some(ANSWER));
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        let from = mailbox(from)?;
        // The name with which a server is greeted: the domain of the sender says more than a literal.
        let builder = builder.hello_name(ClientId::Domain(from.email.domain().to_owned()));
        Ok(Self { transport: builder.build(), from })
    }

    /// Runs one conversation with the server, in bounded time.
    async fn within<T>(
        &self,
        conversation: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(WHOLE, conversation).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::new(FailureKind::Timeout, "the mail server did not answer in time").at("mail")),
        }
    }
}

impl Mail {
    /// A mailbox that is told by way of this server.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn new(server: Server, to: &str) -> Result<Self, Error> {
        Ok(Self { server, name: format!("mail {to}"), to: mailbox(to)? })
    }

    fn letter(&self, message: &Message) -> Result<Letter, Failure> {
        let domain = self.server.from.email.domain();
        let id = |key: &str| format!("<{key}.{}@{domain}>", self.to.email.to_string().replace('@', "."));
        let mut letter = Letter::builder()
            .from(self.server.from.clone())
            .to(self.to.clone())
            .date(message.at.into())
            .message_id(Some(id(&message.key)))
            .subject(format!("[dailycast] {}", line(&message.title)))
            .header(ContentType::TEXT_PLAIN)
            // Keeps absence notes from being answered.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(before) = &message.follows {
            letter = letter.in_reply_to(id(before)).references(id(before));
        }
        let body = format!("{}\n\n{}\n", message.text, facts(message));
        let unfit =
            |error| Failure::new(FailureKind::BadRequest, format!("no mail can be written: {error}")).at("mail");
        letter.body(body).map_err(unfit)
    }
}

#[async_trait]
impl AlertSink for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "mail"
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let letter = self.letter(message)?;
        self.server.within(self.server.transport.send(letter)).await.map(drop)
    }

    async fn reach(&self) -> Result<String, Failure> {
        match self.server.within(self.server.transport.test_connection()).await? {
            true => Ok(format!("the mail server takes mail from us for {}", self.to.email)),
            false => Err(Failure::new(FailureKind::Unavailable, "the mail server broke the connection off").at("mail")),
        }
    }
}

/// The facts as lines, for filters.
fn facts(message: &Message) -> String {
    let Some(facts) = message.facts.as_object() else { return String::new() };
    let shown = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), line);
    let lines = facts.iter().filter(|(name, _)| *name != "message");
    lines.map(|(name, value)| format!("{name}: {}", shown(value))).collect::<Vec<_>>().join("\n")
}

fn mailbox(text: &str) -> Result<Mailbox, Error> {
    Address::from_str(text).map(|address| Mailbox::new(None, address)).map_err(|_| Error::Mailbox(text.to_owned()))
}

/// User and password, as they were before they were written into a URL.
fn credentials(url: &Url) -> Result<Option<Credentials>, Error> {
    let plain = |text: &str| {
        let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        let pairs = Url::parse(&format!("smtp://x/?{form}")).map_err(|error| Error::Url(error.to_string()))?;
        Ok(pairs.query_pairs().next().map(|(_, value)| value.into_owned()).unwrap_or_default())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() => Ok(Some(Credentials::new(plain(user)?, plain(password)?))),
        _ => Err(Error::Unknown("a user without a password, or a password without a user")),
    }
}

/// True when the way to the server is not to be encrypted.
fn is_plain(url: &Url, host: &str) -> Result<bool, Error> {
    let mut plain = url.scheme() == "smtp" && is_here(host);
    for (key, value) in url.query_pairs() {
        plain = match (&*key, &*value) {
            ("tls", "none") => true,
            ("tls", "required") => false,
            _ => return Err(Error::Unknown("a parameter that is not tls=none or tls=required")),
        };
    }
    Ok(plain)
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What went wrong, in our own words.
fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    let (kind, what) = match error.status().map(|code| code.to_string()) {
        Some(code) if error.is_permanent() => {
            let kind = if ["530", "534", "535", "538"].contains(&code.as_str()) {
                FailureKind::KeyRefused
            } else {
                FailureKind::BadRequest
            };
            (kind, format!("the mail server refused with {code}"))
        }
        Some(code) => (FailureKind::Unavailable, format!("the mail server asks to come later with {code}")),
        None if error.is_timeout() => (FailureKind::Timeout, "the mail server did not answer in time".to_owned()),
        None if error.is_tls() => (FailureKind::Unavailable, "no TLS with the mail server".to_owned()),
        None if error.is_response() => {
            // A connection that is cut in the middle of an answer looks like this, too: it may pass.
            (FailureKind::Unavailable, "the mail server broke off, or answered something that is no SMTP".to_owned())
        }
        None if error.is_client() => (
            FailureKind::BadRequest,
            "the mail server does not offer what we need (STARTTLS, or a way to log in)".to_owned(),
        ),
        None => (FailureKind::Unavailable, "the mail server cannot be reached, or broke the connection off".to_owned()),
    };
    Failure::new(kind, what).at("mail")
}
