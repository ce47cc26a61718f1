// The hot loops with AVX2, eight pixels at a time, with the very results of their twins in Go.
#include <stdint.h>

int hdas_avx2(void);

// Resizes h rows of three interleaved channels, stride bytes apart, to w columns and takes the
// channels apart: planes of h*w bytes. Column x is the sum over k < taps of weight[k*w+x] times the
// pixel at offset[x]+3k. Reads one byte beyond a row's last pixel.
void hdas_across(uint8_t *dst, const uint8_t *src, int64_t stride, int64_t h, int64_t w, const int32_t *offset,
                 const int32_t *weight, int64_t taps, int64_t plane);

// Resizes rows of w bytes to h rows: row y is the sum over k < count[y] of weight[y*most+k] times the
// row first[y]+k.
void hdas_down(uint8_t *dst, const uint8_t *src, int64_t h, int64_t w, const int64_t *first, const int64_t *count,
               const int32_t *weight, int64_t most);

// n values blended from one value: from + factor * (value - from).
void hdas_fade(uint8_t *pix, int64_t n, float from, float factor);
// The sum of n pixels' grey.
int64_t hdas_luma_sum(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n);
// n pixels blended from their grey.
void hdas_saturate(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, float factor);
