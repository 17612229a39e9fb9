//! An ONNX Runtime session: one window a run on the CPU, batches of fixed shapes on a device.
//!
//! On the CPU, batch 1 at its exact length is within 3 % of the best speed, needs no padding, and gives a result that does
//! not depend on neighbours. A session has one thread; a machine is filled with processes. On a device, [`super::batch`]
//! chooses the windows of each batch.
//!
//! `inputs` is a module below this one; `run` and `batches` implement [`ModelSession`].

mod batches;
mod inputs;
mod run;

use super::batch::Shapes;
use super::cuda::{self, Fusing};
use super::error::{EncodeError, message};
use super::model::{Graph, Model, TableFile};
use super::onnx;
use super::output::{OutputReader, fits};
use super::provider::{Provider, ProviderOptions};
use super::text::Windows;
use super::time_limit::{self, Ended};
use crate::batch::{Batch, EncoderKind};
use crate::profile::encoders::{Device, Precision};
use inputs::Input;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where a session runs, and what it may take there.
#[derive(Clone, Debug)]
pub(super) struct SessionConfig {
    pub device: Device,
    pub provider: Provider,
    /// Device memory for its arena, in bytes; 0: no limit.
    pub arena_bytes: u64,
    /// Most windows in one batch, on a device; 0: as the shape allows.
    pub max_batch: usize,
    /// Threads inside a run, on the CPU.
    pub threads: usize,
    /// On a device.
    pub precision: Precision,
}

/// A model in memory.
pub(super) struct ModelSession {
    kind: EncoderKind,
    name: String,
    pub session: Session,
    device: Device,
    provider: Provider,
    /// The inputs of the graph, in its order.
    inputs: Vec<Input>,
    pub output: OutputReader,
    /// Numbers in a row of the output.
    pub width: usize,
    /// The shapes of batches; `None` on the CPU.
    shapes: Option<Shapes>,
    /// Pads batches.
    pad: i64,
    buffers: Buffers,
    /// For most runs, and for those that return the arena's unused memory.
    options: Arc<RunOptions>,
    releasing: RunOptions,
    release: Release,
    cost: RunCost,
}

/// Buffers for the tensors of a run, reused by all runs.
#[derive(Default)]
struct Buffers {
    /// As many ones and zeros as the largest run has tokens.
    ones: Vec<i64>,
    zeros: Vec<i64>,
    /// 0, 1, 2, ... up to the longest window.
    positions: Vec<i64>,
    /// Ids and mask of a batch.
    ids: Vec<i64>,
    mask: Vec<i64>,
    /// Weights (`[V]`) of a run's only text, of an output that gives the heaviest terms.
    scattered: Vec<f32>,
}

/// Requests to return memory that the arena does not use.
#[derive(Default)]
struct Release {
    /// The session itself wants it.
    is_due: bool,
    /// Counts requests from outside.
    requests: Arc<AtomicU32>,
    /// How many of them have been met.
    n_met: u32,
}

/// The progress of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEvent {
    /// A batch of `n_slots` tokens, padding included, starts.
    Begun { encoder: EncoderKind, n_slots: u64 },
    /// A batch is done.
    Done(Batch),
    /// A text of `n_slots` tokens starts, on the CPU.
    TextBegun { encoder: EncoderKind, n_slots: u64 },
    /// A text is done, on the CPU.
    Text(Batch),
}

/// What runs have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunCost {
    /// Time inside the runtime.
    pub busy: Duration,
    /// Tokens of the windows, and the same with padding.
    pub run_tokens: u64,
    pub padded_tokens: u64,
}

/// Token ids that every vocabulary has, for the first run. As many as a graph that was edited for a device wants at least.
const PROBE: [i64; onnx::PARTS] = [0, 1, 2, 3, 0, 1, 2, 3];

impl ModelSession {
    /// Load the graph and run it once. The size of the vocabulary tells a sparse output from a dense one; `pad` is the id
    /// that pads rows.
    ///
    /// # Errors
    /// `ModelBad` if the graph cannot be loaded or needs other inputs than a text has; `WrongKind` if no output fits the
    /// kind; `DeviceUnusable`; those of [`Self::run`].
    pub fn open(
        environment: &Environment,
        model: &Model,
        vocabulary: usize,
        config: SessionConfig,
        pad: i64,
    ) -> Result<Self, EncodeError> {
        let bad = |reason: String| EncodeError::bad(model.kind, &model.name, reason);
        let session = load(environment, model, vocabulary, &config)?;
        config.provider.check_assignment(&session)?;
        let inputs = session.inputs().iter();
        let inputs = inputs.map(|input| Input::new(input).map_err(|error| bad(error.to_string())));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let output = OutputReader::choose(model, &session, vocabulary)?;
        let options = || RunOptions::new().map_err(|error| bad(message(&error)));
        let mut releasing = options()?;
        let arena = config.provider.arena_name();
        releasing
            .set("memory.enable_memory_arena_shrinkage", arena)
            .map_err(|error| bad(message(&error)))?;
        let mut opened = Self {
            kind: model.kind,
            name: model.name.clone(),
            session,
            device: config.device,
            provider: config.provider,
            inputs,
            output,
            width: 0,
            shapes: None,
            pad,
            buffers: Buffers {
                ones: vec![1; model.max_len],
                zeros: vec![0; model.max_len],
                positions: (0..model.max_len as i64).collect(),
                ..Buffers::default()
            },
            options: Arc::new(options()?),
            releasing,
            release: Release::default(),
            cost: RunCost::default(),
        };
        opened.width = opened.probe()?;
        if !fits(model.kind, opened.width, vocabulary) {
            let reason = format!("its vectors have {} numbers", opened.width);
            return Err(EncodeError::wrong_kind(model.kind, &model.name, reason));
        }
        if !config.device.is_cpu() {
            opened.fix_shapes(model.max_len, config.max_batch)?;
        }
        opened.take_cost();
        Ok(opened)
    }

    /// Run the graph for the first time, with a time limit, and return the numbers in a row of its output.
    fn probe(&mut self) -> Result<usize, EncodeError> {
        let terminate = self.terminator();
        let length = PROBE.len().min(self.buffers.ones.len());
        let run = || self.run(&PROBE[..length], |_, width| Ok(width));
        match time_limit::run_limited(terminate, run) {
            (Err(_), Ended::Late) => {
                Err(EncodeError::bad(self.kind, &self.name, time_limit::REASON))
            }
            (width, _) => width,
        }
    }

    /// Return a function that terminates the current run, from any thread.
    pub fn terminator(&self) -> impl Fn() + Send + Sync + use<> {
        let options = Arc::clone(&self.options);
        move || {
            // Has no effect if nothing runs.
            let _ = options.terminate();
        }
    }

    /// Whether windows run in batches, by [`Self::run_many`].
    pub fn is_batched(&self) -> bool {
        self.shapes.is_some()
    }

    /// Return unused memory of the arena with the next run whenever the counter `requests` has increased.
    pub fn on_release_request(&mut self, requests: &Arc<AtomicU32>) {
        self.release = Release {
            is_due: self.release.is_due,
            n_met: requests.load(Ordering::Relaxed),
            requests: Arc::clone(requests),
        };
    }

    /// The inputs of the graph, in its order.
    pub fn input_names(&self) -> Vec<String> {
        self.inputs.iter().map(|input| input.name.clone()).collect()
    }

    /// The model's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Time inside the runtime since the last [`Self::take_cost`].
    pub fn busy(&self) -> Duration {
        self.cost.busy
    }

    /// Return the event for a text whose windows are about to run one by one.
    pub fn text_begun(&self, windows: &Windows) -> BatchEvent {
        BatchEvent::TextBegun {
            encoder: self.kind,
            n_slots: windows.n_slots(),
        }
    }

    /// Return the event for a text whose windows ran one by one since [`Self::busy`] was `before`.
    pub fn text_done(&self, windows: &Windows, before: Duration) -> BatchEvent {
        BatchEvent::Text(Batch {
            encoder: self.kind,
            n_tokens: windows.n_tokens as u64,
            n_slots: windows.n_slots(),
            n_windows: windows.iter().len() as u64,
            duration: self.cost.busy.saturating_sub(before),
        })
    }

    /// Return the cost of all runs since the last call.
    pub fn take_cost(&mut self) -> RunCost {
        std::mem::take(&mut self.cost)
    }
}

impl Release {
    /// Whether the next run returns memory. Asked once for each run.
    fn take(&mut self) -> bool {
        let n_requests = self.requests.load(Ordering::Relaxed);
        let is_requested = n_requests != self.n_met;
        self.n_met = n_requests;
        std::mem::take(&mut self.is_due) || is_requested
    }
}

/// Load the graph, edited if it is for a device.
fn load(
    environment: &Environment,
    model: &Model,
    vocabulary: usize,
    config: &SessionConfig,
) -> Result<Session, EncodeError> {
    let edited = |fusing| match config.device {
        Device::Cpu => Ok(None),
        Device::Cuda(_) => cuda::edited(model, vocabulary, config.precision, fusing),
    };
    let graph = edited(Fusing::Yes)?;
    let mut loaded = load_edited(environment, model, graph.as_ref(), config);
    if let Err(error) = &loaded
        && graph.is_some_and(|graph| graph.is_fused)
    {
        // A runtime may be built without the fused operators, or without some of their kernels.
        let reason = message(error);
        tracing::debug!("{}: loading without fused operators: {reason}", model.name);
        let graph = edited(Fusing::No)?;
        loaded = load_edited(environment, model, graph.as_ref(), config);
    }
    loaded.map_err(|error| match config.device {
        Device::Cpu => EncodeError::bad(model.kind, &model.name, message(&error)),
        device => EncodeError::DeviceUnusable {
            device,
            reason: message(&error),
        },
    })
}

/// Load the edited graph, or the model's own if there is none.
fn load_edited(
    environment: &Environment,
    model: &Model,
    edited: Option<&cuda::Edited>,
    config: &SessionConfig,
) -> ort::Result<Session> {
    let builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(config.threads.max(1))?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        // It plans memory once for each distinct length and keeps every plan.
        .with_memory_pattern(false)?;
    let options = ProviderOptions {
        arena_bytes: config.arena_bytes,
        precision: match model.graph {
            // Their tables need no matrix products.
            Graph::Embedded(_) | Graph::Table(_) => Precision::Fp32,
            Graph::File(_) => config.precision,
        },
    };
    let mut builder = config.provider.register(builder, options)?;
    match (edited, &model.graph) {
        (Some(cuda::Edited { bytes, folder, .. }), _) => builder
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder.to_string_lossy(),
            )?
            .commit_from_memory(bytes),
        (None, Graph::Embedded(bytes)) => builder.commit_from_memory(bytes),
        (None, Graph::File(path) | Graph::Table(TableFile { path })) => {
            builder.commit_from_file(path)
        }
    }
}
