//! What an operator does to a podcast.

use dailycast::machine::{Event, Resume, Status, apply};

use super::{Next, Row};
use crate::model::state::Job;

impl Next<'_> {
    pub(super) fn requeue(&mut self) {
        let Some((p, seen)) = self.state.wish.take() else { return };
        let p = usize::from(p);
        let resume = if seen == Status::Failed { Resume::FromStart } else { Resume::InPlace };
        let row = &mut self.state.rows[p];
        let Ok(to) = apply(seen, Event::Requeued(resume)) else { return };
        if row.status == seen && row.token == 0 {
            *row = Row { status: to, attempt: 0, crashes: 0, is_due: true, ..*row };
            self.tell(p, seen, Event::Requeued(resume), to);
            self.arm(p);
        }
    }

    /// At once: who looks, and finds that the row went on meanwhile, looks again.
    pub(super) fn cancel(&mut self, p: usize) {
        self.state.left.orders -= 1;
        let row = &mut self.state.rows[p];
        let from = row.status;
        let Ok(to) = apply(from, Event::Cancelled) else { return };
        *row = Row { status: to, token: 0, attempt: 0, crashes: 0, is_due: true, is_cancelled: true, ..*row };
        self.tell(p, from, Event::Cancelled, to);
        self.state.jobs[p] = Job::Gone;
    }
}
