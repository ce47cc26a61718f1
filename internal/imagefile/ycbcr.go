package imagefile

import "image"

// The chroma channels of a JPEG have fewer samples than its luma. libjpeg, and therefore Pillow,
// interpolates them with a triangle filter ("fancy upsampling"); Go's image package repeats them. The
// functions here compute the same as libjpeg, so that a file has the same colours with either decoder.

// ycbcr converts src, the image of a JPEG, to RGB in dst. It returns line, scratch space that may have
// grown.
func ycbcr(dst []byte, src *image.YCbCr, line []byte) []byte {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	cw, ch := w, h // size of the chroma channels
	halfX, halfY := false, false
	switch src.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		halfX = true
	case image.YCbCrSubsampleRatio440:
		halfY = true
	case image.YCbCrSubsampleRatio420:
		halfX, halfY = true, true
	case image.YCbCrSubsampleRatio444:
	default: // 4:1:1 and 4:1:0, for which libjpeg repeats samples, too
		for y := range h {
			out := dst[3*w*y:]
			for x := range w {
				l, c := y*src.YStride+x, src.COffset(src.Rect.Min.X+x, src.Rect.Min.Y+y)
				jfif(out[3*x:3*x+3], src.Y[l:l+1], src.Cb[c:], src.Cr[c:])
			}
		}
		return line
	}
	if halfX {
		cw = (w + 1) / 2
	}
	if halfY {
		ch = (h + 1) / 2
	}
	line = resized(line, 2*(w+1))
	cb, cr := line[:w+1], line[w+1:]
	for y := range h {
		near, far := y, y // the nearer and the farther row of chroma
		if halfY {
			near = y / 2
			far = min(max(near-1+2*(y%2), 0), ch-1)
		}
		for _, c := range []struct{ out, in []byte }{{cb, src.Cb}, {cr, src.Cr}} {
			a, b := c.in[near*src.CStride:][:cw], c.in[far*src.CStride:][:cw]
			switch {
			case halfX && halfY:
				between2(c.out, a, b)
			case halfX:
				between(c.out, a)
			case halfY:
				for x := range a {
					c.out[x] = byte((3*int(a[x]) + int(b[x]) + 1 + y%2) >> 2)
				}
			default:
				copy(c.out, a)
			}
		}
		jfif(dst[3*w*y:][:3*w], src.Y[y*src.YStride:][:w], cb, cr)
	}
	return line
}

// between doubles the length of a row. Each new sample is 3/4 of the nearest old sample plus 1/4 of the
// second nearest.
func between(dst, src []byte) {
	n := len(src)
	if n <= 2 { // as libjpeg does
		for i, v := range src {
			put(dst, 2*i, int(v))
			put(dst, 2*i+1, int(v))
		}
		return
	}
	for i, v := range src {
		now := 3 * int(v)
		left, right := int(v), int(v)
		if i > 0 {
			left = (now + int(src[i-1]) + 1) >> 2
		}
		if i < n-1 {
			right = (now + int(src[i+1]) + 2) >> 2
		}
		put(dst, 2*i, left)
		put(dst, 2*i+1, right)
	}
}

// between2 doubles the length of the row 3/4 near + 1/4 far.
func between2(dst, near, far []byte) {
	n := len(near)
	if n <= 2 {
		for i, v := range near {
			put(dst, 2*i, int(v))
			put(dst, 2*i+1, int(v))
		}
		return
	}
	sum := func(i int) int { return 3*int(near[i]) + int(far[i]) }
	last, now := 0, sum(0)
	for i := range n {
		left, right, next := 4*now, 4*now, 0
		if i > 0 {
			left = 3*now + last
		}
		if i < n-1 {
			next = sum(i + 1)
			right = 3*now + next
		}
		put(dst, 2*i, (left+8)>>4)
		put(dst, 2*i+1, (right+7)>>4)
		last, now = now, next
	}
}

// put sets dst[i] if it exists. For an odd width the last new sample does not.
func put(dst []byte, i, v int) {
	if i < len(dst) {
		dst[i] = byte(v)
	}
}

// jfif converts a row to RGB as JFIF defines it, with libjpeg's fixed-point numbers of 16 fractional bits.
func jfif(out, y, cb, cr []byte) {
	const half = 1 << 15
	cb, cr = cb[:len(y)], cr[:len(y)]
	for i, v := range y {
		l, b, r := int32(v), int32(cb[i])-128, int32(cr[i])-128
		rgb := out[3*i : 3*i+3]
		rgb[0] = clamp(l + (91881*r+half)>>16)
		rgb[1] = clamp(l + (-22554*b-46802*r+half)>>16)
		rgb[2] = clamp(l + (116130*b+half)>>16)
	}
}

// bt601 converts a row to RGB as BT.601 defines it, with libwebp's fixed-point numbers of 6 fractional
// bits.
func bt601(out, y, cb, cr []byte) {
	part := func(v byte, factor int32) int32 { return int32(v) * factor >> 8 }
	for i, v := range y {
		l := part(v, 19077)
		rgb := out[3*i : 3*i+3]
		rgb[0] = clamp((l + part(cr[i], 26149) - 14234) >> 6)
		rgb[1] = clamp((l - part(cb[i], 6419) - part(cr[i], 13320) + 8708) >> 6)
		rgb[2] = clamp((l + part(cb[i], 33050) - 17685) >> 6)
	}
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }
