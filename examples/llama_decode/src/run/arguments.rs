//! A step's arguments as bytes, the same for every way to the GPU.

use crate::plan::{BufferId, Step, Value};

/// One argument: the first `len` of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) bytes: [u8; 8],
    pub(super) len: usize,
}

impl Argument {
    fn new(bytes: &[u8]) -> Argument {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        Argument { bytes: padded, len: bytes.len() }
    }
}

/// The arguments of a step, given where buffers lie.
pub(super) fn arguments(step: &Step, address: &impl Fn(BufferId) -> u64) -> Box<[Argument]> {
    let argument = |value: &Value| match *value {
        Value::Buffer(buffer, offset) => Argument::new(&(address(buffer) + offset).to_le_bytes()),
        Value::U32(value) => Argument::new(&value.to_le_bytes()),
        Value::F32(value) => Argument::new(&value.to_le_bytes()),
        Value::U64(value) => Argument::new(&value.to_le_bytes()),
    };
    step.args.iter().map(argument).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_become_bytes() {
        let step = Step {
            part: "head",
            layer: None,
            module: "m",
            kernel: "k",
            grid: [1; 3],
            block: [1; 3],
            shared: 0,
            carve_out: 0,
            args: vec![
                Value::Buffer(BufferId(1), 0x10),
                Value::U32(7),
                Value::F32(1.5),
                Value::U64(1 << 40),
            ],
            reads: 0,
            early: false,
        };
        let made = arguments(&step, &|buffer| 0x1_0000_0000 * u64::from(buffer.0));
        let shown: Vec<_> = made.iter().map(|a| (u64::from_le_bytes(a.bytes), a.len)).collect();
        assert_eq!(shown, [(0x1_0000_0010, 8), (7, 4), (0x3fc0_0000, 4), (1 << 40, 8)]);
    }
}
