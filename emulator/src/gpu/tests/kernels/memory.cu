// Kernels that do what they should, or do not, with memory that others use too. Built as the kernels of ptx/ are, for sm_87.
#include "types.h"

// A tree in shared memory as in ptx/src/reduce.cu, without the barrier between its steps if `barriers` is 0.
extern "C" __global__ void sum_tree(uint32_t *sum, const uint32_t *in, uint32_t barriers) {
    __shared__ uint32_t part[256];
    part[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        if (barriers) __syncthreads();
    }
    if (threadIdx.x == 0) *sum = part[0];
}

// The block that comes last adds up what the others left. Nothing orders that if `fence` is 0.
extern "C" __global__ void sum_blocks(uint32_t *sum, uint32_t *parts, uint32_t *done, uint32_t fence) {
    parts[blockIdx.x] = blockIdx.x + 1;
    if (fence) __threadfence();
    if (atomicAdd(done, 1) != gridDim.x - 1) return;
    if (fence) __threadfence();
    uint32_t total = 0;
    for (uint32_t i = 0; i < gridDim.x; i++) total += ((volatile uint32_t *)parts)[i];
    *sum = total;
}

// Stores a word and then a flag, with a fence of a kind between them, and goes on until it is stopped.
extern "C" __global__ void publish(uint32_t *word, volatile uint32_t *flag, volatile uint32_t *stop, uint32_t fence) {
    *word = 7;
    if (fence == 1) __threadfence_block();
    if (fence == 2) __threadfence();
    if (fence == 3) __threadfence_system();
    *flag = 1;
    while (*stop == 0) {}
}

// Two loads of a word, the second past the cache.
extern "C" __global__ void read_both(uint32_t *out, const uint32_t *word) {
    out[0] = *word;
    asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(out[1]) : "l"(word));
}

// Every thread adds to one word: atomically, or not.
extern "C" __global__ void count(uint32_t *word, uint32_t atomic) {
    if (atomic) atomicAdd(word, 1);
    else *word = *word + 1;
}

// A producer warp fills, the others read what it left: through named barriers.
extern "C" __global__ void hand_over(uint32_t *out) {
    __shared__ uint32_t box[32];
    if (threadIdx.x < 32) {
        box[threadIdx.x] = threadIdx.x * 3;
        asm volatile("bar.arrive 1, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 1, 64;" ::: "memory");
        out[threadIdx.x - 32] = box[threadIdx.x - 32];
    }
}
