//! The output folder: its layout, its lock, what may be replaced in it, and what it remembers between builds.

pub mod draft;
pub mod flag_files;
pub mod kept;
pub mod layout;
pub mod lock;
pub mod obstacles;
pub mod provenance;
pub mod rebuild;
