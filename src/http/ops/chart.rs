//! Pictures in numbers: where the lines and bars of a chart lie. Templates draw them as SVG, whose
//! colours follow the theme. Pure.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::ops::board::{Board, Point};

/// The size of the curve, in units of its view box, and what its axes need at each side.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 30.0;

/// Where less than this share of the plan is due by the end of the picture, it lies on the ground.
const LEAST_PLAN: f64 = 0.05;

/// Rows of the table beside the curve.
const TABLE_ROWS: usize = 12;

/// A mark of an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tick {
    /// Where, along its axis.
    pub at: f64,
    /// What it says.
    pub label: String,
}

/// A straight line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Line {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

/// The curve of a night: what was ready when, what failed, and what is to be expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct BurnUp {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    /// Marks of the axis of podcasts.
    rows: Vec<Tick>,
    /// Marks of the axis of time.
    columns: Vec<Tick>,
    /// The line of what is ready, as points of a polyline, and the surface below it.
    ready: String,
    surface: String,
    /// The line of what failed, when something did.
    failed: Option<String>,
    /// From now to when it is expected to be done.
    expected: Option<Line>,
    /// What is needed to be done by the deadline.
    plan: Option<Line>,
    /// Where the line of what is ready ends.
    x: f64,
    y: f64,
    /// The points for the table: as many as can be read.
    table: Vec<Point>,
}

/// The curve of a board; `None` before there is something to draw.
pub(super) fn burn_up(board: &Board, now: DateTime<Utc>) -> Option<BurnUp> {
    let figures = board.figures.as_ref()?;
    let (first, last) = (figures.burn_up.first()?, figures.burn_up.last()?);
    let all = figures.night.enqueued;
    let is_over = figures.left == 0;
    let shown_until = if is_over { last.at } else { now.max(last.at) };
    let expected_at = figures.expected.map(|eta| eta.to).filter(|to| *to > shown_until);
    let from = first.at;
    let span = (expected_at.unwrap_or(shown_until) - from).as_seconds_f64().max(1.0);
    let (step, most) = scale(all);
    let x = |at: DateTime<Utc>| {
        tenth(LEFT + (WIDTH - LEFT - RIGHT) * ((at - from).as_seconds_f64() / span).clamp(0.0, 1.0))
    };
    let y = |count: f64| tenth(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (count / most as f64).clamp(0.0, 1.0));
    let mut points = figures.burn_up.clone();
    if shown_until > last.at {
        points.push(Point { at: shown_until, ..*last });
    }
    let line = |value: fn(&Point) -> i64| {
        let points = points.iter().map(|point| format!("{},{}", x(point.at), y(value(point) as f64)));
        points.collect::<Vec<_>>().join(" ")
    };
    let ready = line(|point| point.ready);
    let ground = y(0.0);
    let plan = board.deadline_at.filter(|deadline| *deadline > from).and_then(|deadline| {
        let share = (span / (deadline - from).as_seconds_f64()).min(1.0);
        if share < LEAST_PLAN {
            return None;
        }
        let end =
            from + chrono::Duration::milliseconds((span.min((deadline - from).as_seconds_f64()) * 1_000.0) as i64);
        Some(Line { x1: x(from), y1: ground, x2: x(end), y2: y(all as f64 * share) })
    });
    Some(BurnUp {
        width: WIDTH,
        height: HEIGHT,
        left: LEFT,
        right: WIDTH - RIGHT,
        bottom: HEIGHT - BOTTOM,
        rows: (0..=most / step).map(|n| Tick { at: y((n * step) as f64), label: (n * step).to_string() }).collect(),
        columns: columns(from, span).into_iter().map(|(at, label)| Tick { at: x(at), label }).collect(),
        surface: format!("{},{ground} {ready} {},{ground}", x(from), x(shown_until)),
        ready,
        failed: (last.failed > 0).then(|| line(|point| point.failed)),
        expected: expected_at.map(|to| Line {
            x1: x(shown_until),
            y1: y(last.ready as f64),
            x2: x(to),
            y2: y((all - last.failed) as f64),
        }),
        plan,
        x: x(shown_until),
        y: y(last.ready as f64),
        table: thinned(&points),
    })
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A step of 1, 2 or 5 times a power of ten, so that three to six of them reach `most`, and where
/// they end.
fn scale(most: i64) -> (i64, i64) {
    let most = most.max(4);
    let mut step = 1_i64;
    'found: loop {
        for factor in [1, 2, 5] {
            if most / (step * factor) < 5 {
                step *= factor;
                break 'found;
            }
        }
        step = step.saturating_mul(10);
    }
    (step, most.div_euclid(step).saturating_add(i64::from(most % step > 0)) * step)
}

/// Four parts of the time with what a clock says at each.
fn columns(from: DateTime<Utc>, span: f64) -> Vec<(DateTime<Utc>, String)> {
    let format = if span < 600.0 { "%H:%M:%S" } else { "%H:%M" };
    let at = |part: i32| from + chrono::Duration::milliseconds((span * 250.0) as i64 * i64::from(part));
    (0..=4).map(at).map(|at| (at, at.format(format).to_string())).collect()
}

/// Some of the points, the first and the last among them.
fn thinned(points: &[Point]) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    if last < TABLE_ROWS {
        return points.to_vec();
    }
    (0..TABLE_ROWS).filter_map(|n| points.get(n * last / (TABLE_ROWS - 1))).copied().collect()
}

/// A night as it is drawn beside others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Column {
    /// Its date.
    pub date: NaiveDate,
    x: f64,
    width: f64,
    /// Top and height of what was ready without a fallback, by a fallback, and of what failed.
    ready: (f64, f64),
    fallback: (f64, f64),
    failed: (f64, f64),
    /// The date below it, where there is room for one.
    label: Option<String>,
}

/// Nights beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Columns {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    rows: Vec<Tick>,
    columns: Vec<Column>,
}

/// What is drawn of a night: its date, podcasts that are ready, those of them by a fallback, and
/// those that failed.
pub(super) type Bar = (NaiveDate, i64, i64, i64);

/// Nights as columns, the oldest first; `None` when there is none.
pub(super) fn nights(bars: &[Bar]) -> Option<Columns> {
    let most = bars.iter().map(|(_, ready, _, failed)| ready + failed).max()?;
    let (height, bottom) = (190.0, 160.0);
    let (step, most) = scale(most);
    let tall = |count: i64| tenth((bottom - TOP) * (count as f64 / most as f64));
    let place = (WIDTH - LEFT - RIGHT) / bars.len().max(7) as f64;
    let every = bars.len().div_ceil(6);
    let columns = bars.iter().enumerate().map(|(at, &(date, ready, fallback, failed))| {
        let (bad, filled, good) = (tall(failed), tall(fallback), tall(ready - fallback));
        Column {
            date,
            x: tenth(LEFT + place * at as f64 + place * 0.15),
            width: tenth(place * 0.7),
            ready: (tenth(bottom - good), good),
            fallback: (tenth(bottom - good - filled), filled),
            failed: (tenth(bottom - good - filled - bad), bad),
            label: (bars.len() - 1 - at).is_multiple_of(every).then(|| date.format("%-d %b").to_string()),
        }
    });
    Some(Columns {
        width: WIDTH,
        height,
        left: LEFT,
        right: WIDTH - RIGHT,
        bottom,
        rows: (0..=most / step)
            .map(|n| Tick { at: tenth(bottom - tall(n * step)), label: (n * step).to_string() })
            .collect(),
        columns: columns.collect(),
    })
}
