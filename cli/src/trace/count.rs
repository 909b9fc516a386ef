//! How often a program called the drivers, and how often something else.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::call::Call;

#[derive(Debug, Default)]
pub(super) struct Count {
    calls: BTreeMap<String, Row>,
    others: u64,
}

#[derive(Debug, Default)]
struct Row {
    calls: u64,
    refused: u64,
    time: Duration,
}

/// The calls by name, those made most often first.
pub(super) struct Table<'a>(&'a Count);

impl Count {
    /// One more; none is a system call that is not to a driver of the GPU.
    pub fn add(&mut self, call: Option<&Call>) {
        let Some(call) = call else {
            self.others += 1;
            return;
        };
        let row = self.calls.entry(call.name.clone()).or_default();
        row.calls += 1;
        row.refused += u64::from(call.refused);
        row.time += call.time;
    }

    pub fn table(&self) -> Table<'_> {
        Table(self)
    }
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<_> = self.0.calls.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.calls));
        writeln!(f, "{:>8} {:>8} {:>12}  call", "calls", "refused", "us a call")?;
        rows.iter().try_for_each(|(name, row)| {
            let each = row.time.as_secs_f64() * 1e6 / row.calls as f64;
            writeln!(f, "{:>8} {:>8} {each:>12.1}  {name}", row.calls, row.refused)
        })
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let calls: u64 = self.calls.values().map(|row| row.calls).sum();
        let refused: u64 = self.calls.values().map(|row| row.refused).sum();
        let others = self.others;
        write!(
            f,
            "{calls} calls to the GPU's drivers, {refused} refused; {others} other system calls"
        )
    }
}
