/* Which scores are the largest, for _sparse.c: a window around what it was a step before, and a selection in it. */
#ifndef LTSM_SPARSE_RANK_H
#define LTSM_SPARSE_RANK_H

#include <stdint.h>

#include "_sparse_vec.h"

/* A magnitude and where it is in the layer, in one number: who is larger, or on a tie comes first, has the larger one. */
typedef uint64_t rank;

INLINE rank rank_of(int32_t magnitude, int32_t place) { return (rank)(uint32_t)magnitude << 32 | (uint32_t)~place; }
INLINE int32_t magnitude_of(rank r) { return (int32_t)(r >> 32); }
INLINE int32_t place_of(rank r) { return (int32_t)~(uint32_t)r; }

INLINE ivec magnitudes(vec score) { return (ivec)score & 0x7FFFFFFF; } /* their order is that of the numbers */

INLINE void exchange(rank *a, rank *b) {
    rank c = *a;
    *a = *b, *b = c;
}

/* The k-th largest of some ranks, k from 1; reorders them (Hoare's selection, with the middle one as pivot). */
static rank kth_largest(rank *ranks, int64_t count, int64_t k) {
    int64_t low = 0, high = count - 1, want = k - 1;
    while (low < high) {
        rank pivot = ranks[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (ranks[i] > pivot) i++;
            while (ranks[j] < pivot) j--;
            if (i <= j) exchange(ranks + i++, ranks + j--);
        }
        if (want <= j) high = j;
        else if (want >= i) low = i;
        else break;
    }
    return ranks[want];
}

#endif
