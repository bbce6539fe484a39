//! (this room is being built)
pub mod upload;
