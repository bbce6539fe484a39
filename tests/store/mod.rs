//! What the database itself holds up.

pub(crate) mod claim;
pub(crate) mod costs;
mod erasure;
mod migrate;
mod moves;
pub(crate) mod nights;
mod operations;
mod pause;
mod plans;
mod retention;
mod rows;
mod situation;
mod stuck;
mod summary;
mod today;
mod workers;
