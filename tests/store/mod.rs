//! What the database itself holds up.

mod claim;
mod moves;
pub(crate) mod nights;
mod plans;
mod rows;
mod workers;
