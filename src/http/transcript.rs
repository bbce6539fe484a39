//! What is said when: the paragraphs of an episode with their times, as WebVTT, JSON and chapters.
//! Whoever answers with one has seen to it that the caller may have it.
//!
//! Times were measured when the episode was spoken ([`paragraphs`]). An older row has only the
//! lengths of its chunks, or of the whole; there the text alone says where its paragraphs are.

use poem::{
    Request, Response,
    http::{StatusCode, header},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, conditional, error::Refusal};
use crate::{
    podcast::ChunkPlan,
    provider::tts::paragraphs::{self, SpokenChunk},
    store::listeners::{self, Speech},
};

/// Content type of [`Transcript::vtt`].
pub(super) const VTT: &str = "text/vtt; charset=utf-8";

/// Content type of [`Transcript::json`].
pub(super) const JSON: &str = "application/json";

/// What is said in an episode.
pub(super) struct Transcript {
    /// BCP 47 primary tag.
    pub language: Option<String>,
    /// Length of the episode in milliseconds.
    pub duration_ms: u64,
    /// In order, without gaps: each ends where the next begins.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph of a script.
pub(super) struct Paragraph {
    /// Where it begins, in milliseconds from the start of the episode.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// One line of plain text.
    pub text: String,
}

/// The transcript of any podcast that can be heard.
///
/// # Errors
/// [`Refusal::NotFound`] when there is none, [`Refusal::Away`] when nobody can tell.
pub(super) async fn of(app: &App, id: i64) -> Result<Transcript, Refusal> {
    Ok(read(app, id).await?.into())
}

/// The transcript of a podcast of this learner.
///
/// # Errors
/// As [`of`]; a foreign podcast is not found.
pub(super) async fn of_learner(app: &App, id: i64, user_id: i64) -> Result<Transcript, Refusal> {
    let speech = read(app, id).await?;
    if speech.user_id == user_id { Ok(speech.into()) } else { Err(Refusal::NotFound) }
}

async fn read(app: &App, id: i64) -> Result<Speech, Refusal> {
    let expired = app.expired(app.clock.now());
    let speech = listeners::speech(&app.reads, id, expired).await.map_err(|error| Refusal::database(&error))?;
    speech.ok_or(Refusal::NotFound)
}

/// A transcript as an answer that is not sent again to who has it. Weakly tagged: the tag stands for
/// the plain and the compressed form.
pub(super) fn answer(request: &Request, content_type: &'static str, body: String) -> Response {
    let tag = conditional::weak_tag(&body);
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::VARY, "Authorization, Cookie, Accept-Encoding");
    if conditional::is_known(request, &tag) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type(content_type).body(body)
}

/// The row's section `speech`. What is not there, or of another kind, is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Measured {
    /// Milliseconds of each chunk.
    chunk_ms: Vec<u64>,
    /// Where each paragraph begins.
    paragraph_ms: Vec<u64>,
}

impl From<Speech> for Transcript {
    fn from(speech: Speech) -> Self {
        let measured: Measured = serde_json::from_value(speech.measured).unwrap_or_default();
        let plan: ChunkPlan = serde_json::from_value(speech.chunk_plan).unwrap_or_default();
        let whole_ms = u64::try_from(speech.duration_seconds.unwrap_or_default()).unwrap_or_default() * 1000;
        let mut chunks: Vec<_> = plan.ends.iter().zip(&measured.chunk_ms).map(|(end, ms)| chunk(*end, *ms)).collect();
        if chunks.last().map(|chunk| chunk.end) != Some(speech.script.len()) {
            chunks = vec![chunk(speech.script.len(), whole_ms)];
        }
        let duration_ms = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.lasts_ms));
        let texts: Vec<_> = paragraphs::paragraphs(&speech.script)
            .into_iter()
            .filter_map(|place| speech.script.get(place).map(line))
            .collect();
        let starts = Some(measured.paragraph_ms).filter(|starts| fit(starts, texts.len(), duration_ms));
        let starts = starts.unwrap_or_else(|| paragraphs::starts(&speech.script, &chunks));
        let ends: Vec<_> = starts.iter().skip(1).copied().chain([duration_ms]).collect();
        let times = starts.into_iter().zip(ends).zip(texts);
        let paragraphs = times.map(|((start_ms, end_ms), text)| Paragraph { start_ms, end_ms, text }).collect();
        Self { language: speech.language, duration_ms, paragraphs }
    }
}

const fn chunk(end: usize, lasts_ms: u64) -> SpokenChunk<'static> {
    SpokenChunk { end, lasts_ms, pauses: &[] }
}

/// True for times of so many paragraphs, in order and within the episode.
fn fit(starts: &[u64], paragraphs: usize, duration_ms: u64) -> bool {
    starts.len() == paragraphs && starts.is_sorted_by(|one, next| one < next) && starts.last() < Some(&duration_ms)
}

/// A text as one line, without what no reader shows.
fn line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|character| !character.is_control()).collect()
}

impl Transcript {
    /// As WebVTT (<https://www.w3.org/TR/webvtt1/>): a cue for each paragraph.
    pub fn vtt(&self) -> String {
        let mut vtt = "WEBVTT".to_owned();
        let is_tag = |tag: &&String| tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if let Some(language) = self.language.as_ref().filter(is_tag) {
            vtt.push_str("\nLanguage: ");
            vtt.push_str(language);
        }
        for Paragraph { start_ms, end_ms, text } in &self.paragraphs {
            // Without these three no text ends its cue or begins markup.
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            vtt.push_str(&format!("\n\n{} --> {}\n{text}", timestamp(*start_ms), timestamp(*end_ms)));
        }
        vtt.push('\n');
        vtt
    }

    /// As JSON: `language`, `duration`, `paragraphs` with `start`, `end`, `text`; times in seconds.
    pub fn json(&self) -> String {
        let paragraph =
            |it: &Paragraph| json!({ "start": seconds(it.start_ms), "end": seconds(it.end_ms), "text": it.text });
        let paragraphs: Vec<_> = self.paragraphs.iter().map(paragraph).collect();
        json!({ "language": self.language, "duration": seconds(self.duration_ms), "paragraphs": paragraphs })
            .to_string()
    }

    /// As chapters of the podcast namespace, version 1.2
    /// (<https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/examples/chapters/jsonChapters.md>):
    /// one for each paragraph, named by its first words, as in the tag of the MP3.
    pub fn chapters(&self) -> String {
        let chapter =
            |it: &Paragraph| json!({ "startTime": seconds(it.start_ms), "title": paragraphs::heading(&it.text) });
        let chapters: Vec<_> = self.paragraphs.iter().map(chapter).collect();
        json!({ "version": "1.2.0", "chapters": chapters }).to_string()
    }
}

fn seconds(ms: u64) -> Value {
    (ms as f64 / 1000.0).into()
}

/// Hours, minutes, seconds and milliseconds.
fn timestamp(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}
