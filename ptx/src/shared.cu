// Shared memory, static and dynamic, and barriers.
#include "types.h"

static __device__ uint32_t pattern(uint32_t i) { return i * 2654435761u ^ 0x5bd1e995u; }

// Fills `words` words of dynamic shared memory, then every thread checks words that others wrote.
// One word per block: how many were wrong.
extern "C" __global__ void shared_dynamic(uint32_t *wrong, uint32_t words) {
    extern __shared__ uint32_t dynamic[];
    for (uint32_t i = threadIdx.x; i < words; i += blockDim.x) dynamic[i] = pattern(i + blockIdx.x);
    __syncthreads();
    uint32_t bad = 0;
    for (uint32_t i = threadIdx.x; i < words; i += blockDim.x)
        bad += dynamic[words - 1 - i] != pattern(words - 1 - i + blockIdx.x);
    if (bad) atomicAdd(&wrong[blockIdx.x], bad);
}

// 40 KiB of static shared memory and `words` words of dynamic behind it: the two must not overlap.
extern "C" __global__ void shared_both(uint32_t *wrong, uint32_t words) {
    __shared__ uint32_t fixed[10240];
    extern __shared__ uint32_t dynamic[];
    for (uint32_t i = threadIdx.x; i < 10240; i += blockDim.x) fixed[i] = ~pattern(i);
    for (uint32_t i = threadIdx.x; i < words; i += blockDim.x) dynamic[i] = pattern(i);
    __syncthreads();
    uint32_t bad = 0;
    for (uint32_t i = threadIdx.x; i < 10240; i += blockDim.x) bad += fixed[10239 - i] != ~pattern(10239 - i);
    for (uint32_t i = threadIdx.x; i < words; i += blockDim.x) bad += dynamic[words - 1 - i] != pattern(words - 1 - i);
    if (bad) atomicAdd(wrong, bad);
}

// Reverses the block's 256 words through a generic pointer into shared memory. One block of 256 threads.
extern "C" __global__ void shared_generic(uint32_t *out, const uint32_t *in) {
    __shared__ uint32_t buffer[256];
    volatile uint32_t *generic = buffer;
    asm volatile("" : "+l"(generic));
    generic[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = generic[255 - threadIdx.x];
}

// A relay through named barriers 1 to 15: warp k waits at barrier k for warp k-1, adds its number, and wakes warp k+1.
// One block of 512 threads; out gets 1 + 2 + ... + 15 = 120.
extern "C" __global__ void __launch_bounds__(512) barrier_relay(uint32_t *out) {
    __shared__ volatile uint32_t sum;
    uint32_t warp = threadIdx.x / 32;
    if (warp == 0) {
        if (threadIdx.x == 0) sum = 0;
    } else {
        asm volatile("bar.sync %0, 64;" ::"r"(warp) : "memory");
        if (threadIdx.x % 32 == 0) sum = sum + warp;
    }
    __syncwarp();
    if (warp < 15) asm volatile("bar.arrive %0, 64;" ::"r"(warp + 1) : "memory");
    else if (threadIdx.x % 32 == 0) *out = sum;
}

// Two producers and two consumers at fixed barriers 1 and 2: the kernel names exactly three barriers (0, 1, 2).
// One block of 128 threads; out[i] = in[i] * 2.
extern "C" __global__ void __launch_bounds__(128) barrier_pair(uint32_t *out, const uint32_t *in, uint32_t rounds) {
    __shared__ uint32_t box[64];
    uint32_t lane = threadIdx.x % 64;
    bool producer = threadIdx.x < 64;
    for (uint32_t r = 0; r < rounds; r++) {
        if (producer) {
            box[lane] = in[r * 64 + lane] * 2;
            asm volatile("bar.arrive 1, 128;" ::: "memory");
            asm volatile("bar.sync 2, 128;" ::: "memory");
        } else {
            asm volatile("bar.sync 1, 128;" ::: "memory");
            out[r * 64 + lane] = box[lane];
            asm volatile("bar.arrive 2, 128;" ::: "memory");
        }
    }
    __syncthreads();
}

// What the launch says about itself: dynamic and all shared memory, the number of multiprocessors.
extern "C" __global__ void shared_sizes(uint32_t *out) {
    __shared__ uint32_t fixed[50];
    fixed[threadIdx.x] = threadIdx.x;
    asm volatile("mov.u32 %0, %%dynamic_smem_size;" : "=r"(out[0]));
    asm volatile("mov.u32 %0, %%total_smem_size;" : "=r"(out[1]));
    asm volatile("mov.u32 %0, %%nsmid;" : "=r"(out[2]));
    out[3] = fixed[threadIdx.x ^ 1];
}
