//! Weights on their way from the file to the GPU.

use super::{Backend, Error, Result};
use crate::gguf::Gguf;
use crate::plan::Plan;
use crate::repack;

/// Fills the plan's buffers from the file, piece by piece: nowhere is there a second copy of the
/// weights. `progress` gets bytes that are done and bytes there are, as the GPU counts them.
pub fn load(
    backend: &mut dyn Backend,
    plan: &Plan,
    file: &Gguf,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let all = plan.uploads.iter().map(|upload| upload.bytes).sum();
    let mut done = 0;
    for upload in &plan.uploads {
        repack::upload::<Error>(upload, file, &mut |at, bytes| {
            backend.write(upload.to, at, bytes)?;
            done += bytes.len() as u64;
            progress(done, all);
            Ok(())
        })?;
    }
    backend.settle()
}
