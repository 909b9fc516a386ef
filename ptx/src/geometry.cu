// What a thread sees of its launch.
#include "types.h"

struct Seat { uint3 grid, block, block_at, thread_at; };

static __device__ uint64_t flat_thread() {
    uint64_t block = ((uint64_t)blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    uint32_t thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    return block * (blockDim.x * blockDim.y * blockDim.z) + thread;
}

// Twelve words per thread: grid size, block size, block index, thread index.
extern "C" __global__ void geometry(Seat *seats) {
    seats[flat_thread()] = {
        {gridDim.x, gridDim.y, gridDim.z},
        {blockDim.x, blockDim.y, blockDim.z},
        {blockIdx.x, blockIdx.y, blockIdx.z},
        {threadIdx.x, threadIdx.y, threadIdx.z},
    };
}

// One word per thread: its own flat index, so that a hole shows where a thread did not run.
extern "C" __global__ void flat_index(uint32_t *out) {
    uint64_t i = flat_thread();
    out[i] = (uint32_t)i;
}

#define READ_SPECIAL(to, name) asm volatile("mov.u32 %0, %%" #name ";" : "=r"(to))

// Eight words per thread: lane, the five lane masks (eq, lt, le, gt, ge), active mask, SM.
extern "C" __global__ void special_registers(uint32_t *out) {
    uint32_t *mine = out + flat_thread() * 8;
    READ_SPECIAL(mine[0], laneid);
    READ_SPECIAL(mine[1], lanemask_eq);
    READ_SPECIAL(mine[2], lanemask_lt);
    READ_SPECIAL(mine[3], lanemask_le);
    READ_SPECIAL(mine[4], lanemask_gt);
    READ_SPECIAL(mine[5], lanemask_ge);
    mine[6] = __activemask();
    READ_SPECIAL(mine[7], smid);
}

// Four 64-bit words: cycle counter before and after, global timer before and after. Each pair must not go back.
extern "C" __global__ void clocks(uint64_t *out) {
    uint64_t cycles = clock64(), ns, later;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    __nanosleep(2000);
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(later));
    out[0] = cycles;
    out[1] = clock64();
    out[2] = ns;
    out[3] = later;
}

// For the limit that the launch must respect.
extern "C" __global__ void __launch_bounds__(128) at_most_128(uint32_t *out) { out[flat_thread()] = blockDim.x; }
