//! Prints the machine code of a cubin, word by word; what does not decode is marked.

use emulator::sm::{Arch, decode};
use goblin::elf::Elf;

fn main() {
    let path = std::env::args().nth(1).expect("usage: disassemble FILE.cubin");
    let bytes = std::fs::read(&path).expect("the cubin can be read");
    let elf = Elf::parse(&bytes).expect("the file is a cubin");
    let sm = match bytes[7] {
        0x33 => elf.header.e_flags & 0xff,
        _ => elf.header.e_flags >> 8 & 0xff,
    };
    let arch = if sm == 90 { Arch::Sm90 } else { Arch::Sm87 };
    let mut illegal = 0;
    for section in &elf.section_headers {
        let name = elf.shdr_strtab.get_at(section.sh_name).unwrap_or("");
        let Some(kernel) = name.strip_prefix(".text.") else { continue };
        println!("{kernel}:");
        let code = &bytes[section.file_range().expect("code has bytes")];
        for (at, word) in code.chunks_exact(16).enumerate() {
            let word = u128::from_le_bytes(word.try_into().expect("sixteen bytes"));
            let text = decode(arch, word).and_then(|d| d.check().map(|()| d.to_string()));
            match text {
                Ok(text) => println!("  {:05x}  {text}", at * 16),
                Err(why) => {
                    illegal += 1;
                    println!("  {:05x}  ILLEGAL {why}", at * 16);
                }
            }
        }
    }
    println!("{illegal} words are no instruction that is known");
    std::process::exit(i32::from(illegal != 0));
}
