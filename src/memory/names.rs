//! Names of kernels, for the report of a fault.

use std::collections::HashMap;

use crate::addr::{GpuRange, GpuVa};

/// Kernels by where their code lies, and recordings by their number: what queues note when they
/// launch something.
#[derive(Debug, Default)]
pub(crate) struct Names {
    kernels: Vec<(GpuRange, String)>,
    /// What lies where kernels call a function of CUDA's runtime.
    absent: Vec<(GpuRange, String)>,
    recordings: HashMap<u64, Vec<GpuVa>>,
}

/// Tells a recording's number from an address, which has fewer bits.
const RECORDING: u64 = 1 << 63;

/// What a queue notes when it launches a kernel.
pub(crate) fn of_kernel(code: GpuVa) -> u64 {
    code.get()
}

/// What a queue notes when it replays a recording.
pub(crate) fn of_recording(id: u64) -> u64 {
    RECORDING | id
}

impl Names {
    /// A kernel was loaded. What lay there before is gone.
    pub(crate) fn add_kernel(&mut self, code: GpuRange, name: &str) {
        self.kernels.retain(|(other, _)| !other.overlaps(code));
        self.absent.retain(|(other, _)| !other.overlaps(code));
        self.kernels.push((code, name.to_owned()));
    }

    /// Code calls a function that is not there, and gets here. What lay here before is gone.
    pub(crate) fn add_absent(&mut self, traps: GpuRange, function: &str) {
        self.kernels.retain(|(other, _)| !other.overlaps(traps));
        self.absent.retain(|(other, _)| !other.overlaps(traps));
        self.absent.push((traps, function.to_owned()));
    }

    /// The function that is not there and was called.
    pub(super) fn absent_at(&self, pc: GpuVa) -> Option<&str> {
        let holds = |(traps, _): &&(GpuRange, String)| traps.start() <= pc && pc < traps.end();
        Some(&self.absent.iter().find(holds)?.1)
    }

    /// A recording was laid out, with launches of these kernels.
    pub(crate) fn add_recording(&mut self, id: u64, code: Vec<GpuVa>) {
        self.recordings.insert(id, code);
    }

    pub(crate) fn remove_recording(&mut self, id: u64) {
        self.recordings.remove(&id);
    }

    /// The kernel whose code holds an address, and how far into it the address is.
    pub(super) fn at(&self, pc: GpuVa) -> Option<(String, u64)> {
        let (code, name) =
            self.kernels.iter().find(|(code, _)| code.start() <= pc && pc < code.end())?;
        Some((name.clone(), pc.get() - code.start().get()))
    }

    /// The kernels behind what a queue noted.
    pub(super) fn of(&self, noted: Vec<u64>) -> Vec<String> {
        let code =
            noted.into_iter().flat_map(|what| match self.recordings.get(&(what & !RECORDING)) {
                Some(kernels) if what & RECORDING != 0 => kernels.clone(),
                _ => vec![GpuVa::new(what)],
            });
        code.filter_map(|code| Some(self.at(code)?.0)).collect()
    }
}
