/* Sparse images for _sparse.c: rows of non-zero pixels, and what batches of them look like. */
#ifndef LTSM_SPARSE_IMAGES_H
#define LTSM_SPARSE_IMAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Some consecutive entries of one image, all in one tile of pixels. */
struct visit {
    uint16_t image, entries;
};

/* A batch, twice: as a walk over tiles of pixels for the forward pass, and by pairs of pixels for the gradient.

   The walk takes a tile's weights from the first-level cache for every image; in each tile the images come by
   their number of entries, so that how often the inner loop runs can be foreseen. Two neighbouring pixels are
   inked in mostly the same images: a pair reads an image's error once, and a pixel's value is 0 where only
   the other is inked, which changes no bit of its sum. */
struct batch {
    int images, visits, pairs;
    struct visit *visit;
    uint16_t *walk_pixel; /* (entries + 1) in the order of the visits */
    float *walk_value;
    uint16_t *pair;       /* (pairs) ascending: pair q is of pixels 2q and 2q + 1 */
    int32_t *first;       /* (pairs + 1) where each pair's entries begin */
    uint16_t *image;      /* per entry: which of the batch's images has either pixel, ascending */
    float *value;         /* (entries, 2) */
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
    int batch_size, with_gradient;
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

#endif
