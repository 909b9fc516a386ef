//! The machine that figures were measured on: without it they mean nothing.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;
use std::process::Command;

use doorbell::Device;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    board: String,
    gpu: String,
    driver: String,
    multiprocessors: u32,
    clocks: Vec<String>,
    power: Vec<String>,
    processor: String,
    system: String,
    pci: Option<String>,
    /// Figures of the software Orin say nothing about any hardware.
    pub(crate) emulated: bool,
}

impl Machine {
    pub(crate) fn read(device: &Device) -> Machine {
        let info = device.info();
        let emulated = std::env::var_os(crate::EMULATED).is_some();
        let desktop = info.pci.as_deref().map_or(Vec::new(), smi);
        let of = |wanted: &[&str]| -> Vec<String> {
            let chosen = desktop.iter().filter(|(name, _)| wanted.contains(&name.as_str()));
            chosen.map(|(name, value)| format!("{name} {value}")).collect()
        };
        let value = |wanted: &str| {
            desktop.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let model = first_line("/proc/device-tree/model").filter(|_| !emulated);
        let mut clocks = of(&CLOCKS);
        let mut power = of(&POWER);
        if info.driver == "nvgpu" && !emulated {
            clocks.extend(devfreq());
            power.extend(lines_of("nvpmodel", &["-q"]));
        }
        let version = value("driver_version").or_else(|| {
            first_line("/sys/module/nvidia/version").filter(|_| info.driver == "nvidia")
        });
        let release = first_line("/etc/nv_tegra_release").filter(|_| info.driver == "nvgpu");
        Machine {
            board: if emulated {
                "the software Orin".to_owned()
            } else {
                value("name").or(model).unwrap_or_else(|| "unknown".to_owned())
            },
            gpu: info.chip.clone(),
            driver: [Some(info.driver.to_owned()), version, release.filter(|_| !emulated)]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            multiprocessors: info.sm_count,
            clocks,
            power,
            processor: processor(),
            system: first_line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            pci: info.pci.clone(),
            emulated,
        }
    }
}

const CLOCKS: [&str; 4] = ["clocks.sm", "clocks.max.sm", "clocks.mem", "clocks.max.mem"];
const POWER: [&str; 5] =
    ["power.draw", "power.limit", "pstate", "persistence_mode", "temperature.gpu"];

/// What the vendor's own tool reads, if it is installed: (name, value).
fn smi(pci: &str) -> Vec<(String, String)> {
    let names = [&["name", "driver_version"][..], &CLOCKS, &POWER].concat();
    let query = format!("--query-gpu={}", names.join(","));
    let id = format!("--id={pci}");
    let lines = lines_of("nvidia-smi", &[&id, &query, "--format=csv,noheader"]);
    let values = lines.first().map_or("", String::as_str).split(", ");
    names.iter().map(|name| (*name).to_owned()).zip(values.map(str::to_owned)).collect()
}

/// The clocks of a Jetson's GPU.
fn devfreq() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/devfreq") else { return Vec::new() };
    let gpu = entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with("gpu") || name.ends_with("ga10b")
    });
    let read = |directory: &Path, name: &str| {
        let value = fs::read_to_string(directory.join(name)).ok()?;
        Some(format!("{name} {}", value.trim()))
    };
    let names = ["cur_freq", "min_freq", "max_freq", "governor"];
    gpu.map_or(Vec::new(), |gpu| names.iter().filter_map(|name| read(&gpu, name)).collect())
}

/// What a program prints; nothing where it is not installed or fails.
fn lines_of(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output();
    let Ok(output) = output else { return Vec::new() };
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

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        text.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.unwrap_or(std::env::consts::ARCH).trim())
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unknown = |list: &[String]| match list {
            [] => "not known".to_owned(),
            list => list.join(", "),
        };
        writeln!(f, "board      {} ({})", self.board, self.gpu)?;
        if let Some(pci) = &self.pci {
            writeln!(f, "PCI        {pci}")?;
        }
        writeln!(f, "driver     {}", self.driver)?;
        writeln!(f, "SMs        {}", self.multiprocessors)?;
        writeln!(f, "clocks     {}", unknown(&self.clocks))?;
        writeln!(f, "power      {}", unknown(&self.power))?;
        writeln!(f, "processor  {}", self.processor)?;
        writeln!(f, "system     Linux {}", self.system)?;
        if self.emulated {
            writeln!(f, "These figures mean nothing: the software Orin is no hardware.")?;
        }
        Ok(())
    }
}
