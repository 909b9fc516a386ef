// Sums up what the multi-function unit answers to very many arguments. Its one MUFU is that of powers of two; tests put
// other functions and formats into the word.

#include "types.h"

// Adds a mixture of argument and answer, so that it does not matter who comes first.
extern "C" __global__ void mufu(uint64_t* sum, uint32_t start, uint32_t step, uint64_t count) {
    const uint64_t factor = 0xd6e8feb86659fd93;
    uint64_t mine = 0;
#pragma unroll 1
    for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (uint64_t)gridDim.x * blockDim.x) {
        uint32_t x = start + (uint32_t)i * step, answer;
        asm volatile("{ .reg .f32 a, b; mov.b32 a, %1; ex2.approx.ftz.f32 b, a; mov.b32 %0, b; }" : "=r"(answer) : "r"(x));
        uint64_t mixed = (answer ^ x * 0x9e3779b9u) * factor;
        mine += (mixed ^ mixed >> 32) * factor;
    }
    atomicAdd((unsigned long long*)sum, (unsigned long long)mine);
}
