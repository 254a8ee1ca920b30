//! Tools for the tests that hold for every target, against real servers and other people's emulators.

pub mod fake_mysql;
pub mod fake_postgres;
pub mod fake_server;
pub mod model;
pub mod moto;
pub mod pages;
