//! The methods of a class as an engine keeps them: the last word written to each.

use hw_defs::{Class, Method, class};

/// A class's methods by offset, so that each of the many words of a pushbuffer finds its method in
/// one step.
pub(crate) struct Table {
    class: &'static Class,
    slots: Vec<Option<&'static Method>>,
}

impl Table {
    /// The methods of class `id`.
    ///
    /// # Panics
    /// If the definitions do not know the class.
    pub(crate) fn new(id: u32) -> Table {
        let class = class::lookup(id).expect("an engine's class is among the definitions");
        let mut slots = Vec::new();
        for method in class.methods() {
            for i in 0..method.count {
                let slot = (method.at(i).offset / 4) as usize;
                if slots.len() <= slot {
                    slots.resize(slot + 1, None);
                }
                slots[slot] = Some(method);
            }
        }
        Table { class, slots }
    }

    fn find(&self, offset: u32) -> Option<&'static Method> {
        self.slots.get((offset / 4) as usize).copied().flatten()
    }
}

/// What software last wrote to each method.
pub(crate) struct Registers {
    table: &'static Table,
    values: Vec<u32>,
}

impl Registers {
    pub(crate) fn new(table: &'static Table) -> Registers {
        Registers { table, values: vec![0; table.slots.len()] }
    }

    /// Stores a word and says which method it was for; or why no such word may be sent.
    pub(crate) fn write(&mut self, offset: u32, data: u32) -> Result<&'static Method, String> {
        let class = self.table.class;
        let Some(method) = self.table.find(offset) else {
            return Err(format!("{} has no method {offset:#06x} (data {data:#x})", class.name));
        };
        let reserved = method.check(data);
        if reserved != 0 {
            let name = method.name;
            return Err(format!(
                "{name} was given {data:#x}, which sets reserved bits {reserved:#x}"
            ));
        }
        self.values[(offset / 4) as usize] = data;
        Ok(method)
    }

    /// The word last written to a method.
    pub(crate) fn get(&self, method: Method) -> u32 {
        self.values[(method.offset / 4) as usize]
    }

    /// Two words that make one number.
    pub(crate) fn pair(&self, upper: Method, lower: Method) -> u64 {
        u64::from(self.get(upper)) << 32 | u64::from(self.get(lower))
    }
}

/// Offsets of methods as constants, for matching.
macro_rules! offsets {
    ($class:ident: $($method:ident),+ $(,)?) => {
        $(const $method: u32 = hw_defs::$class::$method.offset;)+
    };
}
pub(crate) use offsets;
