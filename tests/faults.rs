//! What goes wrong, and what the user is told: refused calls, dead channels, lost notifiers.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use doorbell::{Commands, Device, Error, FaultKind, Memory, Options, Result, Select, WaitPolicy};
use emulator::Board;
use emulator::inject::{Fault, Injector};
use emulator::profile::Profile;
use ioctl_defs::nvmap::*;

const SOON: Duration = Duration::from_secs(20);

/// Runs on a software Orin to which these mishaps happen.
fn on_a_board<R: Send>(mishaps: &[&str], test: impl FnOnce(&Board) -> R + Send) -> R {
    let mishaps = mishaps.iter().map(|text| text.parse::<Fault>().expect("a known mishap"));
    let options = emulator::Options {
        inject: Injector::new(mishaps),
        quiet_faults: true,
        ..emulator::Options::default()
    };
    emulator::run(options, test).expect("this machine allows seccomp filters")
}

/// A buffer of another library, as a camera's would be: made by ioctls of its own, passed on as a
/// file descriptor.
fn foreign_buffer(len: u64) -> OwnedFd {
    // SAFETY: a terminated path; plain calls with arguments that live on this stack.
    unsafe {
        let nvmap = libc::open(c"/dev/nvmap".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        assert!(nvmap >= 0);
        let nvmap = OwnedFd::from_raw_fd(nvmap);
        let mut create = nvmap_create_handle_64 { size64: len };
        assert_eq!(
            libc::ioctl(nvmap.as_raw_fd(), NVMAP_IOC_CREATE_64.number() as _, &mut create),
            0
        );
        let handle = create.out().handle64;
        let mut alloc = nvmap_alloc_handle {
            handle,
            heap_mask: NVMAP_HEAP_IOVMM,
            flags: 1 << 16 | NVMAP_HANDLE_INNER_CACHEABLE,
            align: 4096,
            numa_nid: -1,
        };
        assert_eq!(libc::ioctl(nvmap.as_raw_fd(), NVMAP_IOC_ALLOC.number() as _, &mut alloc), 0);
        let mut get_fd = nvmap_create_handle_fd { fd: 0, handle };
        assert_eq!(libc::ioctl(nvmap.as_raw_fd(), NVMAP_IOC_GET_FD.number() as _, &mut get_fd), 0);
        OwnedFd::from_raw_fd(get_fd.fd)
    }
}

/// The same buffer, but the GPU may only read it.
fn read_only(buffer: &OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", buffer.as_raw_fd());
    std::fs::File::open(path).expect("a descriptor can be opened again").into()
}

#[test]
fn a_foreign_dma_buf_is_copied_to_and_from() {
    on_a_board(&[], |_| -> Result<()> {
        let device = Device::open(Select::Auto)?;
        let mut queue = device.copy_queue()?;
        let foreign = foreign_buffer(10_000);
        let imported = device.import(foreign.as_fd())?;
        drop(foreign);
        assert_eq!(imported.len(), 12288, "whole pages");
        let (up, down) =
            (device.alloc_in::<u8>(Memory::Host, 256)?, device.alloc_in::<u8>(Memory::Host, 256)?);
        let bytes: Vec<u8> = (0..=255).collect();
        up.write(0, &bytes)?;
        queue.copy(imported.slice(5000..5256)?, &up)?;
        queue.copy(&down, imported.slice(5000..5256)?)?;
        queue.submit()?.wait(SOON)?;
        assert_eq!(down.to_vec()?, bytes);
        assert_eq!(imported.get(5001)?, 1);
        Ok(())
    })
    .expect("the buffer is shared");
}

#[test]
fn a_file_that_is_no_dma_buf_is_refused() {
    on_a_board(&[], |_| -> Result<()> {
        let device = Device::open(Select::Auto)?;
        let file = std::fs::File::open("/proc/self/exe").expect("this program");
        let error = device.import(file.as_fd()).expect_err("no dma-buf");
        let Error::Ioctl { errno, .. } = error else { panic!("{error}") };
        assert_eq!(errno, libc::EINVAL);
        Ok(())
    })
    .expect("the device goes on");
}

/// Writes to read-only memory, and what comes of it.
fn fault(device: &Device) -> Result<(Error, Duration)> {
    let mut queue = device.copy_queue()?;
    let target = device.import(read_only(&foreign_buffer(4096)).as_fd())?;
    let from = device.alloc::<u8>(4096)?;
    queue.copy(&target, &from)?;
    let started = Instant::now();
    let error = queue.submit()?.wait(SOON).expect_err("the memory is read-only");
    Ok((error, started.elapsed()))
}

#[test]
fn a_fault_ends_the_wait_and_new_queues_work() {
    for policy in [WaitPolicy::SPIN, WaitPolicy::YIELD, WaitPolicy::BLOCK] {
        on_a_board(&[], |board| -> Result<()> {
            let device = Options::new().wait_policy(policy).open()?;
            let mut bystander = device.compute_queue()?;
            let gate = device.timeline()?;
            bystander.wait(&gate, 1)?;
            let held = bystander.submit()?.detach();

            let (error, after) = fault(&device)?;
            assert!(after < Duration::from_millis(100), "the wait ended after {after:?}");
            let Error::Fault(fault) = &error else { panic!("{error}") };
            assert_eq!((fault.kind, fault.code), (FaultKind::Mmu, 31));
            let text = error.to_string();
            assert!(text.contains("copy queue") || text.contains("compute queue"), "{text}");
            assert!(text.contains("open a new one"), "{text}");
            assert_eq!(board.faults().len(), 1, "the board saw it too");

            // The group is dead: whoever waits on it is released, not left hanging.
            let started = Instant::now();
            gate.set(1);
            assert!(matches!(held.wait(SOON), Err(Error::Fault(_))));
            assert!(started.elapsed() < Duration::from_millis(100));
            drop(bystander);

            // The process, its memory and its address space live on.
            let mut queue = device.copy_queue()?;
            let (from, to) = (device.alloc::<u32>(8)?, device.alloc::<u32>(8)?);
            from.set(7, 77)?;
            queue.copy(&to, &from)?;
            queue.submit()?.wait(SOON)?;
            assert_eq!(to.get(7)?, 77);
            Ok(())
        })
        .expect("all but the fault succeeds");
    }
}

#[test]
fn a_lost_notifier_is_found_by_asking() {
    on_a_board(&["lose-notifier"], |_| -> Result<()> {
        let device = Device::open(Select::Auto)?;
        let (error, after) = fault(&device)?;
        let Error::Fault(fault) = &error else { panic!("{error}") };
        assert_eq!(fault.kind, FaultKind::Unexplained);
        assert!(after < Duration::from_millis(200), "the wait ended after {after:?}");
        Ok(())
    })
    .expect("all but the fault succeeds");
}

#[test]
fn a_hanging_channel_is_a_timeout_without_a_fault() {
    on_a_board(&["hang-channel@1"], |_| -> Result<()> {
        let device = Options::new().stall_timeout(Duration::from_millis(100)).open()?;
        let mut queue = device.compute_queue()?;
        let error = queue.submit()?.wait(Duration::from_millis(100)).expect_err("it hangs");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(error.to_string().contains("reports no fault"), "{error}");
        // Another queue is not affected.
        device.copy_queue()?.submit()?.wait(SOON)
    })
    .expect("the other queue works");
}

/// Every call that opening makes, refused once: the error names the call and the node and says what
/// to do, and what was opened before goes away.
#[test]
fn every_refused_call_is_explained() {
    const CALLS: [(&str, &str); 17] = [
        ("open@1", "open"),
        ("open@2", "open"),
        ("NVGPU_GPU_IOCTL_GET_CHARACTERISTICS@1", "NVGPU_GPU_IOCTL_GET_CHARACTERISTICS"),
        ("NVGPU_GPU_IOCTL_GET_TPC_MASKS@1", "NVGPU_GPU_IOCTL_GET_TPC_MASKS"),
        ("NVGPU_GPU_IOCTL_ALLOC_AS@1", "NVGPU_GPU_IOCTL_ALLOC_AS"),
        ("NVMAP_IOC_CREATE_64@1", "NVMAP_IOC_CREATE_64"),
        ("NVMAP_IOC_ALLOC@1", "NVMAP_IOC_ALLOC"),
        ("NVMAP_IOC_GET_FD@2", "NVMAP_IOC_GET_FD"),
        ("NVGPU_AS_IOCTL_MAP_BUFFER_EX@1", "NVGPU_AS_IOCTL_MAP_BUFFER_EX"),
        ("NVGPU_GPU_IOCTL_OPEN_TSG@1", "NVGPU_GPU_IOCTL_OPEN_TSG"),
        ("NVGPU_GPU_IOCTL_OPEN_CHANNEL@1", "NVGPU_GPU_IOCTL_OPEN_CHANNEL"),
        ("NVGPU_AS_IOCTL_BIND_CHANNEL@1", "NVGPU_AS_IOCTL_BIND_CHANNEL"),
        ("NVGPU_TSG_IOCTL_BIND_CHANNEL_EX@1", "NVGPU_TSG_IOCTL_BIND_CHANNEL_EX"),
        ("NVGPU_IOCTL_CHANNEL_SETUP_BIND@1", "NVGPU_IOCTL_CHANNEL_SETUP_BIND"),
        ("NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER@1", "NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER"),
        ("NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX@1", "NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX"),
        ("NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT@1", "NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT"),
    ];
    const CAUSES: [(&str, &str); 6] = [
        ("EACCES", "group"),
        ("ENOENT", "JetPack"),
        ("EBUSY", "close the other user"),
        ("ENOTTY", "JetPack 6"),
        ("ENOMEM", "out of memory"),
        ("EINVAL", "dmesg"),
    ];
    for (i, (place, call)) in CALLS.iter().enumerate() {
        let (errno, cure) = match CAUSES[i % CAUSES.len()] {
            // Only opening a node is refused for these reasons.
            ("EACCES" | "ENOENT", _) if *call != "open" => ("ENOTTY", "JetPack 6"),
            cause => cause,
        };
        on_a_board(&[&format!("{place}={errno}")], |_| {
            let attempt = || -> Result<()> {
                let device = Device::open(Select::Auto)?;
                device.compute_queue()?.submit()?.wait(SOON)
            };
            let error = attempt().expect_err(place);
            let text = error.to_string();
            let Error::Ioctl { call: named, node, .. } = error else { panic!("{place}: {text}") };
            assert_eq!(named, *call, "{text}");
            assert!(!node.is_empty() && text.contains(errno) && text.contains(cure), "{text}");
            // It happened once. Nothing of the first attempt is in the way of the second.
            attempt().unwrap_or_else(|error| panic!("after {place}: {error}"));
        });
    }
}

/// A queue that does not open keeps no subcontext, of which a group has just as many as queues may take.
#[test]
fn refused_queues_leave_no_subcontext_behind() {
    let mishaps = [
        "NVGPU_TSG_IOCTL_BIND_CHANNEL_EX@2=EINVAL",
        "NVGPU_TSG_IOCTL_BIND_CHANNEL_EX@3=EINVAL",
        "NVGPU_IOCTL_CHANNEL_SETUP_BIND@2=ENOMEM",
        "NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT@5=ENOSPC",
    ];
    on_a_board(&mishaps, |_| -> Result<()> {
        let device = Device::open(Select::Auto)?;
        let mut queues = vec![device.compute_queue()?];
        device.compute_queue().expect_err("it is not bound");
        device.copy_queue().expect_err("it is not bound");
        device.copy_queue().expect_err("it gets no ring");
        let error = device.compute_queue().expect_err("it gets no subcontext").to_string();
        assert!(error.contains("ENOSPC") && error.contains("no subcontext left"), "{error}");
        queues.push(device.copy_queue()?);
        for _ in 1..63 {
            queues.push(device.compute_queue()?);
        }
        queues.iter_mut().try_for_each(|queue| queue.submit()?.wait(SOON))
    })
    .expect("all of them open");
}

/// What a queue can do without does not keep it from opening.
#[test]
fn calls_that_a_board_may_lack_are_not_needed() {
    let lacks =
        ["NVGPU_IOCTL_TSG_EVENT_ID_CTRL@1=ENOTTY", "NVGPU_IOCTL_CHANNEL_SET_TIMEOUT@1=ENOTTY"];
    on_a_board(&lacks, |_| -> Result<()> {
        let device = Options::new().wait_policy(WaitPolicy::BLOCK).open()?;
        device.compute_queue()?.submit()?.wait(SOON)
    })
    .unwrap();
}

#[test]
fn an_allocation_that_fails_leaves_the_device_usable() {
    on_a_board(&["alloc@6"], |_| -> Result<()> {
        let device = Device::open(Select::Auto)?;
        let outcomes: Vec<_> = (0..8).map(|_| device.alloc::<u8>(4096)).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
        let error = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        let text = error.expect("one was refused").to_string();
        assert!(text.contains("out of memory") && text.contains("4096 bytes"), "{text}");
        device.copy_queue()?.submit()?.wait(SOON)
    })
    .expect("the device goes on");
}

#[test]
fn other_boards_and_older_node_names_open_too() {
    for (board, node, sms) in [
        ("agx-orin-30w", "/dev/nvgpu/igpu0/ctrl", 8),
        ("agx-orin-maxn", "/dev/nvgpu/igpu0/ctrl", 16),
        ("agx-orin-30w-nvhost", "/dev/nvhost-ctrl-gpu", 8),
        ("agx-orin-30w-iommu", "/dev/nvgpu/igpu0/ctrl", 8),
        ("no-board-hopper", "/dev/nvgpu/igpu0/ctrl", 132),
    ] {
        let profile = Profile::by_name(board).expect("a board that is known");
        let options = emulator::Options { profile, ..emulator::Options::default() };
        emulator::run(options, |_| -> Result<()> {
            let device = Device::open(Select::Auto)?;
            assert_eq!((device.info().node.as_str(), device.info().sm_count), (node, sms));
            device.compute_queue()?.submit()?.wait(SOON)?;
            device.copy_queue()?.submit()?.wait(SOON)
        })
        .expect("this machine allows seccomp filters")
        .unwrap_or_else(|error| panic!("{board}: {error}"));
    }
}

#[test]
fn no_node_is_one_clear_sentence() {
    // Outside a board, on a machine without a GPU.
    match Device::open(Select::Auto) {
        Err(error @ Error::NoDevice { .. }) => {
            let text = error.to_string();
            assert!(text.contains("/dev/nvgpu/igpu0/ctrl"), "{text}");
            assert!(text.contains("doorbell emulate"), "{text}");
        }
        Ok(device) => println!("this machine has a GPU: {device:?}"),
        Err(error) => println!("this machine has a GPU that cannot be opened: {error}"),
    }
}
