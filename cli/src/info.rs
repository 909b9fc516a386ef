//! `doorbell info`: what the GPU is and can do.

use std::fmt::{self, Display, Formatter};

use clap::Args;
use doorbell::{Device, Select};
use serde::Serialize;

use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Info {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  doorbell info
  doorbell info --json | jq .sm_count
  doorbell emulate --board agx-orin-maxn -- doorbell info";

/// The runtime's description of the device, in the shape that is printed.
#[derive(Debug, Serialize)]
struct Shown {
    chip: String,
    driver: &'static str,
    node: String,
    /// Null for a Jetson's, which is on no such bus.
    pci: Option<String>,
    sm: u32,
    sm_count: u32,
    warps_per_sm: u32,
    host_class: u32,
    compute_class: u32,
    copy_class: u32,
    va_bits: u32,
    va_start: u64,
    va_end: u64,
    l2_bytes: u64,
    /// Null where the driver does not tell.
    max_clock_hz: Option<u64>,
    unified_memory: bool,
}

impl Info {
    pub(crate) fn run(&self) -> Result<(), String> {
        let device = Device::open(Select::Auto).map_err(|error| error.to_string())?;
        let shown = Shown::from(device.info());
        if self.json {
            output::json(&shown);
        } else {
            output::text(&shown);
        }
        Ok(())
    }
}

impl From<&doorbell::Info> for Shown {
    fn from(info: &doorbell::Info) -> Shown {
        Shown {
            chip: info.chip.clone(),
            driver: info.driver,
            node: info.node.clone(),
            pci: info.pci.clone(),
            sm: info.sm,
            sm_count: info.sm_count,
            warps_per_sm: info.warps_per_sm,
            host_class: info.host_class,
            compute_class: info.compute_class,
            copy_class: info.copy_class,
            va_bits: info.va_bits,
            va_start: info.va.start().get(),
            va_end: info.va.end().get(),
            l2_bytes: info.l2_bytes,
            max_clock_hz: info.max_clock_hz,
            unified_memory: info.unified_memory,
        }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<24}{value}");
        row("chip", self.chip.clone())?;
        row("driver", format!("{} ({})", self.driver, self.node))?;
        if let Some(pci) = &self.pci {
            row("PCI", pci.clone())?;
        }
        row("compute capability", format!("{}.{}", self.sm / 10, self.sm % 10))?;
        row("multiprocessors", format!("{} of {} warps", self.sm_count, self.warps_per_sm))?;
        if let Some(hz) = self.max_clock_hz {
            row("highest GPU clock", format!("{} MHz", hz / 1_000_000))?;
        }
        row("L2 cache", format!("{} KiB", self.l2_bytes >> 10))?;
        row(
            "memory",
            if self.unified_memory { "shared with the CPU" } else { "its own" }.to_owned(),
        )?;
        row("GPU addresses", format!("{} bits", self.va_bits))?;
        row("  of which for buffers", format!("{:#x} to {:#x}", self.va_start, self.va_end))?;
        row("host class", format!("{:04x}", self.host_class))?;
        row("compute class", format!("{:04x}", self.compute_class))?;
        row("copy class", format!("{:04x}", self.copy_class))
    }
}
