//! What learners' pages load: styles, scripts, a font. Compiled in.
//!
//! The files of our own pages are at an address that names what is in them, so they may be kept for
//! ever. The component is at one that never changes, because pages of others name it: it is kept for
//! a short time and then asked for by its tag, and any origin may load it.

use std::sync::LazyLock;

use poem::{
    Request, Response, handler,
    http::{StatusCode, header},
    middleware::Compression,
    web::{CompressionLevel, Path},
};
use sha2::{Digest, Sha256};

use crate::http::{conditional, error::Refusal, ops::FONT, routes::gzip};

/// The component.
static COMPONENT: &[u8] = include_bytes!("../../../dashboards/assets/daily-podcast.js");

/// Every other file: name, media type, bytes.
static ASSETS: [(&str, &str, &[u8]); 4] = [
    ("study.css", "text/css; charset=utf-8", include_bytes!("../../../dashboards/assets/study.css")),
    ("study.js", SCRIPT, include_bytes!("../../../dashboards/assets/study.js")),
    ("enter.js", SCRIPT, include_bytes!("../../../dashboards/assets/enter.js")),
    ("inter.woff2", "font/woff2", FONT),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// For as long as there is something to keep.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// For ten minutes; after that the old one serves while it is asked for.
const FOR_A_WHILE: &str = "public, max-age=600, stale-while-revalidate=86400";

/// Sixteen digits of all files together: another file, another address.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new_with_prefix(COMPONENT);
    ASSETS.iter().for_each(|(_, _, bytes)| all.update(bytes));
    hex::encode(all.finalize())[..16].to_owned()
});

/// The tag of the component; weak, because it stands for the plain and the compressed form.
static TAG: LazyLock<String> = LazyLock::new(|| conditional::weak_tag(COMPONENT));

/// For files that browsers keep: a smaller one is worth a longer while.
pub(super) fn packed() -> Compression {
    gzip().with_quality(CompressionLevel::Default)
}

/// The address of a file for a page of ours.
pub(super) fn address(name: &str) -> String {
    match name {
        "daily-podcast.js" => format!("/static/daily-podcast.js?v={}", *VERSION),
        name => format!("/static/{}/{name}", *VERSION),
    }
}

/// `GET /static/daily-podcast.js`.
#[handler]
pub(super) fn component(request: &Request) -> Response {
    let is_named = request.uri().query().and_then(|query| query.strip_prefix("v=")) == Some(VERSION.as_str());
    let response = Response::builder()
        .header(header::ETAG, &*TAG)
        .header(header::CACHE_CONTROL, if is_named { FOR_EVER } else { FOR_A_WHILE })
        .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .header("Cross-Origin-Resource-Policy", "cross-origin");
    if conditional::is_known(request, &TAG) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type(SCRIPT).body(COMPONENT)
}

/// `GET /static/{version}/{name}`.
#[handler]
pub(super) fn serve(Path((version, name)): Path<(String, String)>) -> Result<Response, Refusal> {
    let (_, kind, bytes) = ASSETS.iter().find(|(known, ..)| *known == name).ok_or(Refusal::NotFound)?;
    // Somebody who asks for an older version gets the newer one, but keeps it for this visit only.
    let keep = if version == *VERSION { FOR_EVER } else { "no-store" };
    Ok(Response::builder().content_type(kind).header(header::CACHE_CONTROL, keep).body(*bytes))
}
