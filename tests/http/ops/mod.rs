//! The operators' side from outside: who may come in, what the pages say, what deeds do.

mod audit;
mod door;
mod operations;
mod pages;
mod roles;
mod support;
