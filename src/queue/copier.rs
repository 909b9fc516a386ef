//! Copies by a kernel, which is how a compute queue makes them.

use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::memory::Heap;
use crate::module::{Kernel, Launch, Module};

/// The kernel, placed in GPU memory when a queue or one of its recordings first copies.
#[derive(Clone, Default)]
pub(crate) struct Copier {
    kernel: Arc<OnceLock<Kernel>>,
}

const BYTES_PER_THREAD: u64 = 16;
const BLOCK: u32 = 256;

impl Copier {
    pub(super) fn kernel(&self, heap: &Arc<Heap>) -> Result<Kernel> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel.clone());
        }
        let cubin: &[u8] = match heap.driver().info().sm {
            90.. => include_bytes!("../../ptx/sm_90/copy.cubin"),
            87 => include_bytes!("../../ptx/sm_87/copy.cubin"),
            // Runs on any Ampere and Ada of a desktop or server.
            _ => include_bytes!("../../ptx/sm_80/copy.cubin"),
        };
        let kernel = Module::place(heap, cubin)?.kernel("copy_bytes")?;
        Ok(self.kernel.get_or_init(|| kernel).clone())
    }
}

/// The launch that copies so many bytes.
pub(super) fn launch(bytes: u64) -> Launch {
    let blocks = bytes.div_ceil(BYTES_PER_THREAD * u64::from(BLOCK));
    // More than fit are refused with the launch.
    Launch::new(u32::try_from(blocks).unwrap_or(u32::MAX), BLOCK)
}
