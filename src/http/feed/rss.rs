//! A feed as apps read it: RSS 2.0 with the additions of Apple and of the podcast namespace.
//!
//! The same rows make the same bytes. A guid holds neither key nor address, so no app takes an
//! episode for a new one when its address changes. An episode is dated within the day it is for, so
//! that the order of dates is that of days whenever it was made.

use std::{
    cmp::{max, min},
    fmt::Write as _,
    sync::LazyLock,
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use sha2::{Digest as _, Sha256};

use super::{
    words::{Words, words},
    xml::{Xml, escape},
};
use crate::{
    http::{Settings, conditional},
    provider::tts::paragraphs,
    store::feeds::{Feed, Item, Stamp},
};

/// Who makes it, for apps that show an author.
const AUTHOR: &str = "dailycast";

/// Minutes that an app may keep the feed without asking again.
const KEEP: &str = "60";

/// The longest title of an episode, in characters.
const LONGEST_TITLE: usize = 200;

/// Characters of the script that stand for it in a list.
const EXCERPT: usize = 300;

/// Apps make chapters of a list of times only when there are so many.
const FEWEST_TIMES: usize = 3;

const NAMESPACES: [(&str, &str); 5] = [
    ("version", "2.0"),
    ("xmlns:itunes", "http://www.itunes.com/dtds/podcast-1.0.dtd"),
    ("xmlns:podcast", "https://podcastindex.org/namespace/1.0"),
    ("xmlns:atom", "http://www.w3.org/2005/Atom"),
    ("xmlns:content", "http://purl.org/rss/1.0/modules/content/"),
];

/// What makes bytes of a state. Whoever changes it makes other bytes, and so other tags.
static FORM: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(include_str!("rss.rs"));
    hash.update(include_str!("words.rs"));
    hash.update(include_str!("xml.rs"));
    hash.update(include_str!("../../provider/tts/paragraphs.rs"));
    hex::encode(hash.finalize())
});

/// Which state of a feed it is; found without its words.
pub(super) struct State {
    /// Its tag. Weak, because libraries have a hand in the bytes, too.
    pub tag: String,
    /// When it was last changed; never earlier than the day of its newest episode.
    pub changed_at: DateTime<Utc>,
}

/// What every part of a feed has to know.
struct Frame<'a> {
    settings: &'a Settings,
    /// The address of the feed without its end; those of its parts begin so.
    base: String,
    cover: String,
    guid: &'a str,
    words: &'static Words,
}

/// The state of the feed that `key` opens, with these episodes, newest first.
pub(super) fn state(settings: &Settings, key: &str, feed: &Feed, stamps: &[Stamp]) -> State {
    let mut hash = Sha256::new();
    let Feed { guid, linked_at, .. } = feed;
    let Settings { public_url, time_zone, .. } = settings;
    hash.update(format!("{} {public_url} {time_zone} {key} {guid} {linked_at:?}", *FORM));
    for stamp in stamps {
        hash.update(format!(" {stamp:?}"));
    }
    let changes = stamps.iter().map(|stamp| max(stamp.updated_at, published(settings, stamp)));
    State { tag: conditional::weak(hash.finalize()), changed_at: changes.fold(*linked_at, max) }
}

/// The feed that `key` opens, with its episodes, newest first; last changed at that time.
pub(super) fn text(settings: &Settings, key: &str, feed: &Feed, items: &[Item], changed_at: DateTime<Utc>) -> String {
    let prefix = &settings.public_url;
    let newest = items.first();
    let frame = Frame {
        settings,
        base: format!("{prefix}/feed/{key}"),
        cover: format!("{prefix}/static/cover.png"),
        guid: &feed.guid,
        words: words(newest.and_then(|item| item.language.as_deref())),
    };
    let mut xml = Xml::new();
    xml.open("rss", &NAMESPACES);
    xml.open("channel", &[]);
    frame.head(&mut xml, newest, changed_at);
    items.iter().for_each(|item| frame.item(&mut xml, item));
    xml.close("channel");
    xml.close("rss");
    xml.end()
}

impl Frame<'_> {
    /// What is said of the feed as a whole.
    fn head(&self, xml: &mut Xml, newest: Option<&Item>, changed_at: DateTime<Utc>) {
        let Words { language, title, description, daily } = self.words;
        let page = format!("{}/study/dashboard", self.settings.public_url);
        xml.text("title", &[], title);
        xml.text("description", &[], description);
        xml.text("link", &[], &page);
        xml.text("language", &[], newest.and_then(|item| item.language.as_deref()).unwrap_or(language));
        let own = format!("{}.xml", self.base);
        xml.empty("atom:link", &[("href", &own), ("rel", "self"), ("type", "application/rss+xml")]);
        xml.open("image", &[]);
        xml.text("url", &[], &self.cover);
        xml.text("title", &[], title);
        xml.text("link", &[], &page);
        xml.close("image");
        xml.text("generator", &[], AUTHOR);
        xml.text("lastBuildDate", &[], &changed_at.to_rfc2822());
        xml.text("ttl", &[], KEEP);

        xml.text("itunes:author", &[], AUTHOR);
        xml.empty("itunes:image", &[("href", &self.cover)]);
        xml.empty("itunes:category", &[("text", "Education")]);
        xml.text("itunes:explicit", &[], "false");
        xml.text("itunes:type", &[], "episodic");
        // No directory may list what is meant for one.
        xml.text("itunes:block", &[], "yes");
        xml.text("podcast:block", &[], "yes");
        xml.text("podcast:locked", &[], "yes");
        xml.text("podcast:guid", &[], self.guid);
        xml.text("podcast:medium", &[], "podcast");
        xml.text("podcast:updateFrequency", &[("rrule", "FREQ=DAILY")], daily);
    }

    fn item(&self, xml: &mut Xml, item: &Item) {
        let (id, base) = (item.id, &self.base);
        let script = item.script.as_deref().unwrap_or_default();
        let language = item.language.as_deref().unwrap_or(self.words.language);
        xml.open("item", &[]);
        xml.text("title", &[], &self.title(item));
        xml.text("guid", &[("isPermaLink", "false")], &format!("{}/{id}", self.guid));
        xml.text("pubDate", &[], &published(self.settings, &item.stamp()).to_rfc2822());
        let length = item.audio_bytes.unwrap_or_default().to_string();
        let audio = format!("{base}/{id}.mp3");
        xml.empty("enclosure", &[("url", &audio), ("length", &length), ("type", "audio/mpeg")]);
        xml.text("description", &[], &summary(item, script));
        xml.text("content:encoded", &[], &html(script));
        if let Some(seconds) = item.duration_seconds {
            xml.text("itunes:duration", &[], &seconds.to_string());
        }
        xml.text("itunes:explicit", &[], "false");
        xml.text("itunes:episodeType", &[], "full");
        xml.empty("itunes:image", &[("href", &self.cover)]);
        let words = format!("{base}/{id}.vtt");
        xml.empty("podcast:transcript", &[("url", &words), ("type", "text/vtt"), ("language", language)]);
        let chapters = format!("{base}/{id}/chapters.json");
        xml.empty("podcast:chapters", &[("url", &chapters), ("type", "application/json+chapters")]);
        xml.close("item");
    }

    fn title(&self, item: &Item) -> String {
        let title = item.title.as_deref().map(line).filter(|title| !title.is_empty());
        title.map_or_else(|| format!("{}, {}", self.words.title, item.date), |title| cut(&title, LONGEST_TITLE))
    }
}

/// When an episode was ordered, but within the day it is for.
fn published(settings: &Settings, stamp: &Stamp) -> DateTime<Utc> {
    let first = begin(settings, stamp.date);
    let next = stamp.date.succ_opt().map(|next| begin(settings, next));
    let last = next.and_then(|next| next.checked_sub_signed(TimeDelta::seconds(1)));
    max(first, min(stamp.created_at, last.unwrap_or(first)))
}

/// The first moment of a day, where nights are planned.
fn begin(settings: &Settings, date: NaiveDate) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    let here = settings.time_zone.from_local_datetime(&midnight).earliest();
    here.map_or_else(|| midnight.and_utc(), |here| here.to_utc())
}

/// A text on one line, without gaps.
fn line(text: &str) -> String {
    let is_gap = |character: char| character.is_whitespace() || character.is_control();
    text.split(is_gap).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// So many characters of a text at most.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// The paragraphs of a script.
fn paragraphs(script: &str) -> impl Iterator<Item = &str> {
    paragraphs::paragraphs(script).into_iter().filter_map(|place| script.get(place))
}

/// Plain text that stands for the episode in a list: what it is about, how it begins, and what is
/// said when, as apps read it that know no chapters.
fn summary(item: &Item, script: &str) -> String {
    let topic = item.topic.as_deref().map(line).filter(|topic| !topic.is_empty());
    let topic = topic.map(|topic| cut(&topic, LONGEST_TITLE));
    let begin = paragraphs(script).next().map(|begin| cut(&line(begin), EXCERPT));
    [topic, begin, times(item, script)].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

/// When each paragraph begins, one a line; nothing when that is not known of all.
fn times(item: &Item, script: &str) -> Option<String> {
    let starts: Vec<u64> = serde_json::from_value(item.starts_ms.clone()?).ok()?;
    let are_all = starts.len() >= FEWEST_TIMES && starts.len() == paragraphs(script).count() && starts.is_sorted();
    let lines = paragraphs(script).zip(&starts).map(|(paragraph, ms)| {
        let heading = paragraphs::heading(paragraph);
        format!("{:02}:{:02} {heading}", ms / 60_000, ms / 1000 % 60)
    });
    are_all.then(|| lines.collect::<Vec<_>>().join("\n"))
}

/// The whole script as paragraphs of HTML.
fn html(script: &str) -> String {
    let mut html = String::with_capacity(script.len() + script.len() / 8);
    for paragraph in paragraphs(script) {
        html.push_str("<p>");
        escape(&mut html, paragraph);
        // Writing to a text does not fail.
        _ = writeln!(html, "</p>");
    }
    html
}
