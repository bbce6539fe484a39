//! What a request tells of where it comes from, for pages of learners and of operators alike: which
//! page sent it, who is at the other end, what its cookies say.
//!
//! A cookie is sent along with what another site makes a browser do. So a session counts for a
//! change only when a page of ours sent it ([`check_site`]).

use std::net::IpAddr;

use poem::{
    Request,
    http::{HeaderValue, header},
};

use super::{App, error::Refusal};

/// What a page may load: what is ours, and audio, which is at home in an object store of any address.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; \
     media-src 'self' https: http:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// True where we are reached by TLS: cookies are bound to it then.
pub(super) fn is_secure(app: &App) -> bool {
    app.settings.public_url.starts_with("https://")
}

/// What keeps a cookie from being sent in the clear, where we are reached by TLS.
pub(super) fn secure(app: &App) -> &'static str {
    if is_secure(app) { "; Secure" } else { "" }
}

/// The key of a session in a cookie: 64 hex digits.
pub(super) fn session_key<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    cookie(request, name).filter(|key| key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// A cookie as a header.
pub(super) fn set_cookie(cookie: &str) -> Option<(header::HeaderName, HeaderValue)> {
    Some((header::SET_COOKIE, cookie.parse().ok()?))
}

/// For what a page of somebody else makes a browser do.
pub(super) const FOREIGN: Refusal =
    Refusal::Forbidden("foreign_origin", "This was sent by a page of another site, so nothing was done.");

/// Refuses what was not sent by a page of ours.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_site(app: &App, request: &Request) -> Result<(), Refusal> {
    let origin = request.header(header::ORIGIN);
    let is_from_here = match request.header("sec-fetch-site") {
        Some("same-origin") => true,
        Some("none") => origin.is_none_or(|origin| is_ours(app, request, origin)),
        Some(_) => false,
        // A browser from before 2023, or no browser.
        None => origin.or(request.header(header::REFERER)).is_some_and(|address| is_ours(app, request, address)),
    };
    if is_from_here { Ok(()) } else { Err(FOREIGN) }
}

/// True for an address on the host that was asked, or on the one that we are known by.
pub(super) fn is_ours(app: &App, request: &Request, address: &str) -> bool {
    let host = |address: &str| {
        let rest = address.split_once("://")?.1;
        rest.split(['/', '?', '#']).next().map(str::to_ascii_lowercase)
    };
    let asked = request.header(header::HOST).map(str::to_ascii_lowercase);
    let of_it = host(address);
    of_it.is_some() && (of_it == asked || of_it == host(&app.settings.public_url))
}

/// Who asks: the address at the other end, or what a proxy on this host or in a private net says of
/// whom it serves.
pub(super) fn client(request: &Request) -> IpAddr {
    let peer = request.remote_addr().as_socket_addr().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
    let is_near = match peer.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    // The last one is what the proxy itself saw. Some proxies write it into a line of its own, below
    // what the client sent.
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back().filter(|_| is_near);
    let last = forwarded.and_then(|all| all.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.unwrap_or(peer)
}

/// The value of a cookie.
pub(super) fn cookie<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let cookies = request.header(header::COOKIE)?.split(';').filter_map(|pair| pair.trim().split_once('='));
    cookies.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}
