//! The rules of the driver: one test each, named after the rule, that fails when the rule is gone.

mod address_space;
mod channel;
mod ctrl;
mod ctrl_info;
mod dispatch;
mod files;
mod mapping;
mod nvmap;
mod nvmap_alloc;
mod nvmap_cache;
mod nvmap_use;
mod object;
mod program;
mod sequence;
mod setup;
mod tsg;

use ioctl_defs::nvgpu::address_space::*;
use ioctl_defs::nvgpu::channel::*;
use ioctl_defs::nvgpu::ctrl::*;
use ioctl_defs::nvgpu::tsg::*;
use ioctl_defs::nvmap::*;
use ioctl_defs::{Argument, Request};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::{Answer, Event, Nodes, Refusal};
use crate::gpu::Gpu;
use crate::inject::Injector;
use crate::profile::Profile;
use program::Program;

/// The range that most tests use: as high as the driver's own part allows.
const START: u64 = 0x20_0000;
const END: u64 = 0xff_0000_0000;
/// The measured range, whose last blocks are the smallest.
const MEASURED_END: u64 = 0xff_ffe0_0000;

const CTRL: &str = "/dev/nvgpu/igpu0/ctrl";
const MIB: u64 = 1 << 20;
const IOVMM: u32 = NVMAP_HEAP_IOVMM;

/// A board, and one program on it.
struct Board {
    nodes: Nodes,
    gpu: Gpu,
    program: Program,
}

/// The files of a channel that is about to be set up.
struct Rig {
    ctrl: i32,
    space: i32,
    tsg: i32,
    channel: i32,
}

fn errno(errno: Errno) -> Answer {
    Err(Refusal::Errno(errno))
}

fn einval() -> Answer {
    errno(Errno::EINVAL)
}

fn is_trap(answer: Answer, part: &str) -> bool {
    matches!(answer, Err(Refusal::Trap(message)) if message.contains(part))
}

impl Board {
    fn new() -> Board {
        Board::with(Profile::default())
    }

    fn named(name: &str) -> Board {
        Board::with(Profile::by_name(name).unwrap())
    }

    fn with(profile: Profile) -> Board {
        Board::injecting(profile, Injector::default())
    }

    fn injecting(profile: Profile, inject: Injector) -> Board {
        // Descriptor 0 is taken, as in every program.
        let program = Program::new();
        Board { nodes: Nodes::new(profile, inject), gpu: Gpu::new(), program }
    }

    fn open(&mut self, path: &str) -> Result<i32, Errno> {
        let opened = self.nodes.open(&mut self.gpu, &mut self.program, path, libc::O_RDWR)?;
        super::Caller::install(&mut self.program, opened, true)
    }

    fn ioctl<A: Argument>(&mut self, fd: i32, request: Request<A>, args: &mut A) -> Answer {
        let at = self.program.place(args.as_bytes());
        let answer = self.ioctl_at(fd, request.number(), at);
        *args = self.program.peek(at);
        answer
    }

    /// With the argument given by value.
    fn call<A: Argument>(&mut self, fd: i32, request: Request<A>, mut args: A) -> Answer {
        self.ioctl(fd, request, &mut args)
    }

    fn ioctl_at(&mut self, fd: i32, number: u32, arg: u64) -> Answer {
        let file = self.program.file(fd);
        self.nodes.ioctl(&mut self.gpu, &mut self.program, file, number, arg)
    }

    fn mmap(&mut self, fd: i32, len: u64, flags: i32, offset: u64) -> Result<u64, Errno> {
        let file = self.program.file(fd);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        self.nodes.mmap(&mut self.gpu, &mut self.program, file, len, prot, flags, offset)?;
        Ok(self.program.map(file, len))
    }

    fn close(&mut self, fd: i32) {
        super::Caller::close(&mut self.program, fd);
        self.settle();
    }

    fn unmap(&mut self, address: u64) {
        self.program.unmap(address);
        self.settle();
    }

    /// Tells the board about files that nobody holds any more, as the supervisor does.
    fn settle(&mut self) {
        for file in self.program.take_closed() {
            self.nodes.closed(&mut self.gpu, file);
        }
    }

    fn run(&mut self) {
        while self.gpu.step(1000) == crate::gpu::Progress::Worked {}
        for event in self.gpu.take_events() {
            self.nodes.deliver(event);
        }
    }

    fn warned(&mut self, part: &str) -> bool {
        self.nodes.take_warnings().iter().any(|line| line.contains(part))
    }

    fn ctrl(&mut self) -> i32 {
        self.open(CTRL).unwrap()
    }

    fn space_over(&mut self, ctrl: i32, start: u64, end: u64) -> i32 {
        let mut args = alloc_as(start, end);
        assert_eq!(self.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args), Ok(0));
        args.as_fd
    }

    fn space(&mut self) -> i32 {
        let ctrl = self.ctrl();
        self.space_over(ctrl, START, END)
    }

    fn tsg(&mut self, ctrl: i32) -> i32 {
        let mut args = nvgpu_gpu_open_tsg_args::default();
        assert_eq!(self.ioctl(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, &mut args), Ok(0));
        args.tsg_fd as i32
    }

    fn channel(&mut self, ctrl: i32) -> i32 {
        let mut args = nvgpu_gpu_open_channel_args { channel_fd: -1 };
        assert_eq!(self.ioctl(ctrl, NVGPU_GPU_IOCTL_OPEN_CHANNEL, &mut args), Ok(0));
        args.channel_fd
    }

    fn bind_space(&mut self, space: i32, channel: i32) -> Answer {
        let args = nvgpu_as_bind_channel_args { channel_fd: channel as u32 };
        self.call(space, NVGPU_AS_IOCTL_BIND_CHANNEL, args)
    }

    fn join(&mut self, tsg: i32, channel: i32, veid: u32) -> Answer {
        let args = nvgpu_tsg_bind_channel_ex_args {
            channel_fd: channel,
            subcontext_id: veid,
            ..Default::default()
        };
        self.call(tsg, NVGPU_TSG_IOCTL_BIND_CHANNEL_EX, args)
    }

    fn subcontext(&mut self, tsg: i32, kind: u32, space: i32) -> Result<u32, Refusal> {
        let mut args =
            nvgpu_tsg_create_subcontext_args { r#type: kind, as_fd: space, ..Default::default() };
        self.ioctl(tsg, NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT, &mut args)?;
        Ok(args.veid)
    }

    fn watchdog(&mut self, channel: i32, status: WdtFlags) -> Answer {
        let args = nvgpu_channel_wdt_args { wdt_status: status, timeout_ms: 0 };
        self.call(channel, NVGPU_IOCTL_CHANNEL_WDT, args)
    }

    /// A channel with address space and TSG, over a range.
    fn rig_over(&mut self, end: u64) -> Rig {
        let ctrl = self.ctrl();
        let space = self.space_over(ctrl, START, end);
        let tsg = self.tsg(ctrl);
        let channel = self.channel(ctrl);
        self.bind_space(space, channel).unwrap();
        self.join(tsg, channel, 0).unwrap();
        Rig { ctrl, space, tsg, channel }
    }

    /// The same, with the watchdog off: all that SETUP_BIND wants.
    fn rig(&mut self) -> Rig {
        let rig = self.rig_over(END);
        self.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
        rig
    }

    /// One more channel in the same TSG and address space.
    fn sibling(&mut self, rig: &Rig) -> i32 {
        let channel = self.channel(rig.ctrl);
        self.bind_space(rig.space, channel).unwrap();
        self.join(rig.tsg, channel, 0).unwrap();
        self.watchdog(channel, WdtFlags::DISABLE_WDT).unwrap();
        channel
    }

    fn setup(&mut self, channel: i32, args: &mut nvgpu_channel_setup_bind_args) -> Answer {
        self.ioctl(channel, NVGPU_IOCTL_CHANNEL_SETUP_BIND, args)
    }

    /// A channel ready for its doorbell, and its token.
    fn running(&mut self) -> (Rig, u32) {
        let rig = self.rig();
        let mut args = self.setup_args(0x2000);
        self.setup(rig.channel, &mut args).unwrap();
        (rig, args.work_submit_token)
    }

    /// What SETUP_BIND accepts, with a ring of this size and 1024 entries.
    fn setup_args(&mut self, ring: u64) -> nvgpu_channel_setup_bind_args {
        nvgpu_channel_setup_bind_args {
            num_gpfifo_entries: 1024,
            flags: SetupBindFlags::DETERMINISTIC.union(SetupBindFlags::USERMODE_SUPPORT),
            gpfifo_dmabuf_fd: self.buffer(ring),
            userd_dmabuf_fd: self.buffer(0x1000),
            ..Default::default()
        }
    }

    /// A rig in whose address space another channel's ring takes all that the driver has.
    fn rig_without_kernel_addresses(&mut self) -> Rig {
        let rig = self.rig();
        let sibling = self.sibling(&rig);
        let mut args = self.setup_args(4 << 30);
        self.setup(sibling, &mut args).unwrap();
        rig
    }

    /// Puts one entry in the ring of a fresh channel and rings its doorbell.
    fn submit(&mut self, token: u32, entry: u64) {
        let Some(super::setup::Setup::Usermode { _ring: ring, userd, .. }) =
            &self.nodes.channels.get(token).setup
        else {
            panic!("the channel has no doorbell")
        };
        ring.memory().unwrap().store_u64(0, entry);
        userd.memory().unwrap().store_u32(hw_defs::userd::GP_PUT, 1);
        assert!(self.gpu.doorbell(token));
        self.run();
    }

    fn object(&mut self, channel: i32, class: u32) -> Answer {
        let args = nvgpu_alloc_obj_ctx_args { class_num: class, ..Default::default() };
        self.call(channel, NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX, args)
    }

    fn preemption(&mut self, channel: i32, graphics: u32, compute: u32) -> Answer {
        let args = nvgpu_preemption_mode_args {
            graphics_preempt_mode: GraphicsPreemptionMode::from_bits_retain(graphics),
            compute_preempt_mode: ComputePreemptionMode::from_bits_retain(compute),
        };
        self.call(channel, NVGPU_IOCTL_CHANNEL_SET_PREEMPTION_MODE, args)
    }

    fn timed_out(&mut self, channel: i32) -> u32 {
        let mut args = nvgpu_get_param_args::default();
        self.ioctl(channel, NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT, &mut args).unwrap();
        args.value
    }

    fn nvmap(&mut self) -> i32 {
        match self.program.nvmap {
            Some(fd) => fd,
            None => {
                let fd = self.open("/dev/nvmap").unwrap();
                self.program.nvmap = Some(fd);
                fd
            }
        }
    }

    fn create(&mut self, size: u64) -> Result<u32, Refusal> {
        let nvmap = self.nvmap();
        let mut args = nvmap_create_handle_64 { size64: size };
        self.ioctl(nvmap, NVMAP_IOC_CREATE_64, &mut args)?;
        Ok(args.out().handle64)
    }

    fn alloc(&mut self, args: nvmap_alloc_handle) -> Answer {
        let nvmap = self.nvmap();
        self.call(nvmap, NVMAP_IOC_ALLOC, args)
    }

    fn get_fd(&mut self, handle: u32) -> Result<i32, Refusal> {
        let nvmap = self.nvmap();
        let mut args = nvmap_create_handle_fd { fd: 0, handle };
        self.ioctl(nvmap, NVMAP_IOC_GET_FD, &mut args)?;
        Ok(args.fd)
    }

    fn free(&mut self, handle: u32) -> Answer {
        let nvmap = self.nvmap();
        let answer = self.ioctl_at(nvmap, NVMAP_IOC_FREE.number(), handle.into());
        self.settle();
        answer
    }

    /// A handle with memory.
    fn handle(&mut self, size: u64) -> u32 {
        let handle = self.create(size).unwrap();
        assert_eq!(self.alloc(plain(handle)), Ok(0));
        handle
    }

    /// A descriptor of a buffer with memory, whose handle is gone.
    fn buffer(&mut self, size: u64) -> i32 {
        let handle = self.handle(size);
        let fd = self.get_fd(handle).unwrap();
        self.free(handle).unwrap();
        fd
    }

    /// A descriptor of a buffer that has no memory.
    fn empty_buffer(&mut self) -> i32 {
        let handle = self.create(0x1000).unwrap();
        self.get_fd(handle).unwrap()
    }

    fn parameters(&mut self, handle: u32) -> Result<nvmap_handle_parameters, Refusal> {
        let nvmap = self.nvmap();
        let mut args = nvmap_handle_parameters { handle, ..Default::default() };
        self.ioctl(nvmap, NVMAP_IOC_PARAMETERS, &mut args)?;
        Ok(args)
    }

    fn duplicate(&mut self, handle: u32, access_flags: u32) -> Result<u32, Refusal> {
        let nvmap = self.nvmap();
        let mut args = nvmap_duplicate_handle { handle, access_flags, dup_handle: 0 };
        self.ioctl(nvmap, NVMAP_IOC_DUP_HANDLE, &mut args)?;
        Ok(args.dup_handle)
    }

    fn handle_from(&mut self, fd: i32) -> Result<u32, Refusal> {
        let nvmap = self.nvmap();
        let mut args = nvmap_create_handle_fd { fd, handle: 0 };
        self.ioctl(nvmap, NVMAP_IOC_FROM_FD, &mut args)?;
        Ok(args.handle)
    }

    fn ring_of(&self, channel: u32) -> u64 {
        self.nodes.channels.get(channel).setup.as_ref().unwrap().address()
    }

    fn map(&mut self, space: i32, args: &mut nvgpu_as_map_buffer_ex_args) -> Answer {
        self.ioctl(space, NVGPU_AS_IOCTL_MAP_BUFFER_EX, args)
    }

    fn map_plain(&mut self, space: i32, buffer: i32) -> u64 {
        let mut args = map_args(buffer);
        assert_eq!(self.map(space, &mut args), Ok(0));
        args.offset
    }

    fn unmap_gpu(&mut self, space: i32, offset: u64) -> Answer {
        self.call(space, NVGPU_AS_IOCTL_UNMAP_BUFFER, nvgpu_as_unmap_buffer_args { offset })
    }

    fn area(&mut self, space: i32, offset: u64, pages: u64) -> Answer {
        let args = nvgpu_as_alloc_space_args {
            pages,
            page_size: 4096,
            flags: AllocSpaceFlags::FIXED_OFFSET,
            offset,
            ..Default::default()
        };
        self.call(space, NVGPU_AS_IOCTL_ALLOC_SPACE, args)
    }
}

fn alloc_as(start: u64, end: u64) -> nvgpu_alloc_as_args {
    nvgpu_alloc_as_args {
        flags: AllocAsFlags::UNIFIED_VA,
        va_range_start: start,
        va_range_end: end,
        ..Default::default()
    }
}

/// How a plain compute buffer is mapped.
fn map_args(buffer: i32) -> nvgpu_as_map_buffer_ex_args {
    nvgpu_as_map_buffer_ex_args {
        compr_kind: NV_KIND_INVALID,
        incompr_kind: 0,
        dmabuf_fd: buffer as u32,
        page_size: 4096,
        ..Default::default()
    }
}

fn map_at(buffer: i32, offset: u64) -> nvgpu_as_map_buffer_ex_args {
    nvgpu_as_map_buffer_ex_args { flags: MapBufferFlags::FIXED_OFFSET, offset, ..map_args(buffer) }
}

/// How plain memory is asked for.
fn plain(handle: u32) -> nvmap_alloc_handle {
    nvmap_alloc_handle {
        handle,
        heap_mask: NVMAP_HEAP_IOVMM,
        flags: NVMAP_HANDLE_WRITE_COMBINE | 0x0900 << 16,
        align: 4096,
        numa_nid: -1,
    }
}
