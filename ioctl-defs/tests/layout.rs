//! Every definition of the crate against the vendor's numbers in `tests/data`, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use ioctl_defs::{Dir, Entry, Struct};

const STRUCTS: &[&str] = &[
    include_str!("data/nvgpu-structs.tsv"),
    include_str!("data/rm-structs.tsv"),
    include_str!("data/rm-structs-headers.tsv"),
];
const CONSTANTS: &[&str] = &[
    include_str!("data/nvgpu-constants.tsv"),
    include_str!("data/rm-constants.tsv"),
    include_str!("data/rm-constants-headers.tsv"),
];
const REQUESTS: &[&str] =
    &[include_str!("data/nvgpu-requests.tsv"), include_str!("data/rm-requests.tsv")];
const CLASSES: &[&str] = &[include_str!("data/rm-classes.tsv")];
const CONTROLS: &[&str] = &[include_str!("data/rm-controls.tsv")];

type Row = Vec<String>;

/// The rows of tables, without the line that names the columns.
fn rows(tables: &[&str]) -> Vec<Row> {
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.map(|line| line.split('\t').map(String::from).collect()).collect()
}

/// The Rust type that a C type of the tables stands for.
fn rust_type(c: &str) -> String {
    if let Some((element, length)) = c.strip_suffix(']').and_then(|c| c.split_once('[')) {
        return format!("[{}; {length}]", rust_type(element));
    }
    match c {
        "__u8" | "NvU8" | "NvBool" => "u8",
        "__u16" | "NvU16" | "NvV16" => "u16",
        "__u32" | "unsigned int" | "NvU32" | "NvV32" | "NvHandle" | "NV_STATUS" => "u32",
        "__u64" | "long unsigned int" | "__u32*" | "NvU64" | "NvP64" => "u64",
        "__s16" => "i16",
        "__s32" | "int" | "NvS32" => "i32",
        _ => c.strip_prefix("struct ").unwrap_or(c),
    }
    .into()
}

/// Whether a field of type `rust` may stand for the C type. Flag types are ours, and stand for any
/// integer: their size is checked with all the others. Some tables say no more than that there is
/// an array or a struct.
fn same_type(rust: &str, c: &str) -> bool {
    if matches!(c, "array" | "struct") {
        return rust.starts_with('[');
    }
    let c = rust_type(c);
    let flags = matches!(c.as_str(), "u8" | "u32" | "u64") && rust.starts_with(char::is_uppercase);
    c == rust || flags
}

/// What `rows` and structs of the crate disagree about.
fn struct_differences<'a>(rows: &[Row], structs: impl Iterator<Item = &'a Struct>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut table = BTreeMap::new();
    for row in rows {
        let [vendor, .., field, _, _, _] = &row[..] else {
            panic!("not a row of a field: {row:?}")
        };
        if table.insert((vendor.as_str(), field.as_str()), row).is_some() {
            differences.push(format!("{vendor}.{field}: twice in the tables"));
        }
    }
    let mut defined = BTreeSet::new();
    let mut names = BTreeSet::new();
    for of in structs {
        if !names.insert(of.name) {
            differences.push(format!("{}: twice in the crate", of.name));
        }
        for field in of.fields {
            if field.is_padding() {
                continue;
            }
            let Some(row) = table.get(&(of.vendor, field.name)) else {
                differences.push(format!("{}.{}: not in the tables", of.name, field.name));
                continue;
            };
            defined.insert((of.vendor, field.name));
            let same = |column: usize, number: usize| row[column].parse() == Ok(number);
            // An alignment that was not measured shows in the offsets of the structs around it.
            let align = row[2] == "-" || same(2, of.align);
            let place = same(1, of.size) && same(4, field.offset) && same(5, field.size);
            if !align || !place || !same_type(field.ty, &row[6]) {
                let numbers = [of.size, of.align, field.offset, field.size];
                differences.push(format!(
                    "{}.{}: size, align, offset, field size {numbers:?}, type {}; expected {row:?}",
                    of.name, field.name, field.ty
                ));
            }
        }
    }
    let missing = table.keys().filter(|key| !defined.contains(*key));
    differences.extend(missing.map(|(of, field)| format!("{of}.{field}: not in the crate")));
    differences
}

/// What `rows` and the crate's constants disagree about.
fn constant_differences(rows: &[Row]) -> Vec<String> {
    let number = |hex: &str| u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok();
    let mut table: BTreeMap<_, _> =
        rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let mut differences = Vec::new();
    if table.len() != rows.len() {
        differences.push("a constant is twice in the tables".into());
    }
    for bits in ioctl_defs::bits() {
        let found = format!("{}:{}", bits.hi, bits.lo);
        if table.remove(bits.name) != Some(&found) {
            differences.push(format!("{}: {found}; the tables have something else", bits.name));
        }
    }
    for constant in ioctl_defs::constants() {
        let Some(hex) = table.remove(constant.name) else {
            differences
                .push(format!("{}: not in the tables, or twice in the crate", constant.name));
            continue;
        };
        let equal = number(hex).is_some_and(|expected| {
            // The tables have negative values as 32 bits.
            expected == constant.value
                || i64::from(expected as u32 as i32) == constant.value as i64 && expected >> 32 == 0
        });
        if !equal {
            differences
                .push(format!("{}: {:#x}; the tables have {hex}", constant.name, constant.value));
        }
    }
    differences.extend(table.keys().map(|name| format!("{name}: not in the crate")));
    differences
}

/// What `rows` and the crate's requests disagree about.
fn request_differences(rows: &[Row]) -> Vec<String> {
    let mut table: BTreeMap<_, _> = rows.iter().map(|row| (row[0].as_str(), &row[1..])).collect();
    let mut differences = Vec::new();
    if table.len() != rows.len() {
        differences.push("a request is twice in the tables".into());
    }
    for entry in ioctl_defs::requests() {
        let Some(expected) = table.remove(entry.name) else {
            differences.push(format!("{}: not in the tables, or twice in the crate", entry.name));
            continue;
        };
        let dir = match entry.dir {
            Dir::None => "none",
            Dir::Read => "R",
            Dir::Write => "W",
            Dir::ReadWrite => "RW",
        };
        let found = [dir.into(), entry.size.to_string(), format!("{:#010x}", entry.number)];
        let argument = match expected[3].as_str() {
            "-" => "".into(),
            c => rust_type(c),
        };
        if found != expected[..3] || argument != entry.argument {
            differences.push(format!("{entry:x?}; the tables have {expected:?}"));
        }
    }
    differences.extend(table.keys().map(|name| format!("{name}: not in the crate")));
    differences
}

/// What `rows` and a list of RM's numbers disagree about.
fn number_differences<'a>(rows: &[Row], entries: impl Iterator<Item = &'a Entry>) -> Vec<String> {
    let mut table: BTreeMap<_, _> = rows.iter().map(|row| (row[0].as_str(), &row[1..])).collect();
    let mut differences = Vec::new();
    if table.len() != rows.len() {
        differences.push("a number is twice in the tables".into());
    }
    for entry in entries {
        let argument = if entry.argument.is_empty() { "-" } else { entry.argument };
        let found = [format!("{:#010x}", entry.number), argument.into()];
        let expected = table.remove(entry.name);
        if expected != Some(&found) {
            differences.push(format!("{}: {found:?}; the tables have {expected:?}", entry.name));
        }
    }
    differences.extend(table.keys().map(|name| format!("{name}: not in the crate")));
    differences
}

fn class_differences(rows: &[Row]) -> Vec<String> {
    number_differences(rows, ioctl_defs::classes())
}

fn control_differences(rows: &[Row]) -> Vec<String> {
    number_differences(rows, ioctl_defs::controls())
}

fn assert_none(differences: Vec<String>) {
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn structs() {
    assert_none(struct_differences(&rows(STRUCTS), ioctl_defs::structs()));
}

#[test]
fn constants() {
    assert_none(constant_differences(&rows(CONSTANTS)));
}

#[test]
fn requests() {
    assert_none(request_differences(&rows(REQUESTS)));
}

#[test]
fn classes() {
    assert_none(class_differences(&rows(CLASSES)));
}

#[test]
fn controls() {
    assert_none(control_differences(&rows(CONTROLS)));
}

/// Changes one thing in the tables at a time: each cell, and the presence of each row.
fn assert_each_cell_counts(mut rows: Vec<Row>, differences: impl Fn(&[Row]) -> Vec<String>) {
    for row in 0..rows.len() {
        for column in 0..rows[row].len() {
            let right = rows[row][column].clone();
            rows[row][column].push('1');
            assert!(!differences(&rows).is_empty(), "column {column} of {:?} counts", rows[row]);
            rows[row][column] = right;
        }
        let removed = rows.remove(row);
        assert!(!differences(&rows).is_empty(), "{removed:?} can go without notice");
        rows.insert(row, removed);
    }
}

#[test]
fn each_cell_of_the_struct_tables_counts() {
    let mut tables = BTreeMap::<String, Vec<Row>>::new();
    for row in rows(STRUCTS) {
        tables.entry(row[0].clone()).or_default().push(row);
    }
    for (vendor, rows) in tables {
        assert_each_cell_counts(rows, |rows| {
            struct_differences(rows, ioctl_defs::structs().filter(|of| of.vendor == vendor))
        });
    }
}

#[test]
fn each_cell_of_the_constant_tables_counts() {
    assert_each_cell_counts(rows(CONSTANTS), constant_differences);
}

#[test]
fn each_cell_of_the_request_tables_counts() {
    assert_each_cell_counts(rows(REQUESTS), request_differences);
}

#[test]
fn each_cell_of_the_class_tables_counts() {
    assert_each_cell_counts(rows(CLASSES), class_differences);
}

#[test]
fn each_cell_of_the_control_tables_counts() {
    assert_each_cell_counts(rows(CONTROLS), control_differences);
}
