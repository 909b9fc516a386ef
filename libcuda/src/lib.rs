//! The CUDA driver, loaded at run time: the calls that a decode needs.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

use libloading::Library;

use super::{Error, Result};

/// A context, module, function, stream or graph.
type Handle = *mut c_void;
pub(super) type Address = u64;

macro_rules! driver_api {
    ($($call:ident = $symbol:literal ($($arg:ty),* $(,)?);)*) => {
        /// Entry points of libcuda, by their versioned names.
        struct Api {
            $($call: unsafe extern "C" fn($($arg),*) -> c_int,)*
        }

        impl Api {
            fn load() -> Result<Api, libloading::Error> {
                // SAFETY: the CUDA driver's initialisers do nothing that a Rust program forbids.
                let library = unsafe { Library::new("libcuda.so.1") }?;
                // It starts threads of its own, so it stays for as long as the process.
                let library: &'static Library = Box::leak(Box::new(library));
                Ok(Api {
                    $($call: {
                        // SAFETY: the type is the call's, by the driver's own header.
                        *unsafe { library.get(concat!($symbol, "\0").as_bytes()) }?
                    },)*
                })
            }
        }
    };
}

driver_api! {
    init = "cuInit" (c_uint);
    error_name = "cuGetErrorName" (c_int, *mut *const c_char);
    driver_version = "cuDriverGetVersion" (*mut c_int);
    device = "cuDeviceGet" (*mut c_int, c_int);
    device_name = "cuDeviceGetName" (*mut c_char, c_int, c_int);
    attribute = "cuDeviceGetAttribute" (*mut c_int, c_uint, c_int);
    context_flags = "cuDevicePrimaryCtxSetFlags_v2" (c_int, c_uint);
    retain_context = "cuDevicePrimaryCtxRetain" (*mut Handle, c_int);
    release_context = "cuDevicePrimaryCtxRelease_v2" (c_int);
    set_context = "cuCtxSetCurrent" (Handle);
    memory = "cuMemGetInfo_v2" (*mut usize, *mut usize);
    load_module = "cuModuleLoadData" (*mut Handle, *const c_void);
    get_function = "cuModuleGetFunction" (*mut Handle, Handle, *const c_char);
    set_function = "cuFuncSetAttribute" (Handle, c_uint, c_int);
    alloc = "cuMemAlloc_v2" (*mut Address, usize);
    alloc_host = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
    address_of_host = "cuMemHostGetDevicePointer_v2" (*mut Address, *mut c_void, c_uint);
    clear = "cuMemsetD8_v2" (Address, u8, usize);
    upload = "cuMemcpyHtoD_v2" (Address, *const c_void, usize);
    download = "cuMemcpyDtoH_v2" (*mut c_void, Address, usize);
    create_stream = "cuStreamCreate" (*mut Handle, c_uint);
    query = "cuStreamQuery" (Handle);
    launch = "cuLaunchKernelEx" (*const Config, Handle, *mut *mut c_void, *mut *mut c_void);
    begin_capture = "cuStreamBeginCapture_v2" (Handle, c_uint);
    end_capture = "cuStreamEndCapture" (Handle, *mut Handle);
    instantiate = "cuGraphInstantiateWithFlags" (*mut Handle, Handle, u64);
    upload_graph = "cuGraphUpload" (Handle, Handle);
    launch_graph = "cuGraphLaunch" (Handle, Handle);
    destroy_graph = "cuGraphDestroy" (Handle);
}

/// `CUlaunchConfig`.
#[repr(C)]
struct Config {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared: c_uint,
    stream: Handle,
    attributes: *const Attribute,
    attribute_count: c_uint,
}

/// `CUlaunchAttribute`: a number that says which member of the union of 64 bytes is meant.
#[repr(C)]
struct Attribute {
    id: c_uint,
    _padding: c_uint,
    value: [u32; 16],
}

/// The kernel may start before the one ahead of it in the stream has ended.
const EARLY: Attribute = Attribute {
    id: CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
    _padding: 0,
    value: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
};

const CU_CTX_SCHED_SPIN: c_uint = 1;
const CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: c_uint = 16;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: c_uint = 75;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: c_uint = 76;
const CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: c_uint = 8;
const CU_STREAM_NON_BLOCKING: c_uint = 1;
const CU_STREAM_CAPTURE_MODE_RELAXED: c_uint = 2;
const CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED: c_uint = 1 | 2;
const CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: c_uint = 6;
const CUDA_ERROR_NOT_READY: c_int = 600;

/// The CUDA driver with a context on its first device, and one stream.
///
/// What is allocated is freed together, with the context, when this is dropped.
pub(super) struct Cuda {
    api: Api,
    device: c_int,
    stream: Handle,
    /// The driver's version, 13000 for 13.0.
    pub(super) version: u32,
    pub(super) name: String,
    /// Compute capability times ten.
    pub(super) sm: u32,
    pub(super) multiprocessors: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Module(Handle);
#[derive(Clone, Copy)]
pub(super) struct Function(Handle);
#[derive(Clone, Copy)]
pub(super) struct Graph(Handle);

/// Pinned main memory: where the CPU sees it, and where the GPU does.
#[derive(Clone, Copy)]
pub(super) struct Pinned {
    pub(super) cpu: *mut u8,
    pub(super) gpu: Address,
}

impl Cuda {
    pub(super) fn open() -> Result<Cuda> {
        let api = Api::load().map_err(|error| {
            Error::Unavailable(format!("the CUDA driver cannot be loaded ({error})"))
        })?;
        let mut cuda = Cuda {
            api,
            device: 0,
            stream: null_mut(),
            version: 0,
            name: String::new(),
            sm: 0,
            multiprocessors: 0,
        };
        let (mut device, mut context, mut stream, mut version) = (0, null_mut(), null_mut(), 0);
        // SAFETY: all pointers lead to variables of the types that the calls fill.
        unsafe {
            cuda.check("cuInit", (cuda.api.init)(0))?;
            cuda.check("cuDeviceGet", (cuda.api.device)(&mut device, 0))?;
            let flags = (cuda.api.context_flags)(device, CU_CTX_SCHED_SPIN);
            cuda.check("cuDevicePrimaryCtxSetFlags", flags)?;
            let retained = (cuda.api.retain_context)(&mut context, device);
            cuda.check("cuDevicePrimaryCtxRetain", retained)?;
            cuda.check("cuCtxSetCurrent", (cuda.api.set_context)(context))?;
            let created = (cuda.api.create_stream)(&mut stream, CU_STREAM_NON_BLOCKING);
            cuda.check("cuStreamCreate", created)?;
            cuda.check("cuDriverGetVersion", (cuda.api.driver_version)(&mut version))?;
        }
        (cuda.device, cuda.stream, cuda.version) = (device, stream, version.unsigned_abs());
        cuda.name = cuda.device_name()?;
        cuda.sm = 10 * cuda.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?
            + cuda.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        cuda.multiprocessors = cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        Ok(cuda)
    }

    fn device_name(&self) -> Result<String> {
        let mut name = [0 as c_char; 256];
        // SAFETY: the call writes at most as many bytes as it is told, the last a zero.
        let name = unsafe {
            let result =
                (self.api.device_name)(name.as_mut_ptr(), name.len() as c_int, self.device);
            self.check("cuDeviceGetName", result)?;
            CStr::from_ptr(name.as_ptr())
        };
        Ok(name.to_string_lossy().into_owned())
    }

    fn attribute(&self, attribute: c_uint) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the number is filled in.
        let result = unsafe { (self.api.attribute)(&mut value, attribute, self.device) };
        self.check("cuDeviceGetAttribute", result)?;
        Ok(value.unsigned_abs())
    }

    /// Bytes of GPU memory that are free.
    pub(super) fn free_memory(&self) -> Result<u64> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: both numbers are filled in.
        self.check("cuMemGetInfo", unsafe { (self.api.memory)(&mut free, &mut total) })?;
        Ok(free as u64)
    }

    #[inline]
    fn check(&self, call: &'static str, result: c_int) -> Result<()> {
        if result == 0 { Ok(()) } else { Err(self.failed(call, result)) }
    }

    #[cold]
    fn failed(&self, call: &'static str, result: c_int) -> Error {
        let mut name: *const c_char = null();
        // SAFETY: it fills in a pointer to a string that lives for ever, or null.
        let name = unsafe {
            (self.api.error_name)(result, &mut name);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy())
        };
        let name = name.unwrap_or("an unknown error".into()).into_owned();
        Error::Cuda { call, name }
    }

    pub(super) fn module(&self, cubin: &[u8]) -> Result<Module> {
        let mut module = null_mut();
        // SAFETY: an ELF image tells its own size; ours are whole.
        let result = unsafe { (self.api.load_module)(&mut module, cubin.as_ptr().cast()) };
        self.check("cuModuleLoadData", result)?;
        Ok(Module(module))
    }

    pub(super) fn function(&self, module: Module, name: &str) -> Result<Function> {
        let name = CString::new(name).map_err(|_| Error::request("a kernel's name has a zero"))?;
        let mut function = null_mut();
        // SAFETY: the module is loaded and the name ends with a zero.
        let result = unsafe { (self.api.get_function)(&mut function, module.0, name.as_ptr()) };
        self.check("cuModuleGetFunction", result)?;
        Ok(Function(function))
    }

    /// Lets launches of a function have so much dynamic shared memory. Up to 48 KiB nobody need ask.
    pub(super) fn allow_shared(&self, function: Function, bytes: u32) -> Result<()> {
        let attribute = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is loaded.
        let result = unsafe { (self.api.set_function)(function.0, attribute, bytes as c_int) };
        self.check("cuFuncSetAttribute", result)
    }

    /// Device memory, zeroed.
    pub(super) fn alloc(&self, bytes: u64) -> Result<Address> {
        let mut address = 0;
        // SAFETY: the address is filled in, and then as many bytes are there.
        unsafe {
            self.check("cuMemAlloc", (self.api.alloc)(&mut address, bytes as usize))?;
            self.check("cuMemsetD8", (self.api.clear)(address, 0, bytes as usize))?;
        }
        Ok(address)
    }

    pub(super) fn pinned(&self, bytes: u64) -> Result<Pinned> {
        let (mut cpu, mut gpu) = (null_mut(), 0);
        let flags = CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED;
        // SAFETY: both are filled in; then the memory is there and is zeroed.
        unsafe {
            let made = (self.api.alloc_host)(&mut cpu, bytes as usize, flags);
            self.check("cuMemHostAlloc", made)?;
            let found = (self.api.address_of_host)(&mut gpu, cpu, 0);
            self.check("cuMemHostGetDevicePointer", found)?;
            cpu.cast::<u8>().write_bytes(0, bytes as usize);
        }
        Ok(Pinned { cpu: cpu.cast(), gpu })
    }

    /// Copies into device memory, and waits.
    pub(super) fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller allocated the place with as many bytes.
        let result = unsafe { (self.api.upload)(to, bytes.as_ptr().cast(), bytes.len()) };
        self.check("cuMemcpyHtoD", result)
    }

    /// Copies out of device memory, and waits.
    pub(super) fn download(&self, bytes: &mut [u8], from: Address) -> Result<()> {
        // SAFETY: the caller allocated the place with as many bytes.
        let result = unsafe { (self.api.download)(bytes.as_mut_ptr().cast(), from, bytes.len()) };
        self.check("cuMemcpyDtoH", result)
    }

    /// Puts a launch into the stream. Each argument is a pointer to its bytes.
    ///
    /// # Safety
    /// The pointers lead to as many bytes as the function's parameters have, and the function keeps
    /// to memory that it may touch.
    #[inline]
    pub(super) unsafe fn launch(
        &self,
        function: Function,
        geometry: &Geometry,
        args: &mut [*mut c_void],
    ) -> Result<()> {
        let config = Config {
            grid: geometry.grid,
            block: geometry.block,
            shared: geometry.shared,
            stream: self.stream,
            attributes: &EARLY,
            attribute_count: u32::from(geometry.early),
        };
        // SAFETY: the config is whole; the rest is the caller's word.
        let result =
            unsafe { (self.api.launch)(&config, function.0, args.as_mut_ptr(), null_mut()) };
        self.check("cuLaunchKernelEx", result)
    }

    /// A graph of what `launches` puts into the stream, in that order, ready on the device.
    pub(super) fn graph(&self, launches: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let (mut graph, mut ready) = (null_mut(), null_mut());
        let mode = CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours; both handles are filled in before they are used.
        unsafe {
            self.check("cuStreamBeginCapture", (self.api.begin_capture)(self.stream, mode))?;
            let launched = launches();
            let ended = (self.api.end_capture)(self.stream, &mut graph);
            launched?;
            self.check("cuStreamEndCapture", ended)?;
            let made = (self.api.instantiate)(&mut ready, graph, 0);
            self.check("cuGraphInstantiate", made)?;
            self.check("cuGraphDestroy", (self.api.destroy_graph)(graph))?;
            self.check("cuGraphUpload", (self.api.upload_graph)(ready, self.stream))?;
        }
        Ok(Graph(ready))
    }

    #[inline]
    pub(super) fn launch_graph(&self, graph: Graph) -> Result<()> {
        // SAFETY: graph and stream are ours.
        self.check("cuGraphLaunch", unsafe { (self.api.launch_graph)(graph.0, self.stream) })
    }

    /// Whether everything in the stream has ended; a fault comes out here.
    pub(super) fn is_idle(&self) -> Result<bool> {
        // SAFETY: the stream is ours.
        match unsafe { (self.api.query)(self.stream) } {
            CUDA_ERROR_NOT_READY => Ok(false),
            result => self.check("cuStreamQuery", result).map(|()| true),
        }
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        // SAFETY: nobody has handles of the context any more; a failure leaves it to the process's end.
        unsafe { (self.api.release_context)(self.device) };
    }
}

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) shared: u32,
    /// It may start before the kernel ahead of it has ended, and waits for it itself.
    pub(super) early: bool,
}
