// A container for machine code that tests write themselves: they replace all of its instructions. What counts is what
// surrounds them: two pointers and sixteen words as parameters, 8 KiB of shared memory, a stack frame, more than 100
// registers and room for 256 instructions. Left as it is, it moves words through all of these.

#include "types.h"

struct Constants {
    uint32_t word[16];
};

extern "C" __global__ void __launch_bounds__(256) slot(const volatile uint32_t* in, volatile uint32_t* out, Constants constants) {
    __shared__ volatile uint32_t shared[2048];
    volatile uint32_t local[32];
    uint32_t kept[110];
    uint32_t at = threadIdx.x;
#pragma unroll
    for (uint32_t i = 0; i < 110; i++) kept[i] = in[i * 256 + at];
    for (uint32_t i = 0; i < 32; i++) local[i] = in[i];
    shared[at * 8] = local[at % 32];
    __syncthreads();
    out[at] = shared[(at * 8 + 8) % 2048] + constants.word[at % 16];
#pragma unroll
    for (uint32_t i = 0; i < 110; i++) out[(110 - i) * 256 + at] = kept[i];
}
