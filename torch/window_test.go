package torch_test

import (
	"testing"

	"pgregory.net/rapid"

	"hdas/torch"
)

// The tests of this file hold that the arguments of Conv2d, MaxPool2d, AvgPool2d and GlobalAvgPool
// reach libtorch's operations in the right order. What this package computes by kernels of its own is
// tested in looptest, loop by loop, and in models/ops, cell by cell.

// geometry is that of a window that moves over planes; index 0 is vertical.
type geometry struct {
	kernel, stride, padding, dilation [2]int64
}

func (g geometry) out(in int64, d int) int64 {
	return (in+2*g.padding[d]-g.dilation[d]*(g.kernel[d]-1)-1)/g.stride[d] + 1
}

// each calls f for every output pixel and every tap whose input pixel is not padding.
func (g geometry) each(h, w int64, f func(oy, ox, ky, kx, y, x int64)) {
	for oy := range g.out(h, 0) {
		for ox := range g.out(w, 1) {
			for ky := range g.kernel[0] {
				for kx := range g.kernel[1] {
					y := oy*g.stride[0] - g.padding[0] + ky*g.dilation[0]
					x := ox*g.stride[1] - g.padding[1] + kx*g.dilation[1]
					if y >= 0 && y < h && x >= 0 && x < w {
						f(oy, ox, ky, kx, y, x)
					}
				}
			}
		}
	}
}

// fitting draws planes that are large enough for the window.
func fitting(t *rapid.T, g geometry) (h, w int64) {
	var size [2]int64
	for d, name := range []string{"h", "w"} {
		least := max(1, g.dilation[d]*(g.kernel[d]-1)+1-2*g.padding[d])
		size[d] = rapid.Int64Range(least, least+6).Draw(t, name)
	}
	return size[0], size[1]
}

// options are g's as a caller writes them: a number that holds in both directions may stand alone,
// and a default may be left out.
func (g geometry) options(groups int64) torch.ConvOptions {
	short := func(v [2]int64, usual int64) []int64 {
		switch {
		case v == [2]int64{usual, usual}:
			return nil
		case v[0] == v[1]:
			return v[:1]
		}
		return v[:]
	}
	o := torch.ConvOptions{Stride: short(g.stride, 1), Padding: short(g.padding, 0), Dilation: short(g.dilation, 1), Groups: groups}
	if groups == 1 {
		o.Groups = 0
	}
	return o
}

// convolve is the convolution of x with w in groups, and b (undefined: 0) added.
func (g geometry) convolve(x, w, b array, groups int64) array {
	y := build([]int64{x.shape[0], w.shape[0], g.out(x.shape[2], 0), g.out(x.shape[3], 1)}, func(i []int64) float64 {
		if b.v == nil {
			return 0
		}
		return b.at(i[1])
	})
	in, out := w.shape[1], w.shape[0]/groups // of one group
	g.each(x.shape[2], x.shape[3], func(oy, ox, ky, kx, py, px int64) {
		for n := range x.shape[0] {
			for k := range w.shape[0] {
				for c := range in {
					y.v[y.index(n, k, oy, ox)] += x.at(n, k/out*in+c, py, px) * w.at(k, c, ky, kx)
				}
			}
		}
	})
	return y
}

func TestConv2d(t *testing.T) {
	pair := func(t *rapid.T, least, most int64, name string) [2]int64 {
		return [2]int64{rapid.Int64Range(least, most).Draw(t, name+" down"), rapid.Int64Range(least, most).Draw(t, name+" across")}
	}
	eachKind(t, func(t *testing.T, k kind) {
		rapid.Check(t, func(t *rapid.T) {
			g := geometry{pair(t, 1, 4, "kernel"), pair(t, 1, 3, "stride"), pair(t, 0, 3, "padding"), pair(t, 1, 3, "dilation")}
			h, w := fitting(t, g)
			groups := rapid.Int64Range(1, 3).Draw(t, "groups")
			in, out := rapid.Int64Range(1, 3).Draw(t, "in"), groups*rapid.Int64Range(1, 3).Draw(t, "out")
			r := generator(rapid.Uint64().Draw(t, "values"))
			x, weight := random(r, rapid.Int64Range(1, 3).Draw(t, "n"), groups*in, h, w), random(r, out, in, g.kernel[0], g.kernel[1])
			var bias array
			if rapid.Bool().Draw(t, "bias") {
				bias = random(r, out)
			}
			var got array
			do(t, func(*torch.Scope) {
				var b torch.Tensor
				if bias.v != nil {
					b = bias.tensor(k.Options)
				}
				got = read(torch.Conv2d(x.tensor(k.Options), weight.tensor(k.Options), b, g.options(groups)))
			})
			equal(t, "convolution", got, g.convolve(x, weight, bias, groups), k.tolerance)
		})
	})
}

// pool is a pooling of x: the largest of each window, or the mean without the padding.
func (g geometry) pool(largest bool, x array) array {
	y := zeros(x.shape[0], x.shape[1], g.out(x.shape[2], 0), g.out(x.shape[3], 1))
	count := zeros(y.shape...)
	g.each(x.shape[2], x.shape[3], func(oy, ox, _, _, py, px int64) {
		for n := range x.shape[0] {
			for c := range x.shape[1] {
				v, i := x.at(n, c, py, px), y.index(n, c, oy, ox)
				if count.v[i]++; !largest {
					y.v[i] += v
				} else if count.v[i] == 1 || v > y.v[i] {
					y.v[i] = v
				}
			}
		}
	})
	for i := range y.v {
		if !largest {
			y.v[i] /= count.v[i]
		}
	}
	return y
}

func TestPooling(t *testing.T) {
	pools := map[bool]func(x torch.Tensor, kernel, stride, padding int64) torch.Tensor{true: torch.MaxPool2d, false: torch.AvgPool2d}
	eachKind(t, func(t *testing.T, k kind) {
		for name, largest := range map[string]bool{"max": true, "avg": false} {
			t.Run(name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					kernel, stride := rapid.Int64Range(1, 4).Draw(t, "kernel"), rapid.Int64Range(1, 4).Draw(t, "stride")
					padding := rapid.Int64Range(0, kernel/2).Draw(t, "padding")
					g := geometry{[2]int64{kernel, kernel}, [2]int64{stride, stride}, [2]int64{padding, padding}, [2]int64{1, 1}}
					h, w := fitting(t, g)
					r := generator(rapid.Uint64().Draw(t, "values"))
					x := random(r, rapid.Int64Range(1, 3).Draw(t, "n"), rapid.Int64Range(1, 3).Draw(t, "c"), h, w)
					var got array
					do(t, func(*torch.Scope) { got = read(pools[largest](x.tensor(k.Options), kernel, stride, padding)) })
					equal(t, "pooling", got, g.pool(largest, x), k.tolerance)
				})
			})
		}
		t.Run("global", func(t *testing.T) {
			x := random(generator(5), 2, 3, 4, 5)
			var got array
			do(t, func(*torch.Scope) { got = read(torch.GlobalAvgPool(x.tensor(k.Options))) })
			whole := geometry{[2]int64{4, 5}, [2]int64{1, 1}, [2]int64{}, [2]int64{1, 1}}
			equal(t, "global mean", got, whole.pool(false, x), k.tolerance)
		})
	})
}
