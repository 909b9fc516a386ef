//! Entry points of libcuda and what they take, by the driver's own header.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libloading::Library;

use crate::Address;

/// A context, module, function, stream, graph or event.
pub(crate) type Handle = *mut c_void;

macro_rules! driver_api {
    ($($call:ident = $symbol:literal ($($arg:ty),* $(,)?);)*) => {
        /// Entry points by their versioned names.
        pub(crate) struct Api {
            $(pub(crate) $call: unsafe extern "C" fn($($arg),*) -> c_int,)*
        }

        impl Api {
            pub(crate) fn load() -> Result<Api, libloading::Error> {
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
    device_at = "cuDeviceGetByPCIBusId" (*mut c_int, *const c_char);
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
    free = "cuMemFree_v2" (Address);
    alloc_host = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
    free_host = "cuMemFreeHost" (*mut c_void);
    address_of_host = "cuMemHostGetDevicePointer_v2" (*mut Address, *mut c_void, c_uint);
    clear = "cuMemsetD8_v2" (Address, u8, usize);
    upload = "cuMemcpyHtoD_v2" (Address, *const c_void, usize);
    download = "cuMemcpyDtoH_v2" (*mut c_void, Address, usize);
    copy = "cuMemcpy" (Address, Address, usize);
    copy_async = "cuMemcpyAsync" (Address, Address, usize, Handle);
    create_stream = "cuStreamCreate" (*mut Handle, c_uint);
    synchronize = "cuStreamSynchronize" (Handle);
    query = "cuStreamQuery" (Handle);
    launch = "cuLaunchKernel" (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle,
        *mut *mut c_void, *mut *mut c_void,
    );
    launch_with = "cuLaunchKernelEx" (*const Config, Handle, *mut *mut c_void, *mut *mut c_void);
    begin_capture = "cuStreamBeginCapture_v2" (Handle, c_uint);
    end_capture = "cuStreamEndCapture" (Handle, *mut Handle);
    instantiate = "cuGraphInstantiateWithFlags" (*mut Handle, Handle, u64);
    upload_graph = "cuGraphUpload" (Handle, Handle);
    launch_graph = "cuGraphLaunch" (Handle, Handle);
    destroy_graph = "cuGraphDestroy" (Handle);
    create_event = "cuEventCreate" (*mut Handle, c_uint);
    record_event = "cuEventRecord" (Handle, Handle);
    elapsed = "cuEventElapsedTime" (*mut f32, Handle, Handle);
}

/// `CUlaunchConfig`.
#[repr(C)]
pub(crate) struct Config {
    pub(crate) grid: [c_uint; 3],
    pub(crate) block: [c_uint; 3],
    pub(crate) shared: c_uint,
    pub(crate) stream: Handle,
    pub(crate) attributes: *const Attribute,
    pub(crate) attribute_count: c_uint,
}

/// `CUlaunchAttribute`: a number that says which member of the union of 64 bytes is meant.
#[repr(C, align(8))]
pub(crate) struct Attribute {
    id: c_uint,
    _padding: c_uint,
    value: [u32; 16],
}

/// The kernel may start before the one ahead of it in the stream has ended.
pub(crate) const EARLY: Attribute = Attribute {
    id: CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
    _padding: 0,
    value: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
};

pub(crate) const CU_CTX_SCHED_SPIN: c_uint = 1;
pub(crate) const CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: c_uint = 16;
pub(crate) const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: c_uint = 75;
pub(crate) const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: c_uint = 76;
pub(crate) const CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: c_uint = 8;
pub(crate) const CU_STREAM_NON_BLOCKING: c_uint = 1;
pub(crate) const CU_STREAM_CAPTURE_MODE_RELAXED: c_uint = 2;
pub(crate) const CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED: c_uint = 1 | 2;
const CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: c_uint = 6;
pub(crate) const CUDA_ERROR_NOT_READY: c_int = 600;
