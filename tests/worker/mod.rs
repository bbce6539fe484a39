//! The engine at work, the steps it runs, and the files that say how.

mod apalis_defects;
mod chain;
mod elsewhere;
mod engine;
pub(crate) mod samples;
mod script;
mod speech;
mod stage;
mod template;
mod workflow;
