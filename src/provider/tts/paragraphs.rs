//! When each paragraph of a script is said.
//!
//! Chunks are known exactly; within one, paragraphs are found by the pauses that were heard
//! ([`crate::audio::pauses`]). Speakers pause after sentences too, and often no shorter, so all
//! sentence ends are matched with pauses at once: in order, so that what lies between two pauses is
//! about as long as its text takes ([`pace`]), and rather long pauses than short ones. Where there is
//! no pause to be had, as in a tone, the text alone decides.
//!
//! Nothing here panics, and the work is bounded by the length of the script, whatever was heard.

use std::ops::Range;

use super::pace;
use crate::audio::Pause;

/// A paragraph begins this much before its first sound, in seconds, but never before the middle of
/// the pause: a player that is sent to the middle of an MP3 is silent for a frame or two.
const LEAD: f64 = 0.1;

/// Pauses that a sentence end may be matched with: the nearest by text.
const CANDIDATES: usize = 12;

/// What a sentence end without a pause costs. In the unit of all costs: the square of a deviation of
/// the size that is usual.
const NO_PAUSE: f64 = 4.0;

/// What each second of a pause is worth behind a sentence; behind a paragraph twice as much.
const WORTH: f64 = 2.5;

/// No pause is worth more than this one, in seconds.
const LONGEST: f64 = 1.2;

/// A digit is said as a word: it takes this much longer than a letter, in seconds.
const DIGIT: f64 = 0.2;

/// Width of a heading in letters; ideographs and kana are twice as wide.
const HEADING: usize = 60;

/// A chunk of a script, as it was spoken.
#[derive(Debug, Clone)]
pub struct SpokenChunk<'a> {
    /// Byte offset in the script behind it.
    pub end: usize,
    /// How long it plays, in milliseconds.
    pub lasts_ms: u64,
    /// Where nobody speaks, from its own begin.
    pub pauses: &'a [Pause],
}

/// Where the paragraphs of a script are: what blank lines part, without the blanks around it.
pub fn paragraphs(script: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let (mut at, mut is_open) = (0, false);
    for line in script.split_inclusive('\n') {
        let text = line.trim();
        let start = at + line.len() - line.trim_start().len();
        match found.last_mut() {
            _ if text.is_empty() => is_open = false,
            Some(last) if is_open => last.end = start + text.len(),
            _ => {
                found.push(start..start + text.len());
                is_open = true;
            }
        }
        at += line.len();
    }
    found
}

/// The first words of a paragraph, to name it by. Cut between words where there are any.
pub fn heading(paragraph: &str) -> String {
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut width = 0;
    let too_wide = |(_, character): &(usize, char)| {
        width += if pace::is_syllable(*character) { 2 } else { 1 };
        width > HEADING
    };
    let Some((end, _)) = line.char_indices().find(too_wide) else { return line };
    let is_between_words = line[end..].starts_with(' ');
    let word_end = line[..end].rfind(' ').filter(|at| !is_between_words && at * 2 > end).unwrap_or(end);
    let head = line[..word_end].trim_end_matches([' ', ',', '.', ':', ';', '–', '、', '。']);
    format!("{head}…")
}

/// What follows a sentence that ends with `stop`, behind its quotes and brackets; `None` when `stop`
/// ends none, as in 3.14 or in the middle of "?!".
pub fn behind_sentence(stop: char, behind: &str) -> Option<&str> {
    let after = behind.trim_start_matches(['"', '\'', ')', '”', '’', '»', '」', '』', '）']);
    let is_end = match stop {
        '。' | '！' | '？' | '｡' | '।' | '؟' => !after.starts_with(['。', '！', '？', '｡']),
        '.' | '!' | '?' | '…' => after.starts_with(char::is_whitespace),
        _ => false,
    };
    is_end.then_some(after)
}

/// Where each of the [`paragraphs`] of a script begins, in milliseconds from the begin of the
/// episode: in order, each later than the one before and before the end of the last chunk, as long
/// as the episode has a millisecond for each.
pub fn starts(script: &str, chunks: &[SpokenChunk<'_>]) -> Vec<u64> {
    let paragraphs = paragraphs(script);
    let mut starts = Vec::with_capacity(paragraphs.len());
    let (mut begin, mut begin_ms) = (0, 0_u64);
    for chunk in chunks {
        let inside = |paragraph: &&Range<usize>| paragraph.start < chunk.end && paragraph.end > begin;
        let inside: Vec<_> = paragraphs.iter().filter(inside).collect();
        let part = |paragraph: &&Range<usize>| paragraph.start.max(begin)..paragraph.end.min(chunk.end);
        let texts: Vec<_> = inside.iter().map(|it| script.get(part(it)).unwrap_or_default()).collect();
        let ends = ends(&texts, chunk);
        let begins = std::iter::once(0).chain(ends.into_iter().map(|seconds| (seconds * 1000.0).round() as u64));
        let new = inside.iter().zip(begins).filter(|(paragraph, _)| paragraph.start >= begin);
        starts.extend(new.map(|(_, ms)| begin_ms.saturating_add(ms)));
        (begin, begin_ms) = (chunk.end.max(begin), begin_ms.saturating_add(chunk.lasts_ms));
    }
    starts.resize(paragraphs.len(), begin_ms);
    let (mut least, mut behind) = (0, paragraphs.len() as u64);
    for start in &mut starts {
        *start = (*start).min(begin_ms.saturating_sub(behind)).max(least);
        (least, behind) = (*start + 1, behind - 1);
    }
    starts
}

/// Where each text but the last ends in a chunk that holds them all, in seconds.
fn ends(texts: &[&str], chunk: &SpokenChunk<'_>) -> Vec<f64> {
    if texts.len() < 2 {
        return Vec::new();
    }
    let heard = Heard::new(chunk);
    let sentences: Vec<_> = texts.iter().flat_map(|text| sentences(text)).collect();
    let rate = heard.spoken / sentences.iter().map(|it| it.weight).sum::<f64>().max(f64::MIN_POSITIVE);
    let ends = heard.matched(&sentences, rate).into_iter().zip(&sentences);
    ends.filter(|(_, sentence)| sentence.ends_paragraph).map(|(end, _)| end).collect()
}

/// A sentence, for its place in time.
struct Sentence {
    /// Seconds that it usually takes.
    weight: f64,
    ends_paragraph: bool,
}

fn sentences(text: &str) -> Vec<Sentence> {
    let (mut found, mut begin) = (Vec::new(), 0);
    let sentence = |text: &str, ends_paragraph| {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        Sentence { weight: pace::usual(text).as_secs_f64() + digits as f64 * DIGIT, ends_paragraph }
    };
    for (at, character) in text.char_indices() {
        let Some(after) = behind_sentence(character, &text[at + character.len_utf8()..]) else { continue };
        let end = text.len() - after.len();
        if !after.trim().is_empty() {
            found.push(sentence(&text[begin..end], false));
            begin = end;
        }
    }
    found.push(sentence(&text[begin..], true));
    found
}

/// A chunk on a clock that stands still while nobody speaks: on it a text takes as long as its
/// letters, however long the speaker breathes.
struct Heard {
    /// What the clock shows at each pause.
    pauses: Vec<(f64, Pause)>,
    /// What it shows at the end.
    spoken: f64,
}

/// One way to match all sentence ends up to one.
struct Match {
    cost: f64,
    /// What the clock shows here.
    at: f64,
    /// The pause that was chosen.
    pause: Option<usize>,
    /// The first pause that may follow.
    next: usize,
    /// Place of the best way to the sentence end before.
    from: usize,
}

impl Heard {
    fn new(chunk: &SpokenChunk<'_>) -> Self {
        let lasts = chunk.lasts_ms as f64 / 1000.0;
        let (mut pauses, mut silent, mut last) = (Vec::new(), 0.0, 0.0);
        for pause in chunk.pauses {
            let pause = Pause { end: pause.end.min(lasts), ..*pause };
            if pause.start >= last && pause.end > pause.start {
                pauses.push((pause.start - silent, pause));
                silent += pause.end - pause.start;
                last = pause.end;
            }
        }
        Self { pauses, spoken: lasts - silent }
    }

    /// Where each sentence but the last ends, in seconds from the begin of the chunk.
    fn matched(&self, sentences: &[Sentence], rate: f64) -> Vec<f64> {
        let mut ways = vec![vec![Match { cost: 0.0, at: 0.0, pause: None, next: 0, from: 0 }]];
        let Some((last, others)) = sentences.split_last() else { return Vec::new() };
        let mut said = 0.0;
        for sentence in others {
            said += sentence.weight * rate;
            let next = ways.last().map(|before| self.further(before, sentence, said, rate)).unwrap_or_default();
            ways.push(next);
        }
        let odd = |way: &Match| way.cost + oddness(self.spoken - way.at, last.weight * rate);
        let mut place = ways.last().map_or(0, |ways| best(ways, odd));
        let mut ends = Vec::with_capacity(others.len());
        for ways in ways.iter().skip(1).rev() {
            let Some(way) = ways.get(place) else { break };
            ends.push(self.end(way));
            place = way.from;
        }
        ends.reverse();
        ends
    }

    /// The best ways to end one sentence more: one for each pause near `said`, and one without.
    fn further(&self, before: &[Match], sentence: &Sentence, said: f64, rate: f64) -> Vec<Match> {
        let expected = sentence.weight * rate;
        let near = self.pauses.partition_point(|(at, _)| *at < said).saturating_sub(CANDIDATES / 2);
        let near = near.min(self.pauses.len().saturating_sub(CANDIDATES));
        let candidates = self.pauses.iter().enumerate().skip(near).take(CANDIDATES);
        let mut ways: Vec<_> = candidates
            .filter_map(|(index, (at, pause))| {
                let fits = |way: &Match| way.next <= index && way.at < *at;
                let odd = |way: &Match| {
                    if fits(way) { way.cost + oddness(at - way.at, expected) } else { f64::INFINITY }
                };
                let from = best(before, odd);
                let worth =
                    (pause.end - pause.start).min(LONGEST) * WORTH * if sentence.ends_paragraph { 2.0 } else { 1.0 };
                let cost = odd(before.get(from)?) - worth;
                cost.is_finite().then_some(Match { cost, at: *at, pause: Some(index), next: index + 1, from })
            })
            .collect();
        let from = best(before, |way| way.cost);
        if let Some(way) = before.get(from) {
            let at = (way.at + expected).min(self.spoken);
            let next = self.pauses.partition_point(|(pause, _)| *pause <= at).max(way.next);
            ways.push(Match { cost: way.cost + NO_PAUSE, at, pause: None, next, from });
        }
        ways
    }

    /// When what follows a sentence end is to be heard, in seconds from the begin of the chunk.
    fn end(&self, way: &Match) -> f64 {
        match way.pause.and_then(|index| self.pauses.get(index)) {
            Some((_, pause)) => pause.end - LEAD.min((pause.end - pause.start) / 2.0),
            None => {
                let passed = self.pauses.iter().take_while(|(at, _)| *at < way.at);
                way.at + passed.map(|(_, pause)| pause.end - pause.start).sum::<f64>()
            }
        }
    }
}

/// How far a length is from what was expected: the square of the deviation, by what is usual for a
/// length and for the shortest.
fn oddness(length: f64, expected: f64) -> f64 {
    (length - expected).powi(2) / (0.02 * expected.powi(2) + 0.15)
}

/// The place of the way that costs least.
fn best(ways: &[Match], cost: impl Fn(&Match) -> f64) -> usize {
    let costs = ways.iter().map(cost).enumerate();
    costs.min_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(place, _)| place)
}
