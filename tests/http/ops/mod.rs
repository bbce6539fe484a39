//! The operators' side: who may come in, and what the pages say.

mod audit;
mod door;
mod pages;
mod roles;
mod support;
