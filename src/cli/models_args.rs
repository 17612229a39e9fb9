//! `models`, as typed.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// The encoders that are built in, and the model directories that are found
    List,
    /// Load a model directory and say what it is, how that was told, what it costs and what is wrong
    Check(ModelsCheck),
    /// Make a smaller model directory of another: pooling in the graph, weights in fewer bits
    Prepare(ModelsPrepare),
}

#[derive(Args, Debug)]
pub struct ModelsCheck {
    /// The model directories
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// ONNX Runtime library to use in place of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ModelsPrepare {
    /// The model directory, which is only read
    pub dir: PathBuf,
    /// The directory to make; must not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Terms that a sparse graph hands out: the 128 that are kept, and some to spare for those whose weights
    /// become equal when they are rounded [default: 192]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(128..=4096))]
    pub top_k: Option<u32>,
    /// Store weights in fewer bits: int8 for the CPU, fp16 for GPUs
    #[arg(long, value_name = "TYPE")]
    pub quantize: Option<Quantization>,
    /// ONNX Runtime library to use in place of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Quantization {
    Int8,
    Fp16,
}
