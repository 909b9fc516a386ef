//! A program for the board, in a few functions: system calls and numbers, nothing of doorbell's runtime.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use ioctl_defs::nvgpu::address_space::*;
use ioctl_defs::nvgpu::channel::*;
use ioctl_defs::nvgpu::ctrl::*;
use ioctl_defs::nvgpu::tsg::*;
use ioctl_defs::nvmap::*;
use ioctl_defs::{Argument, Request};

pub const CTRL: &str = "/dev/nvgpu/igpu0/ctrl";
pub const NVMAP: &str = "/dev/nvmap";

pub fn open_with(path: &str, flags: i32) -> io::Result<OwnedFd> {
    let path = CString::new(path).unwrap();
    // SAFETY: `path` is a string that is alive; the descriptor is new.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub fn open(path: &str) -> OwnedFd {
    open_with(path, libc::O_RDWR | libc::O_CLOEXEC).unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The errno of a failed call.
pub fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

pub fn raw_ioctl(fd: RawFd, request: u32, argument: u64) -> io::Result<i32> {
    // SAFETY: what `argument` points to, if anything, is the caller's and alive.
    check(unsafe { libc::ioctl(fd, request as _, argument) })
}

pub fn ioctl<A: Argument>(fd: &OwnedFd, request: Request<A>, argument: &mut A) -> io::Result<i32> {
    raw_ioctl(fd.as_raw_fd(), request.number(), (&raw mut *argument) as u64)
}

/// A descriptor that an ioctl has put into an argument.
pub fn owned(fd: RawFd) -> OwnedFd {
    assert!(fd >= 0);
    // SAFETY: it was just made for this program.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A shared mapping.
#[derive(Debug)]
pub struct Mapping {
    base: *mut libc::c_void,
    len: usize,
}

// SAFETY: reached atomically only.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub fn new(fd: &OwnedFd, len: usize) -> io::Result<Mapping> {
        Mapping::with(fd, len, 0)
    }

    pub fn with(fd: &OwnedFd, len: usize, offset: i64) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, where nothing is yet.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { base, len })
    }

    pub fn u32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset + 4 <= self.len && offset % 4 == 0);
        // SAFETY: inside the mapping, aligned, and reached atomically only.
        unsafe { AtomicU32::from_ptr(self.base.byte_add(offset).cast()) }
    }

    pub fn u64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset + 8 <= self.len && offset % 8 == 0);
        // SAFETY: inside the mapping, aligned, and reached atomically only.
        unsafe { AtomicU64::from_ptr(self.base.byte_add(offset).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by new, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

/// A buffer that CPU and GPU have mapped.
#[derive(Debug)]
pub struct Buffer {
    pub handle: u32,
    pub fd: OwnedFd,
    pub va: u64,
    pub cpu: Mapping,
}

/// What a program opens once.
#[derive(Debug)]
pub struct Program {
    pub nvmap: OwnedFd,
    pub ctrl: OwnedFd,
    pub space: OwnedFd,
    pub tsg: OwnedFd,
}

impl Program {
    pub fn new() -> Program {
        let (nvmap, ctrl) = (open(NVMAP), open(CTRL));
        let space = open_space(&ctrl).unwrap();
        let tsg = open_tsg(&ctrl).unwrap();
        Program { nvmap, ctrl, space, tsg }
    }

    pub fn buffer(&self, size: u32) -> Buffer {
        let handle = create(&self.nvmap, size).unwrap();
        let fd = dmabuf(&self.nvmap, handle).unwrap();
        let mut map = nvgpu_as_map_buffer_ex_args {
            compr_kind: -1,
            dmabuf_fd: fd.as_raw_fd() as u32,
            page_size: 4096,
            ..Default::default()
        };
        ioctl(&self.space, NVGPU_AS_IOCTL_MAP_BUFFER_EX, &mut map).unwrap();
        let cpu = Mapping::new(&fd, size as usize).unwrap();
        Buffer { handle, fd, va: map.offset, cpu }
    }

    /// A channel that is ready to run.
    pub fn channel(&self) -> Channel {
        let fd = open_channel(&self.ctrl).unwrap();
        let mut bind = nvgpu_as_bind_channel_args { channel_fd: fd.as_raw_fd() as u32 };
        ioctl(&self.space, NVGPU_AS_IOCTL_BIND_CHANNEL, &mut bind).unwrap();
        let mut join =
            nvgpu_tsg_bind_channel_ex_args { channel_fd: fd.as_raw_fd(), ..Default::default() };
        ioctl(&self.tsg, NVGPU_TSG_IOCTL_BIND_CHANNEL_EX, &mut join).unwrap();
        let mut watchdog =
            nvgpu_channel_wdt_args { wdt_status: WdtFlags::DISABLE_WDT, ..Default::default() };
        ioctl(&fd, NVGPU_IOCTL_CHANNEL_WDT, &mut watchdog).unwrap();
        let (ring, userd) = (self.buffer(4096), self.buffer(4096));
        let mut setup = nvgpu_channel_setup_bind_args {
            num_gpfifo_entries: Channel::ENTRIES,
            flags: SetupBindFlags::DETERMINISTIC | SetupBindFlags::USERMODE_SUPPORT,
            userd_dmabuf_fd: userd.fd.as_raw_fd(),
            gpfifo_dmabuf_fd: ring.fd.as_raw_fd(),
            ..Default::default()
        };
        ioctl(&fd, NVGPU_IOCTL_CHANNEL_SETUP_BIND, &mut setup).unwrap();
        let mut object = nvgpu_alloc_obj_ctx_args { class_num: 0xc7c0, ..Default::default() };
        ioctl(&fd, NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX, &mut object).unwrap();
        Channel { fd, ring, userd, token: setup.work_submit_token, put: 0 }
    }

    pub fn registers(&self) -> Mapping {
        Mapping::new(&self.ctrl, 64 << 10).unwrap()
    }
}

#[derive(Debug)]
pub struct Channel {
    pub fd: OwnedFd,
    pub ring: Buffer,
    pub userd: Buffer,
    pub token: u32,
    put: u32,
}

impl Channel {
    const ENTRIES: u32 = 512;

    /// Puts a pushbuffer segment into the ring; the doorbell is the caller's.
    pub fn push(&mut self, va: u64, words: u64) {
        self.ring.cpu.u64(8 * self.put as usize).store(va | words << 42, Ordering::Relaxed);
        self.put = (self.put + 1) % Channel::ENTRIES;
        fence(Ordering::SeqCst);
        self.userd.cpu.u32(0x8c).store(self.put, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        let mut state = nvgpu_get_param_args::default();
        ioctl(&self.fd, NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT, &mut state).unwrap();
        state.value != 0
    }
}

/// Rings a doorbell.
pub fn ring(registers: &Mapping, token: u32) {
    registers.u32(0x90).store(token, Ordering::SeqCst);
}

/// Writes the six words that release a 64-bit payload with a timestamp; how many they are.
pub fn write_release(push: &Buffer, at: usize, va: u64, payload: u64) -> u64 {
    let words = [
        0x2005_0017,
        va as u32,
        (va >> 32) as u32,
        payload as u32,
        (payload >> 32) as u32,
        0x0310_0001,
    ];
    for (i, word) in words.into_iter().enumerate() {
        push.cpu.u32(at + 4 * i).store(word, Ordering::Relaxed);
    }
    words.len() as u64
}

/// Polls a word until it has a value.
pub fn wait_for(word: &AtomicU64, value: u64) {
    let started = Instant::now();
    let mut polls = 0;
    while word.load(Ordering::Acquire) != value {
        // Tests run side by side: the GPU's thread may need this processor.
        polls += 1;
        if polls % 1000 == 0 {
            std::thread::yield_now();
            assert!(started.elapsed() < Duration::from_secs(20), "{value:#x} never arrived");
        }
        std::hint::spin_loop();
    }
}

/// Waits for something that the emulator's threads do by themselves.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

pub fn open_space(ctrl: &OwnedFd) -> io::Result<OwnedFd> {
    let mut args = nvgpu_alloc_as_args {
        flags: AllocAsFlags::UNIFIED_VA,
        va_range_start: 0x20_0000,
        va_range_end: 0xff_0000_0000,
        ..Default::default()
    };
    ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args)?;
    Ok(owned(args.as_fd))
}

pub fn open_tsg(ctrl: &OwnedFd) -> io::Result<OwnedFd> {
    let mut args = nvgpu_gpu_open_tsg_args::default();
    ioctl(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, &mut args)?;
    Ok(owned(args.tsg_fd as i32))
}

pub fn open_channel(ctrl: &OwnedFd) -> io::Result<OwnedFd> {
    let mut args = nvgpu_gpu_open_channel_args { channel_fd: -1 };
    ioctl(ctrl, NVGPU_GPU_IOCTL_OPEN_CHANNEL, &mut args)?;
    Ok(owned(args.channel_fd))
}

/// A handle with memory.
pub fn create(nvmap: &OwnedFd, size: u32) -> io::Result<u32> {
    let mut create = nvmap_create_handle { size, ..Default::default() };
    ioctl(nvmap, NVMAP_IOC_CREATE, &mut create)?;
    let mut alloc = nvmap_alloc_handle {
        handle: create.handle,
        heap_mask: 1 << 30,
        flags: 0x0900 << 16 | 1,
        align: 4096,
        numa_nid: -1,
    };
    ioctl(nvmap, NVMAP_IOC_ALLOC, &mut alloc)?;
    Ok(create.handle)
}

/// One more descriptor of a handle's memory.
pub fn dmabuf(nvmap: &OwnedFd, handle: u32) -> io::Result<OwnedFd> {
    let mut args = nvmap_create_handle_fd { fd: -1, handle };
    ioctl(nvmap, NVMAP_IOC_GET_FD, &mut args)?;
    Ok(owned(args.fd))
}

/// Whether an nvmap client's handle is still known, which it is as long as the client has a file open.
pub fn knows(handle: u32) -> bool {
    dmabuf(&open(NVMAP), handle).is_ok()
}

/// As many channels as the chip has.
pub const CHANNELS: usize = 512;
