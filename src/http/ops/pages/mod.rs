//! One file per page: what it asks for, and what it shows.

pub(super) mod alerts;
pub(super) mod audit;
pub(super) mod costs;
pub(super) mod failures;
pub(super) mod nights;
pub(super) mod operation;
pub(super) mod operations;
pub(super) mod podcast;
pub(super) mod podcasts;
pub(super) mod providers;
pub(super) mod schedule;
pub(super) mod tonight;
pub(super) mod workers;
