//! The academy's words about tokens, word for word.

use reqwest::{Method, header::HeaderValue};

use super::support::{INACTIVE, TOKEN, TestServer};

const NOT_PROVIDED: &str = "Authentication credentials were not provided.";
const INVALID: &str = "Invalid token.";
const NO_CREDENTIALS: &str = "Invalid token header. No credentials provided.";
const SPACES: &str = "Invalid token header. Token string should not contain spaces.";
const CHARACTERS: &str = "Invalid token header. Token string should not contain invalid characters.";

#[tokio::test]
async fn a_caller_who_is_not_let_in_reads_the_academys_words() {
    let server = TestServer::start().await;
    let unknown = format!("Token {}", "0".repeat(40));
    let with_space = format!("Token {TOKEN} {TOKEN}");
    let longer = format!("Token {TOKEN}0");
    let inactive = format!("Token {INACTIVE}");
    let cases: [(Option<&[u8]>, &str); 12] = [
        (None, NOT_PROVIDED),
        (Some(b""), NOT_PROVIDED),
        (Some(b"Bearer 0123456789abcdef0123456789abcdef01234567"), NOT_PROVIDED),
        (Some(TOKEN.as_bytes()), NOT_PROVIDED),
        (Some(b"Token"), NO_CREDENTIALS),
        (Some(b"token "), NO_CREDENTIALS),
        (Some(with_space.as_bytes()), SPACES),
        (Some(b"Token caf\xe9"), CHARACTERS),
        (Some("Token café".as_bytes()), CHARACTERS),
        (Some(unknown.as_bytes()), INVALID),
        (Some(longer.as_bytes()), INVALID),
        (Some(inactive.as_bytes()), "User inactive or deleted."),
    ];
    for path in ["/api/dailycast/today/", "/api/dailycast/episodes/1/audio"] {
        for (header, words) in cases {
            let mut request = server.request(Method::GET, path);
            if let Some(header) = header {
                request = request.header("Authorization", HeaderValue::from_bytes(header).unwrap());
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{header:?}");
            assert_eq!(response.headers()["www-authenticate"], "Token");
            let body = response.text().await.unwrap();
            assert_eq!(body, format!("{{\"detail\":\"{words}\"}}"), "{header:?}");
        }
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let server = TestServer::start().await;
    for scheme in ["Token", "token", "TOKEN", " Token  "] {
        let request = server.request(Method::GET, "/api/dailycast/today/");
        let response = request.header("Authorization", format!("{scheme} {TOKEN}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{scheme:?}");
    }
}
