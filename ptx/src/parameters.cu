// Parameters of every size and alignment.
#include "types.h"

struct Mixed { int32_t a; double b; char c[5]; };

// Writes each parameter back as 64-bit words: a, b, c[0..5], d, e, f, g.x .. g.w, h (bits of floating-point values).
extern "C" __global__ void parameter_layout(Mixed m, char d, int16_t e, int64_t f, float4 g, int64_t *out, int8_t h) {
    out[0] = m.a;
    out[1] = __double_as_longlong(m.b);
    for (int i = 0; i < 5; i++) out[2 + i] = m.c[i];
    out[7] = d;
    out[8] = e;
    out[9] = f;
    out[10] = __float_as_uint(g.x);
    out[11] = __float_as_uint(g.y);
    out[12] = __float_as_uint(g.z);
    out[13] = __float_as_uint(g.w);
    out[14] = h;
}

template <int N> struct Words { uint32_t word[N]; };

// The largest block before the layout changes: 4096 bytes in all. out[i] = the i-th word. Any grid.
extern "C" __global__ void parameters_4k(uint32_t *out, Words<1022> p) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 1022) out[i] = p.word[i];
}

// Beyond 4 KiB the parameters move to another offset of bank 0: 6,000 bytes here.
extern "C" __global__ void parameters_6k(uint32_t *out, Words<1498> p) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 1498) out[i] = p.word[i];
}

// The largest block that there is: 32,764 bytes.
extern "C" __global__ void parameters_32k(uint32_t *out, Words<8189> p) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 8189) out[i] = p.word[i];
}

// As many parameters as one is likely to write by hand, of all small kinds.
extern "C" __global__ void parameters_many(uint64_t *out, uint8_t a, uint16_t b, uint32_t c, uint64_t d, uint8_t e,
                                           uint8_t f, uint16_t g, float h, double i, uint8_t j, uint64_t k) {
    uint64_t sum = a;
    sum = sum * 31 + b;
    sum = sum * 31 + c;
    sum = sum * 31 + d;
    sum = sum * 31 + e;
    sum = sum * 31 + f;
    sum = sum * 31 + g;
    sum = sum * 31 + __float_as_uint(h);
    sum = sum * 31 + (uint64_t)__double_as_longlong(i);
    sum = sum * 31 + j;
    *out = sum * 31 + k;
}

// Arguments by pointer: even threads read `p` where it stands, odd ones `other`. The compiler takes the address from
// bank 0.
extern "C" __global__ void parameter_by_pointer(uint32_t *out, const __grid_constant__ Words<64> p, const uint32_t *other) {
    const uint32_t *words = threadIdx.x % 2 ? other : p.word;
    out[threadIdx.x] = words[threadIdx.x];
}
