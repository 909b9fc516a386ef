// Products of a warp group, with matrices in shared memory where descriptors say. Hopper's own (sm_90a).
typedef unsigned u32;
typedef unsigned long long u64;

static __device__ u64 place(u32 *space, const u32 *image, u64 &a, u64 &b) {
    for (u32 i = threadIdx.x; i < 4096; i += blockDim.x) space[i] = image[i];
    const u64 at = (u32)__cvta_generic_to_shared(space) >> 4 & 0x3fff;
    a += at, b += at;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    return at;
}
static __device__ void done() {
    asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

// Twice the product, in 16 columns: begun with nothing, then added to.
#define FLOATS(name, types, tail)                                                                                              \
    extern "C" __global__ void name(float *out, const u32 *image, u64 a, u64 b) {                                              \
        __shared__ __align__(1024) u32 space[4096];                                                                            \
        place(space, image, a, b);                                                                                             \
        float d[8];                                                                                                            \
        for (u32 i = 0; i < 8; i++) d[i] = 0;                                                                                  \
        for (u32 i = 0; i < 2; i++)                                                                                            \
            asm volatile("{ .reg .pred p; setp.ne.u32 p, %10, 0;"                                                              \
                         "wgmma.mma_async.sync.aligned." types " {%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, p, " tail "; }"            \
                         : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])      \
                         : "l"(a), "l"(b), "r"(i) : "memory");                                                                 \
        done();                                                                                                                \
        for (u32 i = 0; i < 8; i++) out[threadIdx.x * 8 + i] = d[i];                                                           \
    }
FLOATS(halves, "m64n16k16.f32.f16.f16", "1, 1, 0, 0")
FLOATS(halves_turned, "m64n16k16.f32.f16.f16", "1, 1, 1, 1")
FLOATS(halves_negated, "m64n16k16.f32.bf16.bf16", "-1, 1, 0, 0")
FLOATS(words, "m64n16k8.f32.tf32.tf32", "1, -1")

// The same with A in registers and sums of halves.
extern "C" __global__ void half_sums(u32 *out, const u32 *image, u64 a, u64 b, const u32 *left) {
    __shared__ __align__(1024) u32 space[4096];
    place(space, image, a, b);
    u32 d[4] = {0, 0, 0, 0};
    const u32 *l = left + threadIdx.x * 4;
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f16.f16.f16 {%0,%1,%2,%3}, {%4,%5,%6,%7}, %8, 1, 1, -1, 0;"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(l[0]), "r"(l[1]), "r"(l[2]), "r"(l[3]), "l"(b) : "memory");
    done();
    for (u32 i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = d[i];
}

#define WHOLE(name, types, scale)                                                                                              \
    extern "C" __global__ void name(u32 *out, const u32 *image, u64 a, u64 b) {                                                \
        __shared__ __align__(1024) u32 space[4096];                                                                            \
        place(space, image, a, b);                                                                                             \
        u32 d[8];                                                                                                              \
        for (u32 i = 0; i < 8; i++) d[i] = i;                                                                                  \
        asm volatile("wgmma.mma_async.sync.aligned." types " {%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, 1;"                            \
                     : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7])          \
                     : "l"(a), "l"(b) : "memory");                                                                             \
        done();                                                                                                                \
        for (u32 i = 0; i < 8; i++) out[threadIdx.x * 8 + i] = d[i];                                                           \
    }
WHOLE(bytes, "m64n16k32.s32.u8.s8", )
WHOLE(bits, "m64n16k256.s32.b1.b1.and.popc", )
