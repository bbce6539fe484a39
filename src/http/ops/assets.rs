//! Files that pages load: styles, scripts, a font. Compiled in. Their address names what is in them,
//! so they may be kept for ever.

use std::sync::LazyLock;

use poem::{
    Response, handler,
    http::{StatusCode, header},
    web::Path,
};
use sha2::{Digest, Sha256};

use crate::http::error::Refusal;

/// A file as it is served.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../../dashboards/assets/", $name)) }
    };
}

/// Every file there is.
static ASSETS: [Asset; 6] = [
    asset!("ops.css", "text/css; charset=utf-8"),
    asset!("ops.js", "text/javascript; charset=utf-8"),
    asset!("enter.js", "text/javascript; charset=utf-8"),
    asset!("vendor/htmx.min.js", "text/javascript; charset=utf-8"),
    asset!("vendor/hx-sse.min.js", "text/javascript; charset=utf-8"),
    asset!("vendor/inter-latin-wght-normal.woff2", "font/woff2"),
];

/// The typeface of all pages.
pub(in crate::http) const FONT: &[u8] =
    include_bytes!("../../../dashboards/assets/vendor/inter-latin-wght-normal.woff2");

/// Sixteen digits of all files together: another file, another address.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    ASSETS.iter().for_each(|file| all.update(file.bytes));
    hex::encode(all.finalize())[..16].to_owned()
});

/// The address of a file.
pub(super) fn address(name: &str) -> String {
    format!("/ops/assets/{}/{name}", *VERSION)
}

/// `GET /ops/assets/{version}/{name}`.
#[handler]
pub(super) fn serve(Path(file): Path<String>) -> Result<Response, Refusal> {
    let (version, name) = file.split_once('/').ok_or(Refusal::NotFound)?;
    let found = ASSETS.iter().find(|file| file.name == name).ok_or(Refusal::NotFound)?;
    // Somebody who asks for an older version gets the newer one, but keeps it for this visit only.
    let keep = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    Ok(Response::builder()
        .status(StatusCode::OK)
        .content_type(found.kind)
        .header(header::CACHE_CONTROL, keep)
        .body(found.bytes))
}
