//! What many tests need: a database of their own, an engine with scripted steps, and the one
//! checker of what must hold after any fault.

pub mod checker;
pub mod database;
pub mod engine;
