package raster

import (
	"math"
	"sync"
)

// Hue rotates the hue of all colours by shift in [-0.5,0.5], where 1 is a full turn. As in Pillow, colours
// are converted to 8-bit HSV and back; tables reproduce Pillow's rounding.
func (c *Canvas) Hue(shift float64) {
	if c.C == 1 {
		return
	}
	turn := byte(int(shift * 255)) // modulo 256
	r, g, b := c.plane(0), c.plane(1), c.plane(2)
	t := hueTables()
	if vector {
		vectorHue(r, g, b, turn, t)
		return
	}
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		red, green, blue := int(r[i]), int(g[i]), int(b[i])
		v := max(red, green, blue)
		chroma := v - min(red, green, blue)
		s := t.saturation[v][chroma]
		if s == 0 {
			if chroma > 0 { // a saturation that rounds to 0 in 8 bits
				r[i], g[i], b[i] = byte(v), byte(v), byte(v)
			}
			continue
		}
		at := hueAt(0, chroma)
		var h byte
		switch v {
		case red:
			h = t.hue[0][at+green-blue]
		case green:
			h = t.hue[1][at+blue-red]
		default:
			h = t.hue[2][at+red-green]
		}
		h += turn
		p, share := t.low[s][v], t.share[h]
		fs := t.part[s]
		high := byte(v)
		switch t.sector[h] {
		case 0:
			r[i], g[i], b[i] = high, rising(v, fs, share), p
		case 1:
			r[i], g[i], b[i] = falling(v, fs, share), high, p
		case 2:
			r[i], g[i], b[i] = p, high, rising(v, fs, share)
		case 3:
			r[i], g[i], b[i] = p, falling(v, fs, share), high
		case 4:
			r[i], g[i], b[i] = rising(v, fs, share), p, high
		default:
			r[i], g[i], b[i] = high, p, falling(v, fs, share)
		}
	}
}

// falling and rising return the channel that is neither the highest nor the lowest, for value v, saturation
// fs and the position share in a sector of the hue. It falls or rises with share. Both round to nearest.
func falling(v int, fs, share float32) byte {
	return byte(float64(float64(v)*(1-float64(fs*share))) + 0.5)
}

func rising(v int, fs, share float32) byte {
	return byte(float64(float64(v)*(1-float64(float64(fs)*(1-float64(share))))) + 0.5)
}

// hueAt returns the index of the hue x/chroma in a table of conversions, for x in -chroma..chroma.
func hueAt(x, chroma int) int { return chroma*chroma + chroma + x }

// conversions holds tables of Pillow's conversions between RGB and HSV.
type conversions struct {
	hue        [3][256 * 256]byte // hue, for each highest channel, at index hueAt(difference of the two others, chroma)
	saturation [256][256]byte     // saturation, by value and chroma
	low        [256][256]byte     // the lowest channel, by saturation and value
	sector     [256]byte          // sector of the hue circle, 0..5, by hue
	share      [256]float32       // position in the sector, in [0,1), by hue
	part       [256]float32       // saturation in [0,1]
}

var hueTables = sync.OnceValue(func() *conversions {
	t := new(conversions)
	for chroma := 1; chroma < 256; chroma++ {
		for x := -chroma; x <= chroma; x++ {
			// The distances of the two other channels from the highest, divided by the chroma; that of the
			// lowest channel is 1.
			first, second := float32(1), float32(1)
			if x >= 0 {
				second = float32(chroma-x) / float32(chroma)
			} else {
				first = float32(chroma+x) / float32(chroma)
			}
			for k := range t.hue {
				h := float32(float64(2*k) + float64(first) - float64(second))
				h = float32(math.Mod(float64(h)/6+1, 1))
				t.hue[k][hueAt(x, chroma)] = byte(float64(h) * 255)
			}
		}
		for v := chroma; v < 256; v++ {
			t.saturation[v][chroma] = byte(float64(float32(chroma)/float32(v)) * 255)
		}
	}
	for i := range 256 {
		turn := float64(i) * 6 / 255
		t.sector[i] = byte(int(turn) % 6)
		t.share[i] = float32(turn - math.Floor(turn))
		t.part[i] = float32(float64(i) / 255)
		for v := range 256 {
			t.low[i][v] = byte(math.Round(float64(v) * (1 - float64(t.part[i]))))
		}
	}
	return t
})
