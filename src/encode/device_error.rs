//! Classifies errors of the runtime on a device by their text.
//!
//! This is the only place in the program that reads an error's text: ONNX Runtime has one error code for all of these. The
//! texts are those of ONNX Runtime 1.31, `bfc_arena.cc` and `cuda_call.cc`. Pure.

use crate::device::DeviceFailure;

/// More than any device has: the size was computed from corrupt numbers.
const ABSURD_BYTES: u64 = 1 << 40;

/// Messages of the arena; the number of bytes follows.
const ARENA_FULL: [&str; 2] = [
    "Failed to allocate memory for requested buffer of size ",
    "is smaller than requested bytes of ",
];

/// CUDA calls that ran out of memory. Later calls can succeed.
const CALL_WITHOUT_MEMORY: [&str; 4] = [
    "CUDA failure 2:",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "cudaErrorMemoryAllocation",
];

/// Other failed CUDA calls. After most of them no later call of the process succeeds.
const CALL_FAILED: [&str; 8] = [
    "CUDA failure",
    "CUDA error",
    "CUBLAS",
    "CUDNN",
    "CURAND failure",
    "cudaMemcpy",
    "cudaStreamSynchronize",
    "CUDNN_FE failure",
];

/// Return what happened to the device; `None` for an error of the model or its input.
pub(super) fn classify(text: &str) -> Option<DeviceFailure> {
    let asked_for = ARENA_FULL.iter().find_map(|words| {
        let (_, after) = text.split_once(words)?;
        let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
        // More digits than fit a number are not a size either.
        Some(digits.parse().unwrap_or(u64::MAX))
    });
    let contains = |words: &[&str]| words.iter().any(|words| text.contains(words));
    match asked_for {
        Some(bytes) if bytes < ABSURD_BYTES => Some(DeviceFailure::OutOfMemory),
        Some(_) => Some(DeviceFailure::Lost),
        None if contains(&CALL_WITHOUT_MEMORY) => Some(DeviceFailure::OutOfMemory),
        None if contains(&CALL_FAILED) => Some(DeviceFailure::Lost),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_runtime_are_classified() {
        use DeviceFailure::{Lost, OutOfMemory};
        let table = [
            (
                "Non-zero status code returned while running MatMul node. Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:359 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1073741824",
                Some(OutOfMemory),
            ),
            (
                "Available memory of 100663296 is smaller than requested bytes of 268435456",
                Some(OutOfMemory),
            ),
            (
                "Failed to allocate memory for requested buffer of size 18446744071562067968",
                Some(Lost),
            ),
            (
                "Failed to allocate memory for requested buffer of size 99999999999999999999999",
                Some(Lost),
            ),
            (
                "Failed to allocate memory for requested buffer of size ",
                Some(Lost),
            ),
            (
                "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=cuda_allocator.cc ; line=48 ; expr=cudaMalloc((void**)&p, size);",
                Some(OutOfMemory),
            ),
            (
                "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h ; expr=cublasCreate(&cublas_handle_);",
                Some(OutOfMemory),
            ),
            (
                "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; expr=cudaStreamSynchronize(stream)",
                Some(Lost),
            ),
            (
                "CUDA failure 201: invalid device context ; GPU=0",
                Some(Lost),
            ),
            (
                "CUDA failure 214: uncorrectable ECC error encountered ; GPU=0",
                Some(Lost),
            ),
            (
                "CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0",
                Some(Lost),
            ),
            ("cudaMemcpyAsync returned an error", Some(Lost)),
            (
                "Non-zero status code returned while running Gather node. Status Message: indices element out of data bounds, idx=40000 must be within the inclusive range [-30522,30521]",
                None,
            ),
            ("Got invalid dimensions for input: input_ids", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(classify(text), expected, "{text}");
        }
    }
}
