//! Where every byte went.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use super::table::table;
use crate::plan::{Plan, Role};
use crate::run::Mib;

/// Memory of the GPU and of the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of the plan's buffers, by what they are for.
    pub gpu: Vec<(String, u64)>,
    /// The process.
    pub host: HostMemory,
}

/// Resident memory of the process, in bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct HostMemory {
    /// Its own.
    pub own: u64,
    /// Pages of files, which the system keeps anyway and takes back when it needs them.
    pub files: u64,
    /// Shared with others, the software Orin's memory among them.
    pub shared: u64,
}

impl HostMemory {
    /// As it is now.
    pub fn now() -> HostMemory {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            kib.unwrap_or(0) * 1024
        };
        HostMemory { own: of("RssAnon:"), files: of("RssFile:"), shared: of("RssShmem:") }
    }
}

impl Memory {
    /// Of a plan that is placed, and of this process.
    pub fn of(plan: &Plan, file: u64) -> Memory {
        let roles = [
            ("weights", Role::Weights),
            ("cache", Role::Cache),
            ("activations", Role::Activations),
            ("logits", Role::Logits),
            ("state", Role::State),
            ("history", Role::History),
            ("output, in host memory", Role::Output),
        ];
        let of = |role: Role| {
            let chosen = plan.buffers.iter().filter(|buffer| buffer.role == role);
            chosen.map(|buffer| buffer.bytes).sum()
        };
        let gpu = roles.into_iter().map(|(name, role)| (name.to_owned(), of(role))).collect();
        Memory { file, gpu, host: HostMemory::now() }
    }

    /// Bytes of GPU memory over the file's and the cache's.
    pub fn excess(&self) -> f64 {
        let of = |wanted: &dyn Fn(&str) -> bool| -> u64 {
            self.gpu.iter().filter(|(name, _)| wanted(name)).map(|(_, bytes)| bytes).sum()
        };
        let all = of(&|name| !name.starts_with("output"));
        all as f64 / (self.file + of(&|name| name == "cache")) as f64 - 1.0
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, bytes: u64| {
            vec![name.to_owned(), bytes.to_string(), Mib(bytes).to_string()]
        };
        let mut lines: Vec<_> = self.gpu.iter().map(|(name, bytes)| line(name, *bytes)).collect();
        lines.push(line("together", self.gpu.iter().map(|(_, bytes)| bytes).sum()));
        write!(f, "{}", table(&["GPU", "bytes", ""], &lines))?;
        let excess = 100.0 * self.excess();
        writeln!(f, "GPU memory is file ({}) plus cache {excess:+.1} %\n", Mib(self.file))?;
        let host = self.host;
        let lines = [
            line("its own", host.own),
            line("shared", host.shared),
            line("pages of files", host.files),
        ];
        write!(f, "{}", table(&["host, resident", "bytes", ""], &lines))
    }
}
