//! What is said when: the paragraphs of an episode with their times, as WebVTT, JSON and chapters.
//! Whoever answers with one has seen to it that the caller may have it.

use super::{App, error::Refusal};

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
pub(super) async fn of(_app: &App, _id: i64) -> Result<Transcript, Refusal> {
    Err(Refusal::NotFound)
}
