//go:build cgo

#include "kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

// FMA is not used: products and sums are rounded separately, as in Go.
#define AVX2 __attribute__((target("avx2")))

int hdas_avx2(void) { return __builtin_cpu_supports("avx2"); }

// Returns eight bytes as 32-bit integers.
static inline AVX2 __m256i widen(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }

// Stores eight 32-bit integers as bytes, limited to 0..255.
static inline AVX2 void narrow(uint8_t *p, __m256i v) {
	__m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	_mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

enum { bits = 22 };

static inline uint8_t cut(int32_t sum) {
	sum >>= bits;
	return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

AVX2 void hdas_across(uint8_t *dst, const uint8_t *src, int64_t stride, int64_t h, int64_t w, const int32_t *offset,
                      const int32_t *weight, int64_t taps, int64_t plane) {
	const __m256i low = _mm256_set1_epi32(255), half = _mm256_set1_epi32(1 << (bits - 1));
	for (int64_t y = 0; y < h; y++, src += stride, dst += w) {
		int64_t x = 0;
		for (; x + 8 <= w; x += 8) {
			__m256i at = _mm256_loadu_si256((const __m256i *)(offset + x)), r = half, g = half, b = half;
			for (int64_t k = 0; k < taps; k++) {
				__m256i p = _mm256_i32gather_epi32((const int *)(src + 3 * k), at, 1);
				__m256i f = _mm256_loadu_si256((const __m256i *)(weight + k * w + x));
				r = _mm256_add_epi32(r, _mm256_mullo_epi32(f, _mm256_and_si256(p, low)));
				g = _mm256_add_epi32(g, _mm256_mullo_epi32(f, _mm256_and_si256(_mm256_srli_epi32(p, 8), low)));
				b = _mm256_add_epi32(b, _mm256_mullo_epi32(f, _mm256_and_si256(_mm256_srli_epi32(p, 16), low)));
			}
			narrow(dst + x, _mm256_srai_epi32(r, bits));
			narrow(dst + plane + x, _mm256_srai_epi32(g, bits));
			narrow(dst + 2 * plane + x, _mm256_srai_epi32(b, bits));
		}
		for (; x < w; x++)
			for (int c = 0; c < 3; c++) {
				int32_t sum = 1 << (bits - 1);
				for (int64_t k = 0; k < taps; k++) sum += weight[k * w + x] * src[offset[x] + 3 * k + c];
				dst[c * plane + x] = cut(sum);
			}
	}
}

AVX2 void hdas_down(uint8_t *dst, const uint8_t *src, int64_t h, int64_t w, const int64_t *first, const int64_t *count,
                    const int32_t *weight, int64_t most) {
	const __m256i half = _mm256_set1_epi32(1 << (bits - 1));
	for (int64_t y = 0; y < h; y++, dst += w, weight += most) {
		const uint8_t *rows = src + first[y] * w;
		int64_t x = 0;
		for (; x + 8 <= w; x += 8) {
			__m256i sum = half;
			for (int64_t k = 0; k < count[y]; k++)
				sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_set1_epi32(weight[k]), widen(rows + k * w + x)));
			narrow(dst + x, _mm256_srai_epi32(sum, bits));
		}
		for (; x < w; x++) {
			int32_t sum = 1 << (bits - 1);
			for (int64_t k = 0; k < count[y]; k++) sum += weight[k] * rows[k * w + x];
			dst[x] = cut(sum);
		}
	}
}

// Returns from + factor * (v - from) as integers, without the fractions.
static inline AVX2 __m256i blend(__m256i v, __m256i from, __m256 factor) {
	__m256 t = _mm256_mul_ps(factor, _mm256_cvtepi32_ps(_mm256_sub_epi32(v, from)));
	t = _mm256_add_ps(_mm256_cvtepi32_ps(from), t);
	t = _mm256_min_ps(_mm256_max_ps(t, _mm256_setzero_ps()), _mm256_set1_ps(255));
	return _mm256_cvttps_epi32(t);
}

static inline uint8_t blend1(int v, int from, float factor) {
	float t = factor * (float)(v - from);
	t = (float)from + t;
	return t <= 0 ? 0 : t >= 255 ? 255 : (uint8_t)t;
}

AVX2 void hdas_fade(uint8_t *pix, int64_t n, float from, float factor) {
	const __m256i f = _mm256_set1_epi32((int)from);
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) narrow(pix + i, blend(widen(pix + i), f, _mm256_set1_ps(factor)));
	for (; i < n; i++) pix[i] = blend1(pix[i], (int)from, factor);
}

static inline AVX2 __m256i luma(__m256i r, __m256i g, __m256i b) {
	__m256i sum = _mm256_add_epi32(_mm256_mullo_epi32(r, _mm256_set1_epi32(19595)), _mm256_mullo_epi32(g, _mm256_set1_epi32(38470)));
	sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(b, _mm256_set1_epi32(7471)));
	return _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(0x8000)), 16);
}

static inline int luma1(int r, int g, int b) { return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16; }

AVX2 int64_t hdas_luma_sum(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n) {
	int64_t sum = 0, i = 0;
	while (i + 8 <= n) {
		__m256i part = _mm256_setzero_si256(); // sum over at most 2^16 pixels
		for (int64_t end = n - i > 1 << 16 ? i + (1 << 16) : n; i + 8 <= end; i += 8)
			part = _mm256_add_epi32(part, luma(widen(r + i), widen(g + i), widen(b + i)));
		uint32_t lanes[8];
		_mm256_storeu_si256((__m256i *)lanes, part);
		for (int k = 0; k < 8; k++) sum += lanes[k];
	}
	for (; i < n; i++) sum += luma1(r[i], g[i], b[i]);
	return sum;
}

AVX2 void hdas_saturate(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, float factor) {
	const __m256 f = _mm256_set1_ps(factor);
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) {
		__m256i red = widen(r + i), green = widen(g + i), blue = widen(b + i), grey = luma(red, green, blue);
		narrow(r + i, blend(red, grey, f));
		narrow(g + i, blend(green, grey, f));
		narrow(b + i, blend(blue, grey, f));
	}
	for (; i < n; i++) {
		int grey = luma1(r[i], g[i], b[i]);
		r[i] = blend1(r[i], grey, factor);
		g[i] = blend1(g[i], grey, factor);
		b[i] = blend1(b[i], grey, factor);
	}
}

// Returns a in the sectors that are bits of first, b in those of second, else c. bit is 1 << sector.
static inline AVX2 __m256i pick(__m256i bit, int first, __m256i a, int second, __m256i b, __m256i c) {
	const __m256i none = _mm256_setzero_si256();
	c = _mm256_blendv_epi8(a, c, _mm256_cmpeq_epi32(_mm256_and_si256(bit, _mm256_set1_epi32(first)), none));
	return _mm256_blendv_epi8(b, c, _mm256_cmpeq_epi32(_mm256_and_si256(bit, _mm256_set1_epi32(second)), none));
}

// Returns the channel that is neither the highest nor the lowest, of four pixels: falling where odd is negative, else rising, as in hue.go.
static inline AVX2 __m128i between(__m128i v, __m128 saturation, __m128 share, __m128i odd) {
	const __m256d one = _mm256_set1_pd(1);
	__m256d rising = _mm256_mul_pd(_mm256_cvtps_pd(saturation), _mm256_sub_pd(one, _mm256_cvtps_pd(share)));
	__m256d falling = _mm256_cvtps_pd(_mm_mul_ps(saturation, share));
	__m256d part = _mm256_blendv_pd(rising, falling, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(odd)));
	part = _mm256_mul_pd(_mm256_cvtepi32_pd(v), _mm256_sub_pd(one, part));
	return _mm256_cvttpd_epi32(_mm256_add_pd(part, _mm256_set1_pd(0.5)));
}

static inline AVX2 void hue8(uint8_t *r, uint8_t *g, uint8_t *b, int turn, const uint8_t *hue, const float *share) {
	const __m256i one = _mm256_set1_epi32(1), most = _mm256_set1_epi32(255);
	__m256i red = widen(r), green = widen(g), blue = widen(b);
	__m256i v = _mm256_max_epi32(_mm256_max_epi32(red, green), blue);
	__m256i chroma = _mm256_sub_epi32(v, _mm256_min_epi32(_mm256_min_epi32(red, green), blue));

	// The whole part of 255 * ratio, exactly: one less where the product was rounded up to a whole number.
	__m256 ratio = _mm256_div_ps(_mm256_cvtepi32_ps(chroma), _mm256_cvtepi32_ps(_mm256_max_epi32(v, one)));
	__m256i s = _mm256_cvttps_epi32(_mm256_mul_ps(ratio, _mm256_set1_ps(255)));
	__m256 rest = _mm256_sub_ps(_mm256_mul_ps(ratio, _mm256_set1_ps(256)), _mm256_cvtepi32_ps(s));
	s = _mm256_add_epi32(s, _mm256_castps_si256(_mm256_cmp_ps(rest, ratio, _CMP_LT_OQ)));

	// The index in the table of the highest channel, which has 1 << 16 entries.
	__m256i isRed = _mm256_cmpeq_epi32(v, red), isGreen = _mm256_cmpeq_epi32(v, green);
	__m256i at = _mm256_add_epi32(_mm256_sub_epi32(red, green), _mm256_set1_epi32(2 << 16));
	at = _mm256_blendv_epi8(at, _mm256_add_epi32(_mm256_sub_epi32(blue, red), _mm256_set1_epi32(1 << 16)), isGreen);
	at = _mm256_blendv_epi8(at, _mm256_sub_epi32(green, blue), isRed);
	at = _mm256_add_epi32(at, _mm256_mullo_epi32(chroma, _mm256_add_epi32(chroma, one)));
	__m256i h = _mm256_add_epi32(_mm256_i32gather_epi32((const int *)hue, at, 1), _mm256_set1_epi32(turn));
	h = _mm256_and_si256(h, most);

	// The sector is 6 * h / 255; 6 is 0.
	__m256i six = _mm256_mullo_epi32(h, _mm256_set1_epi32(6));
	__m256i sector = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(six, one), _mm256_srli_epi32(six, 8)), 8);
	sector = _mm256_andnot_si256(_mm256_cmpeq_epi32(h, most), sector);
	__m256i bit = _mm256_sllv_epi32(one, sector), odd = _mm256_slli_epi32(sector, 31);
	__m256 fs = _mm256_div_ps(_mm256_cvtepi32_ps(s), _mm256_set1_ps(255)), fh = _mm256_i32gather_ps(share, h, 4);
	__m128i first = between(_mm256_castsi256_si128(v), _mm256_castps256_ps128(fs), _mm256_castps256_ps128(fh), _mm256_castsi256_si128(odd));
	__m128i second = between(_mm256_extracti128_si256(v, 1), _mm256_extractf128_ps(fs, 1), _mm256_extractf128_ps(fh, 1), _mm256_extracti128_si256(odd, 1));
	__m256i middle = _mm256_set_m128i(second, first);
	__m256i low = _mm256_add_epi32(_mm256_mullo_epi32(v, _mm256_sub_epi32(most, s)), _mm256_set1_epi32(128)); // divided by 255
	low = _mm256_srli_epi32(_mm256_add_epi32(low, _mm256_srli_epi32(low, 8)), 8);
	__m256i grey = _mm256_cmpeq_epi32(s, _mm256_setzero_si256());
	narrow(r, _mm256_blendv_epi8(pick(bit, 1 << 0 | 1 << 5, v, 1 << 1 | 1 << 4, middle, low), v, grey));
	narrow(g, _mm256_blendv_epi8(pick(bit, 1 << 1 | 1 << 2, v, 1 << 0 | 1 << 3, middle, low), v, grey));
	narrow(b, _mm256_blendv_epi8(pick(bit, 1 << 3 | 1 << 4, v, 1 << 2 | 1 << 5, middle, low), v, grey));
}

AVX2 void hdas_hue(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, int turn, const uint8_t *hue, const float *share) {
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) hue8(r + i, g + i, b + i, turn, hue, share);
	if (i == n) return;
	uint8_t last[3][8] = {{0}};
	uint8_t *channel[3] = {r + i, g + i, b + i};
	for (int c = 0; c < 3; c++) memcpy(last[c], channel[c], n - i);
	hue8(last[0], last[1], last[2], turn, hue, share);
	for (int c = 0; c < 3; c++) memcpy(channel[c], last[c], n - i);
}

#else

int hdas_avx2(void) { return 0; }
void hdas_across(uint8_t *dst, const uint8_t *src, int64_t stride, int64_t h, int64_t w, const int32_t *offset, const int32_t *weight, int64_t taps, int64_t plane) {}
void hdas_down(uint8_t *dst, const uint8_t *src, int64_t h, int64_t w, const int64_t *first, const int64_t *count, const int32_t *weight, int64_t most) {}
void hdas_fade(uint8_t *pix, int64_t n, float from, float factor) {}
int64_t hdas_luma_sum(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n) { return 0; }
void hdas_saturate(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, float factor) {}
void hdas_hue(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, int turn, const uint8_t *hue, const float *share) {}

#endif
