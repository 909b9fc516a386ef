//! The parser against cubins that two generations of the toolkit made of the kernels in `ptx/`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use doorbell::cubin::{Cubin, Kernel, Stack};

mod cubins;

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
        let (from, to) = (section(relocation.section), section(relocation.target));
        let (at, addend) = (relocation.offset, relocation.addend);
        writeln!(text, "address {from}+{at:#x}: {to}+{addend:#x}").unwrap();
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
