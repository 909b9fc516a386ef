typedef unsigned u32; typedef unsigned long long u64; 
#define MMA(name,shape,types,NA,NB,NC,ca,cb,cc,la,lb,lc) 
extern "C" __global__ void mma_f16(const u32*a,const u32*b,const float*c,float*o){ int l=threadIdx.x; float d[4]; for(int i=0;i<4;i++) d[i]=c[l*4+i]; 
 asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 for(int i=0;i<4;i++) o[l*4+i]=d[i]; }
extern "C" __global__ void mma_f16acc(const u32*a,const u32*b,const u32*c,u32*o){ int l=threadIdx.x; u32 d[2]={c[l*2],c[l*2+1]}; 
 asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1},{%2,%3,%4,%5},{%6,%7},{%0,%1};":"+r"(d[0]),"+r"(d[1]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%0,%1},{%2,%3},{%4},{%0,%1};":"+r"(d[0]),"+r"(d[1]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 o[l*2]=d[0];o[l*2+1]=d[1]; }
extern "C" __global__ void mma_bf16(const u32*a,const u32*b,const float*c,float*o){ int l=threadIdx.x; float d[4]; for(int i=0;i<4;i++) d[i]=c[l*4+i]; 
 asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 for(int i=0;i<4;i++) o[l*4+i]=d[i]; }
extern "C" __global__ void mma_tf32(const u32*a,const u32*b,const float*c,float*o){ int l=threadIdx.x; float d[4]; for(int i=0;i<4;i++) d[i]=c[l*4+i]; 
 asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 for(int i=0;i<4;i++) o[l*4+i]=d[i]; }
#define IM(T,K,AT,BT,SAT) 
extern "C" __global__ void mma_s8(const u32*a,const u32*b,const int*c,int*o){ int l=threadIdx.x; int d[4]; for(int i=0;i<4;i++) d[i]=c[l*4+i]; 
 asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+r"(d[0]),"+r"(d[1]),"+r"(d[2]),"+r"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.u8.s8.s32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};":"+r"(d[0]),"+r"(d[1]),"+r"(d[2]),"+r"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 asm volatile("mma.sync.aligned.m16n8k32.row.col.satfinite.s32.u8.u8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+r"(d[0]),"+r"(d[1]),"+r"(d[2]),"+r"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.u8.s32 {%0,%1},{%2},{%3},{%0,%1};":"+r"(d[0]),"+r"(d[1]):"r"(a[l*4]),"r"(b[l*2]));
 for(int i=0;i<4;i++) o[l*4+i]=d[i]; }
extern "C" __global__ void mma_s4(const u32*a,const u32*b,const int*c,int*o){ int l=threadIdx.x; int d[4]; for(int i=0;i<4;i++) d[i]=c[l*4+i]; 
 asm volatile("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+r"(d[0]),"+r"(d[1]),"+r"(d[2]),"+r"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(a[l*4+2]),"r"(a[l*4+3]),"r"(b[l*2]),"r"(b[l*2+1]));
 asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u4.s4.s32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};":"+r"(d[0]),"+r"(d[1]),"+r"(d[2]),"+r"(d[3]):"r"(a[l*4]),"r"(a[l*4+1]),"r"(b[l*2]));
 for(int i=0;i<4;i++) o[l*4+i]=d[i]; }
extern "C" __global__ void mma_f64(const double*a,const double*b,const double*c,double*o){ int l=threadIdx.x; double d[2]={c[l*2],c[l*2+1]};
 asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1},{%2},{%3},{%0,%1};":"+d"(d[0]),"+d"(d[1]):"d"(a[l]),"d"(b[l])); o[l*2]=d[0];o[l*2+1]=d[1]; }
extern "C" __global__ void ldmatrix(const uint4*a,u32*o){ __shared__ uint4 s[32]; int l=threadIdx.x; s[l]=a[l]; __syncthreads(); u32 p=__cvta_generic_to_shared(s+l); u32 r[7],t[7];
 asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0},[%1];":"=r"(r[0]):"r"(p)); asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1},[%2];":"=r"(r[1]),"=r"(r[2]):"r"(p)); asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];":"=r"(r[3]),"=r"(r[4]),"=r"(r[5]),"=r"(r[6]):"r"(p));
 asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0},[%1];":"=r"(t[0]):"r"(p)); asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1},[%2];":"=r"(t[1]),"=r"(t[2]):"r"(p)); asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];":"=r"(t[3]),"=r"(t[4]),"=r"(t[5]),"=r"(t[6]):"r"(p)); u32 m; asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0,%1;":"=r"(m):"r"(r[0]));
 for(int i=0;i<7;i++){o[l*15+i]=r[i];o[l*15+7+i]=t[i];} o[l*15+14]=m; }
extern "C" __global__ void cpasync(const u32*a,u32*o,int n){ __shared__ u32 s[32*12]; int l=threadIdx.x; u32 p=__cvta_generic_to_shared(s+l*4); for(int i=0;i<12;i++) s[l*12+i]=0xdead; __syncthreads();
 asm volatile("cp.async.ca.shared.global [%0],[%1],4;"::"r"(p),"l"(a+l*4)); asm volatile("cp.async.ca.shared.global [%0],[%1],8;"::"r"(p+512),"l"(a+l*4)); asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;"::"r"(p+1024),"l"(a+l*4),"r"(n)); asm volatile("cp.async.commit_group;"); asm volatile("cp.async.wait_group 0;"); asm volatile("cp.async.wait_all;");
 asm volatile("{.reg .pred p; setp.gt.s32 p,%2,3; cp.async.ca.shared.global.L2::128B [%0+4],[%1],4,p;}"::"r"(p),"l"(a+l*4+1),"r"(l)); asm volatile("cp.async.wait_all;"); 
 __syncthreads(); for(int i=0;i<12;i++) o[l*12+i]=s[l*12+i]; }
