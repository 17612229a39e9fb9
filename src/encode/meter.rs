//! Reports and counts the work of an encoder that needs no session.

use super::error::EncodeError;
use super::model::Model;
use super::session::{BatchEvent, RunCost};
use super::text::Windows;
use crate::batch::{Batch, EncoderKind};
use crate::failpoint::{self, failpoint};
use std::time::Instant;

/// Counts what encoding with tables costs, as a session does for its runs.
pub(super) struct Meter {
    kind: EncoderKind,
    name: String,
    cost: RunCost,
}

impl Meter {
    pub fn new(model: &Model) -> Self {
        Self {
            kind: model.kind,
            name: model.name.clone(),
            cost: RunCost::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Encode one text with `encode`, and report its beginning and end.
    pub fn text<T>(
        &mut self,
        windows: &Windows,
        observe: &dyn Fn(BatchEvent),
        encode: impl FnOnce() -> T,
    ) -> T {
        let n_slots = windows.n_slots();
        observe(BatchEvent::TextBegun {
            encoder: self.kind,
            n_slots,
        });
        let started = Instant::now();
        failpoint!("encode::text", self.name);
        let encoded = encode();
        let duration = failpoint::duration("encode::took", started.elapsed());
        self.cost.busy += duration;
        self.cost.run_tokens += n_slots;
        self.cost.padded_tokens += n_slots;
        observe(BatchEvent::Text(Batch {
            encoder: self.kind,
            n_tokens: windows.n_tokens as u64,
            n_slots,
            n_windows: windows.iter().len() as u64,
            duration,
        }));
        encoded
    }

    /// Return the cost since the last call.
    pub fn take_cost(&mut self) -> RunCost {
        std::mem::take(&mut self.cost)
    }
}

/// The error for an embedded file without the tables of its kind.
pub(super) fn without_tables(model: &Model) -> EncodeError {
    let reason = "the program's own copy of it is damaged; install the program again";
    EncodeError::bad(model.kind, &model.name, reason)
}
