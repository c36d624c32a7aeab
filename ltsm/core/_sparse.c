/* Training and evaluation of small fully connected networks on sparse images; see sparse_engine.py.

   The first layer's weights lie transposed, a row per pixel, in blocks of columns that fit the registers:
   a pixel that is 0 costs nothing, neither forward nor, unless its neighbour is inked, in the gradient. Adam
   follows row by row, so that no gradient is kept. A row that a batch does not touch gets its Adam steps, with
   gradient 0, when it is next needed: the same steps in the same arithmetic.

   Every sum runs in a fixed order, whatever the blocking: results are functions of the values alone. */
#define _GNU_SOURCE
#include "_sparse_batches.h"
#include "_sparse_first.h"
#include "_sparse_matmul.h"
#include "_sparse_network.h"
#include "_sparse_vec.h"

/* Which variant this processor runs best. */
const char *sparse_best_variant(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) return "avx512";
    if (avx2) return "avx2";
#endif
    return "baseline";
}

/* SHA-256 of the source that this was compiled from. */
const char *sparse_source(void) { return SOURCE; }

/* ---- activations and the loss ------------------------------------------------------------------- */

INLINE vec gelu(vec x, vec *slope) {
    vec share = 0.5f + 0.5f * error_function(x * 0.70710678f);
    *slope = share + x * 0.39894228f * exponential(x * x * -0.5f);
    return x * share;
}

static void activate(const struct network *n, int layer, int images) {
    vec *z = (vec *)n->out[layer], *slope = (vec *)n->slope[layer];
    int64_t vectors = (int64_t)images * n->width[layer] / LANES;
    if (n->activation == RELU)
        for (int64_t i = 0; i < vectors; i++) z[i] = choose(z[i] <= 0.0f, (vec){0}, z[i]); /* NaN stays */
    else if (n->activation == TANH)
        for (int64_t i = 0; i < vectors; i++) z[i] = hyperbolic_tangent(z[i]);
    else
        for (int64_t i = 0; i < vectors; i++) z[i] = gelu(z[i], slope + i);
}

/* Takes the derivative of the loss by the activations to before the activation. */
static void through_activation(const struct network *n, int layer, int images) {
    vec *e = (vec *)n->error[layer], *a = (vec *)n->out[layer], *slope = (vec *)n->slope[layer];
    int64_t vectors = (int64_t)images * n->width[layer] / LANES;
    if (n->activation == RELU)
        for (int64_t i = 0; i < vectors; i++) e[i] = choose(a[i] <= 0.0f, (vec){0}, e[i]);
    else if (n->activation == TANH)
        for (int64_t i = 0; i < vectors; i++) e[i] *= 1.0f - a[i] * a[i];
    else
        for (int64_t i = 0; i < vectors; i++) e[i] *= slope[i];
}

/* The first of the largest of z (n); -1 where one is no number. */
static int prediction(const float *z, int n) {
    int best = 0;
    EACH(j, n) {
        if (z[j] != z[j]) return -1;
        if (z[j] > z[best]) best = j;
    }
    return best;
}

/* Cross entropy of logits z (n, padded); e gets exp(z - largest), *sum their sum. */
static double cross_entropy(const float *z, int n, int64_t label, float *e, double *sum) {
    float largest = z[0];
    EACH(j, n) largest = z[j] > largest ? z[j] : largest;
    EACH(c, padded(n) / LANES) ((vec *)e)[c] = exponential(((const vec *)z)[c] - largest);
    *sum = 0.0;
    EACH(j, n) *sum += e[j];
    return log(*sum) - (double)(z[label] - largest);
}

/* Sum of the batch's losses; the last error becomes the derivative of their mean. */
static double loss(const struct network *n, const struct batch *b) {
    int classes = n->size[n->layers], width = n->width[n->layers];
    double total = 0.0, sum;
    EACH(i, b->images) {
        float *e = n->error[n->layers] + (int64_t)i * width;
        total += cross_entropy(n->out[n->layers] + (int64_t)i * width, classes, b->label[i], e, &sum);
        float scale = (float)(1.0 / (sum * b->images));
        EACH(j, width) e[j] = j < classes ? e[j] * scale : 0.0f;
        e[b->label[i]] -= 1.0f / (float)b->images;
    }
    return total;
}

/* ---- the network -------------------------------------------------------------------------------- */

static void forward(struct network *n, struct batch *b, const struct spared *spared) {
    first_forward(n, b, spared);
    for (int l = 2; l <= n->layers; l++) {
        activate(n, l - 1, b->images);
        struct view inputs = {n->out[l - 1], n->width[l - 1], 1};
        multiply(b->images, n->size[l - 1], n->width[l], inputs, n->turned[l], n->width[l],
                 n->rest[W] + n->bias[l], n->out[l], n->width[l]);
    }
}

static void sum_rows(const float *rows, int count, int width, float *out) {
    EACH(c, width / LANES) {
        vec sum = (vec){0};
        EACH(i, count) sum += ((const vec *)(rows + (int64_t)i * width))[c];
        ((vec *)out)[c] = sum;
    }
}

/* Errors of all layers, and the gradient of everything but the first layer's weights. */
static void backward(const struct network *n, const struct batch *b) {
    for (int l = n->layers; l >= 1; l--) {
        const float *error = n->error[l];
        sum_rows(error, b->images, n->width[l], n->gradient + n->bias[l]);
        if (l == 1) break;
        struct view columns = {error, 1, n->width[l]}, rows = {error, n->width[l], 1};
        multiply(n->size[l], b->images, n->width[l - 1], columns, n->out[l - 1], n->width[l - 1], NULL,
                 n->gradient + n->weight[l], n->width[l - 1]);
        multiply(b->images, n->size[l], n->width[l - 1], rows, n->rest[W] + n->weight[l], n->width[l - 1], NULL,
                 n->error[l - 1], n->width[l - 1]);
        through_activation(n, l - 1, b->images);
    }
}

static void rest_step(struct network *n, const struct rates *rates) {
    vec *w = (vec *)n->rest[W], *m = (vec *)n->rest[M], *v = (vec *)n->rest[V], *g = (vec *)n->gradient;
    for (int64_t i = 0; i < n->rest_size / LANES; i++) adam(w + i, m + i, v + i, g[i], rates);
    turn(n);
}

/* Rates of the steps after `begin`; hyper: learning rate, beta1, beta2, epsilon. */
static struct rates *rates_of(int64_t begin, int64_t end, const double *hyper) {
    struct rates *rates = malloc((end - begin + 1) * sizeof *rates);
    for (int64_t t = begin; rates && t < end; t++) {
        double first = 1.0 - pow(hyper[1], (double)(t + 1)), second = 1.0 - pow(hyper[2], (double)(t + 1));
        rates[t - begin] = (struct rates){(float)hyper[2],          (float)(1.0 - hyper[1]), (float)(1.0 - hyper[2]),
                                          (float)(1.0 / sqrt(second)), (float)hyper[3],      (float)(hyper[0] / first)};
    }
    return rates;
}

static double train_step(struct network *n, struct batch *b, int64_t begin, int64_t t, const struct rates *rates) {
    struct spared spared = {begin, t, rates};
    forward(n, b, &spared);
    double sum = loss(n, b);
    backward(n, b);
    first_step(n, b, (struct step){step_vectors, rates + (t - begin)});
    EACH(i, b->pairs) n->active[b->pair[i]] = 1, n->done[b->pair[i]] = t + 1;
    rest_step(n, rates + (t - begin));
    return sum / b->images;
}

/* Makes the steps after `begin` up to `end`; *loss is the sum of their mean losses.

   order: the epoch's (images), which all steps must belong to; NULL: file order. Returns 0 when memory is
   out, and the network is then of no use. */
int sparse_network_train(struct network *n, struct images *s, const int64_t *order, int batch, int64_t begin,
                         int64_t end, const double *hyper, double *loss) {
    int64_t batches = (s->count + batch - 1) / batch;
    struct rates *rates = rates_of(begin, end, hyper);
    struct batch *b = NULL;
    uint64_t before = flush_denormals();
    *loss = 0.0;
    for (int64_t t = begin; rates && t < end && (b = batch_at(s, order, t % batches, batch, 1)); t++) {
        *loss += train_step(n, b, begin, t, rates);
        if (order) fetch_batch(s, order, t % batches + 1, batch);
    }
    struct spared spared = {begin, end, rates};
    if (b) EACH(p, n->pairs) catch_up(n, p, &spared);
    restore(before);
    free(rates);
    return begin == end || b != NULL;
}

/* Mean loss and accuracy of the images; 0 when memory is out. */
int sparse_network_evaluate(struct network *n, struct images *s, double *loss, double *accuracy) {
    int classes = n->size[n->layers], width = n->width[n->layers];
    double total = 0.0, sum;
    int64_t correct = 0;
    for (int64_t k = 0; k < (s->count + CHUNK - 1) / CHUNK; k++) {
        struct batch *b = batch_at(s, NULL, k, CHUNK, 0);
        if (!b) return 0;
        forward(n, b, NULL);
        EACH(i, b->images) {
            const float *z = n->out[n->layers] + (int64_t)i * width;
            total += cross_entropy(z, classes, b->label[i], n->error[n->layers], &sum);
            correct += prediction(z, classes) == b->label[i];
        }
    }
    *loss = total / (double)s->count, *accuracy = (double)correct / (double)s->count;
    return 1;
}

/* ---- masks that are trained --------------------------------------------------------------------- */

#include "_sparse_scores.h"
