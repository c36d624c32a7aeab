/* Sparse images for _sparse.c: rows of non-zero pixels, and what batches of them look like. */
#ifndef LTSM_SPARSE_IMAGES_H
#define LTSM_SPARSE_IMAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "_sparse_vec.h"

/* Some consecutive entries of one image, all in one tile of pixels. */
struct visit {
    uint16_t image, entries;
};

/* Some tiles of a batch, or all: what the forward pass walks over. */
struct walk {
    int32_t visits, entries;
    struct visit *visit;
    uint16_t *pixel; /* (entries + 1) in the order of the visits */
    float *value;
};

/* A batch, twice: as a walk over tiles of pixels for the forward pass, and by pairs of pixels for the gradient.

   The walk takes a tile's weights from the first-level cache for every image; in each tile the images come by
   their number of entries, so that how often the inner loop runs can be foreseen. Two neighbouring pixels are
   inked in mostly the same images: a pair reads an image's error once, and a pixel's value is 0 where only
   the other is inked, which changes no bit of its sum. */
struct batch {
    int images, pairs;
    int64_t parts;         /* how many parts the walk still has */
    struct walk walk;
    uint16_t *pair;        /* (pairs) ascending: pair q is of pixels 2q and 2q + 1 */
    int32_t *first;        /* (pairs + 1) where each pair's entries begin */
    uint16_t *image;       /* per entry: which of the batch's images has either pixel, ascending */
    float *value;          /* (entries, 2) */
    int64_t *label;
    struct layout *layout; /* NULL once it is laid out */
    void *memory;
    size_t room;
};

/* Their rows of 13 vectors, where they are inked, fit the first-level cache; of 32 to 112 the fastest. */
#define TILE_PIXELS 56 /* even, and at most 64 */
#define TILE_ROOM 64   /* numbers of room for them */
#define AT_ONCE 16     /* entries copied at a time: arrays of entries have room for as many more */

/* One image, and behind it in memory: its ink, a word per tile of the pixels that are not 0, the first in the lowest
   bit; and the values of these pixels. */
struct image {
    int64_t label;
    uint32_t visits, entries, pairs; /* tiles that are inked, pixels, pairs of pixels */
};

/* Where a batch is being laid out, per image: where its ink in the next tile and its values there lie, its ink in the
   tile at hand, and that tile itself, with the pixels that are 0. */
struct layout {
    int64_t room, done; /* images; tiles */
    int with_gradient;
    const uint64_t **next;
    const float **at;
    float *tile;      /* (images, TILE_ROOM) */
    uint64_t *ink;    /* 0 behind the last image */
    uint64_t *having; /* (images / 64, 32) which of the 64 images have each of the tile's pairs of pixels */
    uint16_t *order;
    void *memory;
};

/* Labelled images. With `kept`, batches of the file order stay once they are made. */
struct images {
    int64_t count, pixels, tiles, entries, batches;
    int64_t *first; /* (count + 1) where in memory, in bytes, each image begins */
    char *memory;
    int batch_size, with_gradient;
    struct batch *kept, scratch;
    struct layout layout;
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
    free(s->kept), free(s->scratch.memory), free(s->layout.memory), free(s->first), free(s->memory), free(s);
}

static struct image *image_at(const struct images *s, int64_t i) { return (struct image *)(s->memory + s->first[i]); }

static uint64_t *ink_of(struct image *image) { return (uint64_t *)(image + 1); }

static float *values_of(const struct images *s, struct image *image) { return (float *)(ink_of(image) + s->tiles); }

static int bits(uint64_t word) { return __builtin_popcountll(word); }

/* Each pair of pixels of which one is inked, as the bit of its first pixel. */
static uint64_t pairs_in(uint64_t ink) { return (ink | ink >> 1) & 0x5555555555555555; }

static void fill(const struct images *s, int64_t i, const float *dense, int64_t label) {
    struct image *image = image_at(s, i);
    float *value = values_of(s, image);
    image->label = label;
    for (int64_t p = 0; p < s->pixels; p++) {
        if (dense[p] == 0.0f) continue;
        ink_of(image)[p / TILE_PIXELS] |= (uint64_t)1 << p % TILE_PIXELS;
        *value++ = dense[p];
    }
    for (int64_t t = 0; t < s->tiles; t++) {
        uint64_t ink = ink_of(image)[t];
        image->visits += ink != 0, image->entries += bits(ink), image->pairs += bits(pairs_in(ink));
    }
}

/* Copies dense images (count, pixels) and labels; NULL when memory is out. */
struct images *sparse_images_new(const float *dense, const int64_t *label, int64_t count, int64_t pixels) {
    struct images *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->count = count, s->pixels = pixels, s->tiles = (pixels + TILE_PIXELS - 1) / TILE_PIXELS;
    if (!(s->first = reserve((count + 1) * sizeof *s->first))) return sparse_images_free(s), NULL;
    for (int64_t i = 0; i < count; i++) {
        int64_t entries = 0;
        for (int64_t p = 0; p < pixels; p++) entries += dense[i * pixels + p] != 0.0f;
        s->entries += entries;
        s->first[i + 1] = s->first[i] + sizeof(struct image) + 8 * s->tiles + (entries + 1) / 2 * 8;
    }
    if (!(s->memory = reserve(s->first[count] + AT_ONCE * sizeof(float)))) return sparse_images_free(s), NULL;
    for (int64_t i = 0; i < count; i++) fill(s, i, dense + i * pixels, label[i]);
    return s;
}

#endif
