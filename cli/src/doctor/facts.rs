//! What doctor finds out by reading files. Nothing here judges, opens a device or depends on
//! anything but the tree.

use serde::Serialize;

use super::release;
use super::tree::{Identity, Tree};

/// The drivers whose nodes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    /// Jetson's.
    Nvgpu,
    /// The one of desktop and server GPUs.
    Nvidia,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) machine: Machine,
    pub(crate) user: Option<User>,
    pub(crate) driver: Option<Driver>,
    /// Of the desktop driver; nvgpu has none but the L4T release.
    pub(crate) driver_version: Option<String>,
    pub(crate) nodes: Vec<NodeFact>,
    pub(crate) gpu: GpuState,
}

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The board of the software Orin that answers instead of hardware.
    pub(crate) emulated: Option<String>,
    /// From the device tree.
    pub(crate) model: Option<String>,
    pub(crate) l4t: Option<String>,
    pub(crate) jetpack: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) tegra: bool,
    pub(crate) container: bool,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_available_bytes: Option<u64>,
    /// How many files a process may have open.
    pub(crate) open_files: Option<u64>,
    /// The CUDA driver's library: not needed, but good to know for comparisons.
    pub(crate) libcuda: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct NodeFact {
    pub(crate) path: String,
    /// Whether the runtime opens it.
    pub(crate) needed: bool,
    pub(crate) present: bool,
    /// False for what is no device node but stands in its place.
    pub(crate) device: bool,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    /// Octal permission bits.
    pub(crate) mode: Option<String>,
    /// Whether this user may open it.
    pub(crate) openable: bool,
    #[serde(skip)]
    pub(crate) gid: u32,
    /// Whether this user's entry in the group file would do, were it in force.
    #[serde(skip)]
    pub(crate) openable_after_login: bool,
    #[serde(skip)]
    pub(crate) group_may: bool,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct GpuState {
    pub(crate) power_mode: Option<PowerMode>,
    pub(crate) clock: Option<Clock>,
    /// Engine power gating.
    pub(crate) elpg: Option<bool>,
    /// Power-off of the idle GPU.
    pub(crate) railgate: Option<bool>,
    /// The folder that holds the switches above.
    pub(crate) controls: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PowerMode {
    pub(crate) id: u32,
    pub(crate) name: Option<String>,
    /// The mode without limits, where this board has one.
    #[serde(skip)]
    pub(crate) unlimited: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Clock {
    pub(crate) min_hz: u64,
    pub(crate) max_hz: u64,
    pub(crate) now_hz: Option<u64>,
    pub(crate) governor: Option<String>,
}

/// The node that makes the others: it is there before the GPU was first powered.
pub(crate) const NVGPU_POWER: &str = "/dev/nvgpu/igpu0/power";
/// The control node under its two names. The first that exists is the one the runtime opens.
const NVGPU_CTRL: [&str; 2] = ["/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu"];
const NVMAP: &str = "/dev/nvmap";
/// Shown when they are there; the runtime reaches what they stand for through the control node.
const NVGPU_OTHERS: [&str; 6] = [
    "/dev/nvgpu/igpu0/as",
    "/dev/nvgpu/igpu0/channel",
    "/dev/nvgpu/igpu0/tsg",
    "/dev/nvhost-as-gpu",
    "/dev/nvhost-gpu",
    "/dev/nvhost-tsg-gpu",
];
const NVIDIA_CTL: &str = "/dev/nvidiactl";
const NVIDIA_UVM: &str = "/dev/nvidia-uvm";
const NVIDIA_VERSION: &str = "/proc/driver/nvidia/version";

impl Facts {
    /// Reads the tree with the eyes of `who`.
    pub(crate) fn gather(tree: &Tree, who: Option<&Identity>, emulated: Option<String>) -> Facts {
        let machine = Machine::read(tree, emulated);
        let accounts = Accounts::read(tree);
        let driver = driver(tree, &machine);
        let fact = |path: &str, needed| accounts.node(tree, path, needed, who);
        let mut nodes = Vec::new();
        match driver {
            Some(Driver::Nvgpu) => {
                let ctrl = NVGPU_CTRL.iter().find(|path| tree.node(path).is_some());
                let ctrl = ctrl.unwrap_or(&NVGPU_CTRL[0]);
                nodes.extend([fact(ctrl, true), fact(NVMAP, true)]);
                let others = NVGPU_CTRL.iter().filter(|path| *path != ctrl).chain(&NVGPU_OTHERS);
                nodes.extend(others.map(|path| fact(path, false)).filter(|node| node.present));
            }
            Some(Driver::Nvidia) => {
                // A container may have been given any of the host's GPUs.
                let mut gpus = (0..32).map(|minor| format!("/dev/nvidia{minor}"));
                let gpu = gpus.find(|path| tree.node(path).is_some());
                let gpu = gpu.unwrap_or_else(|| "/dev/nvidia0".to_owned());
                nodes.extend([NVIDIA_CTL, &gpu, NVIDIA_UVM].map(|path| fact(path, true)));
            }
            None => {}
        }
        Facts {
            driver_version: tree.text(NVIDIA_VERSION).as_deref().and_then(nvidia_version),
            user: who.map(|who| accounts.user(who)),
            gpu: GpuState::read(tree),
            machine,
            driver,
            nodes,
        }
    }
}

/// A Jetson has nodes of both drivers, but the desktop driver's serve its display only.
fn driver(tree: &Tree, machine: &Machine) -> Option<Driver> {
    let any = |paths: &[&str]| paths.iter().any(|path| tree.node(path).is_some());
    if machine.tegra || any(&NVGPU_CTRL) || any(&[NVMAP, NVGPU_POWER]) {
        Some(Driver::Nvgpu)
    } else if any(&[NVIDIA_CTL, NVIDIA_UVM]) || tree.exists(NVIDIA_VERSION) {
        Some(Driver::Nvidia)
    } else {
        None
    }
}

/// The word of `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build`
/// that is a version.
fn nvidia_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let is_version =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(is_version).map(str::to_owned)
}

impl Machine {
    fn read(tree: &Tree, emulated: Option<String>) -> Machine {
        let version = tree.text("/proc/version").unwrap_or_default();
        let model = tree.text("/proc/device-tree/model");
        let l4t = tree.text("/etc/nv_tegra_release").as_deref().and_then(release::l4t);
        let memory = |name: &str| {
            let text = tree.text("/proc/meminfo")?;
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib * 1024)
        };
        let compatible = tree.text("/proc/device-tree/compatible").unwrap_or_default();
        Machine {
            tegra: l4t.is_some()
                || version.contains("tegra")
                || compatible.contains("nvidia,tegra")
                || tree.exists("/sys/module/nvgpu"),
            jetpack: l4t.as_deref().and_then(release::jetpack),
            kernel: version.strip_prefix("Linux version ").and_then(first_word),
            container: container(tree),
            memory_bytes: memory("MemTotal"),
            memory_available_bytes: memory("MemAvailable"),
            open_files: tree.text("/proc/self/limits").as_deref().and_then(open_files),
            libcuda: libcuda(tree),
            emulated,
            model,
            l4t,
        }
    }
}

fn first_word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_owned)
}

/// The soft limit: the runtime leaves it as it is.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

fn container(tree: &Tree) -> bool {
    let engines = ["docker", "containerd", "kubepods", "libpod", "lxc"];
    let group = tree.text("/proc/1/cgroup").unwrap_or_default();
    tree.exists("/.dockerenv")
        || tree.exists("/run/.containerenv")
        || engines.iter().any(|engine| group.contains(engine))
}

fn libcuda(tree: &Tree) -> Option<String> {
    let folders = [
        "/usr/lib/aarch64-linux-gnu/nvidia",
        "/usr/lib/aarch64-linux-gnu/tegra",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/run/opengl-driver/lib",
    ];
    let found = folders.iter().map(|folder| format!("{folder}/libcuda.so.1"));
    found.into_iter().find(|path| tree.exists(path))
}

impl GpuState {
    fn read(tree: &Tree) -> GpuState {
        // 17000000.gpu on JetPack 6, 17000000.ga10b before.
        let frequency = tree
            .names("/sys/class/devfreq")
            .into_iter()
            .find(|name| name.ends_with(".gpu") || name.ends_with(".ga10b"))
            .map(|name| format!("/sys/class/devfreq/{name}"));
        let Some(frequency) = frequency else {
            return GpuState { power_mode: PowerMode::read(tree), ..GpuState::default() };
        };
        let number = |name: &str| tree.number(&format!("{frequency}/{name}"));
        let switch = |name: &str| number(&format!("device/{name}")).map(|value| value != 0);
        let clock = number("min_freq").zip(number("max_freq")).map(|(min_hz, max_hz)| Clock {
            min_hz,
            max_hz,
            now_hz: number("cur_freq"),
            governor: tree.text(&format!("{frequency}/governor")),
        });
        GpuState {
            power_mode: PowerMode::read(tree),
            clock,
            elpg: switch("elpg_enable"),
            railgate: switch("railgate_enable"),
            controls: Some(format!("{frequency}/device")),
        }
    }
}

impl PowerMode {
    fn read(tree: &Tree) -> Option<PowerMode> {
        let status = tree.text("/var/lib/nvpmodel/status")?;
        // `pmode:0002`, with a word about the fan behind it on some releases.
        let mut words = status.split_whitespace();
        let id = words.find_map(|word| word.strip_prefix("pmode:")?.parse().ok())?;
        let table = tree.text("/etc/nvpmodel.conf").unwrap_or_default();
        let modes: Vec<_> = table.lines().filter_map(power_mode).collect();
        let name = modes.iter().find(|(number, _)| *number == id).map(|(_, name)| name.clone());
        let unlimited = modes.iter().find(|(_, name)| name.starts_with("MAXN"));
        Some(PowerMode { id, name, unlimited: unlimited.map(|(number, _)| *number) })
    }
}

/// A line like `< POWER_MODEL ID=0 NAME=MAXN >`.
fn power_mode(line: &str) -> Option<(u32, String)> {
    let words = line.trim().strip_prefix('<')?.trim_end_matches('>').split_whitespace();
    let mut words = words.skip_while(|word| *word != "POWER_MODEL").skip(1);
    let id = words.next()?.strip_prefix("ID=")?.parse().ok()?;
    Some((id, words.next()?.strip_prefix("NAME=")?.to_owned()))
}

/// The user and group files.
struct Accounts {
    users: Vec<(u32, String)>,
    /// Number, name, members.
    groups: Vec<(u32, String, Vec<String>)>,
}

impl Accounts {
    fn read(tree: &Tree) -> Accounts {
        let table = |path: &str| -> Vec<Vec<String>> {
            let text = tree.text(path).unwrap_or_default();
            text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
        };
        let users = table("/etc/passwd").into_iter().filter_map(|fields| {
            let mut fields = fields.into_iter();
            let name = fields.next()?;
            Some((fields.nth(1)?.parse().ok()?, name))
        });
        let groups = table("/etc/group").into_iter().filter_map(|fields| {
            let mut fields = fields.into_iter();
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            let members = fields.next().unwrap_or_default();
            Some((gid, name, members.split(',').map(str::to_owned).collect()))
        });
        Accounts { users: users.collect(), groups: groups.collect() }
    }

    fn user_name(&self, uid: u32) -> Option<&str> {
        self.users.iter().find(|(number, _)| *number == uid).map(|(_, name)| name.as_str())
    }

    /// By name, or by number where nobody named it.
    fn group_name(&self, gid: u32) -> String {
        let known = self.groups.iter().find(|(number, ..)| *number == gid);
        known.map_or_else(|| gid.to_string(), |(_, name, _)| name.clone())
    }

    fn user(&self, who: &Identity) -> User {
        User {
            uid: who.uid,
            name: self.user_name(who.uid).map(str::to_owned),
            groups: who.gids.iter().map(|gid| self.group_name(*gid)).collect(),
        }
    }

    /// The groups that the user gets at the next login.
    fn after_login(&self, who: &Identity) -> Identity {
        let name = self.user_name(who.uid);
        let joined = self.groups.iter().filter(|(_, _, members)| {
            name.is_some_and(|name| members.iter().any(|member| member == name))
        });
        let gids = who.gids.iter().copied().chain(joined.map(|(gid, ..)| *gid));
        Identity { uid: who.uid, gids: gids.collect() }
    }

    fn node(&self, tree: &Tree, path: &str, needed: bool, who: Option<&Identity>) -> NodeFact {
        let node = tree.node(path);
        let node = node.as_ref();
        let device = node.is_some_and(|node| node.is_device);
        let opens = |who: &Identity| device && node.is_some_and(|node| node.opens_for(who));
        // A question about the future, so not one for the kernel.
        let by_mode = node.map(|node| super::tree::Node { openable: None, ..node.clone() });
        NodeFact {
            path: path.to_owned(),
            needed,
            present: node.is_some(),
            device,
            owner: node.map(|node| {
                self.user_name(node.uid).map_or_else(|| node.uid.to_string(), str::to_owned)
            }),
            group: node.map(|node| self.group_name(node.gid)),
            mode: node.map(|node| format!("{:04o}", node.mode)),
            openable: who.is_some_and(opens),
            gid: node.map_or(0, |node| node.gid),
            openable_after_login: who.is_some_and(|who| {
                by_mode.is_some_and(|node| node.opens_for(&self.after_login(who)))
            }),
            group_may: node.is_some_and(|node| node.mode & 0o060 == 0o060),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_limits_are_found_in_their_lines() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@host)  Tue\nGCC version:  gcc version 12.3.0";
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024";
        assert_eq!(nvidia_version(open).as_deref(), Some("580.95.05"));
        assert_eq!(nvidia_version(closed).as_deref(), Some("535.183.01"));
        assert_eq!(nvidia_version("GCC version: 12.3.0"), None);

        let limits = "Max processes  1 2 processes\nMax open files            1024                 524288               files";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn power_modes_are_read_from_their_table() {
        assert_eq!(power_mode("< POWER_MODEL ID=2 NAME=MODE_30W >"), Some((2, "MODE_30W".into())));
        assert_eq!(power_mode("< PM_CONFIG DEFAULT=2 >"), None);
        assert_eq!(power_mode("GPU MAX_FREQ 612000000"), None);
        assert_eq!(power_mode("# < POWER_MODEL ID=0 NAME=MAXN >"), None);
    }
}
