//! How many connections there may be, and how slow.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::support::{TOKEN, TestServer};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n";

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap()
}

/// The first line of the answer that comes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let read = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap_or_default().to_owned()
}

/// Is served on a connection that stays.
async fn served(stream: &mut TcpStream) {
    stream.write_all(HEALTH).await.unwrap();
    assert_eq!(answer(stream).await, "HTTP/1.1 200 OK");
}

/// A server with two places, those who have them, and who waits for one.
async fn full() -> (TestServer, [TcpStream; 3]) {
    let server = TestServer::start_with(|settings| settings.max_connections = 2, None).await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    served(&mut first).await;
    served(&mut second).await;
    let mut third = connect(&server).await;
    third.write_all(HEALTH).await.unwrap();
    (server, [first, second, third])
}

/// A client that sends its head byte by byte is cut off, and one that is only idle is not.
#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let server = TestServer::start().await;
    let (mut slow, mut idle) = (connect(&server).await, connect(&server).await);
    served(&mut idle).await;
    // The clock jumps whenever nobody has anything to do.
    tokio::time::pause();
    let mut pieces = 0;
    let ended = loop {
        if slow.write_all(b"X").await.is_err() {
            break true;
        }
        pieces += 1;
        let mut byte = [0];
        match timeout(Duration::from_secs(1), slow.read(&mut byte)).await {
            Ok(read) => break read.is_err() || read.is_ok_and(|read| read == 0),
            Err(_) if pieces > 60 => break false,
            Err(_) => {}
        }
    };
    assert!(ended, "still there after {pieces} seconds");
    assert!(pieces > 5, "cut off after {pieces} seconds");
    tokio::time::resume();
    served(&mut idle).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = TestServer::start().await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Long: ").await.unwrap();
    let piece = [b'x'; 4096];
    let mut sent = 0;
    while sent < 1 << 20 && stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    // The next one is served as ever.
    let mut stream = connect(&server).await;
    served(&mut stream).await;
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_waits_for_one() {
    let (_server, [mut first, second, mut third]) = full().await;
    for _ in 0..20 {
        served(&mut first).await;
        let mut byte = [0];
        assert!(third.try_read(&mut byte).is_err(), "a third connection was served");
    }
    drop(second);
    assert_eq!(answer(&mut third).await, "HTTP/1.1 200 OK");
}

/// Who says nothing at all is cut off as who never comes to an end.
#[tokio::test]
async fn a_client_that_says_nothing_keeps_no_place() {
    let server = TestServer::start_with(|settings| settings.max_connections = 1, None).await;
    let mut silent = connect(&server).await;
    let mut next = connect(&server).await;
    next.write_all(HEALTH).await.unwrap();
    tokio::time::pause();
    let answered = timeout(Duration::from_secs(20), answer(&mut next)).await;
    assert_eq!(answered.expect("the silent one keeps its place"), "HTTP/1.1 200 OK");
    let mut byte = [0];
    assert!(!matches!(silent.read(&mut byte).await, Ok(1..)), "the silent one was told something");
}

/// Connections that are only kept make room, but only where there is none.
#[tokio::test]
async fn clients_that_idle_do_not_keep_others_outside() {
    let (_server, [_first, _second, mut third]) = full().await;
    tokio::time::pause();
    let answered = timeout(Duration::from_secs(20), answer(&mut third)).await;
    assert_eq!(answered.expect("the idle ones keep their places"), "HTTP/1.1 200 OK");
}

/// A client that hangs up in the middle, or sends what is no request, takes nobody with it.
#[tokio::test]
async fn broken_clients_hurt_only_themselves() {
    let server = TestServer::start_with(|settings| settings.max_connections = 4, None).await;
    let half = format!("GET /api/dailycast/today/ HTTP/1.1\r\nHost: here\r\nAuthorization: Token {TOKEN}\r\n");
    let whole = format!("{half}\r\n");
    let inputs: [&[u8]; 6] = [
        b"",
        half.as_bytes(),
        whole.as_bytes(),
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
    ];
    for input in inputs.repeat(10) {
        let mut stream = connect(&server).await;
        stream.write_all(input).await.unwrap();
    }
    assert_eq!(server.get("/healthz").await.status(), 200);
}
