//! The parser against cubins that two generations of the toolkit made of the kernels in `ptx/`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use doorbell::cubin::{Content, Cubin, Generation, Kernel, Patch, Stack, Target};
use goblin::elf::Elf;

mod cubins;

fn bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ptx").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every cubin's metadata as text is the committed text. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn metadata_is_as_recorded() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cubin");
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    let mut expected: Vec<PathBuf> = Vec::new();
    for (name, bytes) in cubins::all() {
        let cubin = Cubin::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let path = golden.join(name.replace('/', "-")).with_extension("txt");
        let text = describe(&cubin);
        if update {
            fs::write(&path, &text).unwrap();
        }
        let recorded = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == recorded, "{name} differs from {}:\n{text}", path.display());
        expected.push(path);
    }
    for entry in fs::read_dir(&golden).unwrap() {
        let path = entry.unwrap().path();
        assert!(expected.contains(&path), "{} is of no cubin", path.display());
    }
}

fn describe(cubin: &Cubin<'_>) -> String {
    let mut text = String::new();
    let section = |id| cubin.section(id).name;
    let Cubin { sm, generation, .. } = cubin;
    writeln!(text, "sm_{sm} {generation:?}").unwrap();
    for section in &cubin.sections {
        let access = if section.writable { "writable" } else { "read-only" };
        let (name, content, align) = (section.name, section.content, section.align);
        writeln!(text, "section {name}: {content:?}, align {align}, {access}").unwrap();
    }
    for (bank, id) in [(3, cubin.constants), (4, cubin.addresses)] {
        if let Some(id) = id {
            writeln!(text, "bank {bank}: {}", section(id)).unwrap();
        }
    }
    for variable in &cubin.variables {
        let (at, size) = (variable.offset, variable.size);
        let place = section(variable.section);
        writeln!(text, "variable {}: {place}+{at:#x}, {size} bytes", variable.name).unwrap();
    }
    for relocation in &cubin.relocations {
        let to = match relocation.target {
            Target::Section(id) => section(id),
            Target::Absent(index) => cubin.absent[index],
        };
        let (from, at, addend) =
            (section(relocation.section), relocation.offset, relocation.addend);
        let how = match relocation.patch {
            Patch::Word => String::new(),
            patch => format!(" as {patch:?}"),
        };
        writeln!(text, "address {from}+{at:#x}: {to}+{addend:#x}{how}").unwrap();
    }
    for kernel in &cubin.kernels {
        writeln!(text, "kernel {}: {}", kernel.name, section(kernel.code)).unwrap();
        let Kernel { registers, barriers, bank0_size, static_shared, reserved_shared, .. } = kernel;
        writeln!(text, "  registers {registers}, barriers {barriers}").unwrap();
        let parameters = &kernel.parameters;
        writeln!(
            text,
            "  bank 0 {bank0_size:#x}, parameters {:#x}+{}",
            parameters.base, parameters.size
        )
        .unwrap();
        for parameter in &parameters.list {
            writeln!(text, "    {}: {} bytes", parameter.offset, parameter.size).unwrap();
        }
        if let Some(id) = kernel.literals {
            writeln!(text, "  bank 2: {}", section(id)).unwrap();
        }
        writeln!(
            text,
            "  shared {static_shared} ({reserved_shared} reserved), dynamic up to {:?}",
            kernel.max_dynamic_shared
        )
        .unwrap();
        let Stack { bytes, recursive } = kernel.stack;
        writeln!(text, "  stack {bytes}{}", if recursive { ", recursive" } else { "" }).unwrap();
        let limits = [
            ("max threads", kernel.max_threads.map(|n| n.to_string())),
            ("required block", kernel.required_block.map(|n| format!("{n:?}"))),
            ("required cluster", kernel.required_cluster.map(|n| format!("{n:?}"))),
            ("max cluster blocks", kernel.max_cluster_blocks.map(|n| n.to_string())),
        ];
        for (what, limit) in limits {
            if let Some(limit) = limit {
                writeln!(text, "  {what} {limit}").unwrap();
            }
        }
    }
    text
}

#[test]
fn both_generations_and_sms_are_told_apart() {
    for (name, bytes) in cubins::all() {
        let cubin = Cubin::parse(&bytes).unwrap();
        let sm = if name.contains("sm_87") { 87 } else { 90 };
        assert_eq!(cubin.sm, sm, "{name}");
        // What was linked was linked by CUDA 13.
        let new = name.starts_with("cuda13/") || name.ends_with("/separate.cubin");
        let generation = if new { Generation::Cuda13 } else { Generation::Cuda12 };
        assert_eq!(cubin.generation, generation, "{name}");
    }
}

/// The toolkit's generation changes how things are written down, not what a launch needs.
#[test]
fn both_generations_say_the_same() {
    for (name, new) in cubins::all() {
        let Some(old) = name.strip_prefix("cuda13/") else { continue };
        let old = bytes(old);
        let (old, new) = (Cubin::parse(&old).unwrap(), Cubin::parse(&new).unwrap());
        assert_eq!(old.kernels.len(), new.kernels.len(), "{name}");
        for kernel in &old.kernels {
            let twin = new.kernel(kernel.name).unwrap_or_else(|| panic!("{name}: {}", kernel.name));
            // Where sections lie in the file and how registers are assigned may differ.
            let (code, literals, registers) = (kernel.code, kernel.literals, kernel.registers);
            let mut twin = twin.clone();
            (twin.code, twin.literals, twin.registers) = (code, literals, registers);
            assert_eq!(*kernel, twin, "{name}");
        }
        let variables = |cubin: &Cubin<'_>| -> Vec<(String, u64)> {
            cubin.variables.iter().map(|v| (v.name.to_string(), v.size)).collect()
        };
        assert_eq!(variables(&old), variables(&new), "{name}");
        assert_eq!(old.relocations.len(), new.relocations.len(), "{name}");
    }
}

/// Cubins newer than the last reading of the table.
const NOT_ASKED: [&str; 6] = [
    "sm_90/mufu.cubin",
    "sm_90/separate.cubin",
    "sm_90/uses_runtime.cubin",
    "sm_90a/bulk.cubin",
    "sm_90a/eighths.cubin",
    "sm_90a/warpgroup.cubin",
];

/// The same figures as the CUDA driver's, read from a real GPU.
#[test]
fn the_cuda_driver_says_the_same() {
    let table = include_str!("golden/cuda-attributes.tsv");
    let mut checked = BTreeMap::new();
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, kernel_name, ref figures @ .., cluster] = columns[..] else { panic!("{row}") };
        let file = bytes(name);
        let cubin = Cubin::parse(&file).unwrap();
        let kernel = cubin.kernel(kernel_name).unwrap();
        let constants = cubin.constants.map_or(0, |id| cubin.section(id).size());
        let ours = [
            u64::from(kernel.max_threads.unwrap_or(1024)),
            u64::from(kernel.static_shared - kernel.reserved_shared),
            constants,
            u64::from(kernel.stack.bytes),
            u64::from(kernel.registers),
        ];
        let theirs: Vec<u64> = figures.iter().map(|figure| figure.parse().unwrap()).collect();
        assert_eq!(ours[..], theirs, "{row}");
        let ours = kernel.required_cluster.map(|[x, y, z]| format!("{x},{y},{z}"));
        assert_eq!(ours.as_deref().unwrap_or("-"), cluster, "{row}");
        *checked.entry(name.to_string()).or_insert(0) += 1;
    }
    for (name, bytes) in cubins::all().iter().filter(|(name, _)| name.contains("sm_90")) {
        if NOT_ASKED.contains(&name.as_str()) {
            println!("{name}: no CUDA driver has been asked about it yet");
            assert!(
                !checked.contains_key(name),
                "{name} has been asked about: take it off the list"
            );
            continue;
        }
        let kernels = Cubin::parse(bytes).unwrap().kernels.len();
        assert_eq!(checked.get(name), Some(&kernels), "{name}");
    }
}

#[test]
fn parameters_follow_the_c_layout() {
    for sm in ["sm_87", "sm_90", "cuda13/sm_87", "cuda13/sm_90"] {
        let file = bytes(&format!("{sm}/parameters.cubin"));
        let cubin = Cubin::parse(&file).unwrap();
        let layout = |name: &str| -> Vec<(u32, u32)> {
            let parameters = &cubin.kernel(name).unwrap().parameters;
            parameters.list.iter().map(|parameter| (parameter.offset, parameter.size)).collect()
        };
        let expected = [(0, 24), (24, 1), (26, 2), (32, 8), (48, 16), (64, 8), (72, 1)];
        assert_eq!(layout("parameter_layout"), expected);
        assert_eq!(layout("parameters_4k"), [(0, 8), (8, 4088)]);
        assert_eq!(layout("parameters_6k"), [(0, 8), (8, 5992)]);
        assert_eq!(layout("parameters_32k"), [(0, 8), (8, 32756)]);
        let base = |name: &str| cubin.kernel(name).unwrap().parameters.base;
        let small = if cubin.sm == 87 { 0x160 } else { 0x210 };
        assert_eq!(base("parameters_4k"), small);
        // Above 4 KiB they move on an Orin.
        assert_eq!(base("parameters_6k"), if cubin.sm == 87 { 0x1a80 } else { small });
    }
}

#[test]
fn barriers_come_from_either_place() {
    for sm in ["sm_87", "sm_90", "cuda13/sm_87", "cuda13/sm_90"] {
        let file = bytes(&format!("{sm}/shared.cubin"));
        let cubin = Cubin::parse(&file).unwrap();
        for (name, barriers) in [("barrier_relay", 16), ("barrier_pair", 3), ("shared_both", 1)] {
            assert_eq!(cubin.kernel(name).unwrap().barriers, barriers, "{sm} {name}");
        }
    }
}

#[test]
fn limits_of_the_source_are_kept() {
    let file = bytes("sm_87/exact_block.cubin");
    let cubin = Cubin::parse(&file).unwrap();
    assert_eq!(cubin.kernels[0].required_block, Some([32, 2, 1]));
    let file = bytes("sm_87/shared.cubin");
    let cubin = Cubin::parse(&file).unwrap();
    assert_eq!(cubin.kernel("barrier_relay").unwrap().max_threads, Some(512));
    let both = cubin.kernel("shared_both").unwrap();
    assert_eq!(both.static_shared, 40960);
    assert_eq!(both.max_dynamic_shared, Some((163 << 10) - 40960));
    let file = bytes("sm_90/cluster.cubin");
    let cubin = Cubin::parse(&file).unwrap();
    assert_eq!(cubin.kernel("cluster_up_to_8").unwrap().max_cluster_blocks, Some(8));
}

/// Applies relocations as a loader would, with made-up addresses, and follows a pointer.
#[test]
fn relocations_lead_to_the_variables() {
    for sm in ["sm_87", "sm_90", "cuda13/sm_87", "cuda13/sm_90"] {
        let file = bytes(&format!("{sm}/constants.cubin"));
        let cubin = Cubin::parse(&file).unwrap();
        let address = |id: doorbell::cubin::SectionId| (id.0 as u64 + 1) << 32;
        let written: BTreeMap<u64, u64> = cubin
            .relocations
            .iter()
            .map(|r| match r.target {
                Target::Section(id) => {
                    (address(r.section) + r.offset, address(id).wrapping_add(r.addend))
                }
                Target::Absent(index) => panic!("{sm}: {} is not there", cubin.absent[index]),
            })
            .collect();
        let place = |name: &str| {
            let variable = cubin.variable(name).unwrap();
            address(variable.section) + variable.offset
        };
        assert_eq!(written[&place("third")], place("initialised") + 8, "{sm}");
        let table = address(cubin.addresses.unwrap());
        let mut pointed: Vec<u64> = (0..4).map(|word| written[&(table + 8 * word)]).collect();
        let mut expected: Vec<u64> =
            ["initialised", "zeroed", "counter", "third"].into_iter().map(place).collect();
        pointed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(pointed, expected, "{sm}");
    }
}

#[test]
fn constants_are_all_there() {
    let file = bytes("sm_87/bank64k.cubin");
    let cubin = Cubin::parse(&file).unwrap();
    let Content::Bytes(table) = cubin.section(cubin.constants.unwrap()).content else { panic!() };
    assert_eq!(table.len(), 0x1_0000);
    for (i, word) in (0_u32..).zip(table.chunks_exact(4)) {
        assert_eq!(word, (i.wrapping_mul(2_654_435_761) + 1).to_le_bytes());
    }
}

#[test]
fn recursion_is_seen_in_the_code() {
    for (name, bytes) in cubins::all() {
        for kernel in Cubin::parse(&bytes).unwrap().kernels {
            assert_eq!(kernel.stack.recursive, kernel.name.contains("recursion"), "{name}");
        }
    }
}

/// Changes a cubin and says why it is refused.
fn refused(name: &str, change: impl FnOnce(&Elf<'_>, &mut Vec<u8>)) -> String {
    let original = bytes(name);
    let mut changed = original.clone();
    change(&Elf::parse(&original).unwrap(), &mut changed);
    Cubin::parse(&changed).expect_err(name).to_string()
}

/// Where a section's header is in the file, and where its bytes are.
fn section(elf: &Elf<'_>, name: &str) -> (usize, usize) {
    let found =
        |header: &goblin::elf::SectionHeader| elf.shdr_strtab.get_at(header.sh_name) == Some(name);
    let index = elf.section_headers.iter().position(found).unwrap();
    let header = elf.header.e_shoff as usize + 64 * index;
    (header, elf.section_headers[index].sh_offset as usize)
}

#[test]
fn other_files_are_refused_with_a_cure() {
    let ptx = Cubin::parse(&bytes("ptx/vector.ptx")).unwrap_err().to_string();
    assert_eq!(
        ptx,
        "this is not a cubin but PTX text: assemble it with `ptxas -arch=sm_87` for an Orin"
    );
    let host = fs::read(env::current_exe().unwrap()).unwrap();
    let error = Cubin::parse(&host).unwrap_err();
    assert!(error.to_string().contains("a program for another processor"), "{error}");
    let error = Cubin::parse(&[0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0]).unwrap_err();
    assert!(error.to_string().contains("cuobjdump -xelf all"), "{error}");
    for (bytes, found) in [(&b""[..], "an empty file"), (b"#!/bin/sh", "some other file")] {
        let error = Cubin::parse(bytes).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
    }
}

#[test]
fn what_needs_a_linker_is_refused() {
    let relocatable = refused("sm_87/vector.cubin", |_, bytes| bytes[16] = 1);
    assert_eq!(
        relocatable,
        "the cubin is relocatable (ELF type 1) and must be linked first: \
         compile without -dc and -rdc=true, or run nvlink on it"
    );
    let relocation = refused("sm_90/constants.cubin", |elf, bytes| {
        // The type is the low half of the entry's second word.
        let (_, entries) = section(elf, ".rela.nv.constant4");
        bytes[entries + 8] = 56;
    });
    assert!(relocation.contains("`.nv.constant4`"), "{relocation}");
    assert!(relocation.contains("56 (R_CUDA_ABS32_LO_32)"), "{relocation}");
    let undefined = refused("sm_90/constants.cubin", |elf, bytes| undefine(elf, bytes, "counter"));
    assert_eq!(
        undefined,
        "the cubin uses `counter` and does not define it: link it with what defines the symbol"
    );
}

/// Takes the definition of a variable away and gives it another name.
fn undefine(elf: &Elf<'_>, bytes: &mut [u8], name: &str) {
    let counter = |symbol: &goblin::elf::Sym| elf.strtab.get_at(symbol.st_name) == Some("counter");
    let index = elf.syms.iter().position(|symbol| counter(&symbol)).unwrap();
    let (_, symbols) = section(elf, ".symtab");
    bytes[symbols + 24 * index + 6..symbols + 24 * index + 8].fill(0);
    let (_, names) = section(elf, ".strtab");
    let at = names + elf.syms.get(index).unwrap().st_name;
    bytes[at..at + 7].copy_from_slice(name.as_bytes());
}

/// What CUDA's runtime would provide is not there, and whoever does not call it is none the worse.
#[test]
fn what_the_runtime_provides_is_named() {
    let mut file = bytes("sm_90/constants.cubin");
    undefine(&Elf::parse(&file.clone()).unwrap(), &mut file, "vprintf");
    let cubin = Cubin::parse(&file).unwrap();
    assert_eq!(cubin.absent, ["vprintf"]);
    let to = cubin.relocations.iter().filter(|r| r.target == Target::Absent(0));
    let words: Vec<_> = to.map(|r| (r.patch, Some(r.section) == cubin.addresses)).collect();
    assert_eq!(words, [(Patch::Word, true)]);
}

#[test]
fn what_nobody_would_provide_is_refused() {
    let abi = refused("sm_87/vector.cubin", |_, bytes| bytes[7] = 0x52);
    assert!(abi.starts_with("the cubin has ELF layout 0x52"), "{abi}");
    let rename = |from: &'static str, to: &'static str| {
        refused("sm_87/constants.cubin", move |elf, bytes| {
            let (header, _) = section(elf, from);
            let name = u32::from_le_bytes(bytes[header..header + 4].try_into().unwrap());
            let (_, names) = section(elf, ".shstrtab");
            let at = names + name as usize;
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        })
    };
    let bank = rename(".nv.constant2.call_table", ".nv.constant6.call_table");
    assert!(bank.contains("`.nv.constant6.call_table`"), "{bank}");
    assert!(bank.contains("a constant bank other than 0, 2, 3 and 4"), "{bank}");
    let memory = rename(".nv.global", ".nv.uft123");
    assert!(memory.contains("section `.nv.uft123"), "{memory}");
}

/// Newer toolkits mark sections as loaded that only their own tools read.
#[test]
fn what_only_the_toolkit_reads_is_passed_over() {
    let original = bytes("sm_90/constants.cubin");
    let elf = Elf::parse(&original).unwrap();
    let (header, _) = section(&elf, ".debug_frame");
    let (_, names) = section(&elf, ".shstrtab");
    let at = names + u32::from_le_bytes(original[header..header + 4].try_into().unwrap()) as usize;
    for name in [".nv.merc.xyz", ".nv.capmercx", ".nv_debug.xy", ".text.xyzxyz"] {
        let mut changed = original.clone();
        changed[header + 8] |= 2;
        changed[at..at + name.len()].copy_from_slice(name.as_bytes());
        let same = Cubin::parse(&changed) == Cubin::parse(&original);
        assert_eq!(same, name != ".text.xyzxyz", "{name}");
    }
}

/// Things that no compiler writes, each of which would make a loader go wrong.
#[test]
fn contradictions_are_refused() {
    let size = |name: &'static str, size: u64| {
        move |elf: &Elf<'_>, bytes: &mut Vec<u8>| {
            let (header, _) = section(elf, name);
            bytes[header + 32..header + 40].copy_from_slice(&size.to_le_bytes());
        }
    };
    let align = |name: &'static str, align: u64| {
        move |elf: &Elf<'_>, bytes: &mut Vec<u8>| {
            let (header, _) = section(elf, name);
            bytes[header + 48..header + 56].copy_from_slice(&align.to_le_bytes());
        }
    };
    let offset = |name: &'static str, other: &'static str| {
        move |elf: &Elf<'_>, bytes: &mut Vec<u8>| {
            let (header, _) = section(elf, name);
            let (_, other) = section(elf, other);
            bytes[header + 24..header + 32].copy_from_slice(&(other as u64).to_le_bytes());
        }
    };
    // Overwrites the last bytes of the first record that begins like this.
    let record = |begins: &'static [u8], ends: &'static [u8]| {
        move |_: &Elf<'_>, bytes: &mut Vec<u8>| {
            let found = bytes.windows(begins.len()).position(|window| window == begins);
            let at = found.expect("there is such a record") + begins.len();
            bytes[at..at + ends.len()].copy_from_slice(ends);
        }
    };
    let of = "sm_90/constants.cubin";
    let second_parameter = record(b"\x04\x17\x0c\x00\0\0\0\0\x01\x00", &[4, 0]);
    let cluster = record(b"\x04\x3d\x0c\x00", &[0]);
    let cases = [
        (refused("sm_87/vector.cubin", second_parameter), "has parameters that overlap"),
        (refused("sm_90/cluster.cubin", cluster), "has clusters without blocks"),
        (refused(of, size(".nv.global", 1 << 50)), "`.nv.global` wants 1125899906842624 bytes"),
        (refused(of, size(".text.literals", 1 << 40)), "`.text.literals` lies outside the file"),
        (refused(of, size(".nv.constant0.literals", 0x214)), "do not fit its bank 0"),
        (refused(of, size(".nv.constant4", 24)), "0x18 is outside `.nv.constant4`"),
        (refused(of, align(".nv.global", 3)), "`.nv.global` wants alignment 3"),
        (refused(of, align(".nv.global", 1 << 63)), "wants alignment 9223372036854775808"),
        (
            refused(of, offset(".text.read_globals", ".text.literals")),
            "`.text.read_globals` and `.text.literals` overlap",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.starts_with("the cubin is damaged"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
