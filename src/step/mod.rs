//! (this room is being built)

pub mod speech;
