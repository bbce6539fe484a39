//! What the database itself holds up.

mod claim;
mod moves;
pub mod nights;
mod plans;
mod rows;
mod workers;
