//! The worker's rooms: what a workflow says, and what each step makes.

mod script;
mod workflow;
//! (being built)

mod speech;
