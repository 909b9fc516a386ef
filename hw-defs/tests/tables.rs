//! Every declared position, value, offset and stride against the tables in `data/`, both ways.

use std::collections::BTreeMap;

use hw_defs::class::{self, CLASSES};
use hw_defs::qmd;
use hw_defs::{Field, Method, Value, gpfifo, push, userd};

const METHODS: &str = include_str!("data/methods.tsv");
const QMD_FIELDS: &str = include_str!("data/qmd-fields.tsv");

/// Lengths of method arrays, which the headers do not publish: what open drivers use, and 384 bytes
/// of inline descriptor where the class has INLINE_SIZE_INLINE_384.
fn array_length(class: u32, name: &str) -> u32 {
    match name {
        "LOAD_INLINE_QMD_DATA" if class == 0xcbc0 => 96,
        "LOAD_INLINE_QMD_DATA" => 64,
        "SET_SCG_COMPUTE_SCHEDULING_PARAMETERS" => 16,
        "SET_MME_SHADOW_SCRATCH" | "CALL_MME_MACRO" | "CALL_MME_DATA" => 256,
        _ => 8,
    }
}

/// The cells of a table below its heading.
fn rows<const CELLS: usize>(table: &'static str) -> Vec<[&'static str; CELLS]> {
    let cells = |line: &'static str| line.split('\t').collect::<Vec<_>>().try_into().unwrap();
    table.lines().skip(1).map(cells).collect()
}

/// Fields as the table writes them.
fn written<'a>(fields: impl IntoIterator<Item = &'a Field>) -> String {
    let one = |field: &Field| {
        let values: Vec<_> =
            field.values.iter().map(|v| format!("{}={:#x}", v.name, v.value)).collect();
        let values =
            if values.is_empty() { String::new() } else { format!("{{{}}}", values.join(",")) };
        format!("{}[{}:{}]{values}", field.name, field.hi, field.lo)
    };
    fields.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Panics with the rows that only one side has.
fn compare(declared: &BTreeMap<String, String>, table: &BTreeMap<String, String>) {
    let only = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
        a.iter()
            .filter(|(k, v)| b.get(*k) != Some(v))
            .map(|(k, v)| format!("  {k}: {v}\n"))
            .collect()
    };
    let (declared_only, table_only): (String, String) =
        (only(declared, table), only(table, declared));
    assert!(
        declared_only.is_empty() && table_only.is_empty(),
        "declared, not in the table:\n{declared_only}in the table, not declared:\n{table_only}"
    );
}

#[test]
fn methods() {
    let declared_row = |method: &Method| {
        let (array, stride) = match method.count {
            1 => ("", String::new()),
            _ => ("(i)", method.stride.to_string()),
        };
        (
            format!("{}{array}", method.name),
            format!("{:#06x} {stride} {}", method.offset, written(method.fields)),
        )
    };
    let rows = rows::<6>(METHODS);
    let origin = |id: &str, name: &str| {
        rows.iter().find(|row| row[0] == id && row[1] == name).map(|row| row[4]).unwrap()
    };
    for class in CLASSES {
        let id = format!("{:04x}", class.id);
        let table = rows
            .iter()
            .filter(|row| row[0] == id && !row[1].starts_with("(format)"))
            .map(|&[_, name, offset, stride, fields, from]| {
                let fields = if from == "TRIMMED" { origin("c56f", name) } else { fields };
                (name.to_string(), format!("{offset} {stride} {fields}"))
            })
            .collect();
        let declared: BTreeMap<_, _> = class.methods().map(declared_row).collect();
        assert_eq!(declared.len(), class.methods().count(), "{class} declares a method twice");
        compare(&declared, &table);
    }
    let known = |id: &str| CLASSES.iter().any(|class| format!("{:04x}", class.id) == id);
    assert!(rows.iter().all(|row| known(row[0])), "the table has a class that is not declared");
}

/// Where the c86f header names only some fields or values of a method, c56f has the same there.
#[test]
fn trimmed_rows_agree() {
    let c86f = class::lookup(0xc86f).unwrap();
    let mut seen = 0;
    for [_, name, _, _, fields, _] in
        rows::<6>(METHODS).into_iter().filter(|row| row[5] == "TRIMMED")
    {
        let method = c86f.methods().find(|method| method.name == name).unwrap();
        for stated in fields.split("; ").filter(|stated| !stated.is_empty()) {
            let (position, values) = stated.trim_end_matches('}').split_once('{').unwrap();
            let field = method
                .fields
                .iter()
                .find(|f| format!("{}[{}:{}]", f.name, f.hi, f.lo) == position)
                .unwrap_or_else(|| panic!("{name} has no {position}"));
            for value in values.split(',') {
                let same = |v: &Value| format!("{}={:#x}", v.name, v.value) == value;
                assert!(field.values.iter().any(same), "{name} {position} has no {value}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 8);
}

#[test]
fn arrays_have_their_length_and_no_two_methods_meet() {
    for class in CLASSES {
        for method in class.methods().filter(|method| method.count > 1) {
            assert_eq!(method.count, array_length(class.id, method.name), "{}", method.name);
            let last = method.at(method.count - 1);
            assert_eq!(class.method(last.offset), Some(method));
        }
        for offset in (0..0x4000).step_by(4) {
            let here = class.methods().filter(|method| method.index(offset).is_some()).count();
            assert!(here <= 1, "{class} has {here} methods at {offset:#x}");
            assert_eq!(class.method(offset).is_some(), here == 1);
        }
    }
}

/// The memory operations are unions: what a word means depends on MEM_OP_D's OPERATION.
#[test]
fn only_unions_overlap() {
    for class in CLASSES {
        for method in class.methods() {
            let mut seen = 0;
            let mut overlap = false;
            for field in method.fields {
                overlap |= seen & field.mask() != 0;
                seen |= field.mask();
            }
            let union = matches!(method.name, "MEM_OP_A" | "MEM_OP_C" | "MEM_OP_D");
            assert_eq!(overlap, union, "{class} {}", method.name);
        }
    }
}

#[test]
fn formats() {
    let userd = [
        ("Put", userd::PUT),
        ("Get", userd::GET),
        ("Reference", userd::REFERENCE),
        ("PutHi", userd::PUT_HI),
        ("TopLevelGet", userd::TOP_LEVEL_GET),
        ("TopLevelGetHi", userd::TOP_LEVEL_GET_HI),
        ("GetHi", userd::GET_HI),
        ("GPGet", userd::GP_GET),
        ("GPPut", userd::GP_PUT),
    ];
    let userd: String = userd.iter().map(|(name, at)| format!("{name}@{at:#x}; ")).collect();
    let userd = format!("{userd}size {:#x}", userd::SIZE);
    // The one opcode that Hopper adds, and its operand.
    let before_hopper = |row: String| {
        row.replace("; PB_EXTENDED_BASE_OPERAND[24:8]", "")
            .replace(",SET_PB_SEGMENT_EXTENDED_BASE=0x4", "")
    };
    let mut declared = BTreeMap::new();
    for class in ["c56f", "c76f", "c86f"] {
        let formats = [
            ("GP_ENTRY0", written(gpfifo::GP_ENTRY0)),
            ("GP_ENTRY1", written(gpfifo::GP_ENTRY1)),
            ("DMA", written(push::DMA)),
            ("USERD", userd.clone()),
        ];
        for (name, row) in formats {
            let row = if class == "c86f" { row } else { before_hopper(row) };
            declared.insert(format!("{class} (format) {name}"), row);
        }
    }
    let table = rows::<6>(METHODS)
        .into_iter()
        .filter(|row| row[1].starts_with("(format)"))
        .map(|row| (format!("{} {}", row[0], row[1]), row[4].to_string()))
        .collect();
    compare(&declared, &table);
}

#[test]
fn qmd_fields() {
    let layouts = [&qmd::v03_00::LAYOUT, &qmd::v04_00::LAYOUT];
    let mut declared = BTreeMap::new();
    for layout in layouts {
        for field in layout.fields().filter(|field| matches!(field.index, None | Some(0))) {
            let elements: Vec<_> = layout.fields().filter(|f| f.name == field.name).collect();
            let array = match elements.as_slice() {
                [_] => "".to_string(),
                [first, second, ..] => format!("{} {}", second.lo - first.lo, elements.len()),
                [] => unreachable!("the field itself is there"),
            };
            let values: Vec<_> =
                field.values.iter().map(|v| format!("{}={:#x}", v.name, v.value)).collect();
            let name = field.index.map_or(field.name.to_string(), |_| format!("{}(i)", field.name));
            let row = format!("{}:{} [{array}] {}", field.hi, field.lo, values.join(" "));
            declared.insert(format!("{} {name}", layout.version), row);
        }
    }
    let table = rows::<7>(QMD_FIELDS)
        .into_iter()
        .map(|[version, name, hi, lo, values, stride, count]| {
            let array = match (stride, count) {
                ("", "") => "".to_string(),
                // Not published: as many as later versions have room for.
                (stride, "") => format!("{stride} 8"),
                (stride, count) => format!("{stride} {count}"),
            };
            (format!("{version} {name}"), format!("{hi}:{lo} [{array}] {values}"))
        })
        .collect();
    compare(&declared, &table);
}

#[test]
fn qmd_fields_do_not_overlap() {
    for layout in [&qmd::v03_00::LAYOUT, &qmd::v04_00::LAYOUT] {
        let mut fields: Vec<_> = layout.fields().collect();
        fields.sort_by_key(|field| field.lo);
        for pair in fields.windows(2) {
            let apart = pair[0].hi < pair[1].lo;
            assert!(apart, "{}: {} and {}", layout.version, pair[0], pair[1]);
        }
    }
}
