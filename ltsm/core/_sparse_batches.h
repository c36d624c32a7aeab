/* Batches for _sparse.c: laid out for the forward pass and for the gradient. */
#ifndef LTSM_SPARSE_BATCHES_H
#define LTSM_SPARSE_BATCHES_H

#include "_sparse_images.h"

#define KEPT_ENTRIES (1 << 25) /* sets with more non-zero pixels get no batches kept: they would fill the memory */
/* Their rows of 13 vectors, where they are inked, fit the first-level cache; of 32 to 112 the fastest. */
#define TILE_PIXELS 56

static int64_t entries_of(const struct images *s, const int64_t *rows, int n) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += s->first[rows[i] + 1] - s->first[rows[i]];
    return sum;
}

/* Counts each pair's entries in the batch, and all of them. */
static int64_t count_pairs(const struct images *s, const int64_t *rows, int n, int32_t *counts) {
    int64_t sum = 0;
    memset(counts, 0, (s->pixels + 1) / 2 * sizeof *counts);
    for (int i = 0; i < n; i++) {
        int last = -1;
        for (int64_t k = s->first[rows[i]]; k < s->first[rows[i] + 1]; k++) {
            int pair = s->pixel[k] / 2, other = pair != last;
            counts[pair] += other, sum += other, last = pair;
        }
    }
    return sum;
}

/* Makes room for a batch of n images with so many entries in its walk and in its pairs; 0 when memory is out. */
static int make_room(struct batch *b, int64_t pixels, int64_t n, int64_t entries, int64_t paired) {
    int64_t pairs = (pixels + 1) / 2, visits = n * ((pixels + TILE_PIXELS - 1) / TILE_PIXELS);
    if (visits > entries) visits = entries;
    size_t bytes = 8 * n + 4 * (visits + entries + pairs + 1 + 2 * paired) + 2 * (entries + 1 + pairs + paired);
    if (b->room < bytes) {
        free(b->memory);
        b->room = 0;
        if (!(b->memory = malloc(bytes))) return 0;
        b->room = bytes;
    }
    char *at = b->memory;
#define TAKE(field, count) (b->field = (void *)at, at += (size_t)(count) * sizeof *b->field)
    TAKE(label, n), TAKE(visit, visits), TAKE(walk_value, entries), TAKE(first, pairs + 1), TAKE(value, 2 * paired);
    TAKE(walk_pixel, entries + 1), TAKE(pair, pairs), TAKE(image, paired);
#undef TAKE
    return 1;
}

/* Sorts the entries of the batch's images by pairs of pixels; `place` has each pair's number of entries. */
static void sort_by_pair(const struct images *s, const int64_t *rows, struct batch *b, int32_t *place) {
    int32_t at = 0;
    b->pairs = 0;
    for (int p = 0; p < (s->pixels + 1) / 2; p++) {
        int32_t entries = place[p];
        place[p] = at;
        if (!entries) continue;
        b->pair[b->pairs] = (uint16_t)p, b->first[b->pairs++] = at;
        at += entries;
    }
    b->first[b->pairs] = at;
    memset(b->value, 0, (size_t)2 * at * sizeof *b->value);
    for (int i = 0; i < b->images; i++) {
        int last = -1;
        for (int64_t k = s->first[rows[i]]; k < s->first[rows[i] + 1]; k++) {
            int pair = s->pixel[k] / 2;
            place[pair] += pair != last, last = pair;
            int32_t to = place[pair] - 1;
            b->image[to] = (uint16_t)i, b->value[2 * to + s->pixel[k] % 2] = s->value[k];
        }
    }
}

/* Counts each image's entries before pixel `end` from at[image] on, and puts the images in order of them. */
static void order_by_entries(const struct images *s, const int64_t *rows, int n, int64_t end, const int64_t *at,
                             struct visit *visits, int32_t *order) {
    int32_t place[TILE_PIXELS + 2] = {0};
    for (int i = 0; i < n; i++) {
        int64_t k = at[i], last = s->first[rows[i] + 1];
        while (k < last && s->pixel[k] < end) k++;
        visits[i] = (struct visit){(uint16_t)i, (uint16_t)(k - at[i])};
        place[visits[i].entries + 1]++;
    }
    for (int c = 0; c <= TILE_PIXELS; c++) place[c + 1] += place[c];
    for (int i = 0; i < n; i++) order[place[visits[i].entries]++] = i;
}

/* Lays out the forward walk; at, visits and order have room for a number per image. */
static void lay_walk(const struct images *s, const int64_t *rows, struct batch *b, int64_t *at, struct visit *visits,
                     int32_t *order) {
    int64_t to = 0;
    b->visits = 0;
    for (int i = 0; i < b->images; i++) at[i] = s->first[rows[i]];
    for (int64_t start = 0; start < s->pixels; start += TILE_PIXELS) {
        order_by_entries(s, rows, b->images, start + TILE_PIXELS, at, visits, order);
        for (int k = 0; k < b->images; k++) {
            int i = order[k], entries = visits[i].entries;
            if (!entries) continue;
            b->visit[b->visits++] = visits[i];
            memcpy(b->walk_pixel + to, s->pixel + at[i], entries * sizeof *s->pixel);
            memcpy(b->walk_value + to, s->value + at[i], entries * sizeof *s->value);
            to += entries, at[i] += entries;
        }
    }
    b->walk_pixel[to] = 0; /* the walk looks one entry ahead */
}

/* The batch of these rows, by pairs too if it is for the gradient; 0 when memory is out. */
static int make_batch(const struct images *s, const int64_t *rows, int n, int with_gradient, struct batch *b) {
    int32_t *place = malloc((s->pixels + 1) / 2 * sizeof *place), *order = malloc(n * sizeof *order);
    int64_t *at = malloc(n * sizeof *at);
    struct visit *visits = malloc(n * sizeof *visits);
    int made = place && order && at && visits;
    int64_t paired = made && with_gradient ? count_pairs(s, rows, n, place) : 0;
    made = made && make_room(b, s->pixels, n, entries_of(s, rows, n), paired);
    if (made) {
        b->images = n;
        for (int i = 0; i < n; i++) b->label[i] = s->label[rows[i]];
        lay_walk(s, rows, b, at, visits, order);
        if (with_gradient) sort_by_pair(s, rows, b, place);
    }
    free(place), free(order), free(at), free(visits);
    return made;
}

/* Forgets the kept batches if they are others; 0 when memory is out. */
static int keep_batches(struct images *s, int size, int with_gradient) {
    if (s->batch_size == size && s->with_gradient == with_gradient) return 1;
    for (int64_t k = 0; s->kept && k < s->batches; k++) free(s->kept[k].memory);
    free(s->kept);
    s->batch_size = size, s->with_gradient = with_gradient, s->batches = (s->count + size - 1) / size;
    s->kept = s->entries > KEPT_ENTRIES ? NULL : calloc(s->batches, sizeof *s->kept);
    return s->kept || s->entries > KEPT_ENTRIES;
}

/* Batch k of `order` (count), or of the file order where that is NULL; NULL when memory is out.

   The file order's batches are made once and kept, others are made in `scratch`. */
static struct batch *batch_at(struct images *s, const int64_t *order, int64_t k, int size, int with_gradient,
                              struct batch *scratch) {
    if (!keep_batches(s, size, with_gradient)) return NULL;
    struct batch *b = order || !s->kept ? scratch : &s->kept[k];
    if (b != scratch && b->memory) return b;
    int64_t start = k * size;
    int n = (int)(s->count - start < size ? s->count - start : size);
    int64_t *rows = malloc(n * sizeof *rows);
    if (!rows) return NULL;
    for (int i = 0; i < n; i++) rows[i] = order ? order[start + i] : start + i;
    int made = make_batch(s, rows, n, with_gradient, b);
    free(rows);
    return made ? b : NULL;
}

#endif
