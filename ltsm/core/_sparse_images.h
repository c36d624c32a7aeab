/* Sparse images for _sparse.c: rows of non-zero pixels, and batches seen from their pixels. */
#ifndef LTSM_SPARSE_IMAGES_H
#define LTSM_SPARSE_IMAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define KEPT_ENTRIES (1 << 25) /* sets with more non-zero pixels get no batches kept: they would fill the memory */

/* A batch, by pixel for the gradient, and in pairs of images for the forward pass.

   Two images share most of their pixels: a pair reads a pixel's weights once, and an image's own value
   is 0 where only the other has the pixel, which changes no bit of its sum. */
struct batch {
    int images, touched;
    uint16_t *pixel;      /* (touched) ascending */
    int32_t *first;       /* (touched + 1) where each pixel's entries begin */
    uint16_t *image;      /* per entry: which of the batch's images */
    float *value;
    int32_t *pair_first;  /* (pairs + 1) images 2q and 2q + 1 are pair q */
    uint16_t *pair_pixel; /* per entry: a pixel that either image has */
    float *pair_value;    /* (entries, 2) */
    int64_t *label;
    void *memory;
    size_t room;
};

/* Labelled images by rows. With `kept`, batches of the file order stay once they are made. */
struct images {
    int64_t count, pixels, entries, batches;
    int64_t *first; /* (count + 1) */
    uint16_t *pixel;
    float *value;
    int64_t *label;
    int batch_size;
    struct batch *kept;
};

/* Zeroed memory, aligned, in large pages where the system has them; NULL when there is none. */
static void *reserve(size_t bytes) {
    size_t page = bytes < ((size_t)1 << 20) ? 4096 : (size_t)2 << 20;
    size_t whole = (bytes + page) / page * page;
    void *memory = NULL;
    if (posix_memalign(&memory, page, whole)) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (page > 4096) madvise(memory, whole, MADV_HUGEPAGE);
#endif
    return memset(memory, 0, whole);
}

void sparse_images_free(struct images *s) {
    if (!s) return;
    for (int64_t k = 0; s->kept && k < s->batches; k++) free(s->kept[k].memory);
    free(s->kept), free(s->first), free(s->pixel), free(s->value), free(s->label), free(s);
}

static int pixels_of_either(const uint64_t *one, const uint64_t *two, int words) {
    int found = 0;
    for (int w = 0; w < words; w++) found += __builtin_popcountll(one[w] | two[w]);
    return found;
}

/* Puts next to each other the images that share most pixels: each gets the best partner still free. */
static void match(const uint64_t *bits, int words, int n, int *order) {
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = 0; i + 2 < n; i += 2) {
        int best = i + 1, least = 1 << 30;
        for (int j = i + 1; j < n; j++) {
            const uint64_t *mine = bits + (size_t)order[i] * words;
            int either = pixels_of_either(mine, bits + (size_t)order[j] * words, words);
            if (either < least) least = either, best = j;
        }
        int partner = order[best];
        memmove(order + i + 2, order + i + 1, (best - i - 1) * sizeof *order);
        order[i + 1] = partner;
    }
}

static void mark_pixels(const float *dense, int64_t pixels, int n, int words, uint64_t *bits) {
    memset(bits, 0, (size_t)n * words * sizeof *bits);
    for (int i = 0; i < n; i++)
        for (int64_t p = 0; p < pixels; p++)
            if (dense[i * pixels + p] != 0.0f) bits[(size_t)i * words + p / 64] |= (uint64_t)1 << p % 64;
}

static void append(struct images *s, int64_t place, const float *dense, int64_t label) {
    int64_t k = s->first[place];
    for (int64_t p = 0; p < s->pixels; p++)
        if (dense[p] != 0.0f) s->pixel[k] = (uint16_t)p, s->value[k++] = dense[p];
    s->first[place + 1] = k, s->label[place] = label;
}

static int fill(struct images *s, const float *dense, const int64_t *label, int64_t window) {
    int words = (int)(s->pixels + 63) / 64;
    uint64_t *bits = malloc((size_t)window * words * sizeof *bits);
    int *order = malloc((size_t)window * sizeof *order);
    for (int64_t start = 0; bits && order && start < s->count; start += window) {
        int n = (int)(s->count - start < window ? s->count - start : window);
        const float *here = dense + start * s->pixels;
        mark_pixels(here, s->pixels, n, words, bits);
        match(bits, words, n, order);
        for (int i = 0; i < n; i++) append(s, start + i, here + order[i] * s->pixels, label[start + order[i]]);
    }
    int filled = bits && order;
    free(bits), free(order);
    return filled;
}

/* Copies dense images (count, pixels) and labels; NULL when memory is out.

   Within each `window` of images similar ones become neighbours; 1 keeps the order as it is. */
struct images *sparse_images_new(const float *dense, const int64_t *label, int64_t count, int64_t pixels,
                                 int64_t window) {
    struct images *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->count = count, s->pixels = pixels;
    for (int64_t i = 0; i < count * pixels; i++) s->entries += dense[i] != 0.0f;
    s->first = reserve((count + 1) * sizeof *s->first);
    s->pixel = reserve(s->entries * sizeof *s->pixel);
    s->value = reserve(s->entries * sizeof *s->value);
    s->label = reserve(count * sizeof *s->label);
    if (s->first && s->pixel && s->value && s->label && fill(s, dense, label, window)) return s;
    sparse_images_free(s);
    return NULL;
}

static int64_t entries_of(const struct images *s, const int64_t *rows, int n) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += s->first[rows[i] + 1] - s->first[rows[i]];
    return sum;
}

/* Makes room for a batch of n images with so many entries; 0 when memory is out. */
static int make_room(struct batch *b, int64_t pixels, int64_t n, size_t entries) {
    size_t bytes = 8 * n + 4 * (pixels + 1 + entries + n / 2 + 2 + 2 * entries) + 2 * (pixels + 2 * entries);
    if (b->room < bytes) {
        free(b->memory);
        b->room = 0;
        if (!(b->memory = malloc(bytes))) return 0;
        b->room = bytes;
    }
    char *at = b->memory;
#define TAKE(field, count) (b->field = (void *)at, at += (size_t)(count) * sizeof *b->field)
    TAKE(label, n);
    TAKE(first, pixels + 1), TAKE(value, entries), TAKE(pair_first, n / 2 + 2), TAKE(pair_value, 2 * entries);
    TAKE(pixel, pixels), TAKE(image, entries), TAKE(pair_pixel, entries);
#undef TAKE
    return 1;
}

/* Sorts the entries of the batch's images by pixel; `place` has room for a number per pixel. */
static void sort_by_pixel(const struct images *s, const int64_t *rows, struct batch *b, int32_t *place) {
    memset(place, 0, s->pixels * sizeof *place);
    for (int i = 0; i < b->images; i++)
        for (int64_t k = s->first[rows[i]]; k < s->first[rows[i] + 1]; k++) place[s->pixel[k]]++;
    int32_t at = 0;
    b->touched = 0;
    for (int64_t p = 0; p < s->pixels; p++) {
        int32_t entries = place[p];
        place[p] = at;
        if (!entries) continue;
        b->pixel[b->touched] = (uint16_t)p, b->first[b->touched++] = at;
        at += entries;
    }
    b->first[b->touched] = at;
    for (int i = 0; i < b->images; i++)
        for (int64_t k = s->first[rows[i]]; k < s->first[rows[i] + 1]; k++) {
            int32_t to = place[s->pixel[k]]++;
            b->image[to] = (uint16_t)i, b->value[to] = s->value[k];
        }
}

/* Merges the rows of two images, or of one and nobody (-1), into entries with two values each. */
static int merge(const struct images *s, int64_t one, int64_t two, uint16_t *pixel, float *value) {
    int64_t i = s->first[one], i_end = s->first[one + 1];
    int64_t j = two < 0 ? 0 : s->first[two], j_end = two < 0 ? 0 : s->first[two + 1];
    int n = 0;
    for (; i < i_end || j < j_end; n++) {
        int a = i < i_end ? s->pixel[i] : 1 << 16, b = j < j_end ? s->pixel[j] : 1 << 16;
        pixel[n] = (uint16_t)(a < b ? a : b);
        value[2 * n] = a <= b ? s->value[i++] : 0.0f;
        value[2 * n + 1] = b <= a ? s->value[j++] : 0.0f;
    }
    return n;
}

static void merge_pairs(const struct images *s, const int64_t *rows, struct batch *b) {
    int32_t at = 0;
    for (int i = 0; i < b->images; i += 2) {
        b->pair_first[i / 2] = at;
        at += merge(s, rows[i], i + 1 < b->images ? rows[i + 1] : -1, b->pair_pixel + at, b->pair_value + 2 * at);
    }
    b->pair_first[(b->images + 1) / 2] = at;
}

/* The batch of these rows; 0 when memory is out. */
static int make_batch(const struct images *s, const int64_t *rows, int n, struct batch *b) {
    int32_t *place = malloc(s->pixels * sizeof *place);
    int made = place && make_room(b, s->pixels, n, entries_of(s, rows, n));
    if (made) {
        b->images = n;
        for (int i = 0; i < n; i++) b->label[i] = s->label[rows[i]];
        sort_by_pixel(s, rows, b, place);
        merge_pairs(s, rows, b);
    }
    free(place);
    return made;
}

/* Forgets the kept batches if they are of another size; 0 when memory is out. */
static int keep_batches(struct images *s, int size) {
    if (s->batch_size == size) return 1;
    for (int64_t k = 0; s->kept && k < s->batches; k++) free(s->kept[k].memory);
    free(s->kept);
    s->batch_size = size, s->batches = (s->count + size - 1) / size;
    s->kept = s->entries > KEPT_ENTRIES ? NULL : calloc(s->batches, sizeof *s->kept);
    return s->kept || s->entries > KEPT_ENTRIES;
}

/* Batch k of `order` (count), or of the file order where that is NULL; NULL when memory is out.

   The file order's batches are made once and kept, others are made in `scratch`. */
static struct batch *batch_at(struct images *s, const int64_t *order, int64_t k, int size, struct batch *scratch) {
    if (!keep_batches(s, size)) return NULL;
    struct batch *b = order || !s->kept ? scratch : &s->kept[k];
    if (b != scratch && b->memory) return b;
    int64_t start = k * size;
    int n = (int)(s->count - start < size ? s->count - start : size);
    int64_t *rows = malloc(n * sizeof *rows);
    if (!rows) return NULL;
    for (int i = 0; i < n; i++) rows[i] = order ? order[start + i] : start + i;
    int made = make_batch(s, rows, n, b);
    free(rows);
    return made ? b : NULL;
}

#endif
