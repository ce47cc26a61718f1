package torch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// geometry is that of a window that moves over planes; index 0 is vertical.
type geometry struct {
	kernel, stride, padding, dilation [2]int64
}

func (g geometry) out(in int64, d int) int64 {
	return (in+2*g.padding[d]-g.dilation[d]*(g.kernel[d]-1)-1)/g.stride[d] + 1
}

func square(kernel, stride, padding, dilation int64) geometry {
	return geometry{[2]int64{kernel, kernel}, [2]int64{stride, stride}, [2]int64{padding, padding}, [2]int64{dilation, dilation}}
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

// convolve calls f with the indices of every product in a convolution: y[iy] is the sum of
// x[ix]*w[iw].
func (g geometry) convolve(x, w, y array, groups int64, f func(ix, iw, iy int64)) {
	in, out := w.shape[1], w.shape[0]/groups // of one group
	g.each(x.shape[2], x.shape[3], func(oy, ox, ky, kx, py, px int64) {
		for n := range x.shape[0] {
			for k := range w.shape[0] {
				for c := range in {
					f(x.index(n, k/out*in+c, py, px), w.index(k, c, ky, kx), y.index(n, k, oy, ox))
				}
			}
		}
	})
}

// conv is a convolution with its gradients, for the gradient dy of its result.
type conv struct {
	geometry
	groups         int64
	x, w, b, y     array
	dy, dx, dw, db array
}

func newConv(r *rand.Rand, g geometry, groups, n, in, out, h, w int64) conv {
	c := conv{geometry: g, groups: groups}
	c.x, c.w, c.b = random(r, n, in, h, w), random(r, out, in/groups, g.kernel[0], g.kernel[1]), random(r, out)
	shape := []int64{n, out, g.out(h, 0), g.out(w, 1)}
	c.y, c.dy = zeros(shape...), random(r, shape...)
	c.dx, c.dw, c.db = zeros(c.x.shape...), zeros(c.w.shape...), zeros(out)
	g.convolve(c.x, c.w, c.y, groups, func(ix, iw, iy int64) {
		c.y.v[iy] += c.x.v[ix] * c.w.v[iw]
		c.dx.v[ix] += c.dy.v[iy] * c.w.v[iw]
		c.dw.v[iw] += c.dy.v[iy] * c.x.v[ix]
	})
	build(shape, func(i []int64) float64 { c.db.v[i[1]] += c.dy.at(i...); return 0 })
	return c
}

func (c conv) check(t torchtest.T, k kind, biased bool) {
	t.Helper()
	o := torch.ConvOptions{Stride: c.stride[:], Padding: c.padding[:], Dilation: c.dilation[:], Groups: c.groups}
	// A number that holds in both directions may stand alone, and a default may be left out.
	for _, v := range []*[]int64{&o.Stride, &o.Padding, &o.Dilation} {
		if (*v)[0] == (*v)[1] {
			*v = (*v)[:1]
		}
	}
	if c.stride == [2]int64{1, 1} {
		o.Stride = nil
	}
	if c.padding == [2]int64{} {
		o.Padding = nil
	}
	if c.dilation == [2]int64{1, 1} {
		o.Dilation = nil
	}
	if c.groups == 1 {
		o.Groups = 0
	}
	var y, dx, dw, db array
	do(t, func(*torch.Scope) {
		x, w := c.x.tensor(k.Options).SetRequiresGrad(true), c.w.tensor(k.Options).SetRequiresGrad(true)
		inputs := []torch.Tensor{x, w}
		var b torch.Tensor
		if biased {
			b = c.b.tensor(k.Options).SetRequiresGrad(true)
			inputs = append(inputs, b)
		}
		out := torch.Conv2d(x, w, b, o)
		grads := torch.Grad(out.Mul(c.dy.tensor(k.Options)).Sum(), inputs)
		y, dx, dw = read(out), read(grads[0]), read(grads[1])
		if biased {
			db = read(grads[2])
		}
	})
	want := c.y
	if biased {
		want = build(c.y.shape, func(i []int64) float64 { return c.y.at(i...) + c.b.at(i[1]) })
		equal(t, "gradient of the bias", db, c.db, k.tolerance)
	}
	equal(t, "convolution", y, want, k.tolerance)
	equal(t, "gradient of the input", dx, c.dx, k.tolerance)
	equal(t, "gradient of the weight", dw, c.dw, k.tolerance)
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

func TestConv2d(t *testing.T) {
	pair := func(t *rapid.T, least, most int64, name string) [2]int64 {
		return [2]int64{rapid.Int64Range(least, most).Draw(t, name+" down"), rapid.Int64Range(least, most).Draw(t, name+" across")}
	}
	eachKind(t, func(t *testing.T, k kind) {
		t.Run("any", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				g := geometry{pair(t, 1, 4, "kernel"), pair(t, 1, 3, "stride"), pair(t, 0, 3, "padding"), pair(t, 1, 3, "dilation")}
				h, w := fitting(t, g)
				groups := rapid.Int64Range(1, 3).Draw(t, "groups")
				in, out := groups*rapid.Int64Range(1, 3).Draw(t, "in"), groups*rapid.Int64Range(1, 3).Draw(t, "out")
				r := generator(rapid.Uint64().Draw(t, "values"))
				newConv(r, g, groups, rapid.Int64Range(1, 3).Draw(t, "n"), in, out, h, w).check(t, k, rapid.Bool().Draw(t, "bias"))
			})
		})
		// Depthwise, square and without bias: kernels of the package's own on the CPU.
		t.Run("depthwise", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				g := square(rapid.Int64Range(1, 8).Draw(t, "kernel"), rapid.Int64Range(1, 3).Draw(t, "stride"), rapid.Int64Range(0, 5).Draw(t, "padding"), rapid.Int64Range(1, 3).Draw(t, "dilation"))
				h, w := fitting(t, g)
				c := rapid.Int64Range(2, 4).Draw(t, "channels")
				r := generator(rapid.Uint64().Draw(t, "values"))
				newConv(r, g, c, rapid.Int64Range(1, 3).Draw(t, "n"), c, c, h, w).check(t, k, false)
			})
		})
		// What the search spaces use, on planes of their sizes, which fill more than one vector.
		for _, kernel := range []int64{3, 5, 7} {
			for _, dilation := range []int64{1, 2} {
				for _, stride := range []int64{1, 2} {
					t.Run(fmt.Sprintf("depthwise %dx%d dilation %d stride %d", kernel, kernel, dilation, stride), func(t *testing.T) {
						for _, plane := range []int64{7, 8, 28} {
							g := square(kernel, stride, (kernel-1)*dilation/2, dilation)
							newConv(generator(1), g, 3, 2, 3, 3, plane, plane).check(t, k, false)
						}
					})
				}
			}
		}
	})
}

// Only the gradients that are asked for: of the input alone, of the weight alone.
func TestDepthwiseOneGradient(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := newConv(generator(2), square(3, 2, 1, 1), 3, 2, 3, 3, 6, 5)
		for i, want := range []array{c.dx, c.dw} {
			var got array
			do(t, func(*torch.Scope) {
				in := []torch.Tensor{c.x.tensor(k.Options), c.w.tensor(k.Options)}
				in[i].SetRequiresGrad(true)
				y := torch.Conv2d(in[0], in[1], torch.Tensor{}, torch.ConvOptions{Stride: []int64{2}, Padding: []int64{1}, Groups: 3})
				got = read(torch.Grad(y.Mul(c.dy.tensor(k.Options)).Sum(), in[i:i+1])[0])
			})
			equal(t, "gradient", got, want, k.tolerance)
		}
	})
}

// pool is a pooling with its gradient: the largest of the window, or the mean without the padding.
func pool(largest bool, g geometry, x, dy array) (y, dx array) {
	y, dx = zeros(dy.shape...), zeros(x.shape...)
	count, from := zeros(dy.shape...), make([]int64, len(dy.v))
	for i := range y.v {
		if largest {
			y.v[i] = math.Inf(-1)
		}
	}
	visit := func(f func(ix, iy int64)) {
		g.each(x.shape[2], x.shape[3], func(oy, ox, _, _, py, px int64) {
			for n := range x.shape[0] {
				for c := range x.shape[1] {
					f(x.index(n, c, py, px), y.index(n, c, oy, ox))
				}
			}
		})
	}
	visit(func(ix, iy int64) {
		count.v[iy]++
		if !largest {
			y.v[iy] += x.v[ix]
		} else if x.v[ix] > y.v[iy] || math.IsNaN(x.v[ix]) {
			y.v[iy], from[iy] = x.v[ix], ix
		}
	})
	if largest {
		for iy, ix := range from {
			dx.v[ix] += dy.v[iy]
		}
		return y, dx
	}
	for i := range y.v {
		y.v[i] /= count.v[i]
	}
	visit(func(ix, iy int64) { dx.v[ix] += dy.v[iy] / count.v[iy] })
	return y, dx
}

func TestPooling(t *testing.T) {
	run := map[bool]func(x torch.Tensor, kernel, stride, padding int64) torch.Tensor{true: torch.MaxPool2d, false: torch.AvgPool2d}
	check := func(t torchtest.T, k kind, largest bool, kernel, stride, padding int64, x, dy array) {
		t.Helper()
		y, dx := pool(largest, square(kernel, stride, padding, 1), x, dy)
		var gotY, gotDx array
		do(t, func(*torch.Scope) {
			in := x.tensor(k.Options).SetRequiresGrad(true)
			out := run[largest](in, kernel, stride, padding)
			gotY, gotDx = read(out), read(torch.Grad(out.Mul(dy.tensor(k.Options)).Sum(), []torch.Tensor{in})[0])
		})
		equal(t, "pooling", gotY, y, k.tolerance)
		equal(t, "gradient", gotDx, dx, k.tolerance)
	}
	eachKind(t, func(t *testing.T, k kind) {
		for name, largest := range map[string]bool{"max": true, "avg": false} {
			t.Run(name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					kernel, stride := rapid.Int64Range(1, 4).Draw(t, "kernel"), rapid.Int64Range(1, 4).Draw(t, "stride")
					padding := rapid.Int64Range(0, kernel/2).Draw(t, "padding")
					g := square(kernel, stride, padding, 1)
					h, w := fitting(t, g)
					r := generator(rapid.Uint64().Draw(t, "values"))
					n, c := rapid.Int64Range(1, 3).Draw(t, "n"), rapid.Int64Range(1, 3).Draw(t, "c")
					// No two numbers are equal: libtorch's choice among equals is another test's.
					check(t, k, largest, kernel, stride, padding, distinct(r, n, c, h, w), random(r, n, c, g.out(h, 0), g.out(w, 1)))
				})
			})
			t.Run(name+" 3x3", func(t *testing.T) { // kernels of the package's own on the CPU
				for _, stride := range []int64{1, 2, 3} {
					for _, plane := range [][2]int64{{1, 1}, {1, 5}, {5, 1}, {2, 2}, {7, 8}, {28, 28}} {
						r, g := generator(3), square(3, stride, 1, 1)
						x := distinct(r, 2, 2, plane[0], plane[1])
						for i := range x.v { // all below zero: padding must not win
							x.v[i] -= 100
						}
						check(t, k, largest, 3, stride, 1, x, random(r, 2, 2, g.out(plane[0], 0), g.out(plane[1], 1)))
					}
				}
			})
			t.Run(name+" not finite", func(t *testing.T) {
				for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					for _, stride := range []int64{1, 2} {
						r, g := generator(4), square(3, stride, 1, 1)
						x := distinct(r, 1, 2, 6, 5)
						x.v[8] = v
						y, _ := pool(largest, g, x, zeros(1, 2, g.out(6, 0), g.out(5, 1)))
						var got array
						do(t, func(*torch.Scope) { got = read(run[largest](x.tensor(k.Options), 3, stride, 1)) })
						equal(t, fmt.Sprintf("%v with stride %d", v, stride), got, y, k.tolerance)
					}
				}
			})
		}
		t.Run("global", func(t *testing.T) {
			r := generator(5)
			x := random(r, 2, 3, 4, 5)
			want := build([]int64{2, 3, 1, 1}, func(i []int64) float64 {
				s := 0.0
				for y := range int64(4) {
					for z := range int64(5) {
						s += x.at(i[0], i[1], y, z) / 20
					}
				}
				return s
			})
			var got array
			do(t, func(*torch.Scope) { got = read(torch.GlobalAvgPool(x.tensor(k.Options))) })
			equal(t, "global mean", got, want, k.tolerance)
		})
	})
}

// An input with other strides, half precision and a batch of nothing work, too.
func TestWindowsOnOddInputs(t *testing.T) {
	ops := map[string]func(x torch.Tensor) torch.Tensor{
		"max pooling": func(x torch.Tensor) torch.Tensor { return torch.MaxPool2d(x, 3, 2, 1) },
		"avg pooling": func(x torch.Tensor) torch.Tensor { return torch.AvgPool2d(x, 3, 2, 1) },
		"depthwise": func(x torch.Tensor) torch.Tensor {
			w := torch.Ones(torch.Options{DType: x.DType(), Device: x.Device()}, 2, 1, 3, 3)
			return torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{Stride: []int64{2}, Padding: []int64{1}, Groups: 2})
		},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for name, op := range ops {
			t.Run(name, func(t *testing.T) {
				do(t, func(*torch.Scope) {
					whole := random(generator(8), 3, 4, 6, 6).tensor(k.Options)
					part := whole.Narrow(1, 1, 2) // not contiguous
					equal(t, "strided", read(op(part)), read(op(part.Add(torch.Zeros(k.Options)))), k.tolerance)
					// Sums of nine multiples of 1/64 of at most 36: bfloat16 keeps 8 bits of them.
					half := part.To(torch.BFloat16)
					equal(t, "bfloat16", read(op(half)), read(op(half.To(torch.Float64))), 1.0/128)
					equal(t, "empty batch", read(op(whole.Narrow(0, 0, 0).Narrow(1, 0, 2))), zeros(0, 2, 3, 3), 0)
				})
			})
		}
	})
}
