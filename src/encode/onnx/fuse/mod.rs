//! Rewrites parts of a graph as operators of ONNX Runtime that a GPU runs faster.
//!
//! On an H200, SPLADE of BERT-base size in 16 bits spent less than half of a run of 16 x 512 tokens in matrix products: the
//! rest were kernels that move attention scores, residuals and logits through memory. ONNX Runtime has fused kernels for
//! attention and for normalised sums, but finds few of the places by itself. What is not recognised stays as it is.
//!
//! Imports, from the bottom: `index`, then the edits, none of which imports another.

mod attention;
mod index;
mod maximum;
mod norm;

pub use attention::fuse_attention;
pub use maximum::{PARTS, split_maximum};
pub use norm::fuse_norms;

use super::graph::Proto;

/// The domain of operators that only ONNX Runtime has.
const RUNTIME: &str = "com.microsoft";

fn use_runtime_operators(proto: &mut Proto) {
    proto.opsets.entry(RUNTIME.to_owned()).or_insert(1);
}
