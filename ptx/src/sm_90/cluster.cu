// Thread block clusters: blocks that run together and read each other's shared memory.
#include "types.h"

static __device__ void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

static __device__ uint32_t rank() {
    uint32_t r;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

static __device__ uint32_t size() {
    uint32_t n;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(n));
    return n;
}

static __device__ uint32_t read_remote(const uint32_t *word, uint32_t block) {
    uint32_t v, at = (uint32_t)__cvta_generic_to_shared(word);
    asm volatile("{ .reg .u32 far; mapa.shared::cluster.u32 far, %1, %2; ld.shared::cluster.u32 %0, [far]; }"
                 : "=r"(v) : "r"(at), "r"(block) : "memory");
    return v;
}

// Every block sums the words that the blocks of its cluster hold: out[block] = sum of (block index * 3 + 1).
static __device__ void sum_over_cluster(uint32_t *out) {
    __shared__ uint32_t mine;
    if (threadIdx.x == 0) mine = blockIdx.x * 3 + 1;
    cluster_barrier();
    if (threadIdx.x == 0) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < size(); i++) sum += read_remote(&mine, i);
        out[blockIdx.x] = sum;
    }
    // A block must not leave while another may still read its memory.
    cluster_barrier();
}

// Clusters of a size that the launch chooses.
extern "C" __global__ void cluster_sum(uint32_t *out) { sum_over_cluster(out); }

// Clusters of a size that the kernel demands.
extern "C" __global__ void __cluster_dims__(4, 1, 1) cluster_of_4(uint32_t *out) { sum_over_cluster(out); }

extern "C" __global__ void __cluster_dims__(2, 2, 1) cluster_of_2_by_2(uint32_t *out) {
    if (threadIdx.x == 0) out[blockIdx.y * gridDim.x + blockIdx.x] = rank();
    cluster_barrier();
}

// At most eight blocks to a cluster.
extern "C" __global__ void __launch_bounds__(64, 1, 8) cluster_up_to_8(uint32_t *out) { sum_over_cluster(out); }
