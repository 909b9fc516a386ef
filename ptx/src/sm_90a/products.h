// Kernels of products of a warp group: one block of 128. Shared memory starts with an image, and a case says with
// descriptors which matrices in it are multiplied, and whether what the sums hold is added.
#pragma once
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
