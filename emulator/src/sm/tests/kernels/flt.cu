#include <cuda_fp16.h>
#include <cuda_bf16.h>
typedef unsigned u32; typedef unsigned long long u64; typedef long long s64; typedef unsigned char u8; typedef unsigned short u16;
#define T (blockIdx.x*blockDim.x+threadIdx.x)
extern "C" __global__ void f32_basic(const float*a,const float*b,const float*c,float*o){
 int i=T; float x=a[i],y=b[i],z=c[i]; float*p=o+i*64;
 p[0]=x+y;p[1]=x-y;p[2]=__fmul_rn(x,y);p[3]=fmaf(x,y,z);p[4]=__fmaf_rz(x,y,z);p[5]=__fmaf_ru(x,y,z);p[6]=__fmaf_rd(-x,y,-z);
 p[7]=__fadd_rz(x,y);p[8]=__fadd_ru(x,y);p[9]=__fadd_rd(x,y);p[10]=__fmul_rz(x,y);p[11]=__fmul_ru(x,y);p[12]=__fmul_rd(x,y);
 p[13]=fminf(x,y);p[14]=fmaxf(x,y);p[15]=fabsf(x)-fabsf(y);p[16]=__saturatef(x*y+z);p[17]=__saturatef(x+y);
 p[18]=x<y?z:x;p[19]=x>=y||z!=z?1.f:2.f;p[20]=x/y;p[21]=sqrtf(x);p[22]=1.0f/x;p[23]=rsqrtf(x);p[24]=expf(x);p[25]=logf(x);p[26]=sinf(x);p[27]=cosf(x);p[28]=tanhf(x);p[29]=powf(x,y);
 float r; asm("ex2.approx.f32 %0,%1;":"=f"(r):"f"(x));p[30]=r;asm("ex2.approx.ftz.f32 %0,%1;":"=f"(r):"f"(x));p[31]=r;asm("lg2.approx.f32 %0,%1;":"=f"(r):"f"(x));p[32]=r;
 asm("rcp.approx.ftz.f32 %0,%1;":"=f"(r):"f"(x));p[33]=r;asm("rsqrt.approx.ftz.f32 %0,%1;":"=f"(r):"f"(x));p[34]=r;asm("sqrt.approx.ftz.f32 %0,%1;":"=f"(r):"f"(x));p[35]=r;
 asm("sin.approx.f32 %0,%1;":"=f"(r):"f"(x));p[36]=r;asm("cos.approx.ftz.f32 %0,%1;":"=f"(r):"f"(x));p[37]=r;asm("tanh.approx.f32 %0,%1;":"=f"(r):"f"(x));p[38]=r;
 asm("fma.rn.ftz.f32 %0,%1,%2,%3;":"=f"(r):"f"(x),"f"(y),"f"(z));p[39]=r;asm("add.ftz.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[40]=r;asm("mul.ftz.sat.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[41]=r;
 asm("min.NaN.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[42]=r;asm("max.ftz.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[43]=r;asm("max.xorsign.abs.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[44]=r;
 asm("{.reg .pred q; setp.ltu.ftz.f32 q,%1,%2; selp.f32 %0,%1,%3,q;}":"=f"(r):"f"(x),"f"(y),"f"(z));p[45]=r;asm("set.gt.f32.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[46]=r;
 asm("copysign.f32 %0,%1,%2;":"=f"(r):"f"(x),"f"(y));p[47]=r;
}
extern "C" __global__ void f64_basic(const double*a,const double*b,const double*c,double*o){
 int i=T; double x=a[i],y=b[i],z=c[i]; double*p=o+i*24;
 p[0]=x+y;p[1]=x*y;p[2]=fma(x,y,z);p[3]=x/y;p[4]=sqrt(x);p[5]=fmin(x,y);p[6]=fmax(x,y);p[7]=x<y?z:x;p[8]=__dadd_rz(x,y);p[9]=__dmul_ru(x,y);p[10]=__fma_rd(x,y,z);
 p[11]=floor(x);p[12]=rint(x);p[13]=(double)(float)x;p[14]=(double)(int)x;p[15]=(double)(s64)x;p[16]=(double)(u32)x;p[17]=exp(x);p[18]=x+1.5;p[19]=x*3.0-y;p[20]=fabs(x)-y;p[21]=(x!=x||y>=z)?1.0:-2.0;p[22]=1.0/x;p[23]=(float)(x*0.1);
}
extern "C" __global__ void convert(const float*a,const int*b,const s64*c,const double*d,u64*o){
 int i=T; float f=a[i]; int n=b[i]; s64 l=c[i]; double g=d[i]; u64*p=o+i*64; u32 r; u64 w; u16 h;
 p[0]=(u32)__float2int_rn(f);p[1]=(u32)__float2int_rz(f);p[2]=(u32)__float2int_ru(f);p[3]=(u32)__float2int_rd(f);p[4]=__float2uint_rn(f);p[5]=__float2uint_rz(f);
 p[6]=__float2ll_rn(f);p[7]=__float2ull_rz(f);p[8]=(u32)__double2int_rz(g);p[9]=__double2uint_rn(g);p[10]=__double2ll_rz(g);p[11]=__double2ull_ru(g);
 p[12]=__float_as_uint(__int2float_rn(n));p[13]=__float_as_uint(__int2float_rz(n));p[14]=__float_as_uint(__uint2float_rn(n));p[15]=__float_as_uint(__uint2float_ru(n));
 p[16]=__float_as_uint(__ll2float_rn(l));p[17]=__float_as_uint(__ull2float_rd(l));p[18]=__double_as_longlong(__int2double_rn(n));p[19]=__double_as_longlong(__uint2double_rn(n));p[20]=__double_as_longlong(__ll2double_rn(l));p[21]=__double_as_longlong(__ull2double_rz(l));
 p[22]=__float_as_uint(__double2float_rn(g));p[23]=__float_as_uint(__double2float_rz(g));p[24]=__double_as_longlong((double)f);p[25]=__float_as_uint(rintf(f));p[26]=__float_as_uint(floorf(f));p[27]=__float_as_uint(ceilf(f));p[28]=__float_as_uint(truncf(f));
 p[29]=__half_as_ushort(__float2half_rn(f));p[30]=__half_as_ushort(__float2half_rz(f));p[31]=__half_as_ushort(__double2half(g));p[32]=__float_as_uint(__half2float(__ushort_as_half((u16)n)));p[33]=__half_as_ushort(__int2half_rn(n));p[34]=(u32)__half2int_rz(__ushort_as_half((u16)n));
 p[35]=(u16)__half2short_rn(__ushort_as_half((u16)n));p[36]=__half_as_ushort(__short2half_rn((short)n));p[37]=__bfloat16_as_ushort(__float2bfloat16_rn(f));p[38]=__float_as_uint(__bfloat162float(__ushort_as_bfloat16((u16)n)));
 p[39]=__float_as_uint((float)(signed char)n);p[40]=__float_as_uint((float)(u8)(n>>8));p[41]=__float_as_uint((float)(short)n);p[42]=__float_as_uint((float)(u16)(n>>16));p[43]=(u32)(signed char)f;p[44]=(u32)(u8)f;p[45]=(u16)(short)f;
 asm("cvt.rni.sat.s8.f32 %0,%1;":"=r"(r):"f"(f));p[46]=r;asm("cvt.rzi.sat.u16.f32 %0,%1;":"=r"(r):"f"(f));p[47]=r;asm("cvt.rn.relu.f16x2.f32 %0,%1,%2;":"=r"(r):"f"(f),"f"(f*2));p[48]=r;asm("cvt.rn.bf16x2.f32 %0,%1,%2;":"=r"(r):"f"(f),"f"(f*2));p[49]=r;asm("cvt.rna.tf32.f32 %0,%1;":"=r"(r):"f"(f));p[50]=r;
 asm("cvt.rz.f16x2.f32 %0,%1,%2;":"=r"(r):"f"(f),"f"(f*2));p[51]=r;asm("cvt.rn.sat.f32.f64 %0,%1;":"=r"(r):"d"(g));p[52]=r;asm("cvt.sat.f32.f32 %0,%1;":"=r"(r):"f"(f));p[53]=r;asm("cvt.rni.ftz.f32.f32 %0,%1;":"=r"(r):"f"(f));p[54]=r;asm("cvt.rni.f16.f16 %0,%1;":"=h"(h):"h"((u16)n));p[55]=h;
 asm("cvt.rzi.s32.f16 %0,%1;":"=r"(r):"h"((u16)n));p[56]=r;asm("cvt.rn.f16.s64 %0,%1;":"=h"(h):"l"(l));p[57]=h;asm("cvt.rn.bf16.f32 %0,%1;":"=h"(h):"f"(f));p[58]=h;asm("cvt.sat.s8.s32 %0,%1;":"=r"(r):"r"(n));p[59]=r;asm("cvt.sat.u16.s32 %0,%1;":"=r"(r):"r"(n));p[60]=r;asm("cvt.rpi.u64.f64 %0,%1;":"=l"(w):"d"(g));p[61]=w;asm("cvt.f64.f16 %0,%1;":"=l"(w):"h"((u16)n));p[62]=w;asm("cvt.sat.u32.s32 %0,%1;":"=r"(r):"r"(n));p[63]=r;
}
#define H(n) __ushort_as_half(n)
extern "C" __global__ void half_basic(const u32*a,const u32*b,const u32*c,u32*o){
 int i=T; __half2 x=((const __half2*)a)[i],y=((const __half2*)b)[i],z=((const __half2*)c)[i]; __half2*p=(__half2*)(o+i*48);
 p[0]=__hadd2(x,y);p[1]=__hsub2(x,y);p[2]=__hmul2(x,y);p[3]=__hfma2(x,y,z);p[4]=__hneg2(x);p[5]=__habs2(x);p[6]=__hadd2_sat(x,y);p[7]=__hfma2_sat(x,y,z);p[8]=__hfma2_relu(x,y,z);
 p[9]=__hmin2(x,y);p[10]=__hmax2(x,y);p[11]=__hmin2_nan(x,y);p[12]=__heq2(x,y);p[13]=__hlt2(x,y);p[14]=__hgeu2(x,y);p[15]=__halves2half2(__hadd(x.x,y.y),__hmul(x.y,z.x));
 o[i*48+16]=__hblt2(x,y);o[i*48+17]=__heq(x.x,y.y);p[18]=__hfma2(__low2half2(x),y,__high2half2(z));o[i*48+19]=__float_as_uint(__low2float(x)+__high2float(y));p[20]=h2exp2(x);p[21]=h2rcp(x);p[22]=__h2div(x,y);p[23]=__hmul2(x,__float2half2_rn(1.5f));
 p[24]=__hfma2(x,__float2half2_rn(0.25f),__float2half2_rn(2.f));p[25]=__hadd2(x,__float2half2_rn(-3.f));o[i*48+26]=__hgt2_mask(x,y);u32 r;asm("tanh.approx.f16x2 %0,%1;":"=r"(r):"r"(*(u32*)&x));o[i*48+27]=r;asm("ex2.approx.f16x2 %0,%1;":"=r"(r):"r"(*(u32*)&x));o[i*48+28]=r;
 __nv_bfloat162 bx=((const __nv_bfloat162*)a)[i],by=((const __nv_bfloat162*)b)[i],bz=((const __nv_bfloat162*)c)[i];__nv_bfloat162*q=(__nv_bfloat162*)p;
 q[29]=__hfma2(bx,by,bz);q[30]=__hfma2_relu(bx,by,bz);q[31]=__hadd2(bx,by);q[32]=__hmul2(bx,by);q[33]=__hmin2(bx,by);q[34]=__hmax2_nan(bx,by);q[35]=__hneg2(bx);q[36]=__habs2(bx);q[37]=__hlt2(bx,by);
 o[i*48+38]=__float_as_uint(__low2float(bx)*__high2float(by));asm("fma.rn.ftz.f16x2 %0,%1,%2,%3;":"=r"(r):"r"(*(u32*)&x),"r"(*(u32*)&y),"r"(*(u32*)&z));o[i*48+39]=r;
 asm("add.ftz.f16x2 %0,%1,%2;":"=r"(r):"r"(*(u32*)&x),"r"(*(u32*)&y));o[i*48+40]=r;asm("mul.ftz.sat.f16x2 %0,%1,%2;":"=r"(r):"r"(*(u32*)&x),"r"(*(u32*)&y));o[i*48+41]=r;asm("set.gtu.f16x2.f16x2 %0,%1,%2;":"=r"(r):"r"(*(u32*)&x),"r"(*(u32*)&y));o[i*48+42]=r;
 asm("set.le.u32.f16 %0,%1,%2;":"=r"(r):"h"((u16)(*(u32*)&x)),"h"((u16)(*(u32*)&y)));o[i*48+43]=r;asm("{.reg .pred p,q; setp.lt.and.f16x2 p|q,%1,%2,1; selp.u32 %0,1,0,p; @q add.u32 %0,%0,2;}":"=r"(r):"r"(*(u32*)&x),"r"(*(u32*)&y));
}
