/* One network for _sparse.c: its memory, its working order, and the way in and out of it. */
#ifndef LTSM_SPARSE_NETWORK_H
#define LTSM_SPARSE_NETWORK_H

#include "_sparse_images.h"
#include "_sparse_vec.h"

#define BLOCK 13 /* vectors of columns whose sums, and a pixel, fit 16 registers */
#if LANES == 16
#define PART 13 /* those for two pixels at once, with 32 registers */
#else
#define PART 6 /* with 16 */
#endif
#define LAYERS 65
#define CHUNK 256 /* images evaluated at a time */

enum { RELU, TANH, GELU };
enum { W, M, V }; /* parameters, and Adam's means of the gradient and of its square */

/* One network in working order, and room for one batch.

   first: the first layer's weights, by blocks of columns, each (2 · pairs of pixels, the block's columns).
   rest: the later layers' weights (outputs, padded inputs), then all biases, padded.
   turned: the later layers' weights, transposed. out, slope, error: (images, padded outputs) per layer:
   activations, their derivatives (GELU only), and the loss's derivatives before the activation. */
struct network {
    int layers, activation, room, pairs, size[LAYERS + 1], width[LAYERS + 1];
    int64_t rest_size, weight[LAYERS + 1], bias[LAYERS + 1];
    float *first[3], *rest[3], *gradient, *turned[LAYERS + 1];
    float *out[LAYERS + 1], *slope[LAYERS + 1], *error[LAYERS + 1];
    char *active;  /* per pair of pixels: whether its rows have means that are not 0 */
    int64_t *done; /* per pair of pixels: the last step that its rows have had */
};

static int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

struct block {
    int64_t at; /* of the block's first weight */
    int columns, vectors;
};

static int block_count(const struct network *n) { return (n->width[1] / LANES + BLOCK - 1) / BLOCK; }

static struct block block_at(const struct network *n, int i) {
    int64_t vectors = n->width[1] / LANES, blocks = block_count(n);
    int64_t begin = i * vectors / blocks, end = (i + 1) * vectors / blocks;
    return (struct block){begin * LANES * 2 * n->pairs, (int)begin * LANES, (int)(end - begin)};
}

static void turn(const struct network *n) {
    for (int l = 2; l <= n->layers; l++)
        EACH(i, n->size[l - 1])
            EACH(j, n->size[l])
                n->turned[l][(int64_t)i * n->width[l] + j] = n->rest[W][n->weight[l] + (int64_t)j * n->width[l - 1] + i];
}

void sparse_network_free(struct network *n) {
    if (!n) return;
    EACH(i, 3) free(n->first[i]), free(n->rest[i]);
    EACH(l, LAYERS + 1) free(n->turned[l]), free(n->out[l]), free(n->slope[l]), free(n->error[l]);
    free(n->gradient), free(n->active), free(n->done), free(n);
}

static void lay_out(struct network *n) {
    for (int l = 2; l <= n->layers; l++) {
        n->weight[l] = n->rest_size;
        n->rest_size += (int64_t)n->size[l] * n->width[l - 1];
    }
    for (int l = 1; l <= n->layers; l++) {
        n->bias[l] = n->rest_size;
        n->rest_size += n->width[l];
    }
}

/* Takes memory for everything; 0 when there is not enough. */
static int allocate(struct network *n) {
    int64_t first = (int64_t)2 * n->pairs * n->width[1] * 4;
    int taken = (n->gradient = reserve(n->rest_size * 4)) && (n->active = reserve(n->pairs)) &&
                (n->done = reserve((int64_t)n->pairs * 8));
    EACH(i, 3) taken = taken && (n->first[i] = reserve(first)) && (n->rest[i] = reserve(n->rest_size * 4));
    for (int l = 1; l <= n->layers; l++) {
        int64_t bytes = (int64_t)n->room * n->width[l] * 4;
        taken = taken && (n->out[l] = reserve(bytes)) && (n->error[l] = reserve(bytes));
        if (n->activation == GELU) taken = taken && (n->slope[l] = reserve(bytes));
        if (l > 1) taken = taken && (n->turned[l] = reserve((int64_t)n->size[l - 1] * n->width[l] * 4));
    }
    return taken;
}

/* A network of these sizes, (layers + 1) from input to output, for batches of up to `batch` images.

   NULL when memory is out or there are too many layers. */
struct network *sparse_network_new(int layers, const int64_t *sizes, int activation, int batch) {
    struct network *n = layers > LAYERS ? NULL : calloc(1, sizeof *n);
    if (!n) return NULL;
    n->layers = layers, n->activation = activation, n->room = batch < CHUNK ? CHUNK : batch;
    EACH(l, layers + 1) n->size[l] = (int)sizes[l], n->width[l] = padded(n->size[l]);
    n->pairs = (n->size[0] + 1) / 2;
    lay_out(n);
    if (allocate(n)) return n;
    sparse_network_free(n);
    return NULL;
}

/* Copies (outputs, inputs) weights into or out of one block, by 16 pixels for the cache. */
static void copy_block(const struct network *n, struct block block, float *flat, float *blocks, int out) {
    int pixels = n->size[0], width = block.vectors * LANES;
    int columns = n->size[1] - block.columns < width ? n->size[1] - block.columns : width;
    for (int start = 0; start < pixels; start += 16)
        EACH(j, columns) {
            float *row = flat + (int64_t)(block.columns + j) * pixels, *column = blocks + block.at + j;
            for (int p = start; p < pixels && p < start + 16; p++) {
                if (out) row[p] = column[(int64_t)p * width];
                else column[(int64_t)p * width] = row[p];
            }
        }
}

/* Copies one vector of all parameters, as in a state, into or out of working order. */
static void copy(const struct network *n, float *flat, float *blocks, float *rest, int out) {
    EACH(i, block_count(n)) copy_block(n, block_at(n, i), flat, blocks, out);
    flat += (int64_t)n->size[0] * n->size[1];
    for (int l = 1; l <= n->layers; l++) {
        for (int j = 0; l > 1 && j < n->size[l]; j++, flat += n->size[l - 1]) {
            float *here = rest + n->weight[l] + (int64_t)j * n->width[l - 1];
            memcpy(out ? flat : here, out ? here : flat, n->size[l - 1] * sizeof *flat);
        }
        float *here = rest + n->bias[l];
        memcpy(out ? flat : here, out ? here : flat, n->size[l] * sizeof *flat);
        flat += n->size[l];
    }
}

static int pair_is_active(const struct network *n, int pair) {
    EACH(i, block_count(n)) {
        struct block block = block_at(n, i);
        int64_t size = (int64_t)2 * block.vectors * LANES, at = block.at + pair * size;
        for (int64_t k = at; k < at + size; k++)
            if (n->first[M][k] != 0.0f || (n->first[V][k] != 0.0f && n->first[V][k] != INFINITY)) return 1;
    }
    return 0;
}

/* Takes over parameters and, for training from `step` on, Adam's means; these may be NULL.

   Pruned parameters are those whose second mean is given as +inf. */
void sparse_network_load(struct network *n, float *w, float *m, float *v, int64_t step) {
    copy(n, w, n->first[W], n->rest[W], 0);
    turn(n);
    if (!m) return;
    copy(n, m, n->first[M], n->rest[M], 0);
    copy(n, v, n->first[V], n->rest[V], 0);
    EACH(p, n->pairs) n->active[p] = (char)pair_is_active(n, p), n->done[p] = step;
}

/* Gives back what `load` took; the second mean of a pruned parameter is +inf or NaN. */
void sparse_network_state(const struct network *n, float *w, float *m, float *v) {
    copy(n, w, n->first[W], n->rest[W], 1);
    copy(n, m, n->first[M], n->rest[M], 1);
    copy(n, v, n->first[V], n->rest[V], 1);
}

#endif
