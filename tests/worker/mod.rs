//! The engine at work, the steps it runs, and the files that say how.

mod apalis_defects;
mod engine;
mod fleet;
pub(crate) mod samples;
mod script;
mod sound;
mod speech;
mod template;
mod workflow;
