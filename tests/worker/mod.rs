//! (being built)

mod speech;
