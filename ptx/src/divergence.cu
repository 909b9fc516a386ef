// Threads of one warp that part and meet again.
#include "types.h"

// Steps until the Collatz sequence of `start + i` reaches one: every lane leaves the loop at its own time.
extern "C" __global__ void collatz(uint32_t *steps, uint32_t start, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint64_t v = start + i;
    uint32_t count = 0;
    for (; v > 1; count++) v = v % 2 ? 3 * v + 1 : v / 2;
    steps[i] = count;
}

// Nested loops with continue and break, then a shuffle that needs all lanes back. One block of 32 threads.
extern "C" __global__ void part_and_meet(uint32_t *out) {
    uint32_t lane = threadIdx.x, sum = 0;
    for (uint32_t a = 0; a < lane; a++) {
        if (a % 3 == 2) continue;
        for (uint32_t b = 0;; b++) {
            if (b > a || b > 7) break;
            sum += a * b + 1;
        }
    }
    __syncwarp();
    out[lane] = sum + __shfl_sync(~0u, sum, (lane + 1) % 32);
}

// Lanes pass a lock to each other, which needs forward progress of every lane. `count` ends at the number of threads.
extern "C" __global__ void lane_lock(uint32_t *lock, volatile uint32_t *count) {
    bool waiting = true;
    while (waiting) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            *count = *count + 1;
            __threadfence();
            atomicExch(lock, 0);
            waiting = false;
        }
    }
}

// A jump table: the switch is wide enough that the compiler makes one.
extern "C" __global__ void switch_table(uint32_t *out, const uint32_t *op, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint32_t v = i;
    switch (op[i]) {
    case 0: v = v * 3; break;
    case 1: v = v ^ 0x55555555; break;
    case 2: v = __brev(v); break;
    case 3: v = __popc(v); break;
    case 4: v = __clz(v); break;
    case 5: v = v / 7; break;
    case 6: v = v % 11; break;
    case 7: v = v << 5; break;
    case 8: v = ~v; break;
    case 9: v = v * v; break;
    case 10: v = (v >> 3) | (v << 29); break;
    case 11: v = __byte_perm(v, 0x12345678, 0x3715); break;
    default: v = 0xffffffff;
    }
    out[i] = v;
}
