/* A network whose mask is trained, for _sparse.c: its memory, its masks, and the step on its scores. See mask_sparse.py.

   Every layer's arrays have a row per input, as the first layer's weights have, so that one row of outputs is drawn,
   ranked and stepped at a time; those of the first layer in its blocks of columns. */
#ifndef LTSM_SPARSE_LEARNER_H
#define LTSM_SPARSE_LEARNER_H

#include "_sparse_draw.h"
#include "_sparse_first.h"
#include "_sparse_network.h"
#include "_sparse_rank.h"

enum { BERNOULLI, EDGE_POPUP };
enum { FIXED, SCORE, MOMENTUM, SLOPE, ARRAYS }; /* weights, scores, SGD's momentum, the mask's derivative by the score */

#define PLACE_BITS 20 /* of a counter's second word: which output; above them, which layer */
#define WINDOW (1 << 16) /* magnitudes on either side of the last threshold: a hundredth of it */

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

/* ---- masks -------------------------------------------------------------------------------------- */

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

/* ---- scores ------------------------------------------------------------------------------------- */

/* SGD's step on some vectors of a layer's scores, of the gradient by its weights. */
struct score_step {
    struct learner *m;
    int layer;
    const struct how *how;
    float rate;
};

static __attribute__((noinline)) void step_scores(struct network *n, int64_t at, int vectors, const vec *gradient,
                                                  const void *given) {
    const struct score_step s = *(const struct score_step *)given;
    (void)n;
    vec *part[ARRAYS];
    EACH(i, ARRAYS) part[i] = (vec *)(s.m->array[i][s.layer] + at);
    float factor = s.m->factor[s.layer], shift = s.m->shift[s.layer], keep = s.how->momentum, decay = s.how->decay;
    EACH(c, vectors) {
        vec score = part[SCORE][c], by_mask = gradient[c] * part[FIXED][c] * factor + shift;
        vec momentum = part[MOMENTUM][c] * keep + (by_mask * part[SLOPE][c] + score * decay);
        part[MOMENTUM][c] = momentum, part[SCORE][c] = score - momentum * s.rate;
    }
}

/* The first layer's: pairs of pixels that the batch has, then the others, whose gradient is 0. */
static void step_first_layer(struct learner *m, const struct batch *b, const struct score_step *step) {
    const struct network *n = m->n;
    static const vec nothing[2 * BLOCK];
    first_step(m->n, b, (struct step){step_scores, step});
    for (int pair = 0, next = 0; pair < n->pairs; pair++) {
        if (next < b->pairs && b->pair[next] == pair) {
            next++;
            continue;
        }
        EACH(i, block_count(n)) {
            struct block block = block_at(n, i);
            step_scores(m->n, block.at + (int64_t)2 * pair * block.vectors * LANES, 2 * block.vectors, nothing, step);
        }
    }
}

/* The derivative of the loss by the logarithm of the layer's factor: the sum of its weights times their gradient.

   With ReLU an error is 0 where the activation is not what went into it. */
static double by_factor(const struct network *n, const struct batch *b, int layer) {
    const vec *error = (const vec *)n->error[layer], *out = (const vec *)n->out[layer];
    const vec *bias = (const vec *)(n->rest[W] + n->bias[layer]);
    double total = 0.0;
    EACH(i, b->images) {
        vec sum = {0};
        EACH(c, n->width[layer] / LANES) sum += *error++ * (*out++ - bias[c]);
        EACH(k, LANES) total += sum[k];
    }
    return total;
}

static void learner_backward(struct learner *m, const struct batch *b, const struct how *how) {
    const struct network *n = m->n;
    for (int l = n->layers; l >= 1; l--) {
        int64_t ones = m->ones[l] ? m->ones[l] : 1;
        m->shift[l] = how->through ? (float)(how->power * by_factor(n, b, l) / (double)ones) : 0.0f;
        if (l == 1) break;
        struct view columns = {n->out[l - 1], 1, n->width[l - 1]}, rows = {n->error[l], n->width[l], 1};
        multiply(n->size[l - 1], b->images, n->width[l], columns, n->error[l], n->width[l], NULL, m->gradient[l],
                 n->width[l]);
        multiply(b->images, n->size[l], n->width[l - 1], rows, n->rest[W] + n->weight[l], n->width[l - 1], NULL,
                 n->error[l - 1], n->width[l - 1]);
        through_activation(n, l - 1, b->images);
    }
}

static double learner_step(struct learner *m, const struct batch *b, const struct how *how, float rate,
                           const uint32_t key[2]) {
    struct network *n = m->n;
    make_masks(m, how, key);
    forward(n, b);
    double sum = loss(n, b);
    learner_backward(m, b, how);
    for (int l = 1; l <= n->layers; l++) {
        struct score_step step = {m, l, how, rate};
        if (l == 1) step_first_layer(m, b, &step);
        else step_scores(n, 0, (int)(room_of(n, l) / LANES), (const vec *)m->gradient[l], &step);
    }
    return sum / b->images;
}

/* Makes the steps after `begin` up to `end`, as sparse_network_train does.

   hyper: momentum, decay, the power of the share kept that weights are rescaled by, whether that passes a gradient on.
   rates: (end - begin); keys: (end - begin, 2), what masks are drawn by; kept: per layer, how many edge-popup keeps. */
int sparse_learner_train(struct learner *m, struct images *s, const int64_t *order, int batch, int64_t begin,
                         int64_t end, int method, const double *hyper, const double *rates, const uint32_t *keys,
                         const int64_t *kept, double *loss) {
    struct how how = {method, hyper[3] != 0.0, (float)hyper[0], (float)hyper[1], (float)hyper[2]};
    int64_t batches = (s->count + batch - 1) / batch;
    struct batch *b = NULL;
    uint64_t before = flush_denormals();
    *loss = 0.0;
    EACH(l, m->n->layers) m->kept[l + 1] = kept[l];
    for (int64_t t = begin; t < end && (b = batch_at(s, order, t % batches, batch, 1, &m->n->scratch)); t++) {
        if (order) fetch_batch(s, order, t % batches + 1, batch);
        *loss += learner_step(m, b, &how, (float)rates[t - begin], keys + 2 * (t - begin));
    }
    restore(before);
    return begin == end || b != NULL;
}

#endif
