//! Cubins placed in GPU memory, and the kernels in them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::addr::{GpuRange, GpuVa};
use crate::cubin::{Content, Cubin, SectionId, Target};
use crate::device::Device;
use crate::driver::{Info, Memory};
use crate::error::{Error, Result};
use crate::memory::{Block, Heap, View};
use crate::qmd::{self, Descriptor, Fields, Shape, Shared};

/// Where sections begin: constant banks are addressed in units of 64 bytes at the finest, and the
/// copy of code into caches goes by 128.
const SECTION_ALIGN: u64 = 256;

/// The instruction fetcher reads ahead of what it executes; this much must be mapped behind code.
const FETCH_AHEAD: u64 = 4096;

const INSTRUCTION_BYTES: usize = 16;

/// `ACQBULK`, which PTX calls `griddepcontrol.wait`, for all threads: waits for the launch before.
/// It stands in front of every kernel's first instruction, so that a launch can begin with it. GPUs
/// that do not know it never get there.
const WAIT: [u8; INSTRUCTION_BYTES] = 0x000f_d800_0000_0000_0000_0000_0000_782e_u128.to_le_bytes();

/// `BPT.TRAP`, several times, for the hardware may report a place further on: what lies where code
/// expects a function of CUDA's runtime. The report of the fault names the function.
const TRAPS: [u8; 4 * INSTRUCTION_BYTES] = {
    let trap = 0x000f_ea00_0030_0000_0000_0004_0000_795c_u128.to_le_bytes();
    let mut traps = [0; 4 * INSTRUCTION_BYTES];
    let mut at = 0;
    while at < traps.len() {
        traps[at] = trap[at % INSTRUCTION_BYTES];
        at += 1;
    }
    traps
};

/// What a recursive kernel gets on top of the stack that its compiler could count. The CUDA
/// driver's default is the same.
const RECURSION_STACK: u32 = 1024;

/// What the calling convention takes of local memory beside a kernel's own frames.
const LOCAL_OVERHEAD: u32 = 0x240;

/// A cubin in GPU memory. Kernels keep it there.
pub struct Module {
    block: Arc<Block>,
    kernels: Vec<Kernel>,
    variables: Vec<(String, GpuRange)>,
}

/// One kernel, ready to be launched.
#[derive(Clone)]
pub struct Kernel {
    pub(crate) inner: Arc<KernelInner>,
}

#[derive(Debug)]
pub(crate) struct KernelInner {
    pub(crate) name: String,
    pub(crate) template: Descriptor,
    pub(crate) parameters: crate::cubin::Parameters,
    pub(crate) bank0_bytes: u32,
    pub(crate) local_bytes: u32,
    pub(crate) code: GpuRange,
    /// Where bank 3 lies, if there is one.
    pub(crate) constants: Option<GpuVa>,
    /// Of the GPU.
    pub(crate) multiprocessors: u32,
    registers: u32,
    pub(crate) sm: u32,
    static_shared: u32,
    reserved_shared: u32,
    max_threads: Option<u32>,
    required_block: Option<[u32; 3]>,
    pub(crate) cluster: Option<[u32; 3]>,
    waits_itself: bool,
    /// Where a launch begins that first of all waits for the one before it, on GPUs whose launches
    /// do that.
    pub(crate) waiting_entry: Option<GpuVa>,
    block: Arc<Block>,
}

/// Grid, block and dynamic shared memory of one launch, and when it may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "this describes a launch and launches nothing"]
pub struct Launch {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) carve_out: u32,
    pub(crate) early: bool,
}

impl Launch {
    /// A launch of `grid` blocks of `block` threads each.
    pub fn new(grid: impl Into<Dim>, block: impl Into<Dim>) -> Launch {
        let (grid, block) = (grid.into().0, block.into().0);
        Launch { grid, block, shared: 0, carve_out: 0, early: false }
    }

    /// Dynamic shared memory of each block, in bytes.
    pub fn shared(mut self, bytes: u32) -> Launch {
        self.shared = bytes;
        self
    }

    /// How many bytes each multiprocessor had best set aside as shared memory; the rest of its
    /// memory is L1. Rounded up to what the hardware has, and at most all. Without this it is what
    /// one block needs.
    ///
    /// It decides how many blocks with shared memory run on a multiprocessor at a time. And a
    /// multiprocessor divides its memory anew only when it is empty, so launches that are to
    /// overlap do best with one and the same carve-out.
    pub fn carve_out(mut self, bytes: u32) -> Launch {
        self.carve_out = bytes;
        self
    }

    /// Lets the launch start before the one before it has ended: as soon as all of that one's
    /// blocks have started and there is room for more. The kernel waits for it itself, with
    /// `griddepcontrol.wait` in PTX, `cudaGridDependencySynchronize()` in CUDA C++. What it does
    /// before its wait then costs no time: finding its place, loading weights, filling shared
    /// memory.
    ///
    /// With this the caller of [`exec`](crate::Commands::exec) also promises that
    /// * every block waits before it ends, and before it touches anything that an earlier launch of
    ///   the queue writes, or writes anything that an earlier one touches;
    /// * what it reads before its wait was there when the last launch began that is not early.
    ///
    /// Behind the wait all is as without this: the launch before has ended, and ordinary loads see
    /// what it and those before it stored. The launch before needs nothing special, neither early
    /// itself nor `griddepcontrol.launch_dependents`, which changes nothing here. What comes after
    /// the launch waits until it has ended, unless that is early too.
    ///
    /// It is a permission: where nothing can start early the launch waits as any other does. So it
    /// is on GPUs before Hopper, for the first launch of a submission or recording, within
    /// [`concurrently`](crate::Commands::concurrently), and behind any command other than a launch
    /// or a signal. On Hopper a kernel whose code has no such wait is refused.
    pub fn early(mut self) -> Launch {
        self.early = true;
        self
    }
}

/// One to three dimensions; the missing ones are 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim([u32; 3]);

impl From<u32> for Dim {
    fn from(x: u32) -> Dim {
        Dim([x, 1, 1])
    }
}

impl From<(u32, u32)> for Dim {
    fn from((x, y): (u32, u32)) -> Dim {
        Dim([x, y, 1])
    }
}

impl From<(u32, u32, u32)> for Dim {
    fn from((x, y, z): (u32, u32, u32)) -> Dim {
        Dim([x, y, z])
    }
}

impl From<[u32; 3]> for Dim {
    fn from(dimensions: [u32; 3]) -> Dim {
        Dim(dimensions)
    }
}

impl Module {
    /// Places a cubin in GPU memory: one that was built for this GPU, or for an older one of the same
    /// generation (sm_80 and sm_87 code runs on sm_87, neither on sm_90).
    ///
    /// Kernels see the special registers of PTX as they are. Those that a driver may give a meaning to
    /// are 0 here, as the manual of PTX allows: `%envreg0` to `%envreg31`, `%gridid`,
    /// `%current_graph_exec`. The toolkit's own services are not there: a kernel that calls `printf`,
    /// `malloc` or `free` ends with a [`Fault`](crate::Fault) that says so, as does one whose assertion
    /// fails.
    pub fn load(device: &Device, cubin: &[u8]) -> Result<Module> {
        Module::place(device.heap(), cubin)
    }

    pub(crate) fn place(heap: &Arc<Heap>, cubin: &[u8]) -> Result<Module> {
        let cubin = Cubin::parse(cubin)?;
        let info = heap.driver().info();
        let sm = info.sm;
        if cubin.sm / 10 != sm / 10 || cubin.sm % 10 > sm % 10 {
            return Err(Error::request(format!(
                "this cubin was built for sm_{} and the GPU is sm_{sm}: build it for sm_{sm}",
                cubin.sm
            )));
        }
        let places = Places::of(&cubin);
        // Written by the CPU in place: through a window into device memory where it has to be.
        let unified = info.unified_memory;
        let memory = if unified { Memory::Device } else { Memory::Command };
        let block = heap.alloc(places.bytes, memory)?;
        let at = |id: SectionId| {
            let (start, end) = places.sections[id.0];
            block.range().slice(start, end - start).expect("the block holds all sections")
        };
        block.fill(&image(&cubin, &places, block.range().start()));
        heap.modules().fetch_add(1, Ordering::Release);

        let fields = Fields::of_class(info.compute_class);
        let kernels = cubin
            .kernels
            .iter()
            .map(|kernel| load_kernel(&cubin, kernel, info, fields, &at, &block))
            .collect::<Result<Vec<_>>>()?;
        let mut names = heap.names();
        for kernel in &kernels {
            names.add_kernel(kernel.inner.code, kernel.name());
        }
        for (index, function) in cubin.absent.iter().enumerate() {
            let traps = block.range().slice(places.trap(index), TRAPS.len() as u64);
            names.add_absent(traps.expect("the block holds all traps"), function);
        }
        drop(names);
        let variables = cubin
            .variables
            .iter()
            .filter_map(|variable| {
                let range = at(variable.section).slice(variable.offset, variable.size)?;
                Some((variable.name.to_owned(), range))
            })
            .collect();
        Ok(Module { block, kernels, variables })
    }

    /// A kernel by its name, as the compiler mangled it.
    pub fn kernel(&self, name: &str) -> Result<Kernel> {
        self.kernels.iter().find(|kernel| kernel.name() == name).cloned().ok_or_else(|| {
            let names: Vec<_> = self.kernels.iter().map(Kernel::name).collect();
            Error::request(format!(
                "the cubin has no kernel `{name}`; it has {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ))
        })
    }

    /// All kernels.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// A `__device__` or `__constant__` variable by its name, as an operand of copies.
    pub fn variable(&self, name: &str) -> Result<View<'_>> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        let (_, range) =
            found.ok_or_else(|| Error::request(format!("the cubin has no variable `{name}`")))?;
        Ok(View::of_block(&self.block, *range))
    }
}

/// Where everything lies in a module's block, counted from its start.
struct Places {
    /// Start and end of each section.
    sections: Vec<(u64, u64)>,
    /// The traps of the functions that are not there.
    traps: u64,
    bytes: u64,
}

impl Places {
    /// Code lies together, the traps behind it, and behind them nothing that the instruction fetcher
    /// could take for more of it.
    fn of(cubin: &Cubin<'_>) -> Places {
        let mut sections = vec![(0, 0); cubin.sections.len()];
        let mut end = 0u64;
        let mut place = |code: bool, mut end: u64| {
            for (section, place) in cubin.sections.iter().zip(&mut sections) {
                if section.code == code {
                    let room = if code { WAIT.len() as u64 } else { 0 };
                    let align = section.align.max(SECTION_ALIGN);
                    let start = (end + room).next_multiple_of(align);
                    end = start + section.size();
                    *place = (start, end);
                }
            }
            end
        };
        end = place(true, end);
        let traps = end.next_multiple_of(SECTION_ALIGN);
        end = traps + (cubin.absent.len() * TRAPS.len()) as u64;
        end = end.next_multiple_of(FETCH_AHEAD) + FETCH_AHEAD;
        Places { traps, bytes: place(false, end), sections }
    }

    /// Where the trap of a function that is not there lies.
    fn trap(&self, absent: usize) -> u64 {
        self.traps + (absent * TRAPS.len()) as u64
    }
}

/// What the block holds before the first launch, addresses filled in.
fn image(cubin: &Cubin<'_>, places: &Places, base: GpuVa) -> Vec<u8> {
    let mut image = vec![0u8; places.bytes as usize];
    for (section, (start, end)) in cubin.sections.iter().zip(&places.sections) {
        if let Content::Bytes(bytes) = section.content {
            image[*start as usize..*end as usize].copy_from_slice(bytes);
        }
    }
    for kernel in &cubin.kernels {
        let code = places.sections[kernel.code.0].0 as usize;
        image[code - WAIT.len()..code].copy_from_slice(&WAIT);
    }
    for absent in 0..cubin.absent.len() {
        image[places.trap(absent) as usize..][..TRAPS.len()].copy_from_slice(&TRAPS);
    }
    for relocation in &cubin.relocations {
        let target = match relocation.target {
            Target::Section(id) => places.sections[id.0].0,
            Target::Absent(index) => places.trap(index),
        };
        let target = base.get().wrapping_add(target).wrapping_add(relocation.addend);
        let place = (places.sections[relocation.section.0].0 + relocation.offset) as usize;
        relocation.patch.apply(&mut image[place..], target);
    }
    image
}

fn load_kernel(
    cubin: &Cubin<'_>,
    kernel: &crate::cubin::Kernel<'_>,
    info: &Info,
    fields: &'static Fields,
    at: &dyn Fn(SectionId) -> GpuRange,
    block: &Arc<Block>,
) -> Result<Kernel> {
    let banks = [(2, kernel.literals), (3, cubin.constants), (4, cubin.addresses)];
    let banks = banks.into_iter().filter_map(|(index, id)| Some((index, at(id?)))).collect();
    let frames = match kernel.stack.recursive {
        true => kernel.stack.bytes.saturating_add(RECURSION_STACK),
        false => kernel.stack.bytes,
    };
    // More than can be counted is more than the descriptor takes.
    let local_bytes = match frames {
        0 => 0,
        bytes => {
            bytes.saturating_add(LOCAL_OVERHEAD).checked_next_multiple_of(32).unwrap_or(u32::MAX)
        }
    };
    let code = at(kernel.code);
    let shape = Shape {
        program: code.start(),
        code_bytes: code.len(),
        sm: info.sm,
        registers: kernel.registers,
        barriers: kernel.barriers,
        local_bytes,
        banks,
        cluster: kernel.required_cluster,
    };
    let template = Descriptor::new(fields, &shape).map_err(|error| Error::Launch {
        kernel: kernel.name.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Kernel {
        inner: Arc::new(KernelInner {
            name: kernel.name.to_owned(),
            template,
            parameters: kernel.parameters.clone(),
            bank0_bytes: kernel.bank0_size,
            local_bytes,
            code,
            constants: cubin.constants.map(|id| at(id).start()),
            multiprocessors: info.sm_count,
            registers: kernel.registers,
            sm: info.sm,
            static_shared: kernel.static_shared,
            reserved_shared: kernel.reserved_shared,
            max_threads: kernel.max_threads,
            required_block: kernel.required_block,
            cluster: kernel.required_cluster,
            waits_itself: waits_itself(&cubin.sections[kernel.code.0].content),
            waiting_entry: fields.latch.as_ref().map(|_| {
                let code = code.start().get();
                GpuVa::new(code - INSTRUCTION_BYTES as u64)
            }),
            block: block.clone(),
        }),
    })
}

/// Whether code waits for the launch before it where it chooses to.
fn waits_itself(code: &Content<'_>) -> bool {
    const OPCODE: u16 = 0xfff;
    let Content::Bytes(code) = code else { return false };
    let opcode = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]) & OPCODE;
    code.chunks_exact(INSTRUCTION_BYTES).any(|instruction| opcode(instruction) == opcode(&WAIT))
}

impl KernelInner {
    /// The device that its code lies in memory of.
    pub(crate) fn heap(&self) -> &Arc<Heap> {
        self.block.heap()
    }

    pub(crate) fn bank0_words(&self) -> usize {
        self.bank0_bytes.div_ceil(4) as usize
    }

    /// Where the arguments begin in bank 0, or where the bank ends.
    pub(crate) fn parameters_begin(&self) -> u32 {
        let end = self.bank0_bytes.next_multiple_of(4);
        if self.parameters.list.is_empty() { end } else { self.parameters.base }
    }

    /// Where they end.
    pub(crate) fn parameters_end(&self) -> u32 {
        self.parameters_begin() + self.parameters.size
    }

    /// Shared memory of a block of a launch that was checked, without the system's own part.
    pub(crate) fn shared_of(&self, launch: &Launch) -> u32 {
        (self.static_shared - self.reserved_shared + launch.shared).next_multiple_of(128)
    }
}

impl Kernel {
    /// Its name, as the compiler mangled it.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// How many arguments it takes.
    pub fn argument_count(&self) -> usize {
        self.inner.parameters.list.len()
    }

    /// The most threads that a block of it can have.
    pub fn max_threads(&self) -> u32 {
        // Registers are handed out to warps in units of 256, to four schedulers.
        let per_warp = (self.inner.registers * 32).next_multiple_of(256).max(256);
        let by_registers = 65536 / per_warp / 4 * 4 * 32;
        by_registers.min(1024).min(self.inner.max_threads.unwrap_or(1024))
    }

    fn refuse<T>(&self, reason: String) -> Result<T> {
        Err(Error::Launch { kernel: self.inner.name.clone(), reason })
    }

    /// The descriptor of one launch, but for where its constant bank 0 lies. What a GPU would refuse,
    /// or silently get wrong, is refused here.
    pub(crate) fn describe(&self, launch: &Launch) -> Result<Descriptor> {
        let kernel = &*self.inner;
        let [x, y, z] = launch.block;
        let threads = u64::from(x) * u64::from(y) * u64::from(z);
        if threads == 0 || launch.grid.contains(&0) {
            return self.refuse(format!(
                "a grid of {:?} blocks of {:?} threads is empty",
                launch.grid, launch.block
            ));
        }
        if let Some(required) = kernel.required_block.filter(|required| *required != launch.block) {
            return self.refuse(format!(
                "a block has {:?} threads and the kernel was compiled for exactly {required:?}",
                launch.block
            ));
        }
        if x > 1024 || y > 1024 || z > 64 {
            return self.refuse(format!(
                "a block of {:?} threads exceeds the limits of 1024, 1024 and 64 a dimension",
                launch.block
            ));
        }
        if threads > u64::from(self.max_threads()) {
            return self.refuse(format!(
                "a block has {threads} threads and the kernel's {} registers allow {}",
                kernel.registers,
                self.max_threads()
            ));
        }
        if launch.grid[0] > i32::MAX as u32 || launch.grid[1..].iter().any(|n| *n > 65535) {
            return self.refuse(format!(
                "a grid of {:?} blocks exceeds the limits of 2147483647, 65535 and 65535",
                launch.grid
            ));
        }
        if let Some(cluster) = kernel.cluster {
            if launch.grid.iter().zip(cluster).any(|(grid, cluster)| grid % cluster != 0) {
                return self.refuse(format!(
                    "a grid of {:?} blocks is not made of whole clusters of {cluster:?}",
                    launch.grid
                ));
            }
        }
        if launch.early && kernel.template.fields().latch.is_some() && !kernel.waits_itself {
            return self.refuse(
                "it is launched early and has no griddepcontrol.wait to wait for the launch before it"
                    .to_owned(),
            );
        }
        // Where the compiler has not counted the system's own part, it comes on top.
        let reserved = qmd::RESERVED_SHARED - kernel.reserved_shared.min(qmd::RESERVED_SHARED);
        let shared = kernel.static_shared.checked_add(launch.shared).and_then(|own| {
            let in_block = own.next_multiple_of(128).checked_add(reserved)?;
            Shared::for_block(kernel.sm, in_block, launch.carve_out)
        });
        let Some(shared) = shared else {
            return self.refuse(format!(
                "a block needs {} bytes of shared memory and sm_{} has {} for a block",
                u64::from(kernel.static_shared) + u64::from(launch.shared),
                kernel.sm,
                qmd::max_shared(kernel.sm)
            ));
        };
        let mut descriptor = kernel.template.clone();
        // The hardware counts clusters.
        let cluster = kernel.cluster.unwrap_or([1; 3]);
        let grid = std::array::from_fn(|i| launch.grid[i] / cluster[i]);
        descriptor
            .geometry(grid, launch.block, shared)
            .or_else(|error| self.refuse(error.to_string()))?;
        Ok(descriptor)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module at {} with {:?}", self.block.range(), self.kernels)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = &*self.inner;
        write!(
            f,
            "{} ({} arguments, {} registers)",
            kernel.name,
            kernel.parameters.list.len(),
            kernel.registers
        )
    }
}
