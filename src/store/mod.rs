//! (this room is being built)
pub mod academy;
