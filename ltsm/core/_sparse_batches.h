/* Batches for _sparse.c: laid out for the forward pass and for the gradient. */
#ifndef LTSM_SPARSE_BATCHES_H
#define LTSM_SPARSE_BATCHES_H

#include "_sparse_images.h"

#define KEPT_ENTRIES (1 << 25) /* sets with more non-zero pixels get no batches kept: they would fill the memory */

/* Turns a matrix of bits round: bit j of word i becomes bit i of word j. */
static void turn_bits(uint64_t word[64]) {
    uint64_t low = 0x00000000FFFFFFFF;
    for (int j = 32; j; j /= 2, low ^= low << j)
        for (int start = 0; start < 64; start += 2 * j)
            for (int i = start; i < start + j; i++) {
                uint64_t differing = (word[i] >> j ^ word[i + j]) & low;
                word[i] ^= differing << j, word[i + j] ^= differing;
            }
}

/* Where a batch is laid out, a number per image: where its ink in the next tile and its entries there lie, its ink in
   the tile at hand, and the same by pixels. */
struct layout {
    int images, groups;
    const uint64_t **next;
    const float **at;
    uint64_t *ink;    /* (groups · 64) */
    uint64_t *turned; /* (groups, 64) per pixel: which images of each 64 have it inked */
    uint16_t *order;
};

/* Makes room for a batch with so many entries in its walk and in its pairs; 0 when memory is out. */
static int make_room(struct batch *b, int64_t pixels, int64_t n, int64_t visits, int64_t entries, int64_t paired) {
    int64_t pairs = (pixels + 1) / 2;
    size_t bytes = 8 * n + 4 * (visits + entries + AT_ONCE + pairs + 1 + 2 * paired) +
                   2 * (entries + AT_ONCE + pairs + paired);
    if (b->room < bytes) {
        free(b->memory);
        b->room = 0;
        if (!(b->memory = malloc(bytes))) return 0;
        b->room = bytes;
    }
    char *at = b->memory;
#define TAKE(field, count) (b->field = (void *)at, at += (size_t)(count) * sizeof *b->field)
    TAKE(label, n), TAKE(visit, visits), TAKE(walk_value, entries + AT_ONCE), TAKE(first, pairs + 1);
    TAKE(value, 2 * paired), TAKE(walk_pixel, entries + AT_ONCE), TAKE(pair, pairs), TAKE(image, paired);
#undef TAKE
    return 1;
}

/* The images in the order of their entries in the tile, without those that have none; gives their number. */
static int order_by_entries(const struct layout *l) {
    int32_t place[TILE_PIXELS + 2] = {0};
    for (int i = 0; i < l->images; i++) place[bits(l->ink[i]) + 1]++;
    place[1] = 0; /* of those that have none */
    for (int c = 1; c <= TILE_PIXELS; c++) place[c + 1] += place[c];
    for (int i = 0; i < l->images; i++)
        if (l->ink[i]) l->order[place[bits(l->ink[i])]++] = (uint16_t)i;
    return place[TILE_PIXELS];
}

/* Lays out the tile's part of the walk, whose entries begin at `to`; gives where they end. */
static int64_t lay_walk(const struct layout *l, int64_t pixel, struct batch *b, int64_t to) {
    int visits = order_by_entries(l);
    for (int k = 0; k < visits; k++) {
        int i = l->order[k], entries = bits(l->ink[i]);
        uint16_t *walk_pixel = b->walk_pixel + to;
        float *walk_value = b->walk_value + to;
        b->visit[b->visits++] = (struct visit){(uint16_t)i, (uint16_t)entries};
        for (uint64_t left = l->ink[i]; left; left &= left - 1) *walk_pixel++ = (uint16_t)(pixel + __builtin_ctzll(left));
        /* a constant number at a time: what is too much, the next ones cover */
        for (int e = 0; e < entries; e += AT_ONCE) memcpy(walk_value + e, l->at[i] + e, AT_ONCE * sizeof *walk_value);
        to += entries;
    }
    return to;
}

/* Adds the pair of the tile's pixels p and p + 1, whose images lie in the batch from `to` on; gives where they end. */
static int32_t lay_pair(const struct layout *l, int p, struct batch *b, int32_t to) {
    uint16_t *image = b->image;
    float *value = b->value;
    for (int g = 0; g < l->groups; g++) {
        uint64_t one = l->turned[64 * g + p], two = l->turned[64 * g + p + 1];
        const float **at = l->at + 64 * g;
        for (uint64_t left = one | two; left; left &= left - 1, to++) {
            int i = __builtin_ctzll(left);
            uint32_t has_one = one >> i & 1, has_two = two >> i & 1, first, second;
            memcpy(&first, at[i], sizeof first), memcpy(&second, at[i] + has_one, sizeof second);
            first &= -has_one, second &= -has_two; /* no branches: nobody could foresee them */
            memcpy(value + 2 * (int64_t)to, &first, sizeof first);
            memcpy(value + 2 * (int64_t)to + 1, &second, sizeof second);
            image[to] = (uint16_t)(64 * g + i), at[i] += has_one + has_two;
        }
    }
    return to;
}

/* Lays out the tile's pairs of pixels, and moves `at` to the images' entries in the next tile. */
static void lay_pairs(const struct layout *l, int64_t pixel, struct batch *b) {
    memcpy(l->turned, l->ink, l->groups * 64 * sizeof *l->ink);
    for (int g = 0; g < l->groups; g++) turn_bits(l->turned + 64 * g);
    for (int p = 0; p < TILE_PIXELS; p += 2) {
        int32_t begin = b->first[b->pairs], end = lay_pair(l, p, b, begin);
        if (end == begin) continue;
        b->pair[b->pairs] = (uint16_t)((pixel + p) / 2);
        b->first[++b->pairs] = end;
    }
}

static void lay_tiles(const struct layout *l, int64_t tiles, int with_gradient, struct batch *b) {
    int64_t to = 0;
    b->visits = b->pairs = 0, b->first[0] = 0;
    for (int64_t t = 0; t < tiles; t++) {
        for (int i = 0; i < l->images; i++) l->ink[i] = *l->next[i]++;
        to = lay_walk(l, t * TILE_PIXELS, b, to);
        if (with_gradient) lay_pairs(l, t * TILE_PIXELS, b);
        else for (int i = 0; i < l->images; i++) l->at[i] += bits(l->ink[i]);
    }
    b->walk_pixel[to] = 0; /* the walk looks one entry ahead */
}

/* Finds the images, and makes room for the batch of them; 0 when memory is out. */
static int start_batch(const struct images *s, const int64_t *rows, int with_gradient, struct layout *l, struct batch *b) {
    int64_t visits = 0, entries = 0, pairs = 0;
    for (int i = 0; i < l->images; i++) {
        struct image *image = image_at(s, rows[i]);
        visits += image->visits, entries += image->entries, pairs += image->pairs;
        l->next[i] = ink_of(image), l->at[i] = values_of(s, image);
    }
    if (!make_room(b, s->pixels, l->images, visits, entries, with_gradient ? pairs : 0)) return 0;
    b->images = l->images;
    for (int i = 0; i < l->images; i++) b->label[i] = image_at(s, rows[i])->label;
    return 1;
}

/* The batch of these rows, by pairs too if it is for the gradient; 0 when memory is out. */
static int make_batch(const struct images *s, const int64_t *rows, int n, int with_gradient, struct batch *b) {
    int64_t groups = (n + 63) / 64, each = 2 * sizeof(uint64_t) + 2 * sizeof(void *) + sizeof(uint16_t);
    struct layout l = {.images = n, .groups = (int)groups, .ink = calloc(groups * 64, each)};
    if (!l.ink) return 0;
    l.turned = l.ink + 64 * groups, l.next = (const uint64_t **)(l.turned + 64 * groups);
    l.at = (const float **)(l.next + 64 * groups), l.order = (uint16_t *)(l.at + 64 * groups);
    int made = start_batch(s, rows, with_gradient, &l, b);
    if (made) lay_tiles(&l, s->tiles, with_gradient, b);
    free(l.ink);
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

/* Has the images of batch k of `order` brought near. */
INLINE void fetch_batch(const struct images *s, const int64_t *order, int64_t k, int size) {
    for (int64_t i = k * size; i < s->count && i < (k + 1) * size; i++) fetch_ahead(s, order[i]);
}

#endif
