/* A network whose mask is trained, for _sparse.c: its memory, and the way in and out of it. See mask_sparse.py.

   Every layer's arrays have a row per input, as the first layer's weights have, so that one row of outputs is drawn,
   ranked and stepped at a time; those of the first layer in its blocks of columns. */
#ifndef LTSM_SPARSE_LEARNER_H
#define LTSM_SPARSE_LEARNER_H

#include "_sparse_network.h"
#include "_sparse_rank.h"

enum { BERNOULLI, EDGE_POPUP };
enum { FIXED, SCORE, MOMENTUM, SLOPE, ARRAYS }; /* weights, scores, SGD's momentum, the mask's derivative by the score */

struct learner {
    struct network *n;
    float *array[ARRAYS][LAYERS + 1], *gradient[LAYERS + 1]; /* of later layers alone */
    int32_t *valid[LAYERS + 1], *place[LAYERS + 1]; /* per output: all bits where it is none of the padding; its first weight */
    int64_t ones[LAYERS + 1], kept[LAYERS + 1];
    float factor[LAYERS + 1], shift[LAYERS + 1];
    rank least[LAYERS + 1]; /* of those that edge-popup keeps */
    rank *window;
};

/* How masks are made and scores are stepped; `power` is 0 where nothing is rescaled. */
struct how {
    int method, through;
    float momentum, decay, power;
};

static int64_t weights_of(const struct network *n, int layer) { return (int64_t)n->size[layer - 1] * n->size[layer]; }

static int blocks_of(const struct network *n, int layer) { return layer == 1 ? block_count(n) : 1; }

static struct block block_of(const struct network *n, int layer, int i) {
    return layer == 1 ? block_at(n, i) : (struct block){0, 0, n->width[layer] / LANES};
}

/* The weights that the forward pass takes. */
static float *effective(const struct network *n, int layer) { return layer == 1 ? n->first[W] : n->turned[layer]; }

static int64_t room_of(const struct network *n, int layer) {
    return layer == 1 ? (int64_t)2 * n->pairs * n->width[1] : (int64_t)n->size[layer - 1] * n->width[layer];
}

/* ---- memory ------------------------------------------------------------------------------------- */

void sparse_learner_free(struct learner *m) {
    if (!m) return;
    EACH(l, LAYERS + 1) {
        EACH(i, ARRAYS) free(m->array[i][l]);
        free(m->gradient[l]), free(m->valid[l]), free(m->place[l]);
    }
    sparse_network_free(m->n);
    free(m->window), free(m);
}

static int take_memory(struct learner *m) {
    const struct network *n = m->n;
    int64_t most = 0;
    for (int l = 1; l <= n->layers; l++) {
        int64_t bytes = room_of(n, l) * 4;
        EACH(i, ARRAYS) if (!(m->array[i][l] = reserve(bytes))) return 0;
        if (l > 1 && !(m->gradient[l] = reserve(bytes))) return 0;
        if (!(m->valid[l] = reserve(n->width[l] * 4)) || !(m->place[l] = reserve(n->width[l] * 4))) return 0;
        EACH(j, n->size[l]) m->valid[l][j] = -1, m->place[l][j] = j * n->size[l - 1];
        most = weights_of(n, l) > most ? weights_of(n, l) : most;
    }
    return (m->window = reserve(most * sizeof *m->window)) != NULL;
}

/* A network of these sizes, as of sparse_network_new, with ReLU; NULL when memory is out. */
struct learner *sparse_learner_new(int layers, const int64_t *sizes, int batch) {
    struct learner *m = calloc(1, sizeof *m);
    if (m && (m->n = sparse_network_new(layers, sizes, RELU, batch)) && take_memory(m)) return m;
    sparse_learner_free(m);
    return NULL;
}

/* Copies one vector of all parameters, biases left out, into or out of working order. */
static void copy_rows(const struct learner *m, float *flat, int which, int out) {
    const struct network *n = m->n;
    EACH(i, block_count(n)) copy_block(n, block_at(n, i), flat, m->array[which][1], out);
    for (int l = 1; l <= n->layers; flat += weights_of(n, l) + n->size[l], l++)
        for (int p = 0; l > 1 && p < n->size[l - 1]; p++)
            EACH(j, n->size[l]) {
                float *here = m->array[which][l] + (int64_t)p * n->width[l] + j, *there = flat + (int64_t)j * n->size[l - 1] + p;
                if (out) *there = *here;
                else *here = *there;
            }
}

/* Takes over parameters (P), of which no weight is ever changed, scores and momentum. */
void sparse_learner_load(struct learner *m, float *values, float *scores, float *momentum) {
    copy(m->n, values, m->n->first[W], m->n->rest[W], 0); /* the biases; weights are written by every mask */
    copy_rows(m, values, FIXED, 0), copy_rows(m, scores, SCORE, 0), copy_rows(m, momentum, MOMENTUM, 0);
}

/* Gives back scores and momentum (P); those of biases stay what they are there. */
void sparse_learner_state(const struct learner *m, float *scores, float *momentum) {
    copy_rows(m, scores, SCORE, 1), copy_rows(m, momentum, MOMENTUM, 1);
}

#endif
