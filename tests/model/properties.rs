//! What must hold, over every step of every way the model can take.

use dailycast::machine::{BIRTHS, Event, Status, TABLE, replay};

use super::{
    action::Deed,
    state::{Process, State},
};

/// A rule over one step: the state before, what was done, the state after.
type Holds = fn(&State, &[Deed], &State) -> bool;

/// Every property, by the name a broken one is reported under.
pub const PROPERTIES: [(&str, Holds); 9] = [
    ("only who holds the lease writes", holders_write),
    ("a move is written once", moves_are_written_once),
    ("the lines replay to the status of the row", lines_replay),
    ("no move is outside the table", moves_are_in_the_table),
    ("a finished row is nobody's", finished_rows_are_free),
    ("a lease is never taken over while it holds", leases_end_before_they_begin),
    ("a call begins only under the lease of the row", calls_have_a_lease),
    ("a call is repeated only if it was in flight when its worker fell silent", calls_are_not_repeated),
    ("only who fell silent is declared dead", only_the_silent_die),
];

/// The property that a whole exploration has to have.
pub const EVERY_PODCAST_ENDS: &str = "from everywhere, without further faults, every podcast ends";

/// The first property that this step breaks.
pub fn broken(before: &State, deeds: &[Deed], after: &State) -> Option<&'static str> {
    PROPERTIES.iter().find(|(_, holds)| !holds(before, deeds, after)).map(|(name, _)| *name)
}

fn writes(deeds: &[Deed]) -> impl Iterator<Item = (usize, super::state::Write)> {
    deeds.iter().filter_map(|deed| match deed {
        Deed::Wrote { p, write } => Some((*p, *write)),
        _ => None,
    })
}

fn holders_write(before: &State, deeds: &[Deed], _: &State) -> bool {
    writes(deeds).all(|(p, write)| {
        let row = &before.rows[p];
        row.token != 0 && row.token == write.token && row.worker == write.worker
    })
}

fn moves_are_written_once(before: &State, deeds: &[Deed], _: &State) -> bool {
    writes(deeds).all(|(p, write)| before.rows[p].moves == write.nth)
}

/// Some history that ends in `status`, by the table.
fn history(status: Status) -> Vec<(Option<Status>, &'static str, Status)> {
    let birth = (None, Event::Enqueued.as_str(), BIRTHS[0]);
    let mut lines = vec![birth];
    for arrow in TABLE.iter().filter(|arrow| arrow.to != arrow.from) {
        let at = lines.last().map_or(BIRTHS[0], |line| line.2);
        if at == status {
            break;
        }
        if arrow.from == at && (arrow.to != Status::Failed || status == Status::Failed) {
            lines.push((Some(at), arrow.event.as_str(), arrow.to));
        }
    }
    lines
}

fn lines_replay(before: &State, deeds: &[Deed], after: &State) -> bool {
    let fits = deeds.iter().all(|deed| match *deed {
        Deed::Line { p, from, event, to } => {
            let mut lines = history(before.rows[p].told);
            lines.push((Some(from), event.as_str(), to));
            replay(lines) == Some(to)
        }
        _ => true,
    });
    fits && after.rows.iter().all(|row| row.told == row.status)
}

fn moves_are_in_the_table(before: &State, _: &[Deed], after: &State) -> bool {
    before.rows.iter().zip(&after.rows).all(|(before, after)| {
        before.status == after.status || TABLE.iter().any(|a| (a.from, a.to) == (before.status, after.status))
    })
}

fn finished_rows_are_free(_: &State, _: &[Deed], after: &State) -> bool {
    after.rows.iter().all(|row| !row.status.is_final() || row.token == 0)
}

fn leases_end_before_they_begin(before: &State, _: &[Deed], after: &State) -> bool {
    before
        .rows
        .iter()
        .zip(&after.rows)
        .all(|(before, after)| before.token == 0 || [0, before.token].contains(&after.token))
}

fn calls_have_a_lease(before: &State, deeds: &[Deed], _: &State) -> bool {
    deeds.iter().all(|deed| match *deed {
        // Who is at a podcast that is cancelled learns it with the next move.
        Deed::Called { p, token, .. } => before.rows[p].token == token || before.rows[p].is_cancelled,
        _ => true,
    })
}

fn calls_are_not_repeated(_: &State, deeds: &[Deed], _: &State) -> bool {
    !deeds.iter().any(|deed| matches!(deed, Deed::Called { repeats: true, .. }))
}

fn only_the_silent_die(before: &State, deeds: &[Deed], after: &State) -> bool {
    let is_buried = deeds.iter().any(|deed| matches!(deed, Deed::Buried { .. }));
    let counts = |state: &State| state.rows.iter().map(|row| row.crashes).sum::<u8>();
    let was_away = |w: usize| before.workers[w].was_away || before.workers[w].process != Process::Running;
    (is_buried || counts(after) <= counts(before))
        && deeds.iter().all(|deed| !matches!(deed, Deed::Buried { w } if !was_away(*w)))
}
