//! (this room is being built)

pub mod collect;
pub mod script;
pub mod speech;
pub mod upload;
