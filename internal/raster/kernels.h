// The inner loops with AVX2, for eight pixels at a time. Their results are identical to those of the Go
// code that is used without AVX2.
#include <stdint.h>

int hdas_avx2(void);

// Resizes h rows of interleaved RGB, stride bytes apart, to w columns, and writes the channels as
// separate planes. Column x is the sum over k < taps of weight[k*w+x] times the pixel at byte offset
// offset[x]+3k. It reads one byte after the last pixel of a row.
void hdas_across(uint8_t *dst, const uint8_t *src, int64_t stride, int64_t h, int64_t w, const int32_t *offset,
                 const int32_t *weight, int64_t taps, int64_t plane);

// Resizes rows of w bytes to h rows: row y is the sum over k < count[y] of weight[y*most+k] times the
// row first[y]+k.
void hdas_down(uint8_t *dst, const uint8_t *src, int64_t h, int64_t w, const int64_t *first, const int64_t *count,
               const int32_t *weight, int64_t most);

// Replaces n values by from + factor * (value - from).
void hdas_fade(uint8_t *pix, int64_t n, float from, float factor);
// Returns the sum of the grey values of n pixels.
int64_t hdas_luma_sum(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n);
// Replaces the channels of n pixels by grey + factor * (channel - grey).
void hdas_saturate(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, float factor);
// Rotates the hue of n pixels by turn/255 of a circle, with the tables of hue.go. It reads three bytes after the table hue.
void hdas_hue(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, int turn, const uint8_t *hue, const float *share);
