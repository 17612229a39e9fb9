//! The flags of `models`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List the built-in models and the model directories found
    List,
    /// Show a model's type, how it was detected, its cost and its errors
    Check(ModelsCheck),
    /// Make a smaller copy of a model: pooling in the graph, smaller weights
    Prepare(ModelsPrepare),
    /// Download a model from a hub and check it
    Fetch(ModelsFetch),
}

#[derive(Args, Debug)]
pub struct ModelsCheck {
    /// Model directories to check
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Use this ONNX Runtime library instead of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ModelsPrepare {
    /// Model directory to read
    pub dir: PathBuf,
    /// Directory to create; it must not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Terms per text that a sparse graph returns; 128 are kept, the rest
    /// breaks ties [default: 192]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(128..=4096))]
    pub top_k: Option<u32>,
    /// Store smaller weights: int8 for the CPU, fp16 for GPUs
    #[arg(long, value_name = "TYPE")]
    pub quantize: Option<Quantization>,
    /// Use this ONNX Runtime library instead of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ModelsFetch {
    /// `hf:OWNER/MODEL`, `hf:OWNER/MODEL@REVISION`, or minilm, bge-small-en,
    /// bge-m3, potion-8m, splade
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Directory to create; it must not exist [default: the model's name, in
    /// $HELIX_BUILD_MODEL_DIR or `models` of the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// ONNX file of the repository to take [default: model.onnx or
    /// onnx/model.onnx]
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
    /// Server to ask
    #[arg(
        long,
        value_name = "URL",
        env = "HF_ENDPOINT",
        default_value = "https://huggingface.co"
    )]
    pub endpoint: String,
    /// Use this ONNX Runtime library instead of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Quantization {
    Int8,
    Fp16,
}
