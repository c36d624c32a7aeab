/* Training and evaluation of small fully connected networks on sparse images; see sparse_engine.py.

   The first layer's weights lie transposed, a row per pixel, in blocks of columns that fit the registers:
   a pixel that is 0 costs nothing, neither forward nor in the gradient. Adam is fused into the gradient,
   which is never stored. A row that a batch does not touch gets its Adam steps, with gradient 0, when it is
   next needed: the same steps in the same arithmetic.

   Every sum runs in a fixed order, whatever the blocking: results are functions of the values alone. */
#define _GNU_SOURCE
#include "_sparse_images.h"
#include "_sparse_matmul.h"
#include "_sparse_network.h"
#include "_sparse_vec.h"

/* Which variant this processor runs best. */
const char *sparse_best_variant(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) return "avx512";
    if (avx2) return "avx2";
#endif
    return "baseline";
}

/* SHA-256 of the source that this was compiled from. */
const char *sparse_source(void) { return SOURCE; }

/* ---- the first layer ---------------------------------------------------------------------------- */

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
    }

INLINE void forward_block(const int vectors, const struct network *n, const struct batch *b, struct block block) {
    const float *weights = n->first[W] + block.at;
    const vec *bias = (const vec *)(n->rest[W] + n->bias[1] + block.columns);
    EACH(q, (b->images + 1) / 2) {
        vec one[BLOCK], two[BLOCK];
        UNROLLED(c, vectors) one[c] = two[c] = bias[c];
        for (int32_t k = b->pair_first[q]; k < b->pair_first[q + 1]; k++) {
            const vec *row = (const vec *)(weights + (int64_t)b->pair_pixel[k] * vectors * LANES);
            vec x = splat(b->pair_value[2 * k]), y = splat(b->pair_value[2 * k + 1]);
            UNROLLED(c, vectors) one[c] += row[c] * x, two[c] += row[c] * y;
        }
        float *out = n->out[1] + (int64_t)2 * q * n->width[1] + block.columns;
        UNROLLED(c, vectors) ((vec *)out)[c] = one[c], ((vec *)(out + n->width[1]))[c] = two[c];
    }
}

static void first_forward(const struct network *n, const struct batch *b) {
    EACH(i, block_count(n)) {
        struct block block = block_at(n, i);
        BY_VECTORS(block.vectors, forward_block, n, b, block)
    }
}

/* The gradient of one pixel's weights, and their Adam step. */
INLINE void step_row(const int vectors, struct network *n, const struct batch *b, struct block block, int i,
                     const struct rates *rates) {
    const float *error = n->error[1] + block.columns;
    int64_t at = block.at + (int64_t)b->pixel[i] * vectors * LANES, width = n->width[1];
    vec sum[BLOCK];
    UNROLLED(c, vectors) sum[c] = (vec){0};
    for (int32_t k = b->first[i]; k < b->first[i + 1]; k++) {
        const vec *row = (const vec *)(error + b->image[k] * width);
        vec x = splat(b->value[k]);
        UNROLLED(c, vectors) sum[c] += row[c] * x;
    }
    vec *w = (vec *)(n->first[W] + at), *m = (vec *)(n->first[M] + at), *v = (vec *)(n->first[V] + at);
    UNROLLED(c, vectors) adam(w + c, m + c, v + c, sum[c], rates);
}

/* Odd steps run forwards, even ones backwards: what the last one left in the cache comes first. */
INLINE void step_block(const int vectors, struct network *n, const struct batch *b, struct block block, int odd,
                       const struct rates *rates) {
    EACH(i, b->touched) step_row(vectors, n, b, block, odd ? i : b->touched - 1 - i, rates);
}

static void first_step(struct network *n, const struct batch *b, int64_t step, const struct rates *rates) {
    int blocks = block_count(n), odd = step % 2;
    EACH(i, blocks) {
        struct block block = block_at(n, odd ? i : blocks - 1 - i);
        BY_VECTORS(block.vectors, step_block, n, b, block, odd, rates)
    }
    EACH(i, b->touched) n->active[b->pixel[i]] = 1, n->done[b->pixel[i]] = step;
}

INLINE void catch_up_vector(vec *w, vec *m, vec *v, const struct rates *rates, int64_t steps) {
    vec weights = *w, mean = *m, square = *v;
    for (int64_t s = 0; s < steps; s++) adam(&weights, &mean, &square, (vec){0}, rates + s);
    *w = weights, *m = mean, *v = square;
}

/* Gives a pixel's row the steps up to `step` that it has not had; rates[0] are those of step `first` + 1. */
static void catch_up(struct network *n, int pixel, int64_t first, int64_t step, const struct rates *rates) {
    int64_t steps = step - n->done[pixel];
    if (steps <= 0 || !n->active[pixel]) return;
    rates += n->done[pixel] - first;
    EACH(i, block_count(n)) {
        struct block block = block_at(n, i);
        int64_t at = block.at + (int64_t)pixel * block.vectors * LANES;
        vec *w = (vec *)(n->first[W] + at), *m = (vec *)(n->first[M] + at), *v = (vec *)(n->first[V] + at);
        EACH(c, block.vectors) catch_up_vector(w + c, m + c, v + c, rates, steps);
    }
    n->done[pixel] = step;
}

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

static void forward(const struct network *n, const struct batch *b) {
    first_forward(n, b);
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

static double train_step(struct network *n, const struct batch *b, int64_t begin, int64_t t, const struct rates *rates) {
    EACH(i, b->touched) catch_up(n, b->pixel[i], begin, t, rates);
    forward(n, b);
    double sum = loss(n, b);
    backward(n, b);
    first_step(n, b, t + 1, rates + (t - begin));
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
    for (int64_t t = begin; rates && t < end && (b = batch_at(s, order, t % batches, batch, &n->scratch)); t++)
        *loss += train_step(n, b, begin, t, rates);
    if (b) EACH(p, n->size[0]) catch_up(n, p, begin, end, rates);
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
        struct batch *b = batch_at(s, NULL, k, CHUNK, &n->scratch);
        if (!b) return 0;
        forward(n, b);
        EACH(i, b->images) {
            const float *z = n->out[n->layers] + (int64_t)i * width;
            total += cross_entropy(z, classes, b->label[i], n->error[n->layers], &sum);
            correct += prediction(z, classes) == b->label[i];
        }
    }
    *loss = total / (double)s->count, *accuracy = (double)correct / (double)s->count;
    return 1;
}
