// Sums and largest values. Blocks are whole warps, at most 1024 threads, and walk the input in strides of the grid.
#include "types.h"

// A tree in shared memory: one sum per block. The block size is a power of two.
extern "C" __global__ void sum_shared(float *sums, const float *in, uint32_t n) {
    __shared__ float part[1024];
    float sum = 0;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

static __device__ float warp_sum(float v) {
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    return v;
}

static __device__ float block_sum(float v) {
    __shared__ float per_warp[32];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    v = warp_sum(v);
    if (lane == 0) per_warp[warp] = v;
    __syncthreads();
    return warp_sum(lane < blockDim.x / 32 ? per_warp[lane] : 0);
}

// The same sum by warp shuffles.
extern "C" __global__ void sum_shuffle(float *sums, const float *in, uint32_t n) {
    float sum = 0;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The whole sum in one launch: the block that finishes last adds up what the others left in `sums`.
// `done` starts at zero and is zero again afterwards, so the launch can be repeated.
extern "C" __global__ void sum_last_block(float *total, float *sums, uint32_t *done, const float *in, uint32_t n) {
    __shared__ bool last;
    float sum = 0;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
        __threadfence();
        last = atomicAdd(done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    sum = 0;
    for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) sum += ((volatile float *)sums)[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        *total = sum;
        *done = 0;
    }
}

// Largest value by the warp-wide integer reduction.
extern "C" __global__ void max_redux(uint32_t *largest, const uint32_t *in, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        best = max(best, in[i]);
    best = __reduce_max_sync(~0u, best);
    if (threadIdx.x % 32 == 0) atomicMax(largest, best);
}
