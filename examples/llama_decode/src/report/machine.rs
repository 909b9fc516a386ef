//! The machine that figures were measured on: without it they mean nothing.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The host, and what of the GPU the system's own tools tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Host {
    /// The board of a Jetson, or the GPU's name.
    pub board: String,
    /// Clocks and power, as far as they can be read.
    pub clocks: Vec<String>,
    /// The CPU.
    pub processor: String,
    /// The Linux kernel.
    pub system: String,
    /// Figures of the software Orin say nothing about any hardware.
    pub emulated: bool,
}

impl Host {
    /// Reads it.
    pub fn read(emulated: bool) -> Host {
        let model = first_line("/proc/device-tree/model");
        let (mut board, mut clocks) = ("unknown".to_owned(), Vec::new());
        if emulated {
            board = "the software Orin".to_owned();
        } else if let Some(model) = model {
            board = model;
            clocks.extend(lines_of("nvpmodel", &["-q"]));
        } else if let Some(line) = lines_of("nvidia-smi", &SMI).first() {
            let mut values = line.split(", ").map(str::to_owned);
            board = values.next().unwrap_or(board);
            let names = ["SM", "memory", "power", "driver"];
            clocks.extend(names.iter().zip(values).map(|(name, value)| format!("{name} {value}")));
        }
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu =
            cpu.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Host {
            board,
            clocks,
            processor: format!("{}, {cores} cores", cpu.unwrap_or(std::env::consts::ARCH).trim()),
            system: first_line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            emulated,
        }
    }
}

const SMI: [&str; 3] = [
    "--id=0",
    "--query-gpu=name,clocks.sm,clocks.mem,power.draw,driver_version",
    "--format=csv,noheader",
];

/// What a program prints; nothing where it is not installed or fails.
fn lines_of(program: &str, args: &[&str]) -> Vec<String> {
    let Ok(output) = Command::new(program).args(args).output() else { return Vec::new() };
    if !output.status.success() {
        return Vec::new();
    }
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    // Device trees end their strings with a zero byte.
    let line = text.lines().next()?.trim_end_matches('\0').trim().to_owned();
    (!line.is_empty()).then_some(line)
}
