// Kernels that touch one word, for chains, ordering and visibility. Launch with one thread unless said otherwise.
#include "types.h"

extern "C" __global__ void empty() {}

// An ordinary cached load: a stale line of another SM's L1 shows as a lost increment.
extern "C" __global__ void increment(uint32_t *word) { *word = *word + 1; }

extern "C" __global__ void increment_volatile(volatile uint32_t *word) { *word = *word + 1; }

// The same, and which SM did it: log[n] for the n-th increment, so that a chain can show that it moved.
extern "C" __global__ void increment_logged(uint32_t *word, uint32_t *log) {
    uint32_t n = *word, sm;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    log[n] = sm;
    *word = n + 1;
}

extern "C" __global__ void write_word(uint32_t *word, uint32_t value) { *word = value; }

extern "C" __global__ void write_word64(uint64_t *word, uint64_t value) { *word = value; }

extern "C" __global__ void copy_word(uint32_t *out, const uint32_t *in) { *out = *in; }

// The order in which kernels ran: each takes the next slot and leaves its tag there.
extern "C" __global__ void log_order(uint32_t *next, uint32_t *tags, uint32_t tag) {
    tags[atomicAdd(next, 1)] = tag;
}

// Any grid, any block: every thread adds one, once in all.
extern "C" __global__ void count_threads(uint64_t *count) {
    atomicAdd((unsigned long long *)count, 1ull);
}
