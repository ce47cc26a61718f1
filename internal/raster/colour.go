package raster

// Brightness multiplies all values by factor: 0 gives black, 1 the original image.
func (c *Canvas) Brightness(factor float64) { c.fade(0, factor) }

// Contrast scales the difference from the mean grey value by factor: 0 gives uniform grey, 1 the original
// image.
func (c *Canvas) Contrast(factor float64) {
	sum := 0
	if c.C == 1 {
		for _, v := range c.Pix {
			sum += int(v)
		}
	} else if r, g, b := c.plane(0), c.plane(1), c.plane(2); vector {
		sum = vectorLumaSum(r, g, b)
	} else { // sum the grey values without storing them
		g, b = g[:len(r)], b[:len(r)]
		for i := range r {
			sum += int(luma(r[i], g[i], b[i]))
		}
	}
	c.fade(byte(float64(sum)/float64(c.H*c.W)+0.5), factor)
}

// fade replaces each value v by from + factor * (v - from).
func (c *Canvas) fade(from byte, factor float64) {
	if vector {
		vectorFade(c.Pix, from, float32(factor))
		return
	}
	var t table
	for v := range t {
		t[v] = blend(from, byte(v), float32(factor))
	}
	t.apply(c.Pix)
}

// Saturation scales the difference from each pixel's grey value by factor: 0 gives a grey image, 1 the
// original image.
func (c *Canvas) Saturation(factor float64) {
	if c.C == 1 {
		return
	}
	r, g, b := c.plane(0), c.plane(1), c.plane(2)
	if vector {
		vectorSaturate(r, g, b, float32(factor))
		return
	}
	var product [511]float32 // factor times each possible difference
	for d := range product {
		product[d] = float32(factor) * float32(d-255)
	}
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		grey := luma(r[i], g[i], b[i])
		l, at := float32(grey), 255-int(grey)
		r[i] = clip(l + product[at+int(r[i])])
		g[i] = clip(l + product[at+int(g[i])])
		b[i] = clip(l + product[at+int(b[i])])
	}
}

// Sharpness scales the difference from the smoothed image by factor: 0 gives the smoothed image, 1 the
// original. Pixels at the border do not change.
func (c *Canvas) Sharpness(factor float64) {
	dst := c.other()
	if c.H < 3 || c.W < 3 {
		return
	}
	var product [511]float32
	for d := range product {
		product[d] = float32(factor) * float32(d-255)
	}
	w := c.W
	for ch := range c.C {
		in, out := c.plane(ch), dst[ch*c.H*w:][:c.H*w]
		copy(out[:w], in[:w])
		copy(out[(c.H-1)*w:], in[(c.H-1)*w:])
		for y := 1; y < c.H-1; y++ {
			up, row, down, to := in[(y-1)*w:][:w], in[y*w:][:w], in[(y+1)*w:][:w], out[y*w:][:w]
			to[0], to[w-1] = row[0], row[w-1]
			// Sums of three pixels in a column; each is used three times.
			left := int(up[0]) + int(row[0]) + int(down[0])
			middle := int(up[1]) + int(row[1]) + int(down[1])
			for x := 1; x < w-1; x++ {
				right := int(up[x+1]) + int(row[x+1]) + int(down[x+1])
				v := int(row[x])
				// The rounded mean of 3x3 pixels, in which the centre has weight 5 and the others 1.
				smooth := (2*(left+middle+right+4*v) + 13) / 26
				to[x] = clip(float32(smooth) + product[255+v-smooth])
				left, middle = middle, right
			}
		}
	}
	c.swap()
}

// Posterize keeps the given number of high bits, 0 to 8, of each value.
func (c *Canvas) Posterize(bits int) {
	mask := ^byte(1<<(8-bits) - 1)
	for i := range c.Pix {
		c.Pix[i] &= mask
	}
}

// Solarize inverts the values that are at least threshold.
func (c *Canvas) Solarize(threshold float64) {
	var t table
	for v := range t {
		t[v] = byte(v)
		if float64(v) >= threshold {
			t[v] = byte(255 - v)
		}
	}
	t.apply(c.Pix)
}

// Invert replaces each value v by 255-v.
func (c *Canvas) Invert() {
	for i := range c.Pix {
		c.Pix[i] = ^c.Pix[i]
	}
}

// AutoContrast scales the values of each channel linearly to the range 0..255.
func (c *Canvas) AutoContrast() {
	for ch := range c.C {
		pix := c.plane(ch)
		lo, hi := byte(255), byte(0)
		for _, v := range pix {
			lo, hi = min(lo, v), max(hi, v)
		}
		if hi <= lo {
			continue
		}
		scale := 255 / (float64(hi) - float64(lo))
		offset := -float64(lo) * scale
		var t table
		for v := range t {
			t[v] = byte(min(max(int(float64(float64(v)*scale)+offset), 0), 255))
		}
		t.apply(pix)
	}
}

// Equalize equalises the histogram of each channel.
func (c *Canvas) Equalize() {
	for ch := range c.C {
		pix := c.plane(ch)
		var count [256]int
		for _, v := range pix {
			count[v]++
		}
		last := 255
		for last > 0 && count[last] == 0 {
			last--
		}
		step := (len(pix) - count[last]) / 255
		if step == 0 {
			continue
		}
		var t table
		for v, n := 0, step/2; v < len(t); v++ {
			t[v] = byte(min(n/step, 255))
			n += count[v]
		}
		t.apply(pix)
	}
}
