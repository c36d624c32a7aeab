/* The training of a mask, for _sparse.c: the way back to the scores, and their step. */
#ifndef LTSM_SPARSE_SCORES_H
#define LTSM_SPARSE_SCORES_H

#include "_sparse_batches.h"
#include "_sparse_first.h"
#include "_sparse_masks.h"
#include "_sparse_matmul.h"

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

static double learner_step(struct learner *m, struct batch *b, const struct how *how, float rate,
                           const uint32_t key[2]) {
    struct network *n = m->n;
    make_masks(m, how, key);
    forward(n, b, NULL);
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
    for (int64_t t = begin; t < end && (b = batch_at(s, order, t % batches, batch, 1)); t++) {
        *loss += learner_step(m, b, &how, (float)rates[t - begin], keys + 2 * (t - begin));
        if (order) fetch_batch(s, order, t % batches + 1, batch);
    }
    restore(before);
    return begin == end || b != NULL;
}

#endif
