//! dailycast makes a personal podcast for every learner of an online academy, every night.
//!
//! # The life of one podcast
//!
//! 1. **Enqueue** ([`worker::scheduler`], [`store::night`]). The leader starts the night; batch by
//!    batch, each eligible learner gets a row (`pending`), a job and a first event line.
//! 2. **Claim** ([`worker::queue`], [`store::claim`]). A worker takes as many due podcasts as it has
//!    free slots, each under a new lease token.
//! 3. **Walk** ([`worker::executor`]). The step of the row's status does its work; what comes of it
//!    is an event; [`machine::apply`] says which status follows; and again, until the podcast is
//!    finished or has to wait.
//! 4. **Write** ([`store::writer`], [`store::moves`]). The moves of many podcasts share one commit,
//!    each fenced by its token, each with its artefacts, event line, calls and job.
//! 5. **Rescue** ([`worker::heartbeat`], [`worker::sweeper`], [`store::workers`]). A dead worker's
//!    podcasts become due again; what no job would move gets one.
//! 6. **Listen** ([`http`], [`store::today`]). The row of today answers the learner, on the study page, in
//!    another page and in a feed; the audio comes from the object store, or from the spool while its
//!    upload waits.
//! 7. **Go** ([`worker::keeper`], [`store::retention`], [`store::missed`],
//!    [`store::erasure`]). After its days, or with its learner, a podcast goes, and everything that
//!    hangs on it.
//!
//! # The rooms
//!
//! | room | owns | may use |
//! |---|---|---|
//! | [`machine`] | the state machine: statuses, events, the table of moves, retry | nothing |
//! | [`podcast`], [`learner`], [`clock`] | plain data that many rooms share; the time as an argument | `machine` |
//! | [`workflow`] | what `workflows/` says, parsed and checked as a whole | `machine`, `learner` |
//! | [`audio`] | MP3: scan, join, pauses, measure, tag, encode, loudness | nothing |
//! | [`provider`] | the outside: who writes, speaks, keeps, is told; the spool; the breaker | `podcast`, `audio`, `workflow` |
//! | [`step`] | the work of each status: collect, script, speech, upload | `provider`, `workflow`, `audio` |
//! | [`store`] | every SQL statement | `machine`, `podcast`, `learner`, `explain`, `telemetry` |
//! | [`alert`] | what is raised, once per cause, and how it reaches an operator | `store`, `provider` |
//! | [`worker`] | the engine: queue on apalis, executor, heartbeat, scheduler, sweep, the fleet's gate | `store`, `step`, `alert` |
//! | [`explain`] | where a podcast stands, why, and what would help, in words | `machine` |
//! | [`ops`] | what an operator sees and does, for pages, command line and JSON alike | `worker`, `store`, `explain` |
//! | [`http`] | the API, the feeds, learners' and operators' pages; `routes.rs` has every address | `ops`, `store`, `provider` |
//! | [`local`] | what makes one machine enough: Postgres, S3 server, sample academy | nothing |
//! | [`config`] | settings | nothing |
//! | [`telemetry`] | log lines and metrics: what is in them, and how they are written | `config`, `machine` |
//! | [`sim`] | the six providers, simulated, with faults | `audio` |
//! | [`bench`] | the engine and the reads measured, against a floor and at their limits; the episodes checked | `store`, `worker`, `step`, `workflow`, `http` |
//! | [`cli`] | one file per command; puts everything together | all |
//!
//! Read [`machine`] first, then [`worker::executor`], then [`store::moves`]: that is the engine.
//!
//! # Words
//!
//! | we say | and mean |
//! |---|---|
//! | podcast | one row: a learner's episode of a date, and its state |
//! | status, event, transition | the row's state, what happened, the move it causes |
//! | job | a delivery by apalis: "advance podcast N"; it decides nothing |
//! | attempt | one execution of the work of a status, from 1 |
//! | claim, lease, lease token, heartbeat | taking a due row, the exclusive right, its fence, its extension |
//! | due | not finished, and its `next_attempt_at` is past |
//! | rescue, sweep | taking back a row whose worker died, the round that does so |
//! | backoff, jitter, snooze | growing delay, its random share, waiting without using an attempt |
//! | breaker, rest, probe | what keeps calls from a provider that is ill, for how long, the one call that tries it out |
//! | failure kind | the class of a failure; it alone decides retry, next provider or give up |
//! | chain, fallback | ordered providers, going to the next |
//! | call | one request that may be billed, with units and cost |
//! | spool | where audio waits for its upload |
//! | night | all podcasts of one date |
//! | pause, skip | nothing new is begun anywhere; no night starts by itself on a date |
//! | episode | a podcast as its learner meets it: once there is something to hear |
//! | transcript, paragraph, pause | what is said when; the parts that a script has; the silence between them |
//! | mark | what a learner does with an episode: the place to go on, a like |
//! | share, feed, link key | an episode for others, all for a podcast app; what opens the one or the other |
//! | session, entrance | somebody who is logged in, for some time; a link that lets somebody in, once |
//! | requeue | an operator's wish that a podcast go on |
//! | stuck | not finished, and nothing will move it |
//! | prune | deleting what is older than the retention |
//! | erasure, missed | deleting all that is kept of a learner; not found in the academy, which proves little |
//! | plan | the learner's subscription |
//! | alert, cause, subject | what an operator is told, the one thing that is wrong, what it is about |
//! | sink, delivery | a webhook or a mailbox, what one sink is to be told of one alert |

pub mod alert;
pub mod audio;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod explain;
pub mod http;
pub mod learner;
pub mod local;
pub mod machine;
pub mod ops;
pub mod podcast;
pub mod provider;
pub mod sim;
pub mod step;
pub mod store;
pub mod telemetry;
pub mod worker;
pub mod workflow;
