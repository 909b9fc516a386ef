// Products of a warp group, and registers that change hands: what needs a feature of Hopper's own.
#include "products.h"

// Halves, with sums in single precision.
FROM_SHARED(halves_8, "m64n8k16.f32.f16.f16", 4, "%6", "%4", "%5", ", 1, 1, 0, 0")
FROM_SHARED(halves_a_turned, "m64n16k16.f32.f16.f16", 8, "%10", "%8", "%9", ", 1, 1, 1, 0")
FROM_SHARED(halves_b_turned, "m64n64k16.f32.f16.f16", 32, "%34", "%32", "%33", ", 1, 1, 0, 1")
FROM_SHARED(halves_turned, "m64n128k16.f32.f16.f16", 64, "%66", "%64", "%65", ", -1, 1, 1, 1")
FROM_SHARED(halves_256, "m64n256k16.f32.f16.f16", 128, "%130", "%128", "%129", ", 1, 1, 0, 0")
FROM_REGISTERS(halves_from_registers, "m64n16k16.f32.f16.f16", 8, "%13", "%8,%9,%10,%11", "%12", ", 1, -1, 1")
// Halves, with sums in halves.
FROM_SHARED(half_sums_16, "m64n16k16.f16.f16.f16", 4, "%6", "%4", "%5", ", 1, -1, 0, 0")
FROM_SHARED(half_sums_turned, "m64n256k16.f16.f16.f16", 64, "%66", "%64", "%65", ", 1, 1, 1, 1")
FROM_REGISTERS(half_sums_from_registers, "m64n32k16.f16.f16.f16", 8, "%13", "%8,%9,%10,%11", "%12", ", -1, 1, 0")
// The other floats.
FROM_SHARED(bfloats_24, "m64n24k16.f32.bf16.bf16", 12, "%14", "%12", "%13", ", -1, -1, 0, 0")
FROM_SHARED(bfloats_turned, "m64n64k16.f32.bf16.bf16", 32, "%34", "%32", "%33", ", 1, 1, 1, 1")
FROM_REGISTERS(bfloats_from_registers, "m64n128k16.f32.bf16.bf16", 64, "%69", "%64,%65,%66,%67", "%68", ", 1, 1, 0")
FROM_SHARED(words_8, "m64n8k8.f32.tf32.tf32", 4, "%6", "%4", "%5", ", 1, -1")
FROM_SHARED(words_64, "m64n64k8.f32.tf32.tf32", 32, "%34", "%32", "%33", ", 1, 1")
FROM_REGISTERS(words_from_registers, "m64n48k8.f32.tf32.tf32", 24, "%29", "%24,%25,%26,%27", "%28", ", -1, 1")
// Bytes and bits.
FROM_SHARED(bytes_8, "m64n8k32.s32.s8.s8", 4, "%6", "%4", "%5", "")
FROM_SHARED(bytes_24, "m64n24k32.s32.u8.u8", 12, "%14", "%12", "%13", "")
FROM_SHARED(bytes_48, "m64n48k32.s32.u8.s8.satfinite", 24, "%26", "%24", "%25", "")
FROM_SHARED(bytes_256, "m64n256k32.s32.s8.u8", 128, "%130", "%128", "%129", "")
FROM_REGISTERS(bytes_from_registers, "m64n64k32.s32.s8.s8.satfinite", 32, "%37", "%32,%33,%34,%35", "%36", "")
FROM_REGISTERS(bytes_unlike, "m64n32k32.s32.s8.u8", 16, "%21", "%16,%17,%18,%19", "%20", "")
FROM_SHARED(bits_16, "m64n16k256.s32.b1.b1.and.popc", 8, "%10", "%8", "%9", "")
FROM_REGISTERS(bits_from_registers, "m64n128k256.s32.b1.b1.and.popc", 64, "%69", "%64,%65,%66,%67", "%68", "")

// 64 x 64 sums over a depth of 64 as they are usually had: lines of 128 bytes in swizzles, four products one after
// the other, of which two are waited for at a time.
extern "C" __global__ void __launch_bounds__(128) chained(uint32_t *out, const uint32_t *image, const Case *cases) {
    __shared__ __align__(1024) uint32_t space[WORDS];
    const uint64_t at = fill(space, image), a = cases->a + at, b = cases->b + at;
    uint32_t d[32];
    begin();
#define STEP(n, p)                                                                                                     \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {" P32 "}, %32, %33, " p ", 1, 1, 0, 0;"          \
                 : D32 : "l"(a + 2 * n), "l"(b + 2 * n) : "memory");
    for (uint32_t i = 0; i < 32; i++) d[i] = 0;
    STEP(0, "0")
    STEP(1, "1")
    commit();
    STEP(2, "1")
    STEP(3, "1")
    commit();
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    finish();
    for (uint32_t i = 0; i < 32; i++) out[threadIdx.x * 32 + i] = d[i];
}

// The first of three groups of warps gives registers back, the others take them and hold more than they had. One
// block of 384; 190 words for each thread.
extern "C" __global__ void __launch_bounds__(384, 1) registers(uint32_t *out, const uint32_t *in) {
    const uint32_t i = threadIdx.x;
    const volatile uint32_t *from = in + i;
    if (i < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        uint32_t sum = 0;
        for (uint32_t n = 0; n < 190; n++) sum = sum * 3 + from[n];
        out[i] = sum;
        return;
    }
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    uint32_t held[190], sum = 0;
#pragma unroll
    for (uint32_t n = 0; n < 190; n++) held[n] = from[n];
#pragma unroll
    for (uint32_t n = 0; n < 190; n++) sum = sum * 3 + held[189 - n];
    out[i] = sum;
}
