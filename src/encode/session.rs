//! An ONNX Runtime session: one window a run on the CPU, batches of fixed shapes on a device.
//!
//! On the CPU batch 1 at its exact length is within 3 % of the best speed, needs no padding, and gives a result
//! that does not depend on neighbours. One thread per session; a machine is filled with processes. On a device
//! [`super::batch`] says which windows run together.

mod batches;

use super::batch::{Shape, Shapes};
use super::cuda::{self, Hardware};
use super::endless::{self, Ended};
use super::error::{EncodeError, said};
use super::fault::classify;
use super::model::{Graph, Model};
use super::output::{Output, fits};
use super::prepare::Windows;
use crate::batch::{Batch, EncoderKind};
use crate::device::DeviceFailure;
use crate::failpoint::{self, failpoint};
use crate::profile::encoders::{Device, Precision};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where a session runs, and what it may take there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub device: Device,
    /// Device memory for its arena, in bytes; 0: no limit.
    pub arena_bytes: u64,
    /// Windows in one run at most, on a device; 0: as the shape allows.
    pub max_batch: usize,
    /// Threads inside a run, on the CPU.
    pub threads: usize,
    /// On a device.
    pub precision: Precision,
    pub hardware: Hardware,
}

/// A model in memory.
pub(super) struct ModelSession {
    kind: EncoderKind,
    name: String,
    pub(super) session: Session,
    device: Device,
    /// What the graph asks for, in its order.
    inputs: Vec<Input>,
    pub output: Output,
    /// Numbers in a row of the output.
    pub width: usize,
    /// Only on a device.
    shapes: Option<Shapes>,
    /// What fills a batch up.
    pad: i64,
    /// As many ones and zeros as the largest run has tokens.
    ones: Vec<i64>,
    zeros: Vec<i64>,
    /// 0, 1, 2, ... as far as one window may reach.
    positions: Vec<i64>,
    /// Ids and mask of the batch in hand.
    ids: Vec<i64>,
    mask: Vec<i64>,
    /// For every run, and for one that gives the arena's unused memory back.
    options: Arc<RunOptions>,
    releasing: RunOptions,
    release: bool,
    /// Requests for that from outside, and how many of them have been met.
    releases: Arc<AtomicU32>,
    heeded: u32,
    spent: Spent,
}

/// What there is to tell of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEvent {
    /// A batch of `n_slots` tokens, padding included, begins.
    Begun { encoder: EncoderKind, n_slots: u64 },
    /// A batch is over.
    Done(Batch),
    /// A text of `n_slots` tokens begins, on the CPU.
    TextBegun { encoder: EncoderKind, n_slots: u64 },
    /// A text is done, on the CPU.
    Text(Batch),
}

/// What runs have cost since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// Time inside the runtime.
    pub busy: Duration,
    /// Tokens of the windows that were run, and with padding and blank rows.
    pub run_tokens: u64,
    pub padded_tokens: u64,
}

/// An input of the graph.
struct Input {
    name: String,
    what: What,
    /// 32 bits wide in place of 64.
    narrow: bool,
}

#[derive(Clone, Copy)]
enum What {
    Ids,
    Mask,
    Types,
    Positions,
}

/// Takes a window's position, its output as rows, and the numbers in a row.
pub(super) type Read<'a> = dyn FnMut(usize, &[f32], usize) -> Result<(), EncodeError> + 'a;

/// The tensors of one run, row-major.
struct Tensors<'a> {
    ids: &'a [i64],
    mask: &'a [i64],
    types: &'a [i64],
    /// Empty where no input asks for them.
    positions: &'a [i64],
    shape: Shape,
}

impl ModelSession {
    /// Loads the graph. `vocabulary` tells a sparse model from a dense one; `pad` is the id that fills rows up.
    ///
    /// # Errors
    /// `ModelBad` when the graph cannot be loaded or asks for inputs that a text has not;
    /// `WrongKind` when no output fits the kind; `DeviceUnusable`; those of [`Self::run`], since it is run once.
    pub fn open(
        environment: &Environment,
        model: &Model,
        vocabulary: usize,
        place: Place,
        pad: i64,
    ) -> Result<Self, EncodeError> {
        let bad = |reason: String| EncodeError::bad(model.kind, &model.name, reason);
        let edited = match place.device {
            Device::Cpu => None,
            Device::Cuda(_) => cuda::edited(model, vocabulary, place.precision)?,
        };
        let session =
            load(environment, &model.graph, edited, place).map_err(|error| match place.device {
                Device::Cpu => bad(said(&error)),
                device => unusable(device, &error),
            })?;
        if !place.device.is_cpu() && place.hardware == Hardware::Real {
            cuda::check_assignment(&session, place.device)?;
        }
        let inputs = session
            .inputs()
            .iter()
            .map(|input| Input::new(input).map_err(bad))
            .collect::<Result<_, _>>()?;
        let output = Output::choose(model, &session, vocabulary)?;
        let options = || RunOptions::new().map_err(|error| bad(said(&error)));
        let mut releasing = options()?;
        let arena = cuda::arena_name(place.device, place.hardware);
        releasing
            .set("memory.enable_memory_arena_shrinkage", arena)
            .map_err(|error| bad(said(&error)))?;
        let mut opened = Self {
            kind: model.kind,
            name: model.name.clone(),
            session,
            device: place.device,
            inputs,
            output,
            width: 0,
            shapes: None,
            pad,
            ones: vec![1; model.max_len],
            zeros: vec![0; model.max_len],
            positions: (0..model.max_len as i64).collect(),
            ids: Vec::new(),
            mask: Vec::new(),
            options: Arc::new(options()?),
            releasing,
            release: false,
            releases: Arc::default(),
            heeded: 0,
            spent: Spent::default(),
        };
        opened.width = opened.probe()?;
        if !fits(model.kind, opened.width, vocabulary) {
            let reason = format!("its vectors have {} numbers", opened.width);
            return Err(EncodeError::wrong_kind(model.kind, &model.name, reason));
        }
        if !place.device.is_cpu() {
            opened.batch_up(model.max_len, place.max_batch)?;
        }
        opened.take_spent();
        Ok(opened)
    }

    /// Ends the run in hand when it is called, from any thread.
    pub fn terminator(&self) -> impl Fn() + Send + Sync + use<> {
        let options = Arc::clone(&self.options);
        move || {
            // Without an effect when nothing runs.
            let _ = options.terminate();
        }
    }

    /// Runs the graph for the first time and learns the numbers in a row of its output.
    fn probe(&mut self) -> Result<usize, EncodeError> {
        let terminate = self.terminator();
        let run = || self.run(&PROBE, |_, width| Ok(width));
        let (width, ended) = endless::watched(terminate, run);
        match (width, ended) {
            (Err(_), Ended::Late) => Err(EncodeError::bad(self.kind, &self.name, endless::REASON)),
            (width, _) => width,
        }
    }

    fn asks_positions(&self) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| matches!(input.what, What::Positions))
    }

    /// Whether [`Self::run_many`] is the way to run windows.
    pub fn is_batched(&self) -> bool {
        self.shapes.is_some()
    }

    /// Runs one window of at most `max_len` ids and hands its output, [rows, width] row-major, to
    /// `read`.
    ///
    /// # Errors
    /// `RunFailed` when the runtime says so, `ModelBad` for an output of another shape.
    pub fn run<T>(
        &mut self,
        ids: &[i64],
        read: impl FnOnce(&[f32], usize) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        let n_tokens = ids.len();
        let (ones, zeros, positions) = (
            std::mem::take(&mut self.ones),
            std::mem::take(&mut self.zeros),
            std::mem::take(&mut self.positions),
        );
        let tensors = Tensors {
            ids,
            mask: &ones[..n_tokens],
            types: &zeros[..n_tokens],
            positions: &positions[..n_tokens],
            shape: Shape {
                rows: 1,
                len: n_tokens,
            },
        };
        let mut result = None;
        let mut read = Some(read);
        let done = self.execute(&tensors, &[n_tokens], |_, values, width| {
            // One text, so one call.
            result = match read.take() {
                Some(read) => Some(read(values, width)?),
                None => None,
            };
            Ok(())
        });
        (self.ones, self.zeros, self.positions) = (ones, zeros, positions);
        done?;
        result.ok_or_else(|| EncodeError::bad(self.kind, &self.name, "it gave no output"))
    }

    fn execute(
        &mut self,
        tensors: &Tensors<'_>,
        lengths: &[usize],
        read: impl FnMut(usize, &[f32], usize) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let (kind, shape, device) = (self.kind, tensors.shape, self.device);
        let failed = |error: ort::Error| failure(kind, shape, device, said(&error));
        if self.shapes.is_some() {
            asked_to_fail(kind, shape, device)?;
        }
        let started = Instant::now();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let values = match input.what {
                What::Ids => tensors.ids,
                What::Mask => tensors.mask,
                What::Types => tensors.types,
                What::Positions => tensors.positions,
            };
            let tensor = input.tensor(shape, values).map_err(failed)?;
            inputs.push((Cow::Borrowed(&input.name), tensor));
        }
        let asked = self.releases.load(Ordering::Relaxed);
        let release = std::mem::take(&mut self.release) || asked != self.heeded;
        self.heeded = asked;
        let options = match release {
            true => &self.releasing,
            false => &*self.options,
        };
        // In a test: a device that crawls, or hangs.
        match self.shapes {
            Some(_) => failpoint!("encode::run", self.name),
            None => failpoint!("encode::text", self.name),
        };
        let outputs = self.session.run_with_options(inputs, options);
        let outputs = outputs.map_err(failed)?;
        self.spent.busy += failpoint::duration("encode::took", started.elapsed());
        self.spent.run_tokens += lengths.iter().sum::<usize>() as u64;
        self.spent.padded_tokens += shape.tokens() as u64;
        self.output
            .each(&outputs, lengths, read)
            .map_err(|reason| EncodeError::bad(kind, &self.name, reason))?
    }

    /// Whenever this count rises, the next run gives memory that the arena does not use back to the device, or
    /// the system.
    pub fn heed(&mut self, releases: &Arc<AtomicU32>) {
        self.heeded = releases.load(Ordering::Relaxed);
        self.releases = Arc::clone(releases);
    }

    /// What the graph asks for, in its order.
    pub fn input_names(&self) -> Vec<String> {
        self.inputs.iter().map(|input| input.name.clone()).collect()
    }

    /// The model's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Time inside the runtime since it was last taken.
    pub fn busy(&self) -> Duration {
        self.spent.busy
    }

    /// What there is to tell of a text whose windows are about to be run one by one.
    pub fn text_begun(&self, windows: &Windows) -> BatchEvent {
        BatchEvent::TextBegun {
            encoder: self.kind,
            n_slots: slots(windows),
        }
    }

    /// What there is to tell of a text whose windows were run one by one, since [`Self::busy`] was `before`.
    pub fn text_done(&self, windows: &Windows, before: Duration) -> BatchEvent {
        BatchEvent::Text(Batch {
            encoder: self.kind,
            n_tokens: windows.n_tokens as u64,
            n_slots: slots(windows),
            n_windows: windows.iter().len() as u64,
            duration: self.spent.busy.saturating_sub(before),
        })
    }

    /// What runs have cost since the last call.
    pub fn take_spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }
}

fn slots(windows: &Windows) -> u64 {
    windows.iter().map(|(ids, _)| ids.len() as u64).sum()
}

impl Input {
    /// The error says what about the input is not to be had.
    fn new(input: &Outlet) -> Result<Self, String> {
        let name = input.name();
        let what = match name {
            "input_ids" => What::Ids,
            "attention_mask" => What::Mask,
            "token_type_ids" => What::Types,
            "position_ids" => What::Positions,
            other => {
                return Err(format!(
                    "its graph asks for an input {other}; \
                     export it with input_ids, attention_mask, token_type_ids and position_ids only"
                ));
            }
        };
        if let ValueType::Tensor { shape, .. } = input.dtype()
            && (shape.len() != 2 || shape[1] > 0 || shape[0] > 1)
        {
            let sizes = shape.iter().map(|size| match size {
                1.. => size.to_string(),
                _ => "?".to_owned(),
            });
            return Err(format!(
                "its input {name} has the shape [{}], and texts are of any length: export it with dynamic axes \
                 [batch, sequence]",
                sizes.collect::<Vec<_>>().join(", ")
            ));
        }
        let narrow = match input.dtype() {
            ValueType::Tensor {
                ty: TensorElementType::Int64,
                ..
            } => false,
            ValueType::Tensor {
                ty: TensorElementType::Int32,
                ..
            } => true,
            other => {
                return Err(format!(
                    "its input {name} is of type {other}; export it with integers of 64 or 32 bits"
                ));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            what,
            narrow,
        })
    }

    fn tensor<'a>(&self, shape: Shape, values: &'a [i64]) -> ort::Result<SessionInputValue<'a>> {
        let dims = [shape.rows, shape.len];
        if !self.narrow {
            return Ok(TensorRef::from_array_view((dims, values))?.into());
        }
        // Token ids are 32 bits wide where they come from, and no window is that long.
        let narrowed: Vec<i32> = values.iter().map(|value| *value as i32).collect();
        Ok(Tensor::from_array((dims, narrowed))?.into())
    }
}

fn load(
    environment: &Environment,
    graph: &Graph,
    edited: Option<cuda::Edited>,
    place: Place,
) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(place.threads.max(1))?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        // It plans memory once per distinct length and keeps every plan.
        .with_memory_pattern(false)?;
    if let (Device::Cuda(index), Hardware::Real) = (place.device, place.hardware) {
        let precision = match graph {
            // Their tables need no products of matrices.
            Graph::Embedded(_) => Precision::Fp32,
            Graph::File(_) => place.precision,
        };
        builder = cuda::register(builder, index, place.arena_bytes, precision)?;
    }
    match (edited, graph) {
        (Some(cuda::Edited { bytes, folder }), _) => builder
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder.to_string_lossy(),
            )?
            .commit_from_memory(&bytes),
        (None, Graph::Embedded(bytes)) => builder.commit_from_memory(bytes),
        (None, Graph::File(path)) => builder.commit_from_file(path),
    }
}

fn unusable(device: Device, error: &ort::Error) -> EncodeError {
    EncodeError::DeviceUnusable {
        device,
        reason: said(error),
    }
}

fn failure(kind: EncoderKind, shape: Shape, device: Device, reason: String) -> EncodeError {
    let fault = match device {
        Device::Cpu => None,
        Device::Cuda(_) => classify(&reason),
    };
    match fault {
        Some(DeviceFailure::OutOfMemory) => EncodeError::OutOfMemory {
            kind,
            device,
            shape: shape.to_string(),
            reason,
        },
        Some(DeviceFailure::Lost) => EncodeError::DeviceLost {
            kind,
            device,
            reason,
        },
        Some(DeviceFailure::Crash) | None => EncodeError::RunFailed {
            kind,
            n_tokens: shape.len,
            reason,
        },
    }
}

/// In a test: a device without memory, and one that breaks.
fn asked_to_fail(kind: EncoderKind, shape: Shape, device: Device) -> Result<(), EncodeError> {
    let reason = if failpoint!("encode::memory", format!("{kind} {shape}")) {
        format!(
            "Failed to allocate memory for requested buffer of size {}",
            shape.tokens() << 10
        )
    } else if failpoint!("encode::lost", format!("{kind} {shape}")) {
        "CUDA failure 700: an illegal memory access was encountered".to_owned()
    } else {
        return Ok(());
    };
    Err(failure(kind, shape, device, reason))
}

/// Token ids that every vocabulary has, to learn what a graph gives out.
const PROBE: [i64; 4] = [0, 1, 2, 3];
