// Kernels that take time, and kernels that wait. The global timer counts nanoseconds, in steps that the GPU chooses.
#include "types.h"

static __device__ uint64_t now() {
    uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
}

static __device__ uint32_t sm() {
    uint32_t id;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
    return id;
}

// Keeps its SM busy for `ns` nanoseconds.
extern "C" __global__ void busy(uint64_t ns) {
    uint64_t start = now();
    while (now() - start < ns) {}
}

struct Span { uint64_t start, end; uint32_t sm, block; };

// The same, and when and where: one span per block, written by its first thread.
extern "C" __global__ void busy_span(Span *spans, uint64_t ns) {
    uint64_t start = now();
    while (now() - start < ns) {}
    if (threadIdx.x == 0) spans[blockIdx.x] = {start, now(), sm(), blockIdx.x};
}

// Keeps its SM busy for a number of SM clock cycles: the same work at every clock.
extern "C" __global__ void busy_cycles(uint32_t *out, uint64_t cycles) {
    uint64_t start = clock64(), passed;
    do passed = clock64() - start; while (passed < cycles);
    if (out) *out = (uint32_t)passed;
}

// Runs until somebody else makes *word equal to `value`. For ever, if nobody does.
extern "C" __global__ void spin_on_word(const volatile uint32_t *word, uint32_t value) {
    while (*word != value) {}
}

// Says that it started, then waits like spin_on_word, then says that it is done.
extern "C" __global__ void gate(volatile uint32_t *state, const volatile uint32_t *word, uint32_t value) {
    *state = 1;
    __threadfence_system();
    while (*word != value) {}
    *state = 2;
}

// Two launches with `mine` and `theirs` exchanged meet only if both run at once: 1 if they met, 2 if `ns` passed first.
extern "C" __global__ void meet(volatile uint32_t *mine, const volatile uint32_t *theirs, uint32_t *met, uint64_t ns) {
    uint64_t start = now();
    *mine = 1;
    __threadfence();
    while (*theirs == 0) {
        if (now() - start >= ns) {
            *met = 2;
            return;
        }
    }
    *met = 1;
}
