// Programmatic early launch: a kernel lets its successor start before it ends, and the successor waits where it must.
#include "types.h"

static __device__ void let_next_start() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

static __device__ void wait_for_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// Lets the next kernel start at once, waits for the previous one, then increments: a link in an early chain.
extern "C" __global__ void increment_early(uint32_t *word) {
    let_next_start();
    wait_for_previous();
    *word = *word + 1;
}

// Only waits: for the end of a chain, and to show what the wait alone costs.
extern "C" __global__ void increment_waiting(uint32_t *word) {
    wait_for_previous();
    *word = *word + 1;
}

// Lets the next kernel start only when the word is written.
extern "C" __global__ void increment_late(uint32_t *word) {
    wait_for_previous();
    *word = *word + 1;
    __threadfence();
    let_next_start();
}

extern "C" __global__ void empty_early() {
    let_next_start();
    wait_for_previous();
}

// Lets the next kernel start, then works on for `ns`: overlap shows in `span` (start, end).
extern "C" __global__ void busy_early(uint64_t *span, uint64_t ns) {
    uint64_t start, t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    let_next_start();
    do asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    while (t - start < ns);
    wait_for_previous();
    span[0] = start;
    span[1] = t;
}

// As increment_early, but the previous kernel's store comes long after its successor has started: a successor that did
// not wait would read what was there before.
extern "C" __global__ void increment_slowly(uint32_t *word, uint64_t ns) {
    uint64_t start, t;
    let_next_start();
    wait_for_previous();
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    while (t - start < ns);
    *word = *word + 1;
}

// out = in + 1 with a thread per element, as a link in an early chain: ordinary cached loads on all multiprocessors.
extern "C" __global__ void add_one_early(uint32_t *out, const uint32_t *in, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    let_next_start();
    wait_for_previous();
    if (i < n) out[i] = in[i] + 1;
}

// The same without a word to the next kernel.
extern "C" __global__ void add_one_waiting(uint32_t *out, const uint32_t *in, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    wait_for_previous();
    if (i < n) out[i] = in[i] + 1;
}

extern "C" __global__ void fill_early(uint32_t *out, uint32_t value, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    let_next_start();
    wait_for_previous();
    if (i < n) out[i] = value;
}

// Eight elements of 16 bytes per thread, in + 1 stored in the opposite order: what one multiprocessor stores last, in a
// burst, another reads first.
extern "C" __global__ void mirror_early(uint4 *out, const uint4 *in, uint32_t n) {
    uint32_t first = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    uint4 values[8];
    let_next_start();
    wait_for_previous();
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
