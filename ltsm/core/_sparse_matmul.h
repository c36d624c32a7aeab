/* Small matrix products for _sparse.c, in registers; every sum runs in the order of its terms. */
#ifndef LTSM_SPARSE_MATMUL_H
#define LTSM_SPARSE_MATMUL_H

#include "_sparse_vec.h"

#define ROWS 6
#if LANES == 16
#define COLUMNS 4 /* vectors: 24 accumulators, a row of the right matrix and a factor fit 32 registers */
#else
#define COLUMNS 2
#endif

/* A matrix seen through strides: element (i, j) is at[i * down + j * across]. */
struct view {
    const float *at;
    int64_t down, across;
};

/* out (rows, columns) = start + left (rows, depth) · right (depth, columns); start is a row or NULL: 0. */
INLINE void tile(const int rows, const int columns, int depth, struct view left, const float *right,
                 int64_t right_down, const float *start, float *out, int64_t out_down) {
    vec sum[ROWS][COLUMNS];
    UNROLLED(i, rows) UNROLLED(c, columns) sum[i][c] = start ? ((const vec *)start)[c] : (vec){0};
    EACH(k, depth) {
        const vec *row = (const vec *)(right + k * right_down);
        UNROLLED(i, rows) {
            float factor = left.at[i * left.down + k * left.across];
            UNROLLED(c, columns) sum[i][c] += factor * row[c];
        }
    }
    UNROLLED(i, rows) UNROLLED(c, columns) ((vec *)(out + i * out_down))[c] = sum[i][c];
}

INLINE void strip(const int columns, int rows, int depth, struct view left, const float *right,
                  int64_t right_down, const float *start, float *out, int64_t out_down) {
#define TILE(n) \
    case n: tile(n, columns, depth, here, right, right_down, start, out + i * out_down, out_down); break;
    for (int i = 0; i < rows; i += ROWS) {
        struct view here = {left.at + i * left.down, left.down, left.across};
        switch (rows - i) {
            TILE(1) TILE(2) TILE(3) TILE(4) TILE(5)
            default: tile(ROWS, columns, depth, here, right, right_down, start, out + i * out_down, out_down);
        }
    }
#undef TILE
}

/* The same for any number of columns, a multiple of LANES. */
static void multiply(int rows, int depth, int columns, struct view left, const float *right, int64_t right_down,
                     const float *start, float *out, int64_t out_down) {
    int vectors = columns / LANES, strips = (vectors + COLUMNS - 1) / COLUMNS;
#define STRIP(n) \
    case n: strip(n, rows, depth, left, right + at, right_down, start ? start + at : start, out + at, out_down); break;
    EACH(s, strips) {
        int begin = s * vectors / strips, end = (s + 1) * vectors / strips, at = begin * LANES;
        switch (end - begin) {
            STRIP(1) STRIP(2)
#if COLUMNS == 4
            STRIP(3) STRIP(4)
#endif
        }
    }
#undef STRIP
}

#endif
