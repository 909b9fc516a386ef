//! Every definition of the crate against the vendor's numbers in `tests/data`, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use ioctl_defs::Dir;

const STRUCTS: &[&str] = &[include_str!("data/nvgpu-structs.tsv")];
const CONSTANTS: &[&str] = &[include_str!("data/nvgpu-constants.tsv")];
const REQUESTS: &[&str] = &[include_str!("data/nvgpu-requests.tsv")];

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
        "__u8" => "u8",
        "__u16" => "u16",
        "__u32" | "unsigned int" => "u32",
        "__u64" | "long unsigned int" | "__u32*" => "u64",
        "__s16" => "i16",
        "__s32" | "int" => "i32",
        _ => c.strip_prefix("struct ").unwrap_or(c),
    }
    .into()
}

/// Whether a field of type `rust` may stand for the C type. Flag types are ours, and stand for any
/// integer: their size is checked with all the others.
fn same_type(rust: &str, c: &str) -> bool {
    let c = rust_type(c);
    let flags = matches!(c.as_str(), "u8" | "u32" | "u64") && rust.starts_with(char::is_uppercase);
    c == rust || flags
}

/// What `rows` and the crate's structs disagree about.
fn struct_differences(rows: &[Row]) -> Vec<String> {
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
    for of in ioctl_defs::structs() {
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
            let numbers = [of.size, of.align, field.offset, field.size].map(|n| n.to_string());
            let expected = [&row[1], &row[2], &row[4], &row[5]];
            if numbers.each_ref() != expected || !same_type(field.ty, &row[6]) {
                differences.push(format!(
                    "{}.{}: size, align, offset, field size {numbers:?}, type {}; the tables have {row:?}",
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
    assert_none(struct_differences(&rows(STRUCTS)));
}

#[test]
fn constants() {
    assert_none(constant_differences(&rows(CONSTANTS)));
}

#[test]
fn requests() {
    assert_none(request_differences(&rows(REQUESTS)));
}

/// Changes one thing in the tables at a time: each cell, and the presence of each row.
fn assert_each_cell_counts(tables: &[&str], differences: fn(&[Row]) -> Vec<String>) {
    let mut rows = rows(tables);
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
    assert_each_cell_counts(STRUCTS, struct_differences);
}

#[test]
fn each_cell_of_the_constant_tables_counts() {
    assert_each_cell_counts(CONSTANTS, constant_differences);
}

#[test]
fn each_cell_of_the_request_tables_counts() {
    assert_each_cell_counts(REQUESTS, request_differences);
}
