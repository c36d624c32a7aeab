/* Training and evaluation of small fully connected networks on sparse images; see sparse_engine.py.

   The first layer's weights lie transposed, a row per pixel, in blocks of columns that fit the registers:
   a pixel that is 0 costs nothing, neither forward nor in the gradient. Adam is fused into the gradient,
   which is never stored. A row that a batch does not touch gets its Adam steps, with gradient 0, when it is
   next needed: the same steps in the same arithmetic.

   Every sum runs in a fixed order, whatever the blocking: results are functions of the values alone. */
#define _GNU_SOURCE
#include "_sparse_images.h"
#include "_sparse_matmul.h"
#include "_sparse_vec.h"

#define BLOCK 7  /* vectors of columns: two images' sums and the weights fit 16 to 32 registers */
#define LAYERS 65
#define CHUNK 64 /* images evaluated at a time */

enum { RELU, TANH, GELU };
enum { W, M, V }; /* parameters, and Adam's means of the gradient and of its square */

/* One network in working order, and room for one batch.

   first: the first layer's weights, by blocks of columns, each (pixels, the block's columns).
   rest: the later layers' weights (outputs, padded inputs), then all biases, padded.
   turned: the later layers' weights, transposed. out, slope, error: (images, padded outputs) per layer:
   activations, their derivatives (GELU only), and the loss's derivatives before the activation. */
struct network {
    int layers, activation, room, size[LAYERS + 1], width[LAYERS + 1];
    int64_t rest_size, weight[LAYERS + 1], bias[LAYERS + 1];
    float *first[3], *rest[3], *gradient, *turned[LAYERS + 1];
    float *out[LAYERS + 1], *slope[LAYERS + 1], *error[LAYERS + 1];
    char *active;  /* per pixel: whether its row has means that are not 0 */
    int64_t *done; /* per pixel: the last step that its row has had */
    struct batch scratch;
};

static int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

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

struct block {
    int64_t at; /* of the block's first weight */
    int columns, vectors;
};

static int block_count(const struct network *n) { return (n->width[1] / LANES + BLOCK - 1) / BLOCK; }

static struct block block_at(const struct network *n, int i) {
    int64_t vectors = n->width[1] / LANES, blocks = block_count(n);
    int64_t begin = i * vectors / blocks, end = (i + 1) * vectors / blocks;
    return (struct block){begin * LANES * n->size[0], (int)begin * LANES, (int)(end - begin)};
}

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

static void turn(const struct network *n) {
    for (int l = 2; l <= n->layers; l++)
        EACH(i, n->size[l - 1])
            EACH(j, n->size[l])
                n->turned[l][(int64_t)i * n->width[l] + j] = n->rest[W][n->weight[l] + (int64_t)j * n->width[l - 1] + i];
}

static void rest_step(struct network *n, const struct rates *rates) {
    vec *w = (vec *)n->rest[W], *m = (vec *)n->rest[M], *v = (vec *)n->rest[V], *g = (vec *)n->gradient;
    for (int64_t i = 0; i < n->rest_size / LANES; i++) adam(w + i, m + i, v + i, g[i], rates);
    turn(n);
}

void sparse_network_free(struct network *n) {
    if (!n) return;
    EACH(i, 3) free(n->first[i]), free(n->rest[i]);
    EACH(l, LAYERS + 1) free(n->turned[l]), free(n->out[l]), free(n->slope[l]), free(n->error[l]);
    free(n->gradient), free(n->active), free(n->done), free(n->scratch.memory), free(n);
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

/* Takes memory for everything; 0 when there is not enough. Every buffer has room for one image more. */
static int allocate(struct network *n) {
    int64_t first = (int64_t)n->size[0] * n->width[1] * 4;
    int taken = (n->gradient = reserve(n->rest_size * 4)) && (n->active = reserve(n->size[0])) &&
                (n->done = reserve((int64_t)n->size[0] * 8));
    EACH(i, 3) taken = taken && (n->first[i] = reserve(first)) && (n->rest[i] = reserve(n->rest_size * 4));
    for (int l = 1; l <= n->layers; l++) {
        int64_t bytes = (int64_t)(n->room + 1) * n->width[l] * 4;
        taken = taken && (n->out[l] = reserve(bytes)) && (n->slope[l] = reserve(bytes)) &&
                (n->error[l] = reserve(bytes)) && (n->turned[l] = reserve((int64_t)n->size[l - 1] * n->width[l] * 4));
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

static int row_is_active(const struct network *n, int pixel) {
    EACH(i, block_count(n)) {
        struct block block = block_at(n, i);
        int64_t at = block.at + (int64_t)pixel * block.vectors * LANES;
        EACH(c, block.vectors * LANES)
            if (n->first[M][at + c] != 0.0f || (n->first[V][at + c] != 0.0f && n->first[V][at + c] != INFINITY)) return 1;
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
    EACH(p, n->size[0]) n->active[p] = (char)row_is_active(n, p), n->done[p] = step;
}

/* Gives back what `load` took; the second mean of a pruned parameter is +inf or NaN. */
void sparse_network_state(const struct network *n, float *w, float *m, float *v) {
    copy(n, w, n->first[W], n->rest[W], 1);
    copy(n, m, n->first[M], n->rest[M], 1);
    copy(n, v, n->first[V], n->rest[V], 1);
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
