//! Builds hybrid search indexes from trees of code and text.
//!
//! The library behind the `helix-build` program; docs/architecture.md has the map. Modules are
//! listed from the bottom layer up, and import only downwards.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the documents are for those who work on the code, and are built with private items"
)]

pub mod batch;
pub mod credential;
pub mod device;
pub mod failpoint;
pub mod failure;
pub mod file;
pub mod ids;
pub mod named_file;
pub mod platform;
pub mod profile;
pub mod terminal;
pub mod vector;

pub mod chunk;
pub mod plan;
pub mod protocol;
pub mod report;
pub mod tag;

pub mod encode;
pub mod gpu;
pub mod progress;
pub mod scan;
pub mod store;
pub mod verify;

pub mod engine;

pub mod cli;
pub mod commands;
pub mod exit_code;
pub mod telemetry;
