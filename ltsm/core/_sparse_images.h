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

static void append(struct images *s, int64_t image, const float *dense) {
    int64_t k = s->first[image];
    for (int64_t p = 0; p < s->pixels; p++)
        if (dense[p] != 0.0f) s->pixel[k] = (uint16_t)p, s->value[k++] = dense[p];
    s->first[image + 1] = k;
}

/* Copies dense images (count, pixels) and labels; NULL when memory is out. */
struct images *sparse_images_new(const float *dense, const int64_t *label, int64_t count, int64_t pixels) {
    struct images *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->count = count, s->pixels = pixels;
    for (int64_t i = 0; i < count * pixels; i++) s->entries += dense[i] != 0.0f;
    s->first = reserve((count + 1) * sizeof *s->first);
    s->pixel = reserve(s->entries * sizeof *s->pixel);
    s->value = reserve(s->entries * sizeof *s->value);
    s->label = reserve(count * sizeof *s->label);
    if (!s->first || !s->pixel || !s->value || !s->label) {
        sparse_images_free(s);
        return NULL;
    }
    memcpy(s->label, label, count * sizeof *label);
    for (int64_t i = 0; i < count; i++) append(s, i, dense + i * pixels);
    return s;
}

#endif
