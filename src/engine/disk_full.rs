//! Explains a full disk: how much space the build still needs, and how much is free.
//!
//! Runs after a build has failed because a disk was full. Reads the inputs and the output, changes nothing.

use crate::engine::disk_need;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::preflight::already_built;
use crate::engine::request::BuildRequest;
use crate::engine::survey::survey;
use crate::platform::{self, Free};
use crate::progress;

/// If fewer new files than this can be created, the disk may be out of inodes instead of space. A build creates about ten
/// files, and one per unfinished segment.
const FEW_FILES: u64 = 100;

/// If the disk was full, add the needed and the free space to the error.
pub fn explain(error: BuildError, request: &BuildRequest) -> BuildError {
    if error.kind() != ErrorKind::DiskFull {
        return error;
    }
    let needed = match needed_bytes(request) {
        Ok(bytes) => format!("about {} are", progress::bytes(bytes)),
        // The inputs cannot be read either; the first error matters more.
        Err(_) => "more space is".to_owned(),
    };
    let layout = request.layout();
    let free = match layout.work.ancestors().find_map(platform::free_space) {
        Some(Free {
            bytes,
            files: Some(files),
            ..
        }) if files < FEW_FILES => {
            format!(
                ", {} and {files} new files are free",
                progress::bytes(bytes)
            )
        }
        Some(Free { bytes, .. }) => format!(", {} are free", progress::bytes(bytes)),
        None => String::new(),
    };
    let text = format!(
        "{error:#}; {needed} needed for {}{free}; finished work is kept: free some space and run the same command again to \
         resume",
        layout.database.display()
    );
    BuildError::new(ErrorKind::DiskFull, text)
}

/// Estimate the space that the missing shards need, including temporary files.
fn needed_bytes(request: &BuildRequest) -> Result<u64> {
    let plan = survey(request)?.plan;
    let built = already_built(request, &plan)?;
    let is_built = |shard| built.contains_key(&shard);
    Ok(disk_need::needed_bytes(&plan, &request.encoders, is_built))
}
