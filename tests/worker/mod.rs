//! The engine at work, and the steps it runs.

mod apalis_defects;
mod engine;
mod speech;
