//! What the database itself holds up.

pub(crate) mod claim;
pub(crate) mod costs;
mod moves;
pub(crate) mod nights;
mod plans;
mod rows;
mod workers;
