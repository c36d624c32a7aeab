/* Batches for _sparse.c: laid out for the forward pass and for the gradient. */
#ifndef LTSM_SPARSE_BATCHES_H
#define LTSM_SPARSE_BATCHES_H

#include "_sparse_images.h"

#define KEPT_ENTRIES (1 << 25) /* sets with more non-zero pixels get no batches kept: they would fill the memory */

INLINE void swap_bits(const int j, const uint64_t low, uint64_t word[32]) {
    for (int start = 0; start < 32; start += 2 * j)
        for (int i = start; i < start + j; i++) {
            uint64_t differing = (word[i] >> j ^ word[i + j]) & low;
            word[i] ^= differing << j, word[i + j] ^= differing;
        }
}

/* Turns two matrices of 32 times 32 bits round, in the lower and the upper halves of the words: bit j of half a word i
   becomes bit i of that half of word j. */
static void turn_bits(uint64_t word[32]) {
    swap_bits(16, 0x0000FFFF0000FFFF, word);
    swap_bits(8, 0x00FF00FF00FF00FF, word);
    swap_bits(4, 0x0F0F0F0F0F0F0F0F, word);
    swap_bits(2, 0x3333333333333333, word);
    swap_bits(1, 0x5555555555555555, word);
}

/* From the ink of 64 images in a tile, which of them have each of its pairs of pixels. */
static void turn_pairs(const uint64_t ink[64], uint64_t having[32]) {
    uint64_t word[32];
    for (int i = 0; i < 32; i++) word[i] = pairs_in(ink[i]) | pairs_in(ink[i + 32]) << 1;
    turn_bits(word);
    for (int q = 0; q < 16; q++) {
        uint64_t one = word[2 * q], two = word[2 * q + 1];
        having[q] = (uint32_t)one | two << 32, having[q + 16] = one >> 32 | two >> 32 << 32;
    }
}

/* Takes the memory of a batch, or gives 0 when there is none: room for these visits, entries and pairs of pixels. */
static int make_room(struct batch *b, int64_t pixels, int64_t visits, int64_t entries, int64_t paired) {
    int64_t pairs = (pixels + 1) / 2;
    size_t bytes = 8 * b->images + 4 * (visits + entries + AT_ONCE + pairs + 1 + 2 * paired) +
                   2 * (entries + AT_ONCE + pairs + paired);
    if (b->room < bytes) {
        free(b->memory);
        b->room = 0;
        if (!(b->memory = malloc(bytes))) return 0;
        b->room = bytes;
    }
    char *at = b->memory;
#define TAKE(field, count) (b->field = (void *)at, at += (size_t)(count) * sizeof *b->field)
    TAKE(label, b->images), TAKE(walk.visit, visits), TAKE(walk.value, entries + AT_ONCE), TAKE(first, pairs + 1);
    TAKE(value, 2 * paired), TAKE(walk.pixel, entries + AT_ONCE), TAKE(pair, pairs), TAKE(image, paired);
#undef TAKE
    return 1;
}

/* The images in the order of their entries in the tile, without those that have none; gives their number. */
static int order_by_entries(const struct layout *l, int images) {
    int32_t place[TILE_PIXELS + 2] = {0};
    for (int i = 0; i < images; i++) place[bits(l->ink[i]) + 1]++;
    place[1] = 0; /* of those that have none */
    for (int c = 1; c <= TILE_PIXELS; c++) place[c + 1] += place[c];
    for (int i = 0; i < images; i++)
        if (l->ink[i]) l->order[place[bits(l->ink[i])]++] = (uint16_t)i;
    return place[TILE_PIXELS];
}

/* An image's tile from its ink and the values of that: which pixels they are of, and all of its pixels. */
INLINE void spread(uint64_t ink, const float *value, int64_t pixel, uint16_t *which, float *tile) {
#if defined(__AVX512F__)
    __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    number = _mm512_add_epi32(number, _mm512_set1_epi32((int)pixel));
    for (int p = 0; p < TILE_ROOM; p += 16, ink >>= 16) {
        __mmask16 here = (__mmask16)ink;
        __m256i found = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(here, number));
        _mm512_storeu_ps(tile + p, _mm512_maskz_expand_ps(here, _mm512_loadu_ps(value)));
        _mm256_storeu_si256((__m256i *)which, found);
        which += bits(here), value += bits(here), number = _mm512_add_epi32(number, _mm512_set1_epi32(16));
    }
#else
    memset(tile, 0, TILE_ROOM * sizeof *tile);
    for (; ink; ink &= ink - 1) {
        int p = __builtin_ctzll(ink);
        *which++ = (uint16_t)(pixel + p), tile[p] = *value++;
    }
#endif
}

/* Adds the tile to the walk. */
static void lay_walk(const struct layout *l, int64_t pixel, struct batch *b) {
    struct walk *w = &b->walk;
    int visits = order_by_entries(l, b->images);
    for (int k = 0; k < visits; k++) {
        int i = l->order[k], entries = bits(l->ink[i]);
        const float *value = l->at[i];
        w->visit[w->visits++] = (struct visit){(uint16_t)i, (uint16_t)entries};
        spread(l->ink[i], value, pixel, w->pixel + w->entries, l->tile + (int64_t)i * TILE_ROOM);
        /* a constant number at a time: what is too much, the next ones cover */
        float *copies = w->value + w->entries;
        for (int e = 0; e < entries; e += AT_ONCE) memcpy(copies + e, value + e, AT_ONCE * sizeof *value);
        __builtin_prefetch(value + entries + 2 * AT_ONCE); /* about the tile after the next */
        l->at[i] += entries, w->entries += entries;
    }
    w->pixel[w->entries] = 0; /* who walks looks one entry ahead */
}

/* Adds the images that have the tile's pair q; gives where they end. */
static int32_t lay_pair(const struct layout *l, int q, struct batch *b, int32_t to) {
    for (int g = 0; g * 64 < b->images; g++)
        for (uint64_t left = l->having[32 * g + q]; left; left &= left - 1, to++) {
            int i = 64 * g + __builtin_ctzll(left);
            memcpy(b->value + 2 * (int64_t)to, l->tile + (int64_t)i * TILE_ROOM + 2 * q, 2 * sizeof *b->value);
            b->image[to] = (uint16_t)i;
        }
    return to;
}

/* Adds the tile's pairs of pixels. */
static void lay_pairs(const struct layout *l, int64_t pixel, struct batch *b) {
    for (int g = 0; g * 64 < b->images; g++) turn_pairs(l->ink + 64 * g, l->having + 32 * g);
    for (int q = 0; q < TILE_PIXELS / 2; q++) {
        int32_t begin = b->first[b->pairs], end = lay_pair(l, q, b, begin);
        if (end == begin) continue;
        b->pair[b->pairs] = (uint16_t)(pixel / 2 + q);
        b->first[++b->pairs] = end;
    }
}

/* Adds the next tile to a batch that is being laid out. */
static void lay_tile(struct batch *b) {
    struct layout *l = b->layout;
    int64_t pixel = l->done++ * TILE_PIXELS;
    for (int i = 0; i < b->images; i++) l->ink[i] = *l->next[i]++;
    lay_walk(l, pixel, b);
    if (l->with_gradient) lay_pairs(l, pixel, b);
}

static void lay_all(struct batch *b, int64_t tiles) {
    for (int64_t t = 0; t < tiles; t++) lay_tile(b);
    b->layout = NULL;
}

/* Makes room for laying out batches of so many images; 0 when memory is out. */
static int make_layout(struct layout *l, int images) {
    int64_t n = (images + 63) / 64 * 64;
    if (l->room >= n) return 1;
    free(l->memory);
    l->room = 0;
    char *at = l->memory = calloc(n, sizeof *l->next + sizeof *l->at + sizeof *l->ink + sizeof *l->having / 2 +
                                         sizeof *l->order + TILE_ROOM * sizeof *l->tile);
    if (!at) return 0;
    l->room = n;
#define TAKE(field, count) (l->field = (void *)at, at += (size_t)(count) * sizeof *l->field)
    TAKE(tile, n * TILE_ROOM), TAKE(next, n), TAKE(at, n), TAKE(ink, n), TAKE(having, n / 2), TAKE(order, n);
#undef TAKE
    return 1;
}

/* Begins to lay out the batch of the n images that stand in `order` from `start` on (NULL: the file order), with room
   for all tiles of its walk or for one at a time; 0 when memory is out. */
static int start_batch(struct images *s, const int64_t *order, int64_t start, int n, int whole, struct batch *b) {
    struct layout *l = b->layout = &s->layout;
    int64_t visits = 0, entries = 0, pairs = 0;
    if (!make_layout(l, n)) return 0;
    for (int i = 0; i < n; i++) {
        struct image *image = image_at(s, order ? order[start + i] : start + i);
        visits += image->visits, entries += image->entries, pairs += image->pairs;
        l->next[i] = ink_of(image), l->at[i] = values_of(s, image);
    }
    for (int64_t i = n; i < l->room; i++) l->ink[i] = 0;
    b->images = n, b->pairs = 0, b->walk.visits = 0, b->walk.entries = 0;
    l->done = 0, l->with_gradient = s->with_gradient;
    if (!whole) visits = n, entries = (int64_t)n * TILE_PIXELS;
    if (!make_room(b, s->pixels, visits, entries, l->with_gradient ? pairs : 0)) return 0;
    for (int i = 0; i < n; i++) b->label[i] = image_at(s, order ? order[start + i] : start + i)->label;
    b->first[0] = 0;
    return 1;
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

/* Batch k of `order` (count), or of the file order where that is NULL; NULL when memory is out. Good for one walk, and
   until the next one is asked for.

   The file order's batches are made once and kept; others are laid out tile by tile, as they are walked. */
static struct batch *batch_at(struct images *s, const int64_t *order, int64_t k, int size, int with_gradient) {
    if (!keep_batches(s, size, with_gradient)) return NULL;
    int keep = !order && s->kept, n = (int)(s->count - k * size < size ? s->count - k * size : size);
    struct batch *b = keep ? &s->kept[k] : &s->scratch;
    if (!keep || !b->memory) {
        if (!start_batch(s, order, k * size, n, keep, b)) return NULL;
        if (keep) lay_all(b, s->tiles);
    }
    b->parts = keep ? 1 : s->tiles;
    return b;
}

/* Goes on to the next part of the batch's walk; 0 at its end. */
static int walk_on(struct batch *b) {
    if (!b->parts) return 0;
    if (b->layout) b->walk.visits = 0, b->walk.entries = 0, lay_tile(b);
    return b->parts--, 1;
}

#define FETCHED 320 /* bytes of an image: its ink, and the values before those that `lay_walk` has brought */

/* Has the images of batch k of `order` brought near, as far as they are looked at first; `lay_walk` does the same for the
   rest just before it is needed. Inline: GCC takes calls of it for useless. */
INLINE void fetch_batch(const struct images *s, const int64_t *order, int64_t k, int size) {
    for (int64_t i = k * size; i < s->count && i < (k + 1) * size; i++)
        for (int64_t at = 0; at < FETCHED; at += 64) __builtin_prefetch(s->memory + s->first[order[i]] + at);
}

#endif
