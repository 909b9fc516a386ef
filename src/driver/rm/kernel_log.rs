//! `/dev/kmsg`: the kernel log, where RM tells of exceptions of multiprocessors long before it
//! raises notifiers.
//!
//! On an H200 RM raises a channel's notifier 41 or 85 ms after an exception and answers no question
//! for 20 ms more. It logs what it finds as it finds it, 1.4 ms a line: two or three lines for each
//! multiprocessor that stopped, then, 4 to 7 ms after an exception of one, the channel that it will
//! end. Only that line names channel and process: where those before it name one, it is whichever RM
//! was serving at that moment.
//!
//! Root may read the log, and others where kernel.dmesg_restrict is 0. In a namespace of its own a
//! process is called something else there, and finds nothing.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::driver::{sm_error, sys};
use crate::error::Fault;

const PATH: &str = "/dev/kmsg";

/// The longest record that the kernel hands out.
const RECORD_BYTES: usize = 8192;
/// How many records are read in one go: more than exceptions of all multiprocessors make, which are
/// 397 on an H200. A log that is being flooded is not read to its end.
const RECORDS: usize = 512;

/// The kernel log, from where it ended when this was opened.
#[derive(Debug)]
pub(crate) struct KernelLog {
    file: File,
    record: Box<[u8]>,
    reader: Reader,
}

impl KernelLog {
    /// Opens it, where this process may, for what it says about a GPU, `0000:01:00.0`.
    pub(crate) fn open(pci: &str) -> Option<KernelLog> {
        let file = sys::open_at_end(PATH)
            .inspect_err(|error| tracing::info!(%error, "exceptions may be told late"))
            .ok()?;
        // RM leaves the function out.
        let slot = pci.split_once('.').map_or(pci, |(slot, _)| slot).to_owned();
        let reader = Reader { slot, pid: std::process::id(), stopped: None };
        Some(KernelLog { file, record: vec![0; RECORD_BYTES].into(), reader })
    }

    /// Reads on: hands over the channels of this process that RM is about to end, by number, and why.
    pub(crate) fn read(&mut self, mut ends: impl FnMut(u32, Told)) {
        let now = Instant::now();
        for _ in 0..RECORDS {
            match self.file.read(&mut self.record) {
                Ok(len) => {
                    if let Some((channel, told)) = self.reader.take(&self.record[..len], now) {
                        ends(channel, told);
                    }
                }
                // Records were overwritten unread. What is left comes next.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {
                    self.reader.stopped = None;
                }
                // Nothing more, for now.
                Err(_) => return,
            }
        }
    }
}

/// How long RM is given to raise the notifier once the log has a first line about a fault. Mostly that is
/// there 41 ms after the fault, and 20 ms later RM has said where in the code it was. When it takes longer,
/// 85 ms or with many multiprocessors 500, it is neither waited for nor asked: with many it has been deaf
/// for another 4.4 s.
const PATIENCE: Duration = Duration::from_millis(45);

/// A fault as the log tells it, and when the first line about it was read.
#[derive(Debug)]
pub(crate) struct Told {
    at: Instant,
    fault: Fault,
}

impl Told {
    /// The fault, if RM should have raised the notifier by now.
    pub(crate) fn overdue(&self, now: Instant) -> Option<&Fault> {
        (now.saturating_duration_since(self.at) >= PATIENCE).then_some(&self.fault)
    }
}

/// What is known between one record and the next.
#[derive(Debug)]
struct Reader {
    /// The GPU, as RM writes it.
    slot: String,
    pid: u32,
    /// What stopped the first multiprocessor and when that was read, until the channel is told.
    stopped: Option<(u32, Instant)>,
}

impl Reader {
    fn take(&mut self, record: &[u8], now: Instant) -> Option<(u32, Told)> {
        match parse(record, &self.slot)? {
            Line::Stopped { warp_esr } => {
                if sm_error::is_set(warp_esr) {
                    self.stopped.get_or_insert((warp_esr, now));
                }
                None
            }
            Line::Ends { pid, channel } => {
                let stopped = self.stopped.take();
                if pid != self.pid {
                    return None;
                }
                let mut fault = Fault::of_code(GRAPHICS_EXCEPTION);
                if let Some((warp_esr, _)) = stopped {
                    sm_error::explain(&mut fault, warp_esr, None, None);
                }
                let at = stopped.map_or(now, |(_, at)| at);
                Some((channel, Told { at, fault }))
            }
        }
    }
}

/// A line that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A multiprocessor stopped, and its register says why.
    Stopped { warp_esr: u32 },
    /// The channel whose exception it was, which RM ends.
    Ends { pid: u32, channel: u32 },
}

/// RM's code for exceptions of the graphics engine: 13.
const GRAPHICS_EXCEPTION: u32 = 13;

/// Where the register of a multiprocessor lies, whichever it is: they are 0x80 bytes apart, and so
/// are those of other clusters a multiple of 0x800.
const WARP_ESR: u32 = 0x730;
const ANY_MULTIPROCESSOR: u32 = 0x77f;

/// Understands a record of the kernel's own about the GPU in `slot`.
fn parse(record: &[u8], slot: &str) -> Option<Line> {
    let (prefix, text) = std::str::from_utf8(record).ok()?.split_once(';')?;
    // Facility and level. What programs write never gets the kernel's facility, 0.
    if prefix.split(',').next()?.parse::<u32>().ok()? > 7 {
        return None;
    }
    let (gpu, text) = text.strip_prefix("NVRM: Xid (PCI:")?.split_once("): ")?;
    let (code, text) = text.split_once(", ")?;
    if gpu != slot || code.parse() != Ok(GRAPHICS_EXCEPTION) {
        return None;
    }
    // In front of it may stand a process with its name, which can be anything.
    let (process, text) = text.lines().next()?.rsplit_once("Graphics Exception: ")?;
    if let Some(registers) = text.strip_prefix("ESR ") {
        let (register, value) = registers.split(' ').next()?.split_once('=')?;
        let is_warp_esr = hex(register)? & ANY_MULTIPROCESSOR == WARP_ESR;
        return is_warp_esr.then_some(Line::Stopped { warp_esr: hex(value)? });
    }
    let (channel, _) = text.strip_prefix("channel ")?.split_once(',')?;
    let (pid, _) = process.strip_prefix("pid=")?.split_once(',')?;
    Some(Line::Ends { pid: pid.parse().ok()?, channel: hex(channel)? })
}

fn hex(number: &str) -> Option<u32> {
    u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::FaultKind;

    const SLOT: &str = "0000:00:06";

    /// As an H200 wrote it with two processes at work. Process 778 read from a misaligned address, while
    /// RM served process 779.
    const MISALIGNED: [&str; 3] = [
        "4,2565,98055859,c;NVRM: Xid (PCI:0000:00:06): 13, pid=779, name=faultlat, Graphics SM Warp Exception on (GPC 1, TPC 4, SM 0): Misaligned Address\n",
        "4,2566,98057388,c;NVRM: Xid (PCI:0000:00:06): 13, pid=779, name=faultlat, Graphics Exception: ESR 0x519730=0x500000f 0x519734=0x0 0x519728=0x1f81fb60 0x51972c=0x1174\n",
        "4,2567,98058946,c;NVRM: Xid (PCI:0000:00:06): 13, pid=778, name=faultlat, Graphics Exception: channel 0x0000000a, Class 0000cbc0, Offset 00000000, Data 00000000\n",
    ];
    /// Traps in all blocks of a grid, the lines of the first two multiprocessors and the last.
    const TRAPS: [&str; 7] = [
        "4,641,79228227,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): Illegal Instruction Encoding\n",
        "4,642,79228236,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics SM Global Exception on (GPC 0, TPC 0, SM 0): Multiple Warp Errors\n",
        "4,1320,82360852,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics Exception: ESR 0x505730=0x300009 0x505734=0x4 0x505728=0x1f81fb60 0x50572c=0x1174\n",
        "4,1321,82360853,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics SM Warp Exception on (GPC 0, TPC 0, SM 1): Illegal Instruction Encoding\n",
        "4,1322,82360898,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics SM Global Exception on (GPC 0, TPC 0, SM 1): Multiple Warp Errors\n",
        "4,1323,82360938,c;NVRM: Xid (PCI:0000:00:06): 13, Graphics Exception: ESR 0x5057b0=0x140009 0x5057b4=0x4 0x5057a8=0x1f81fb60 0x5057ac=0x1174\n",
        "4,362,77402103,c;NVRM: Xid (PCI:0000:00:06): 13, pid=656, name=faultlat, Graphics Exception: channel 0x0000000b, Class 0000cbc0, Offset 00000000, Data 00000000\n",
    ];
    const OTHERS: [&str; 3] = [
        "4,358,77399068,c;NVRM: GPU at PCI:0000:00:06: GPU-54376f38-ceab-c78f-8b3a-1a3303c5bf8f\n",
        "6,300,471874,-;NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\n SUBSYSTEM=pci\n",
        "4,1037,80023050,c;NVRM: Xid (PCI:0000:00:06): 31, pid=656, name=faultlat, channel 0x0000000a, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC1 GPCCLIENT_T1_8 faulted @ 0x0_00100000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ\n",
    ];

    fn reader(pid: u32) -> Reader {
        Reader { slot: SLOT.to_owned(), pid, stopped: None }
    }

    fn told(reader: &mut Reader, records: &[&str]) -> Vec<(u32, FaultKind)> {
        let now = Instant::now();
        let told = records.iter().filter_map(|record| reader.take(record.as_bytes(), now));
        told.map(|(channel, told)| (channel, told.fault.kind)).collect()
    }

    #[test]
    fn the_channel_line_tells_whose_exception_it_was() {
        let (mut culprit, mut bystander) = (reader(778), reader(779));
        assert_eq!(told(&mut culprit, &MISALIGNED), [(10, FaultKind::Misaligned)]);
        assert_eq!(told(&mut bystander, &MISALIGNED), []);
        // Nothing is left of it.
        assert!(culprit.stopped.is_none() && bystander.stopped.is_none());
        assert_eq!(told(&mut reader(656), &TRAPS), [(11, FaultKind::IllegalInstruction)]);
        assert_eq!(told(&mut reader(656), &OTHERS), []);
    }

    #[test]
    fn the_first_multiprocessor_that_stopped_counts() {
        let mut reader = reader(656);
        let records = [&TRAPS[..6], &MISALIGNED[1..2], &TRAPS[6..]].concat();
        assert_eq!(told(&mut reader, &records), [(11, FaultKind::IllegalInstruction)]);
        // Where the lines before it are lost, that there was an exception is all that is known.
        assert_eq!(told(&mut reader, &TRAPS[6..]), [(11, FaultKind::Engine)]);
    }

    #[test]
    fn rm_has_its_time_and_no_more() {
        let told = Told { at: Instant::now(), fault: Fault::of_code(GRAPHICS_EXCEPTION) };
        for (ms, overdue) in [(0, false), (41, false), (50, true), (5000, true)] {
            let now = told.at + Duration::from_millis(ms);
            assert_eq!(told.overdue(now).is_some(), overdue, "{ms} ms");
        }
        assert!(told.overdue(told.at - Duration::from_millis(1)).is_none());
        // It counts from the first line.
        let (mut reader, later) = (reader(656), told.at + Duration::from_millis(500));
        for record in &TRAPS[..6] {
            assert!(reader.take(record.as_bytes(), told.at).is_none());
        }
        let (_, told) = reader.take(TRAPS[6].as_bytes(), later).expect("the channel's line");
        assert!(told.overdue(later).is_some());
    }

    #[test]
    fn lines_of_others_are_not_taken_for_ours() {
        let ours = TRAPS[6];
        assert!(parse(ours.as_bytes(), SLOT).is_some());
        for (from, to) in [
            // Another GPU, another code, a program that writes to the log, another driver.
            ("00:06", "00:07"),
            ("00:06", "00:06.1"),
            (": 13,", ": 43,"),
            ("4,362", "12,362"),
            ("NVRM", "nvrm"),
            // No process, or none that can be one.
            ("pid=656, name=faultlat, ", ""),
            ("pid=656", "pid='<unknown>'"),
            ("0x0000000b", "0x10000000b"),
            ("0x0000000b", "b"),
            ("channel", "Channel"),
        ] {
            let other = ours.replacen(from, to, 1);
            assert_ne!(other, ours);
            assert_eq!(parse(other.as_bytes(), SLOT), None, "{other}");
        }
        // Whatever a program is called.
        let line = ours.replace("faultlat", "a, pid=7, b=");
        assert_eq!(parse(line.as_bytes(), SLOT), Some(Line::Ends { pid: 656, channel: 11 }));
        // Registers of other units.
        let line = TRAPS[2].replace("0x505730", "0x404490");
        assert_eq!(parse(line.as_bytes(), SLOT), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none(record: Vec<u8>) {
            parse(&record, SLOT);
        }

        /// A line with some bytes changed, cut off or put in twice never concerns another process.
        #[test]
        fn a_broken_line_names_nobody_else(
            line in 0..7usize,
            cut in 0..200usize,
            changes in proptest::collection::vec((0..200usize, any::<u8>()), 0..4),
        ) {
            let mut record = TRAPS[line].as_bytes().to_vec();
            let pid = record.windows(7).position(|bytes| bytes == b"pid=656");
            for (at, byte) in changes {
                let is_pid = pid.is_some_and(|pid| (pid..pid + 8).contains(&at));
                if at < record.len() && !is_pid {
                    record[at] = byte;
                }
            }
            record.truncate(record.len() - cut.min(record.len()));
            if let Some(Line::Ends { pid, .. }) = parse(&record, SLOT) {
                prop_assert_eq!(pid, 656);
            }
        }
    }
}
