/* The first layer for _sparse.c: forward, and its gradient with Adam's steps. */
#ifndef LTSM_SPARSE_FIRST_H
#define LTSM_SPARSE_FIRST_H

#include "_sparse_batches.h"
#include "_sparse_network.h"

/* Runs f with the number of vectors as a constant, so that sums stay in registers. */
#define BY_VECTORS(vectors, f, ...) \
    switch (vectors) { \
        case 1: f(1, __VA_ARGS__); break; \
        case 2: f(2, __VA_ARGS__); break; \
        case 3: f(3, __VA_ARGS__); break; \
        case 4: f(4, __VA_ARGS__); break; \
        case 5: f(5, __VA_ARGS__); break; \
        case 6: f(6, __VA_ARGS__); break; \
        case 7: f(7, __VA_ARGS__); break; \
        case 8: f(8, __VA_ARGS__); break; \
        case 9: f(9, __VA_ARGS__); break; \
        case 10: f(10, __VA_ARGS__); break; \
        case 11: f(11, __VA_ARGS__); break; \
        case 12: f(12, __VA_ARGS__); break; \
        case 13: f(13, __VA_ARGS__); break; \
    }

static void start_sums(const struct network *n, int images) {
    EACH(i, images) memcpy(n->out[1] + (int64_t)i * n->width[1], n->rest[W] + n->bias[1], n->width[1] * sizeof(float));
}

/* The next pixel's address is worked out a turn ahead: a tenth faster. */
INLINE void walk_block(const int vectors, const struct network *n, const struct walk *w, struct block block) {
    const float *weights = n->first[W] + block.at, *value = w->value;
    const uint16_t *pixel = w->pixel;
    const float *next = weights + (int64_t)*pixel * vectors * LANES;
    EACH(i, w->visits) {
        vec *out = (vec *)(n->out[1] + (int64_t)w->visit[i].image * n->width[1] + block.columns), sum[BLOCK];
        UNROLLED(c, vectors) sum[c] = out[c];
        for (int left = w->visit[i].entries; left; left--) {
            const vec *row = (const vec *)next;
            next = weights + (int64_t)*++pixel * vectors * LANES;
            vec x = splat(*value++);
            UNROLLED(c, vectors) sum[c] += row[c] * x;
        }
        UNROLLED(c, vectors) out[c] = sum[c];
    }
}

/* What becomes of the first layer's gradient: called for some vectors of it, which lie at `at`. */
struct step {
    void (*apply)(struct network *n, int64_t at, int vectors, const vec *gradient, const void *given);
    const void *given;
};

/* Not inline: Adam's constants would drive the gradient's sums out of the registers. */
static __attribute__((noinline)) void step_vectors(struct network *n, int64_t at, int vectors, const vec *gradient,
                                                   const void *rates) {
    const struct rates constant = *(const struct rates *)rates;
    vec *w = (vec *)(n->first[W] + at), *m = (vec *)(n->first[M] + at), *v = (vec *)(n->first[V] + at);
    EACH(c, vectors) adam(w + c, m + c, v + c, gradient[c], &constant);
}

/* The gradient of two pixels' weights, in some of a block's vectors, and their step. */
INLINE void step_pair(const int vectors, struct network *n, const struct batch *b, struct block block, int from, int i,
                      struct step step) {
    const float *error = n->error[1] + block.columns + from * LANES;
    vec one[PART], two[PART], gradient[2 * PART];
    UNROLLED(c, vectors) one[c] = two[c] = (vec){0};
    for (int32_t k = b->first[i]; k < b->first[i + 1]; k++) {
        const vec *row = (const vec *)(error + (int64_t)b->image[k] * n->width[1]);
        vec x = splat(b->value[2 * k]), y = splat(b->value[2 * k + 1]);
        UNROLLED(c, vectors) {
            vec e = held(row[c]);
            one[c] += e * x, two[c] += e * y;
        }
    }
    UNROLLED(c, vectors) gradient[c] = one[c], gradient[vectors + c] = two[c];
    int64_t row = (int64_t)block.vectors * LANES, at = block.at + 2 * b->pair[i] * row + from * LANES;
    int calls = vectors == block.vectors ? 1 : 2; /* whole rows lie side by side: one call is 1 of 31 us faster */
    EACH(k, calls) step.apply(n, at + k * row, 2 / calls * vectors, gradient + k * vectors, step.given);
}

INLINE void step_part(const int vectors, struct network *n, const struct batch *b, struct block block, int from,
                      struct step step) {
    if (vectors <= PART) /* which it always is: the rest need not be compiled */
        EACH(i, b->pairs) step_pair(vectors, n, b, block, from, i, step);
}

static void step_block(struct network *n, const struct batch *b, struct block block, struct step step) {
    int parts = (block.vectors + PART - 1) / PART;
    EACH(i, parts) {
        int from = i * block.vectors / parts, vectors = (i + 1) * block.vectors / parts - from;
        BY_VECTORS(vectors, step_part, n, b, block, from, step)
    }
}

static void first_step(struct network *n, const struct batch *b, struct step step) {
    EACH(i, block_count(n)) step_block(n, b, block_at(n, i), step);
}

INLINE void catch_up_vector(vec *w, vec *m, vec *v, const struct rates *rates, int64_t steps) {
    vec weights = *w, mean = *m, square = *v;
    for (int64_t s = 0; s < steps; s++) adam(&weights, &mean, &square, (vec){0}, rates + s);
    *w = weights, *m = mean, *v = square;
}

/* The steps that rows of pixels without ink have been spared: up to `step`; rates[0] are those of step `first` + 1. */
struct spared {
    int64_t first, step;
    const struct rates *rates;
};

/* Gives a pair's rows the steps that they have not had. */
static void catch_up(struct network *n, int pair, const struct spared *spared) {
    int64_t steps = spared->step - n->done[pair];
    if (steps <= 0 || !n->active[pair]) return;
    const struct rates *rates = spared->rates + (n->done[pair] - spared->first);
    EACH(i, block_count(n)) {
        struct block block = block_at(n, i);
        int64_t at = block.at + (int64_t)2 * pair * block.vectors * LANES;
        vec *w = (vec *)(n->first[W] + at), *m = (vec *)(n->first[M] + at), *v = (vec *)(n->first[V] + at);
        EACH(c, 2 * block.vectors) catch_up_vector(w + c, m + c, v + c, rates, steps);
    }
    n->done[pair] = spared->step;
}

/* The first layer's sums; the rows of the batch's pixels catch up first, where steps were spared (else NULL). */
static void first_forward(struct network *n, struct batch *b, const struct spared *spared) {
    start_sums(n, b->images);
    for (int pair = 0; walk_on(b);) {
        for (; spared && pair < b->pairs; pair++) catch_up(n, b->pair[pair], spared);
        EACH(i, block_count(n)) {
            struct block block = block_at(n, i);
            BY_VECTORS(block.vectors, walk_block, n, &b->walk, block)
        }
    }
}

#endif
