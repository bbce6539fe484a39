//! A mail server that a test plays: enough of SMTP for one letter at a time, in the clear.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// How it treats who comes.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Answers this to `RCPT TO` of mailboxes that contain the word.
    pub refuses: Option<(&'static str, &'static str)>,
    /// Answers this to `AUTH`; without it, nobody need log in.
    pub auth: Option<&'static str>,
    /// Takes the connection and says nothing.
    pub is_mute: bool,
    /// Closes the connection when the letter begins.
    pub cuts: bool,
}

/// What was said to it.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Every command.
    pub commands: Vec<String>,
    /// Every letter, as it came, with its recipient.
    pub letters: Vec<(String, String)>,
}

/// The server.
pub struct PostOffice {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl PostOffice {
    pub async fn with(manners: Manners) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let to_hear = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (manners, heard) = (manners.clone(), Arc::clone(&to_hear));
                // Whoever came may have gone by now.
                tokio::spawn(async move { converse(stream, &manners, &heard).await.ok() });
            }
        });
        Self { port, heard, task }
    }

    /// Its address with a user, whose password is `hunter2`, or without.
    pub fn url(&self, user: Option<&str>) -> String {
        let user = user.map(|user| format!("{user}:hunter2@")).unwrap_or_default();
        format!("smtp://{user}127.0.0.1:{}", self.port)
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    pub fn letters(&self) -> Vec<(String, String)> {
        self.heard().letters
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, manners: &Manners, heard: &Mutex<Heard>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if manners.is_mute {
        // Until the other side gives up.
        stream.read_u8().await?;
    }
    stream.write_all(b"220 played\r\n").await?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        heard.lock().unwrap().commands.push(command.clone());
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" if manners.auth.is_some() => "250-played\r\n250 AUTH PLAIN",
            "EHLO" => "250 played",
            "AUTH" => manners.auth.unwrap_or("503 not here"),
            "RCPT" => {
                to = command.clone();
                match manners.refuses {
                    Some((word, answer)) if command.contains(word) => answer,
                    _ => "250 taken",
                }
            }
            "DATA" if manners.cuts => return Ok(()),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                while !letter.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut letter).await? == 0 {
                        return Ok(());
                    }
                }
                heard.lock().unwrap().letters.push((to.clone(), letter));
                "250 sent"
            }
            "QUIT" => "221 farewell",
            _ => "250 as you wish",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}
