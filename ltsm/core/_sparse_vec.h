/* Vector arithmetic for _sparse.c: one width per compiled variant, the same bits on every call. */
#ifndef LTSM_SPARSE_VEC_H
#define LTSM_SPARSE_VEC_H

#include <math.h>
#include <stdint.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4 /* SSE2, NEON, or whatever the compiler makes of it */
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

#define INLINE static inline __attribute__((always_inline))
#define EACH(c, n) for (int c = 0; c < (n); c++)
/* For a constant number of vectors, which then stay in registers. */
#if defined(__clang__)
#define UNROLLED(c, n) _Pragma("clang loop unroll(full)") EACH(c, n)
#else
#define UNROLLED(c, n) _Pragma("GCC unroll 16") EACH(c, n)
#endif

INLINE vec splat(float x) { return x - (vec){0}; }

/* Makes the compiler load x into a register, once: GCC would load it again for every use, as an operand. */
INLINE vec held(vec x) {
#if defined(__x86_64__)
    __asm__("" : "+v"(x));
#endif
    return x;
}

INLINE vec choose(ivec where, vec yes, vec no) { return (vec)((where & (ivec)yes) | (~where & (ivec)no)); }

INLINE vec root(vec x) {
#if defined(__clang__)
    return __builtin_elementwise_sqrt(x);
#else
    vec y;
    EACH(i, LANES) y[i] = __builtin_sqrtf(x[i]); /* becomes one instruction */
    return y;
#endif
}

/* e^x to about 1 ulp for x in [-87, 88]; outside it the value at the bound; NaN stays NaN (Cephes expf). */
INLINE vec exponential(vec x) {
    x = choose(x < -87.0f, splat(-87.0f), x);
    x = choose(x > 88.0f, splat(88.0f), x);
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 · 2^23: the sum's last bits are round(x / ln 2) */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec power = ((ivec)shifted - 0x4B400000 + 127) << 23;
    return p * (vec)power;
}

/* tanh to about 2 ulp (Cephes tanhf). */
INLINE vec hyperbolic_tangent(vec x) {
    vec size = choose(x < 0.0f, -x, x);
    vec far = 1.0f - 2.0f / (exponential(size + size) + 1.0f);
    vec q = x * x;
    vec p = splat(-5.70498872745e-3f);
    p = p * q + 2.06390887954e-2f;
    p = p * q - 5.37397155531e-2f;
    p = p * q + 1.33314422036e-1f;
    p = p * q - 3.33332819422e-1f;
    vec near = p * q * x + x;
    return choose(size < 0.625f, near, choose(x < 0.0f, -far, far));
}

/* erf as the quotient of two polynomials on [-4, 4], absolute error below 3e-7 (the one in Eigen). */
INLINE vec error_function(vec x) {
    x = choose(x < -4.0f, splat(-4.0f), x);
    x = choose(x > 4.0f, splat(4.0f), x);
    vec q = x * x;
    vec a = splat(-2.72614225801306e-10f);
    a = a * q + 2.77068142495902e-08f;
    a = a * q - 2.10102402082508e-06f;
    a = a * q - 5.69250639462346e-05f;
    a = a * q - 7.34990630326855e-04f;
    a = a * q - 2.95459980854025e-03f;
    a = a * q - 1.60960333262415e-02f;
    vec b = splat(-1.45660718464996e-05f);
    b = b * q - 2.13374055278905e-04f;
    b = b * q - 1.68282697438203e-03f;
    b = b * q - 7.37332916720468e-03f;
    b = b * q - 1.42647390514189e-02f;
    return x * a / b;
}

/* Counts values below 1e-38 as 0 until `restore` gets what this returns.

   Adam's means of parameters whose gradient stays 0 decay to there, where a step takes an eighth longer. */
static uint64_t flush_denormals(void) {
    uint64_t before = 0;
#if defined(__SSE__)
    before = _mm_getcsr();
    _mm_setcsr((unsigned)before | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24));
#endif
    return before;
}

static void restore(uint64_t before) {
#if defined(__SSE__)
    _mm_setcsr((unsigned)before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#endif
    (void)before;
}

/* One step's constants of Adam, bias correction included. */
struct rates {
    float keep_square, add_mean, add_square, correction, epsilon, step;
};

/* torch.optim.Adam's step on one vector: means m and v, parameters w, gradient g.

   A pruned parameter has v = +inf, so that its step is exactly 0 and no mask need be read. */
INLINE void adam(vec *w, vec *m, vec *v, vec g, const struct rates *r) {
    vec mean = *m + r->add_mean * (g - *m);
    vec square = r->keep_square * *v + r->add_square * g * g;
    *m = mean;
    *v = square;
    *w -= r->step * mean / (root(square) * r->correction + r->epsilon);
}

#endif
