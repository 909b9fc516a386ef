// Elementwise kernels: one thread per element, surplus threads of the last block do nothing.
#include "types.h"

static __device__ uint32_t element() { return blockIdx.x * blockDim.x + threadIdx.x; }

extern "C" __global__ void vector_add(float *out, const float *a, const float *b, uint32_t n) {
    uint32_t i = element();
    if (i < n) out[i] = a[i] + b[i];
}

extern "C" __global__ void saxpy(float *y, const float *x, float a, uint32_t n) {
    uint32_t i = element();
    if (i < n) y[i] = a * x[i] + y[i];
}

// out = in + 1: two of them make a chain through two buffers.
extern "C" __global__ void add_one(uint32_t *out, const uint32_t *in, uint32_t n) {
    uint32_t i = element();
    if (i < n) out[i] = in[i] + 1;
}

extern "C" __global__ void fill(uint32_t *out, uint32_t value, uint32_t n) {
    uint32_t i = element();
    if (i < n) out[i] = value;
}

// 16 bytes per thread, any grid: the shape of a memory-bound kernel.
extern "C" __global__ void copy_wide(uint4 *out, const uint4 *in, uint64_t n) {
    uint64_t stride = (uint64_t)gridDim.x * blockDim.x;
    for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride)
        out[i] = in[i];
}

// Eight elements of 16 bytes per thread, in + 1 stored in the opposite order: what one multiprocessor stores last, in a
// burst, another reads first.
extern "C" __global__ void mirror(uint4 *out, const uint4 *in, uint32_t n) {
    uint32_t first = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    uint4 values[8];
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t i = first + k * threads;
        if (i < n) values[k] = in[i];
    }
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t i = first + k * threads;
        uint4 v = values[k];
        if (i < n) out[n - 1 - i] = make_uint4(v.x + 1, v.y + 1, v.z + 1, v.w + 1);
    }
}
