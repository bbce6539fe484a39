//! The engine at work, the steps it runs, and the files that say how.

mod alerts;
mod apalis_defects;
mod chain;
mod elsewhere;
mod engine;
mod fleet;
mod keeper;
mod pause;
pub(crate) mod samples;
mod schedule;
mod script;
mod sound;
mod speech;
mod spool;
mod stage;
mod template;
mod workflow;
