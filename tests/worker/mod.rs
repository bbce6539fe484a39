//! The worker's rooms: what a workflow says, and what each step makes.

mod script;
mod speech;
mod workflow;
