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
