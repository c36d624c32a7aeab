/* Masks from scores, for _sparse.c: drawn, or of those that rank highest. */
#ifndef LTSM_SPARSE_MASKS_H
#define LTSM_SPARSE_MASKS_H

#include "_sparse_draw.h"
#include "_sparse_learner.h"

#define PLACE_BITS 20 /* of a counter's second word: which output; above them, which layer */
#define WINDOW (1 << 16) /* magnitudes on either side of the last threshold: a hundredth of it */

/* Some vectors of a row of one layer. */
struct row {
    int layer, vectors;
    int64_t at;     /* of its arrays */
    int column;     /* its first output */
    int32_t input;
};

INLINE ivec row_valid(const struct learner *m, const struct row *r, int c) {
    return ((const ivec *)(m->valid[r->layer] + r->column))[c];
}

/* Writes what is kept of one vector, and the derivative; gives -1 for each that is kept. */
INLINE ivec keep_vector(const struct learner *m, const struct row *r, int c, ivec kept, vec slope) {
    kept &= row_valid(m, r, c);
    ((vec *)(effective(m->n, r->layer) + r->at))[c] = (vec)(kept & ((const ivec *)(m->array[FIXED][r->layer] + r->at))[c]);
    ((vec *)(m->array[SLOPE][r->layer] + r->at))[c] = slope;
    return kept;
}

static int64_t sum_of(ivec x) {
    int64_t sum = 0;
    EACH(i, LANES) sum += x[i];
    return sum;
}

INLINE ivec draw_vector(const struct learner *m, const struct row *r, int c, vec drawn) {
    vec score = ((const vec *)(m->array[SCORE][r->layer] + r->at))[c];
    vec probability = 1.0f / (1.0f + exponential(-score));
    return keep_vector(m, r, c, drawn < probability, probability * (1.0f - probability));
}

/* Draws the masks of one or two rows, whose counters are the same: one word is for the first, one for the second. */
static __attribute__((noinline)) int64_t draw_rows(const struct learner *m, struct row one, int rows, const uint32_t key[2]) {
    struct row two = one;
    two.at += (int64_t)one.vectors * LANES;
    ivec minus = {0};
    uvec lane;
    EACH(i, LANES) lane[i] = (uint32_t)i;
    EACH(c, one.vectors) {
        uvec first = (uvec){0} + (uint32_t)(one.input / 2);
        uvec second = lane + ((uint32_t)(one.layer - 1) << PLACE_BITS) + (uint32_t)(one.column + c * LANES);
        threefry(key, &first, &second);
        minus += draw_vector(m, &one, c, uniform(first));
        if (rows == 2) minus += draw_vector(m, &two, c, uniform(second));
    }
    return -sum_of(minus);
}

/* Keeps who ranks no lower than the layer's least. */
static __attribute__((noinline)) int64_t rank_rows(const struct learner *m, struct row r, int rows) {
    int32_t magnitude = magnitude_of(m->least[r.layer]), place = place_of(m->least[r.layer]);
    ivec minus = {0};
    for (; rows--; r.at += (int64_t)r.vectors * LANES, r.input++)
        EACH(c, r.vectors) {
            vec score = ((const vec *)(m->array[SCORE][r.layer] + r.at))[c];
            ivec here = magnitudes(score), places = ((const ivec *)(m->place[r.layer] + r.column))[c] + r.input;
            ivec kept = (here > magnitude) | ((here == magnitude) & (places <= place));
            vec sign = choose(score > 0.0f, splat(1.0f), choose(score < 0.0f, splat(-1.0f), (vec){0}));
            minus += keep_vector(m, &r, c, kept, sign);
        }
    return -sum_of(minus);
}

/* Puts the ranks of magnitudes from `low` to `high` into the window; *above: how many are larger. Gives their number. */
static int64_t rank_window(struct learner *m, int layer, int32_t low, int32_t high, int64_t *above) {
    const struct network *n = m->n;
    int64_t found = 0;
    ivec larger = {0};
    EACH(i, blocks_of(n, layer)) {
        struct block block = block_of(n, layer, i);
        const vec *score = (const vec *)(m->array[SCORE][layer] + block.at);
        EACH(input, n->size[layer - 1]) EACH(c, block.vectors) {
            ivec here = magnitudes(*score++), valid = ((const ivec *)(m->valid[layer] + block.columns))[c];
            larger += (here > high) & valid;
            ivec within = (here >= low) & (here <= high) & valid;
            int any = 0;
            EACH(k, LANES) any |= within[k];
            for (int k = 0; any && k < LANES; k++)
                if (within[k])
                    m->window[found++] = rank_of(here[k], m->place[layer][block.columns + c * LANES + k] + input);
        }
    }
    *above = -sum_of(larger);
    return found;
}

/* Finds the rank of the last one that the layer keeps: looks where it was the last time, then ever wider. */
static void find_least(struct learner *m, int layer) {
    int64_t above, found, kept = m->kept[layer], middle = magnitude_of(m->least[layer]);
    for (int64_t width = WINDOW;; width *= 64) {
        int64_t low = middle - width, high = middle + width;
        found = rank_window(m, layer, low < 0 ? 0 : (int32_t)low, high > INT32_MAX ? INT32_MAX : (int32_t)high, &above);
        if (above < kept && kept <= above + found) break;
    }
    m->least[layer] = kth_largest(m->window, found, kept - above);
}

/* The error's way back takes later layers' weights by outputs. */
static void turn_back(const struct network *n, int l) {
    for (int start = 0; start < n->size[l - 1]; start += LANES)
        EACH(j, n->size[l])
            for (int i = start; i < n->size[l - 1] && i < start + LANES; i++)
                n->rest[W][n->weight[l] + (int64_t)j * n->width[l - 1] + i] = n->turned[l][(int64_t)i * n->width[l] + j];
}

static void rescale(struct learner *m, int layer, float power) {
    vec *weight = (vec *)effective(m->n, layer);
    double share = (double)(m->ones[layer] ? m->ones[layer] : 1) / (double)weights_of(m->n, layer);
    m->factor[layer] = (float)pow(share, power);
    for (int64_t i = 0; power != 0.0f && i < room_of(m->n, layer) / LANES; i++) weight[i] *= m->factor[layer];
}

/* Makes the masks of all layers from their scores. */
static void make_masks(struct learner *m, const struct how *how, const uint32_t key[2]) {
    const struct network *n = m->n;
    for (int l = 1; l <= n->layers; l++) {
        m->ones[l] = 0;
        if (how->method == EDGE_POPUP) find_least(m, l);
        EACH(i, blocks_of(n, l)) {
            struct block block = block_of(n, l, i);
            for (int input = 0; input < n->size[l - 1]; input += 2) {
                int64_t at = block.at + (int64_t)input * block.vectors * LANES;
                struct row row = {l, block.vectors, at, block.columns, input};
                int rows = input + 1 < n->size[l - 1] ? 2 : 1;
                m->ones[l] += how->method == BERNOULLI ? draw_rows(m, row, rows, key) : rank_rows(m, row, rows);
            }
        }
        rescale(m, l, how->power);
        if (l > 1) turn_back(n, l);
    }
}

#endif
