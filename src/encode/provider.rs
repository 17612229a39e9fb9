//! Execution providers: how a session gets onto its device, and whether it is there.
//!
//! The trait exists for tests, which run the whole program with a device that the CPU simulates: see
//! [`simulated`](super::simulated).

use super::batch::Shape;
use super::error::EncodeError;
use crate::batch::EncoderKind;
use crate::profile::encoders::{EncoderChoice, Precision};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use std::fmt::Debug;
use std::sync::Arc;

/// What runs the sessions of a device.
pub(super) trait ExecutionProvider: Debug + Send + Sync {
    /// Load the libraries that the provider needs besides the runtime.
    fn load_libraries(&self, choice: &EncoderChoice) -> Result<(), EncodeError>;

    /// Register the provider for a session.
    fn register(
        &self,
        builder: SessionBuilder,
        options: ProviderOptions,
    ) -> ort::Result<SessionBuilder>;

    /// Check that the graph of a session runs on the device.
    fn check_assignment(&self, session: &Session) -> Result<(), EncodeError>;

    /// Return the name of a session's memory arena, for run options.
    fn arena_name(&self) -> String;

    /// Called before each batch, which fails with the error.
    fn before_batch(&self, _: EncoderKind, _: Shape) -> ort::Result<()> {
        Ok(())
    }
}

pub(super) type Provider = Arc<dyn ExecutionProvider>;

/// What a session may take on a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProviderOptions {
    /// Device memory for the session's arena; 0: no limit.
    pub arena_bytes: u64,
    pub precision: Precision,
}

/// The CPU, which is always there.
#[derive(Debug)]
pub(super) struct Cpu;

impl ExecutionProvider for Cpu {
    fn load_libraries(&self, _: &EncoderChoice) -> Result<(), EncodeError> {
        Ok(())
    }

    fn register(&self, builder: SessionBuilder, _: ProviderOptions) -> ort::Result<SessionBuilder> {
        Ok(builder)
    }

    fn check_assignment(&self, _: &Session) -> Result<(), EncodeError> {
        Ok(())
    }

    fn arena_name(&self) -> String {
        "cpu:0".to_owned()
    }
}
