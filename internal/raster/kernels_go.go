//go:build !cgo

package raster

// vector is false: without cgo there are no loops in C.
var vector = false

func vectorAcross(dst, src []byte, stride, h, w int, offset, weight []int32, taps, plane int) {}
func vectorDown(dst, src []byte, h, w int, t *taps)                                           {}
func vectorFade(pix []byte, from byte, factor float32)                                        {}
func vectorLumaSum(r, g, b []byte) int                                                        { return 0 }
func vectorSaturate(r, g, b []byte, factor float32)                                           {}
func vectorHue(r, g, b []byte, turn byte, t *conversions)                                     {}
