//! What a driver would do for one launch: sections to memory, banks, blocks.

use crate::sm::*;
use goblin::elf::Elf;
use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;

/// GPU memory for one test.
pub(super) struct Arena {
    words: Box<[Cell<u64>]>,
    next: Cell<u64>,
}

const BASE: u64 = 0x7_0000_0000;
pub(super) const SHARED_WINDOW: u64 = 0x7f00_0000_0000;
pub(super) const LOCAL_WINDOW: u64 = 0x7e00_0000_0000;
pub(super) const LOCAL: u32 = 0x12000;

impl Arena {
    pub(super) fn new() -> Arena {
        Arena { words: vec![Cell::new(0); 1 << 20].into(), next: Cell::new(BASE) }
    }

    /// Room for some bytes.
    pub(super) fn room(&self, bytes: u64) -> u64 {
        let at = self.next.get();
        self.next.set((at + bytes).next_multiple_of(256));
        assert!(self.next.get() <= BASE + self.words.len() as u64 * 8);
        at
    }

    fn slice(&self, at: u64, bytes: usize) -> &[Cell<u8>] {
        let all = self.words.as_ptr().cast::<Cell<u8>>();
        let offset = (at - BASE) as usize;
        assert!(offset + bytes <= self.words.len() * 8);
        // SAFETY: the range is inside the words, and a cell of a byte may be seen inside one of a word.
        unsafe { std::slice::from_raw_parts(all.add(offset), bytes) }
    }

    pub(super) fn write(&self, at: u64, data: &[u8]) {
        for (cell, byte) in self.slice(at, data.len()).iter().zip(data) {
            cell.set(*byte);
        }
    }

    pub(super) fn read(&self, at: u64, bytes: usize) -> Vec<u8> {
        self.slice(at, bytes).iter().map(Cell::get).collect()
    }

    pub(super) fn put(&self, words: &[u32]) -> u64 {
        let at = self.room(words.len() as u64 * 4);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.write(at, &bytes);
        at
    }

    pub(super) fn get(&self, at: u64, count: usize) -> Vec<u32> {
        self.read(at, count * 4)
            .chunks_exact(4)
            .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
            .collect()
    }
}

impl GlobalMemory for Arena {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        let len = self.words.len() as u64 * 8;
        match address.wrapping_sub(BASE) < len {
            // SAFETY: the words live as long as the arena and are only reached through cells and spans,
            // by one thread.
            true => Ok(unsafe { Span::new(BASE, self.words.as_ptr() as *mut u8, len, true) }),
            false => Err(MemoryFault::Unmapped),
        }
    }
}

pub(super) struct Kernel {
    pub(super) program: Program,
    name: String,
    arch: Arch,
    registers: u32,
    /// Blocks of the clusters that it demands.
    cluster: [u32; 3],
    shared: u32,
    banks: HashMap<usize, Vec<u8>>,
    parameters: usize,
    /// Where each parameter lies behind the first.
    offsets: Vec<usize>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn arch_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Sm87 => "sm_87",
        Arch::Sm90 => "sm_90",
    }
}

/// The bytes of a cubin of `ptx/`.
pub(super) fn shipped(arch: Arch, file: &str) -> Vec<u8> {
    let path = root().join("../ptx").join(arch_name(arch)).join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The bytes of a cubin in a folder of `ptx/` that is named after a generation.
pub(super) fn shipped_in(folder: &str, file: &str) -> (Arch, Vec<u8>) {
    let path = root().join("../ptx").join(folder).join(file);
    let arch = if folder.contains("90") { Arch::Sm90 } else { Arch::Sm87 };
    (arch, std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// Both generations from both toolchains.
pub(super) fn toolchains(test: impl Fn(&str)) {
    ["sm_87", "cuda13/sm_87", "sm_90", "cuda13/sm_90"].into_iter().for_each(test);
}

/// The bytes of a cubin that exists for these tests alone.
pub(super) fn own(arch: Arch, file: &str) -> Vec<u8> {
    let name = format!("{file}.{}.cubin", arch_name(arch));
    let path = root().join("src/sm/tests/kernels").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The kernels of a cubin.
pub(super) fn names(cubin: &[u8]) -> Vec<String> {
    let elf = Elf::parse(cubin).unwrap();
    elf.section_headers
        .iter()
        .filter_map(|s| elf.shdr_strtab.get_at(s.sh_name)?.strip_prefix(".text."))
        .map(String::from)
        .collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl Kernel {
    pub(super) fn load(arena: &Arena, arch: Arch, cubin: &[u8], name: &str) -> Kernel {
        let elf = Elf::parse(cubin).unwrap();
        let sections: Vec<(&str, &goblin::elf::SectionHeader)> = elf
            .section_headers
            .iter()
            .map(|s| (elf.shdr_strtab.get_at(s.sh_name).unwrap_or(""), s))
            .collect();
        let content = |s: &goblin::elf::SectionHeader| -> Vec<u8> {
            match s.sh_type {
                8 => vec![0; s.sh_size as usize],
                _ => cubin[s.sh_offset as usize..(s.sh_offset + s.sh_size) as usize].to_vec(),
            }
        };
        let find = |name: &str| sections.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
        // Global variables get addresses first, so that relocations can name them.
        let mut placed = HashMap::new();
        for (index, (name, section)) in sections.iter().enumerate() {
            if name.starts_with(".nv.global") {
                let at = arena.room(section.sh_size);
                arena.write(at, &content(section));
                placed.insert(index, at);
            }
        }
        let symbol = |index: usize| {
            let symbol = elf.syms.get(index).unwrap();
            let base = placed.get(&symbol.st_shndx).copied();
            base.unwrap_or(0) + symbol.st_value
        };
        let text = find(&format!(".text.{name}")).unwrap();
        let mut banks = HashMap::new();
        for (section_name, section) in &sections {
            let rest = section_name.strip_prefix(".nv.constant");
            let Some((bank, of)) = rest.map(|r| r.split_once('.').unwrap_or((r, name))) else {
                continue;
            };
            if of == name {
                banks.insert(bank.parse().unwrap(), content(section));
            }
        }
        for (section_name, section) in &sections {
            let with_addend = section_name.starts_with(".rela.");
            if !with_addend && !section_name.starts_with(".rel.") {
                continue;
            }
            let target = section.sh_info as usize;
            let bytes = content(section);
            for entry in bytes.chunks_exact(if with_addend { 24 } else { 16 }) {
                let offset = word(entry, 0) as usize;
                let mut value = symbol(word(entry, 12) as usize);
                if with_addend {
                    value = value.wrapping_add(u64::from(word(entry, 16)));
                }
                match sections[target].0 {
                    ".nv.constant4" => banks.get_mut(&4).unwrap()[offset..offset + 8]
                        .copy_from_slice(&value.to_le_bytes()),
                    ".nv.global.init" => {
                        arena.write(placed[&target] + offset as u64, &value.to_le_bytes())
                    }
                    _ => {}
                }
            }
        }
        let mut registers = 0;
        let info = content(find(".nv.info").unwrap());
        let text_index = sections.iter().position(|(_, s)| std::ptr::eq(*s, text));
        for (attribute, payload) in attributes(&info) {
            let of = |payload: &[u8]| elf.syms.get(word(payload, 0) as usize).unwrap().st_shndx;
            if attribute == 0x2f && Some(of(payload)) == text_index {
                registers = registers.max(word(payload, 4));
            }
        }
        let own_info = content(find(&format!(".nv.info.{name}")).unwrap());
        let parameters = attributes(&own_info)
            .find(|(attribute, _)| *attribute == 0x0a)
            .map_or(0, |(_, payload)| (word(payload, 4) & 0xffff) as usize);
        let mut offsets: Vec<(u32, u32)> = attributes(&own_info)
            .filter(|(attribute, _)| matches!(attribute, 0x17 | 0x45))
            .map(|(_, payload)| (word(payload, 4) & 0xffff, word(payload, 4) >> 16))
            .collect();
        offsets.sort_unstable();
        let cluster = attributes(&own_info)
            .find(|(attribute, _)| *attribute == 0x3d)
            .map_or([1; 3], |(_, payload)| [0, 4, 8].map(|at| word(payload, at)));
        let shared = find(&format!(".nv.shared.{name}")).map_or(0, |s| s.sh_size as u32);
        Kernel {
            program: Program::new(arch, name, 0x1_0000_0000, &content(text)),
            name: name.into(),
            arch,
            registers,
            cluster,
            shared,
            banks,
            parameters,
            offsets: offsets.into_iter().map(|(_, offset)| offset as usize).collect(),
        }
    }

    /// A launch with the arguments of a list, and what its buffers hold in the end.
    pub(super) fn run_listed(
        &self,
        arena: &Arena,
        run: &silicon::kernels::Run,
    ) -> Result<Vec<Vec<u32>>, Box<Fault>> {
        use silicon::kernels::Argument;
        let mut set = Set { dynamic_shared: run.shared, ..Set::new(1, 1) };
        (set.grid, set.block, set.cluster) = (run.grid, run.block, self.cluster);
        let mut places = Vec::new();
        for (argument, offset) in run.arguments.iter().zip(&self.offsets) {
            set.arguments.resize(*offset, 0);
            match argument {
                Argument::Memory(words, _) => {
                    let at = arena.put(words);
                    places.push((at, words.len()));
                    set.arguments.extend(at.to_le_bytes());
                }
                Argument::Bytes(bytes) => set.arguments.extend(bytes),
            }
        }
        assert_eq!(run.arguments.len(), self.offsets.len(), "arguments of {}", run.name());
        self.run(arena, &set)?;
        Ok(places.into_iter().map(|(at, count)| arena.get(at, count)).collect())
    }

    /// The launch of one block, its banks in `banks`.
    pub(super) fn launch<'a>(
        &self,
        set: &'a Set,
        index: [u32; 3],
        banks: &'a [&'a [u8]],
    ) -> Launch<'a> {
        // sm_90 reserves the first KiB of shared memory.
        let reserved = if self.arch == Arch::Sm90 { 1024 } else { 0 };
        Launch {
            grid: set.grid,
            block: set.block,
            index,
            cluster: set.cluster,
            entry: self.program.base(),
            registers: self.registers,
            barriers: 16,
            shared_size: self.shared.max(reserved) + set.dynamic_shared,
            shared_reserved: 1024 - reserved,
            local_low: 0,
            local_high: LOCAL,
            shared_window: SHARED_WINDOW,
            local_window: LOCAL_WINDOW,
            banks,
            sm: 3,
            time_ns: 1_000_000,
        }
    }

    pub(super) fn banks(&self, set: &Set) -> Vec<Vec<u8>> {
        let mut banks: Vec<Vec<u8>> =
            (0..8).map(|n| self.banks.get(&n).cloned().unwrap_or_default()).collect();
        let bank = &mut banks[0];
        let needed = self.parameters + set.arguments.len();
        if bank.len() < needed.max(0x210) {
            bank.resize(needed.max(0x210), 0);
        }
        let mut put = |at: usize, bytes: &[u8]| bank[at..at + bytes.len()].copy_from_slice(bytes);
        for n in 0..3 {
            put(n * 4, &set.block[n].to_le_bytes());
            put(12 + n * 4, &set.grid[n].to_le_bytes());
        }
        if self.arch == Arch::Sm90 {
            put(0x140, &u32::from(set.cluster != [1; 3]).to_le_bytes());
            put(0x188, &set.cluster.iter().product::<u32>().to_le_bytes());
            for n in 0..3 {
                put(0x144 + n * 4, &set.cluster[n].to_le_bytes());
            }
        }
        put(0x18, &SHARED_WINDOW.to_le_bytes());
        put(0x20, &LOCAL_WINDOW.to_le_bytes());
        put(0x28, &0xff_fdc0u32.to_le_bytes());
        // At 0x50 (0xd0 on sm_90) is where constants of bank 3 lie in generic addresses; no kernel here
        // takes one. A window keeps them apart from all others.
        put(0x50, &(LOCAL_WINDOW + (1 << 32)).to_le_bytes());
        put(self.parameters, &set.arguments);
        banks
    }

    /// Runs the whole grid and returns how many instructions that took.
    pub(super) fn run(&self, memory: &dyn GlobalMemory, set: &Set) -> Result<u64, Box<Fault>> {
        let banks = self.banks(set);
        let banks: Vec<&[u8]> = banks.iter().map(Vec::as_slice).collect();
        let [width, height, depth] = std::array::from_fn(|i| set.grid[i] / set.cluster[i]);
        let [across, down, deep] = set.cluster;
        let mut total = 0;
        for n in 0..width * height * depth {
            let first = [n % width * across, n / width % height * down, n / width / height * deep];
            let blocks = (0..across * down * deep).map(|rank| {
                let within = [rank % across, rank / across % down, rank / across / down];
                let index = std::array::from_fn(|i| first[i] + within[i]);
                Block::new(&self.program, self.launch(set, index, &banks), set.order)
            });
            let mut cluster = Cluster::new(blocks.collect(), set.order);
            match cluster.run(memory, set.budget) {
                Outcome::Done => total += cluster.instructions(),
                Outcome::Fault(fault) => return Err(fault),
                Outcome::Budget => panic!("{} does not end", self.name),
            }
        }
        Ok(total)
    }
}

/// The attributes of an `.nv.info` section that carry a payload.
fn attributes(info: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let head = info.get(at..at + 4)?;
            let (format, attribute) = (head[0], head[1]);
            at += 4;
            if format == 4 {
                let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
                let payload = &info[at..at + length];
                at += length.next_multiple_of(4);
                return Some((attribute, payload));
            }
        }
    })
}

/// The geometry and arguments of a launch.
pub(super) struct Set {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    /// Blocks in a cluster.
    pub(super) cluster: [u32; 3],
    pub(super) dynamic_shared: u32,
    pub(super) order: Order,
    pub(super) budget: u64,
    pub(super) arguments: Vec<u8>,
}

impl Set {
    pub(super) fn new(grid: u32, block: u32) -> Set {
        Set {
            grid: [grid, 1, 1],
            block: [block, 1, 1],
            cluster: [1; 3],
            dynamic_shared: 0,
            order: Order::Plain,
            budget: 50_000_000,
            arguments: Vec::new(),
        }
    }

    pub(super) fn word(mut self, value: u32) -> Set {
        self.arguments.extend(value.to_le_bytes());
        self
    }

    pub(super) fn wide(mut self, value: u64) -> Set {
        while self.arguments.len() % 8 != 0 {
            self.arguments.push(0);
        }
        self.arguments.extend(value.to_le_bytes());
        self
    }
}

/// Numbers that look random, for inputs.
pub(super) fn random(seed: u64, count: usize) -> Vec<u32> {
    let mut state = seed * 2 + 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 32) as u32
        })
        .collect()
}

/// Both generations in turn.
pub(super) fn both(test: impl Fn(Arch)) {
    test(Arch::Sm87);
    test(Arch::Sm90);
}
