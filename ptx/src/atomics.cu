// Atomic operations of every kind that a program uses, on words that all threads share.
#include "types.h"

// words: add, sub, min, max, and, or, xor, inc (wraps at 1000), compare-and-swap counter, exchange;
// the caller sets the start values. `sum` is one float.
extern "C" __global__ void atomics(uint32_t *words, float *sum) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&words[0], i);
    atomicSub(&words[1], i);
    atomicMin((int *)&words[2], -(int)i);
    atomicMax(&words[3], i);
    atomicAnd(&words[4], ~(1u << (i % 32)));
    atomicOr(&words[5], 1u << (i % 32));
    atomicXor(&words[6], i);
    atomicInc(&words[7], 999);
    for (uint32_t seen = words[8], old;; seen = old) {
        old = atomicCAS(&words[8], seen, seen + 1);
        if (old == seen) break;
    }
    atomicExch(&words[9], i);
    atomicAdd(sum, 1.0f);
}

// 256 bins, first in shared memory, then added to the result.
extern "C" __global__ void histogram(uint32_t *bins, const uint8_t *in, uint32_t n) {
    __shared__ uint32_t local[256];
    for (uint32_t i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&local[in[i]], 1);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < 256; i += blockDim.x)
        if (local[i]) atomicAdd(&bins[i], local[i]);
}
