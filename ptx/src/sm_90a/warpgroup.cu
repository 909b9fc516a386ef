// Products of a warp group, and registers that change hands: what needs a feature of Hopper's own. One block of 128
// unless said otherwise. Shared memory starts with an image, and a case says with descriptors which matrices in it
// are multiplied, and whether what `sums` holds is added.
#include "types.h"

struct Case {
    uint64_t a, b, plus;
};

#define WORDS 10240

// Fills the image and gives what the descriptors of cases lack: where it starts.
static __device__ uint64_t fill(uint32_t *space, const uint32_t *image) {
    for (uint32_t i = threadIdx.x; i < WORDS; i += blockDim.x) space[i] = image[i];
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    return (uint32_t)__cvta_generic_to_shared(space) >> 4 & 0x3fff;
}

static __device__ void begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
static __device__ void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
static __device__ void finish() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// The names of operands and the operands, by how many registers a thread's part of the sums has.
#define P4 "%0,%1,%2,%3"
#define P8 P4 ",%4,%5,%6,%7"
#define P12 P8 ",%8,%9,%10,%11"
#define P16 P12 ",%12,%13,%14,%15"
#define P24 P16 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define P32 P24 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define P64 P32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define P128 P64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95" \
                 ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define QUAD(n) "+r"(d[n]), "+r"(d[n + 1]), "+r"(d[n + 2]), "+r"(d[n + 3])
#define D4 QUAD(0)
#define D8 QUAD(0), QUAD(4)
#define D12 D8, QUAD(8)
#define D16 D12, QUAD(12)
#define D24 D16, QUAD(16), QUAD(20)
#define D32 D24, QUAD(24), QUAD(28)
#define D64 D32, QUAD(32), QUAD(36), QUAD(40), QUAD(44), QUAD(48), QUAD(52), QUAD(56), QUAD(60)
#define D128 D64, QUAD(64), QUAD(68), QUAD(72), QUAD(76), QUAD(80), QUAD(84), QUAD(88), QUAD(92), QUAD(96), QUAD(100), QUAD(104), QUAD(108), QUAD(112), QUAD(116), QUAD(120), QUAD(124)

// A kernel of one product for each case. `operands` names what comes after the sums; sums that are singles are
// operands of 32 bits like all others.
#define PRODUCTS(name, type, sums, names, operands, tail, ...)                                                         \
    extern "C" __global__ void __launch_bounds__(128) name(uint32_t *out, const uint32_t *image, const Case *cases, uint32_t n) { \
        __shared__ __align__(1024) uint32_t space[WORDS];                                                              \
        const uint64_t at = fill(space, image);                                                                        \
        _Pragma("unroll 1") for (uint32_t i = 0; i < n; i++) {                                                         \
            uint32_t *mine = out + (i * 128 + threadIdx.x) * sums, d[sums];                                            \
            const uint32_t *left = image + (i * 128 + threadIdx.x) * 4;                                                \
            const uint32_t x[4] = {left[0], left[1], left[2], left[3]};                                                \
            const uint64_t a = cases[i].a + at, b = cases[i].b + at;                                                   \
            const uint32_t plus = cases[i].plus;                                                                       \
            (void)x, (void)a;                                                                                          \
            _Pragma("unroll") for (uint32_t j = 0; j < sums; j++) d[j] = mine[j];                                      \
            begin();                                                                                                   \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, " operands "wgmma.mma_async.sync.aligned." type " {" names "}, " tail "; }" \
                         : D##sums : __VA_ARGS__ : "memory");                                                          \
            commit();                                                                                                  \
            finish();                                                                                                  \
            _Pragma("unroll") for (uint32_t j = 0; j < sums; j++) mine[j] = d[j];                                      \
        }                                                                                                              \
    }
// A in shared memory, or in registers.
#define FROM_SHARED(name, type, sums, flag, left, right, tail) \
    PRODUCTS(name, type, sums, P##sums, flag ", 0; ", left ", " right ", p" tail, "l"(a), "l"(b), "r"(plus))
#define FROM_REGISTERS(name, type, sums, flag, left, right, tail) \
    PRODUCTS(name, type, sums, P##sums, flag ", 0; ", "{" left "}, " right ", p" tail, "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "l"(b), "r"(plus))

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
