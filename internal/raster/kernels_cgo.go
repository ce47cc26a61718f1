//go:build cgo

package raster

// #cgo CFLAGS: -O2
// #include "kernels.h"
import "C"

import "unsafe"

// vector is true if the loops in C are used, which need a processor with AVX2.
var vector = C.hdas_avx2() != 0

func bytesOf(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

func numbersOf[T int | int32](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

func vectorAcross(dst, src []byte, stride, h, w int, offset, weight []int32, taps, plane int) {
	C.hdas_across(bytesOf(dst), bytesOf(src), C.int64_t(stride), C.int64_t(h), C.int64_t(w),
		(*C.int32_t)(numbersOf(offset)), (*C.int32_t)(numbersOf(weight)), C.int64_t(taps), C.int64_t(plane))
}

func vectorDown(dst, src []byte, h, w int, t *taps) {
	C.hdas_down(bytesOf(dst), bytesOf(src), C.int64_t(h), C.int64_t(w),
		(*C.int64_t)(numbersOf(t.first)), (*C.int64_t)(numbersOf(t.count)), (*C.int32_t)(numbersOf(t.weight)), C.int64_t(t.most))
}

func vectorFade(pix []byte, from byte, factor float32) {
	C.hdas_fade(bytesOf(pix), C.int64_t(len(pix)), C.float(from), C.float(factor))
}

func vectorLumaSum(r, g, b []byte) int {
	return int(C.hdas_luma_sum(bytesOf(r), bytesOf(g), bytesOf(b), C.int64_t(len(r))))
}

func vectorHue(r, g, b []byte, turn byte, t *conversions) {
	C.hdas_hue(bytesOf(r), bytesOf(g), bytesOf(b), C.int64_t(len(r)), C.int(turn), (*C.uint8_t)(&t.hue[0][0]), (*C.float)(&t.share[0]))
}

func vectorSaturate(r, g, b []byte, factor float32) {
	C.hdas_saturate(bytesOf(r), bytesOf(g), bytesOf(b), C.int64_t(len(r)), C.float(factor))
}
