//! What goes on now: who works, what is stuck or has failed, when the next night starts.

use super::Report;
use crate::{
    cli::neighbours,
    clock::{Clock, SystemClock},
    config::Config,
    machine::Status,
    ops,
    store::{Store, figures},
};

/// Looks at the fleet. Without its tables there is nothing to tell; the check of the migrations says
/// that.
pub(super) async fn fleet(store: &Store, report: &mut Report) {
    let Ok(facts) = figures::read(store).await else { return };
    match (facts.alive, facts.silent) {
        (0, 0) => {
            report.note("workers", "none is running: nothing is made", "start `dailycast run` or `dailycast work`")
        }
        (alive, 0) => report.good("workers", format!("{alive} alive")),
        (alive, silent) => {
            let what = format!("{alive} alive, {silent} not heard for longer than their lease");
            report.note("workers", what, "wait a minute: a living worker takes over what they hold");
        }
    }
    match facts.stuck {
        0 => report.good("stuck", "no podcast is stuck"),
        stuck => {
            let mend =
                "`dailycast podcast list --stuck` names them, `dailycast podcast requeue --stuck` makes them due";
            report.bad("stuck", format!("{stuck} podcasts are not finished and nothing will move them"), mend);
        }
    }
    if let Some(night) = &facts.night {
        let all: i64 = night.by_status.values().sum();
        let failed = night.by_status.get(Status::Failed.as_str()).copied().unwrap_or_default();
        let date = night.date;
        match failed {
            0 => report.good("night", format!("of the {all} podcasts of {date} none has failed")),
            failed => {
                let mend = format!("`dailycast podcast list --status failed --date {date}` says why");
                report.note("night", format!("{failed} of the {all} podcasts of {date} have failed"), mend);
            }
        }
    }
    if facts.open_alerts > 0 {
        let what = match facts.open_alerts {
            1 => "1 alert is open".to_owned(),
            open => format!("{open} alerts are open"),
        };
        report.note("alerts", what, "`dailycast alert list` shows them");
    }
}

/// The schedule in words. Nights that are skipped or were begun by hand are known only with a
/// database.
pub(super) async fn schedule(config: &Config, store: Option<&Store>, report: &mut Report) {
    let (schedule, now) = (neighbours::schedule(config), SystemClock.now());
    let known = match store {
        Some(store) => ops::schedule::next(store, &schedule, now).await.ok().flatten(),
        None => None,
    };
    let Some(next) = known.map(|start| start.starts_at).or_else(|| schedule.next(now)) else {
        return report.bad("schedule", "night.cron never comes", "write it like \"0 3 * * *\"");
    };
    let deadline = schedule.deadline_after(next);
    let zone = schedule.zone;
    let local =
        |moment: chrono::DateTime<chrono::Utc>| moment.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    let utc = next.format("%H:%M UTC");
    report.good(
        "schedule",
        format!("the next night starts {} ({zone}, {utc}) and is given up {}", local(next), local(deadline)),
    );
}
