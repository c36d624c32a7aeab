/* Random numbers for _sparse.c: Threefry 2x32 in 13 rounds (Salmon et al., 2011), as in draws.py. */
#ifndef LTSM_SPARSE_DRAW_H
#define LTSM_SPARSE_DRAW_H

#include "_sparse_vec.h"

typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));

INLINE uvec turned_left(uvec x, int by) { return x << by | x >> (32 - by); }

/* Two words for each counter (first, second), modulo 2^32 throughout. */
INLINE void threefry(const uint32_t key[2], uvec *first, uvec *second) {
    static const int turn[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    const uint32_t extended[3] = {key[0], key[1], 0x1BD11BDA ^ key[0] ^ key[1]};
    uvec a = *first + extended[0], b = *second + extended[1];
    UNROLLED(i, 13) {
        a += b, b = turned_left(b, turn[i % 8]) ^ a;
        if (i % 4 == 3) a += extended[(i + 1) / 4 % 3], b += extended[((i + 1) / 4 + 1) % 3] + (uint32_t)((i + 1) / 4);
    }
    *first = a, *second = b;
}

/* In (0, 1): odd multiples of 2^-24. */
INLINE vec uniform(uvec word) { return (__builtin_convertvector((ivec)(word >> 9), vec) + 0.5f) * 0x1p-23f; }

#endif
