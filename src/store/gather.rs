//! Questions that come at the same time share one statement.
//!
//! A statement costs its way to the server and back, and its start there, however little it reads. So
//! a question that finds an asker under way waits for the next one, together with all that come
//! meanwhile; one that finds none is asked at once. Nobody waits for company: on a quiet system each
//! statement has one question. When more wait than one asker should take, another one sets out.
//!
//! What would surprise: the statement runs in a task of its own, because whoever asked may go away
//! while others wait for the same rows.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::Error;

/// Questions that one asker leaves to the next before another asker sets out, and twice that is the
/// most in one statement: rows are held until all have come.
const SHARE: usize = 8;

/// Those who wait for answers of one kind.
pub(super) struct Gather<Q, A> {
    state: Arc<Mutex<State<Q, A>>>,
    /// Their statement.
    name: &'static str,
    /// Statements under way at a time.
    most: usize,
}

struct State<Q, A> {
    waiting: VecDeque<(Q, oneshot::Sender<Result<A, Error>>)>,
    askers: usize,
}

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    /// With at most so many statements of this name at a time.
    pub fn new(name: &'static str, most: u32) -> Self {
        let state = State { waiting: VecDeque::new(), askers: 0 };
        Self { state: Arc::new(Mutex::new(state)), name, most: usize::try_from(most).unwrap_or(1).max(1) }
    }

    /// The answer to a question. `ask` takes many, and answers each in their order.
    ///
    /// # Errors
    /// What the statement met; all who shared it are told the same.
    pub async fn answer<F, R>(&self, question: Q, ask: F) -> Result<A, Error>
    where
        F: Fn(Vec<Q>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<A>, Error>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let sets_out = {
            let mut state = lock(&self.state);
            state.waiting.push_back((question, sender));
            let sets_out = state.askers < self.most && state.waiting.len() > SHARE * state.askers;
            state.askers += usize::from(sets_out);
            sets_out
        };
        if sets_out {
            tokio::spawn(run(Asker { state: self.state.clone(), is_back: false }, ask));
        }
        receiver.await.unwrap_or_else(|_| Err(Error::in_statement(self.name)(sqlx::Error::WorkerCrashed)))
    }
}

/// Asks until nobody waits.
async fn run<Q, A, F, R>(mut asker: Asker<Q, A>, ask: F)
where
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Result<Vec<A>, Error>>,
{
    while let Some((questions, senders)) = asker.next() {
        match ask(questions).await {
            // Who went away meanwhile needs no answer.
            Ok(answers) => senders.into_iter().zip(answers).for_each(|(sender, answer)| drop(sender.send(Ok(answer)))),
            Err(error) => senders.into_iter().for_each(|sender| drop(sender.send(Err(error.told_again())))),
        }
    }
}

/// One of those who are under way.
struct Asker<Q, A> {
    state: Arc<Mutex<State<Q, A>>>,
    is_back: bool,
}

/// Questions, and whom to tell.
type Share<Q, A> = (Vec<Q>, Vec<oneshot::Sender<Result<A, Error>>>);

impl<Q, A> Asker<Q, A> {
    /// Those who wait now, without those who went away. When nobody does the asker is back: said
    /// under the same lock, so that whoever comes then finds nobody under way.
    fn next(&mut self) -> Option<Share<Q, A>> {
        let mut state = lock(&self.state);
        let mut share = (Vec::new(), Vec::new());
        while share.0.len() < 2 * SHARE
            && let Some((question, sender)) = state.waiting.pop_front()
        {
            if !sender.is_closed() {
                share.0.push(question);
                share.1.push(sender);
            }
        }
        if share.0.is_empty() {
            state.askers -= 1;
            self.is_back = true;
            return None;
        }
        Some(share)
    }
}

/// Should an asker fall, who waits is told so at once, and another one may set out in its place.
impl<Q, A> Drop for Asker<Q, A> {
    fn drop(&mut self) {
        if !self.is_back {
            let mut state = lock(&self.state);
            state.askers -= 1;
            if state.askers == 0 {
                state.waiting.clear();
            }
        }
    }
}

/// The state is whole after any panic: each change of it is one call.
fn lock<Q, A>(state: &Mutex<State<Q, A>>) -> MutexGuard<'_, State<Q, A>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
