//! `GET /ops/podcasts`: podcasts that match a filter, newest first, page by page.
//!
//! What would surprise: the page's stream is told which podcasts are shown, so that it keeps them
//! up to date where they are; what else matches by then is announced, not pushed in.

use serde::Serialize;

use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    machine::{FailureKind, Status},
    ops::{
        filter::{self, Unclear},
        listing::{self, Asked, Count, Entry, PAGE},
    },
    store::{listing::Looked, night},
};

/// Words of the address that are no words of the filter.
const BESIDE: [&str; 5] = ["unfinished", "before", "via", "shown", "live"];

/// Pages that the way back leads over, at most.
const MOST_BACK: usize = 200;

/// Plans that are offered; others can be written.
const PLANS: [&str; 4] = ["free", "basic", "premium", "enterprise"];

#[derive(Serialize)]
struct Page {
    results: Vec<Entry>,
    next: Option<String>,
    previous: Option<String>,
    /// Absent in updates of a page.
    count: Option<Count>,
    looked: Option<Looked>,
    /// Stuck ones that are further down are being looked for.
    is_searching: bool,
    /// Podcasts that belong here by now and are not shown.
    others: usize,
    /// This page, with them.
    address: String,
    /// The first page.
    newest: String,
    is_first: bool,
    /// The words of the filter, with what each is without it.
    filter: Vec<Chip>,
    /// The filter as a query; empty without one.
    query: String,
    /// The verbs can be had for all that match: the filter says so in words that they know.
    is_for_verbs: bool,
    views: Vec<View>,
    choices: Choices,
}

#[derive(Serialize)]
struct Chip {
    word: &'static str,
    value: String,
    without: String,
}

#[derive(Serialize)]
struct View {
    name: &'static str,
    address: String,
    is_here: bool,
}

#[derive(Serialize)]
struct Choices {
    status: [&'static str; 7],
    cause: Vec<&'static str>,
    plan: [&'static str; 4],
    provider: Vec<String>,
}

/// Shows it.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let asked = asked(&visit)?;
    let shown = visit.asked("shown").map(|shown| numbers("shown", shown, PAGE)).transpose()?;
    let page = match &shown {
        Some(shown) => listing::again(desk, &asked, shown).await,
        None => listing::page(desk, &asked).await,
    };
    let page = page.map_err(|error| Refusal::database(&error))?;
    let count = match shown {
        Some(_) => None,
        None => Some(listing::count(desk, &asked, &page).await.map_err(|error| Refusal::database(&error))?),
    };
    let newest = night::newest_date(desk.store.desk()).await.map_err(|error| Refusal::database(&error))?;
    let place = Place::of(&visit, &asked)?;
    let ids: Vec<String> = page.entries.iter().map(|entry| entry.line.id.to_string()).collect();
    let data = Page {
        next: page.next.map(|next| place.next(next)),
        previous: place.previous(),
        count,
        looked: page.looked,
        is_searching: page.is_searching,
        others: page.others,
        address: place.here(),
        newest: place.with(&place.words, &[]),
        is_first: asked.before.is_none(),
        filter: place.chips(),
        query: serde_urlencoded::to_string(&place.words).unwrap_or_default(),
        is_for_verbs: !place.words.is_empty() && !asked.unfinished,
        views: place.views(newest.map(|date| date.to_string())),
        choices: Choices {
            status: Status::ALL.map(Status::as_str),
            cause: FailureKind::ALL.map(FailureKind::as_str).to_vec(),
            plan: PLANS,
            provider: desk.limits.keys().cloned().collect(),
        },
        results: page.entries,
    };
    let live = place.with(
        &place.words,
        &[("before", asked.before.map(|id| id.to_string())), ("via", place.way_back()), ("shown", Some(ids.join(",")))],
    );
    let live = live.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
    Ok(Sheet::new("podcasts", "Podcasts", &data).live_query(live))
}

fn asked(visit: &Visit) -> Result<Asked, Refusal> {
    if let Some((word, _)) = visit.pairs().find(|(word, _)| !filter::WORDS.contains(word) && !BESIDE.contains(word)) {
        let what = format!("{word:?} is no word of it; there are {} and unfinished", filter::WORDS.join(", "));
        return Err(Unclear { word: "query", what }.into());
    }
    let unfinished = match visit.asked("unfinished") {
        None | Some("no") => false,
        Some("yes") => true,
        Some(_) => return Err(Refusal::Parameter("unfinished", "Write yes or no.")),
    };
    let before = visit.asked("before").map(|id| id.parse()).transpose();
    let before = before.map_err(|_| Refusal::Parameter("before", "Write the number of a podcast."))?;
    Ok(Asked { filter: filter::read(visit.pairs())?, unfinished, before })
}

/// At most so many numbers, parted by commas.
fn numbers(word: &'static str, text: &str, most: usize) -> Result<Vec<i64>, Refusal> {
    let numbers: Result<Vec<i64>, _> = text.split(',').map(str::parse).collect();
    numbers
        .ok()
        .filter(|numbers| numbers.len() <= most)
        .ok_or(Refusal::Parameter(word, "Write numbers of podcasts, parted by commas."))
}

/// Where the reader is: the words of the filter, and the pages that led here.
struct Place {
    path: String,
    words: Vec<(&'static str, String)>,
    before: Option<i64>,
    /// What the pages before this one began below; the first page began below nothing.
    via: Vec<i64>,
}

impl Place {
    fn of(visit: &Visit, asked: &Asked) -> Result<Self, Refusal> {
        let mut words = filter::pairs(&asked.filter);
        if asked.unfinished {
            words.push(("unfinished", "yes".to_owned()));
        }
        let via = visit.asked("via").map(|via| numbers("via", via, MOST_BACK)).transpose()?.unwrap_or_default();
        Ok(Self { path: visit.uri.path().to_owned(), words, before: asked.before, via })
    }

    fn with(&self, words: &[(&'static str, String)], more: &[(&'static str, Option<String>)]) -> String {
        let more =
            more.iter().filter_map(|(word, value)| Some((*word, value.clone().filter(|value| !value.is_empty())?)));
        let pairs: Vec<(&str, String)> = words.iter().cloned().chain(more).collect();
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    fn way_back(&self) -> Option<String> {
        Some(self.via.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
    }

    fn here(&self) -> String {
        self.with(&self.words, &[("before", self.before.map(|id| id.to_string())), ("via", self.way_back())])
    }

    fn next(&self, next: i64) -> String {
        let mut via = self.via.clone();
        via.extend(self.before);
        via.drain(..via.len().saturating_sub(MOST_BACK));
        let next = Self { path: self.path.clone(), words: self.words.clone(), before: Some(next), via };
        next.here()
    }

    fn previous(&self) -> Option<String> {
        self.before?;
        let mut via = self.via.clone();
        let before = via.pop();
        Some(Self { path: self.path.clone(), words: self.words.clone(), before, via }.here())
    }

    fn chips(&self) -> Vec<Chip> {
        let chip = |(word, value): &(&'static str, String)| {
            let others: Vec<_> = self.words.iter().filter(|(other, _)| other != word).cloned().collect();
            Chip { word, value: value.clone(), without: self.with(&others, &[]) }
        };
        self.words.iter().map(chip).collect()
    }

    fn views(&self, newest: Option<String>) -> Vec<View> {
        let yes = || "yes".to_owned();
        let mut views = vec![
            ("All", vec![]),
            ("In progress", vec![("unfinished", yes())]),
            ("Stuck", vec![("stuck", yes())]),
            ("Failed", vec![("status", "failed".to_owned())]),
            ("On fallback", vec![("status", "completed_with_fallback".to_owned())]),
        ];
        if let Some(date) = newest {
            views.insert(3, ("Failed tonight", vec![("date", date), ("status", "failed".to_owned())]));
        }
        let view =
            |(name, words): (_, Vec<_>)| View { name, address: self.with(&words, &[]), is_here: words == self.words };
        views.into_iter().map(view).collect()
    }
}
