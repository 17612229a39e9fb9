//! An encoder of either kind: a session, tables of this program, or a server.

use super::meter::Meter;
use super::server_encoders::ServerEncoder;
use super::session::{ModelSession, RunCost};

/// `S` runs a session, `T` looks into tables.
pub(super) enum Encoder<S, T> {
    Session(Box<S>),
    Tables(Box<T>),
    Server(Box<ServerEncoder>),
}

/// What an encoder gives for texts before it is finished: [`super::raw::RawEncoded`].
pub(super) enum Raw<V, W> {
    /// Vectors, one for each text: there is nothing left to do.
    Vectors(Vec<V>),
    /// The outputs of batches.
    Windows(W),
}

/// What ONNX Runtime runs.
pub(super) trait RunsSession {
    fn session(&self) -> &ModelSession;
    fn session_mut(&mut self) -> &mut ModelSession;
}

/// What needs no runtime.
pub(super) trait Metered {
    fn meter(&mut self) -> &mut Meter;
}

impl<S: RunsSession, T: Metered> Encoder<S, T> {
    /// The session, if ONNX Runtime runs the model.
    pub fn session(&self) -> Option<&ModelSession> {
        match self {
            Self::Session(encoder) => Some(encoder.session()),
            Self::Tables(_) | Self::Server(_) => None,
        }
    }

    pub fn session_mut(&mut self) -> Option<&mut ModelSession> {
        match self {
            Self::Session(encoder) => Some(encoder.session_mut()),
            Self::Tables(_) | Self::Server(_) => None,
        }
    }

    /// The server that encodes.
    pub fn server(&self) -> Option<&ServerEncoder> {
        match self {
            Self::Server(encoder) => Some(encoder),
            Self::Session(_) | Self::Tables(_) => None,
        }
    }

    /// Return the cost of all runs since the last call.
    pub fn take_cost(&mut self) -> RunCost {
        match self {
            Self::Session(encoder) => encoder.session_mut().take_cost(),
            Self::Tables(encoder) => encoder.meter().take_cost(),
            Self::Server(encoder) => encoder.take_cost(),
        }
    }
}
