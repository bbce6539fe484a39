//! Verifies AWS's Signature Version 4 in the `Authorization` header, by the published algorithm
//! and without any code of the client's side.

use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::vendor::Ask;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the clocks of client and server may be apart, in minutes.
const SKEW_MINUTES: i64 = 5;

/// Who may sign, and for what.
pub(super) struct Signer<'s> {
    pub(super) access_key_id: &'s str,
    pub(super) secret_access_key: &'s str,
    pub(super) service: &'s str,
}

/// Why a request is not let in. The names are AWS's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing is signed.
    MissingAuthenticationToken,
    /// The header is not what it should be.
    IncompleteSignature(&'static str),
    /// The access key is not known.
    UnrecognizedClient,
    /// Another signature came out, or it is too old; AWS's words.
    InvalidSignature(String),
}

/// What the header says.
struct Claim<'r> {
    access_key_id: &'r str,
    date: &'r str,
    region: &'r str,
    service: &'r str,
    signed: &'r str,
    signature: &'r str,
}

/// Verifies the signature of a request.
///
/// # Errors
/// The [`Refusal`].
pub(super) fn verify(ask: &Ask<'_>, signer: &Signer<'_>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let header = ask.header("authorization").ok_or(Refusal::MissingAuthenticationToken)?;
    let claim = claim(header).ok_or(Refusal::IncompleteSignature("Authorization header is malformed"))?;
    let stamp = ask.header("x-amz-date").ok_or(Refusal::IncompleteSignature("X-Amz-Date is required"))?;
    if claim.access_key_id != signer.access_key_id {
        return Err(Refusal::UnrecognizedClient);
    }
    let signed: Vec<&str> = claim.signed.split(';').collect();
    if !signed.contains(&"host") || !signed.contains(&"x-amz-date") {
        return Err(Refusal::IncompleteSignature("'host' and 'x-amz-date' must be signed"));
    }
    if claim.service != signer.service || stamp.get(..8) != Some(claim.date) {
        let message = "Credential should be scoped to a valid region, to the correct service and to the date";
        return Err(Refusal::InvalidSignature(message.to_owned()));
    }
    let at = NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ")
        .map_err(|_| Refusal::IncompleteSignature("X-Amz-Date is no date"))?;
    if (now - at.and_utc()).num_minutes().abs() >= SKEW_MINUTES {
        return Err(Refusal::InvalidSignature(format!("Signature expired: {stamp} is not within {SKEW_MINUTES} min.")));
    }
    let canonical = canonical_request(ask, &signed, claim.signed);
    let scope = format!("{}/{}/{}/aws4_request", claim.date, claim.region, claim.service);
    let hash = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{hash}");
    let first = format!("AWS4{}", signer.secret_access_key).into_bytes();
    let key = [claim.date, claim.region, claim.service, "aws4_request"]
        .iter()
        .fold(first, |key, part| keyed(&key, part.as_bytes()));
    if hex::encode(keyed(&key, to_sign.as_bytes())) == claim.signature {
        return Ok(());
    }
    Err(Refusal::InvalidSignature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
            .to_owned(),
    ))
}

fn claim(header: &str) -> Option<Claim<'_>> {
    let fields = header.strip_prefix(ALGORITHM)?.trim();
    let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let mut credential = field("Credential")?.split('/');
    let mut next = || credential.next().filter(|part| !part.is_empty());
    let (access_key_id, date, region, service) = (next()?, next()?, next()?, next()?);
    let ends = next()? == "aws4_request" && next().is_none();
    let (signed, signature) = (field("SignedHeaders")?, field("Signature")?);
    ends.then_some(Claim { access_key_id, date, region, service, signed, signature })
}

fn canonical_request(ask: &Ask<'_>, signed: &[&str], names: &str) -> String {
    let path: Vec<String> = ask.path.split('/').map(encoded).collect();
    let mut query: Vec<(&str, &str)> = ask
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    query.sort_unstable();
    let query: Vec<String> = query.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let headers: String = signed
        .iter()
        .map(|name| {
            let values = ask.headers.get_all(*name).iter().map(|value| value.to_str().unwrap_or_default());
            let values: Vec<String> =
                values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let body = hex::encode(Sha256::digest(ask.body));
    format!("{}\n{}\n{}\n{headers}\n{names}\n{body}", ask.method, path.join("/"), query.join("&"))
}

/// As RFC 3986 has it. What came encoded is encoded once more, as all services but S3 want it.
fn encoded(segment: &str) -> String {
    let letters = segment.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    letters.collect()
}

fn keyed(key: &[u8], data: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
