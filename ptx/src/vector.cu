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
