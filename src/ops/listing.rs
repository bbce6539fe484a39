//! Lists of podcasts as an operator reads them: a page, what each podcast is up to in words, and how
//! a page that is being read is kept up to date without a row moving.

use std::{collections::BTreeSet, time::Duration};

use chrono::NaiveDate;
use serde::Serialize;

use super::{Desk, situation, snapshot::Look};
use crate::{
    explain::Explanation,
    store::{
        Error,
        listing::{self, Found, Line, Looked, Part},
        podcasts::Filter,
        stuck,
    },
};

/// Podcasts on a page.
pub const PAGE: usize = 50;

/// Podcasts up to which matches are counted.
const COUNTED: i64 = 1_000;

/// Podcasts that are looked at to count them.
const LOOK_TO_COUNT: i32 = 2_000;

/// Podcasts that are looked at, each second, to tell a reader that others match by now.
const LOOK_FOR_NEWS: i32 = 1_000;

/// Stuck podcasts that are known of a date.
const KNOWN: i64 = 10_000;

/// The longest that a page waits for them the first time; then they are announced on it.
const PATIENCE: Duration = Duration::from_millis(30);

/// The date under which the stuck podcasts of all dates are known.
pub const EVERY_DATE: NaiveDate = NaiveDate::MIN;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Which podcasts.
    pub filter: Filter,
    /// Of these only those that are not finished.
    pub unfinished: bool,
    /// Only ids below this one.
    pub before: Option<i64>,
}

/// A podcast of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its columns.
    #[serde(flatten)]
    pub line: Line,
    /// Where it stands, in words.
    pub explanation: Explanation,
    /// False when it was shown as a match and is none any more.
    pub is_match: bool,
}

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// The id that the next page begins below, if there may be one.
    pub next: Option<i64>,
    /// How far was looked when that was not far enough to fill the page.
    pub looked: Option<Looked>,
    /// Stuck ones that are further down are being looked for.
    pub is_searching: bool,
    /// Podcasts that belong on this page by now and are not shown.
    pub others: usize,
}

/// How many match.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Count {
    /// Podcasts, at least.
    pub at_least: i64,
    /// There are no more.
    pub is_all: bool,
}

impl Asked {
    fn part(&self, most: usize) -> Part {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Part { unfinished: self.unfinished, ..Part::below(self.before, most) }
    }

    /// Stuck ones are asked for, wherever they are.
    fn has_far_stuck(&self) -> bool {
        self.filter.stuck && self.filter.ids.is_none() && self.filter.user_ids.is_none()
    }
}

/// A page of what is asked for.
///
/// # Errors
/// When the database does not answer.
pub async fn page(desk: &Desk, asked: &Asked) -> Result<Page, Error> {
    let Sight { found: Found { mut ids, looked }, is_searching, .. } = find(desk, asked, PAGE + 1, PATIENCE).await?;
    let is_full = ids.len() > PAGE;
    ids.truncate(PAGE);
    let next = if is_full { ids.last().copied() } else { looked.map(|looked| looked.down_to) };
    let entries = entries(desk, &ids, None).await?;
    Ok(Page { entries, next, looked, is_searching, others: 0 })
}

/// What was found, and how well it is known.
pub(super) struct Sight {
    /// What matches.
    pub found: Found,
    /// Stuck ones that are further down are being looked for.
    pub is_searching: bool,
    /// How long ago those further down were looked for; zero where that was not needed.
    pub age: Duration,
}

/// The newest that match, up to `most`. Among very many that only wait, stuck podcasts may be far
/// below those that are looked at: then it goes on with those that were found lately, if they still
/// match. What was not looked for lately is waited for at most for `patience`.
pub(super) async fn find(desk: &Desk, asked: &Asked, most: usize, patience: Duration) -> Result<Sight, Error> {
    let found = listing::find(desk.store.desk(), &asked.filter, asked.part(most)).await?;
    let near = |found, is_searching| Sight { found, is_searching, age: Duration::ZERO };
    let (Some(looked), true) = (found.looked, asked.has_far_stuck()) else { return Ok(near(found, false)) };
    let Look { value, age, .. } = known_stuck(desk, asked, patience).await;
    let Some(known) = value else { return Ok(near(found, true)) };
    let far: Vec<i64> = known.iter().copied().filter(|id| *id < looked.down_to).collect();
    if far.is_empty() && known.len() as i64 >= KNOWN {
        return Ok(near(found, false));
    }
    let missing = most.saturating_sub(found.ids.len());
    let part = Part { below: looked.down_to, ..asked.part(missing) };
    let rest = listing::find(desk.store.desk(), &asked.filter.among(&far), part).await?;
    let found = Found { ids: [found.ids, rest.ids].concat(), looked: rest.looked };
    Ok(Sight { found, is_searching: false, age })
}

/// The stuck podcasts that were found lately, in all of a night.
async fn known_stuck(desk: &Desk, asked: &Asked, patience: Duration) -> Look<Vec<i64>> {
    let (store, date) = (desk.store.clone(), asked.filter.date);
    let find = async move || stuck::find(&store, date, i64::MAX, KNOWN).await;
    desk.stuck.look(date.unwrap_or(EVERY_DATE), patience, find).await
}

/// The page that somebody reads, as it is now: the podcasts that are `shown`, in their order,
/// whether or not they still match; and how many others belong there.
///
/// # Errors
/// When the database does not answer.
pub async fn again(desk: &Desk, asked: &Asked, shown: &[i64]) -> Result<Page, Error> {
    let pool = desk.store.desk();
    let mut of_shown = asked.filter.clone();
    of_shown.ids = Some(match asked.filter.ids.as_ref() {
        Some(wanted) => shown.iter().copied().filter(|id| wanted.contains(id)).collect(),
        None => shown.to_vec(),
    });
    let matching = listing::find(pool, &of_shown, asked.part(shown.len().max(1))).await?;
    let matching: BTreeSet<i64> = matching.ids.into_iter().collect();
    let news = Part { look: Some(LOOK_FOR_NEWS), ..asked.part(PAGE) };
    let Found { ids: news, looked } = listing::find(pool, &asked.filter, news).await?;
    let down_to = if shown.len() < PAGE { i64::MIN } else { shown.iter().copied().min().unwrap_or(i64::MIN) };
    let mut news: BTreeSet<i64> = news.into_iter().collect();
    let known = if asked.has_far_stuck() { known_stuck(desk, asked, Duration::ZERO).await.value } else { None };
    // As on the page that somebody reads, until they are known.
    let looked = looked.filter(|_| asked.has_far_stuck() && known.is_none());
    if let Some(known) = known {
        let below = asked.before.unwrap_or(i64::MAX);
        let is_news = |id: &i64| *id < below && !shown.contains(id);
        let far: Vec<i64> = known.iter().copied().filter(is_news).take(PAGE).collect();
        news.extend(listing::find(pool, &asked.filter.among(&far), asked.part(PAGE)).await?.ids);
    }
    let others = news.iter().filter(|id| **id > down_to && !shown.contains(id)).count();
    let entries = entries(desk, shown, Some(&matching)).await?;
    let next = if shown.len() >= PAGE { shown.last().copied() } else { looked.map(|looked| looked.down_to) };
    Ok(Page { entries, next, looked, is_searching: looked.is_some(), others })
}

/// How many match, counted no further than is worth it. A first page that is not full has them all,
/// or as many as were worth looking for.
///
/// # Errors
/// When the database does not answer.
pub async fn count(desk: &Desk, asked: &Asked, page: &Page) -> Result<Count, Error> {
    let size = |len: usize| i64::try_from(len).unwrap_or(i64::MAX);
    if asked.before.is_none() && (page.next.is_none() || page.looked.is_some()) {
        return Ok(Count { at_least: size(page.entries.len()), is_all: page.looked.is_none() });
    }
    let asked = Asked { before: None, ..asked.clone() };
    let part = Part { most: COUNTED + 1, look: Some(LOOK_TO_COUNT), ..asked.part(0) };
    let found = listing::find(desk.store.desk(), &asked.filter, part).await?;
    let counted = size(found.ids.len());
    Ok(Count { at_least: counted.min(COUNTED), is_all: counted <= COUNTED && found.looked.is_none() })
}

async fn entries(desk: &Desk, ids: &[i64], matching: Option<&BTreeSet<i64>>) -> Result<Vec<Entry>, Error> {
    let lines = listing::lines(desk.store.desk(), ids).await?;
    let mut told = situation::of(desk, ids).await?;
    let entry = |line: Line| {
        let is_match = matching.is_none_or(|matching| matching.contains(&line.id));
        told.remove(&line.id).map(|explanation| Entry { line, explanation, is_match })
    };
    Ok(lines.into_iter().filter_map(entry).collect())
}

/// Whose podcast it is; `None` when there is none of this number.
///
/// # Errors
/// When the database does not answer.
pub async fn learner(desk: &Desk, id: i64) -> Result<Option<i64>, Error> {
    Ok(listing::lines(desk.store.desk(), &[id]).await?.pop().map(|line| line.user_id))
}
