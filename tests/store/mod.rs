//! What the database itself holds up.

pub(crate) mod claim;
mod moves;
pub(crate) mod nights;
mod plans;
mod rows;
mod workers;
