package looptest_test

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hdas/internal/looptest"
)

// All sets of the processor are tested, and names that are none are refused.
func TestSets(t *testing.T) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Fields(string(regexp.MustCompile(`(?m)^flags\s*:.*$`).Find(cpu)))
	for set, needs := range map[string][]string{"plain": nil, "avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512vl", "avx512dq"}} {
		there := !slices.ContainsFunc(needs, func(flag string) bool { return !slices.Contains(flags, flag) })
		if slices.Contains(looptest.Sets(), set) != there {
			t.Errorf("%s: the sets are %v, and the processor has %v", set, looptest.Sets(), flags)
		}
	}
	for names, want := range map[[2]string]string{{"avx3", "sum"}: `"avx3" is unknown`, {"plain", "none"}: "no loop none"} {
		err := looptest.Call(names[0], names[1], []int64{0}, []float64{0})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", names, err)
		}
	}
}

// grid is a rectangle of pixels: the index of the first and the strides between rows and columns.
type grid struct{ first, row, col int64 }

func (g grid) pixel(y, x int64) int64 { return g.first + y*g.row + x*g.col }

// grid puts rows x cols pixels of `channels` channels into memory, some with room between them.
func (a *arena[T]) grid(rows, cols, channels int64, put func(n int64) int64) grid {
	col := channels * a.size("spacing", 1, 2)
	row := cols*col + channels*a.size("room", 0, 2)
	return grid{put(rows * row), row, col}
}

func (a *arena[T]) arguments(n ...int64) { a.numbers = append(a.numbers, n...) }
func (a *arena[T]) grids(grids ...grid) {
	for _, g := range grids {
		a.arguments(g.first, g.row, g.col)
	}
}

// norm is scale*x + shift at index i of a pixel, rounded as a processor does.
func (a *arena[T]) norm(x T, scale, shift, i int64) result {
	product := T(a.memory[scale+i] * x)
	v := product + a.memory[shift+i]
	return result{float64(v), math.Abs(float64(product)) + math.Abs(a.at(shift+i)), 1}
}

func TestWiden(t *testing.T) { eachKind(t, "widen", widen[float32], widen[float64]) }

func widen[T float](a *arena[T]) {
	load, c := a.size("load", 0, 3), a.size("c", 1, 40)
	rows, cols, w := a.size("rows", 1, 4), a.size("cols", 1, 5), a.wide(c)
	in, scale, shift := a.grid(rows, cols, c, a.put), a.put(w), a.put(w)
	out := a.grid(rows, cols, w, a.put)
	a.arguments(load, c, w, rows, cols)
	a.grids(in)
	a.arguments(scale, shift)
	a.grids(out)
	for y := range rows {
		for x := range cols {
			for i := range w {
				var v result
				if i < c {
					p := in.pixel(y, x) + i
					v = result{value: a.at(p)}
					if load >= 2 {
						v = a.norm(a.memory[p], scale, shift, i)
					}
					if (load == 1 || load == 2) && v.value < 0 {
						v.value = 0
					}
				}
				a.set(out.pixel(y, x)+i, v)
			}
		}
	}
}

func TestNarrow(t *testing.T) { eachKind(t, "narrow", narrow[float32], narrow[float64]) }

func narrow[T float](a *arena[T]) {
	store, c := a.size("store", 0, 5), a.size("c", 1, 40)
	rows, cols, w := a.size("rows", 1, 4), a.size("cols", 1, 5), a.wide(c)
	in := a.grid(rows, cols, w, a.put)
	out := a.grid(rows, cols, c, a.put)
	mask, scale, shift := a.grid(rows, cols, c, a.putExact), a.putExact(w), a.putExact(w)
	a.arguments(store, c, rows, cols)
	a.grids(in, mask)
	a.arguments(scale, shift)
	a.grids(out)
	for y := range rows {
		for x := range cols {
			for i := range c {
				o := out.pixel(y, x) + i
				m := a.memory[mask.pixel(y, x)+i]
				if store >= 4 {
					m = T(a.norm(m, scale, shift, i).value)
				}
				v := a.at(in.pixel(y, x) + i)
				if store >= 2 && m <= 0 {
					v = 0
				}
				if store%2 == 1 {
					a.add(o, v)
				} else {
					a.set(o, result{value: v})
				}
			}
		}
	}
}

// window is one that moves over a plane of wide pixels.
type window struct {
	w, rows, cols int64   // channels, and the pixels of the result
	offset        []int64 // of the taps
	in            grid
	plane         int64 // elements of the input
}

func (a *arena[T]) window(kernel int64, put func(n int64) int64) window {
	v := window{w: a.lanes() * a.size("vectors", 1, 3), rows: a.size("rows", 1, 4), cols: a.size("cols", 1, 17)}
	stride, dilation := a.size("stride", 1, 2), a.size("dilation", 1, 2)
	reach := (kernel-1)*dilation + 1
	row := ((v.cols-1)*stride + reach) * v.w
	for y := range kernel {
		for x := range kernel {
			v.offset = append(v.offset, y*dilation*row+x*dilation*v.w)
		}
	}
	v.plane = ((v.rows-1)*stride + reach) * row
	v.in = grid{put(v.plane), stride * row, stride * v.w}
	return v
}

// each calls f for every channel i of every pixel of the result.
func (v window) each(f func(y, x, i int64)) {
	for y := range v.rows {
		for x := range v.cols {
			for i := range v.w {
				f(y, x, i)
			}
		}
	}
}

// offsets ends the arguments; they name its place, which is that of the number at `argument`.
func (a *arena[T]) offsets(v window, argument int) {
	a.numbers[argument] = int64(len(a.numbers))
	a.arguments(v.offset...)
}

func TestCorrelate(t *testing.T) { eachKind(t, "correlate", correlate[float32], correlate[float64]) }

func correlate[T float](a *arena[T]) {
	v := a.window(a.size("kernel", 1, 5), a.put)
	taps := int64(len(v.offset))
	weight, out := a.put(taps*v.w), a.grid(v.rows, v.cols, v.w, a.put)
	a.arguments(taps, 0, weight, v.w, v.rows, v.cols)
	a.grids(v.in, out)
	a.offsets(v, 1)
	v.each(func(y, x, i int64) {
		var s result
		for t, offset := range v.offset {
			s = s.plus(a.at(weight+int64(t)*v.w+i) * a.at(v.in.pixel(y, x)+offset+i))
		}
		a.set(out.pixel(y, x)+i, s)
	})
}

func TestContract(t *testing.T) { eachKind(t, "contract", contract[float32], contract[float64]) }

func contract[T float](a *arena[T]) {
	v := a.window(a.size("kernel", 1, 7), a.put)
	taps := int64(len(v.offset))
	run, sum := a.grid(v.rows, v.cols, v.w, a.put), a.put(taps*v.w)
	a.arguments(taps, 0, v.w, v.rows, v.cols)
	a.grids(v.in, run)
	a.arguments(sum)
	a.offsets(v, 1)
	v.each(func(y, x, i int64) {
		for t, offset := range v.offset {
			a.add(sum+int64(t)*v.w+i, a.at(run.pixel(y, x)+i)*a.at(v.in.pixel(y, x)+offset+i))
		}
	})
}

// largest returns the maximum of a window's taps; NaN counts as the largest value.
func (a *arena[T]) largest(v window, pixel int64) float64 {
	m := math.Inf(-1)
	for _, offset := range v.offset {
		if u := a.at(pixel + offset); u > m || math.IsNaN(u) {
			m = u
		}
	}
	return m
}

func TestLargest(t *testing.T) { eachKind(t, "largest", largest[float32], largest[float64]) }

func largest[T float](a *arena[T]) {
	v := a.window(3, a.put)
	out := a.grid(v.rows, v.cols, v.w, a.put)
	a.arguments(0, v.w, v.rows, v.cols)
	a.grids(v.in, out)
	a.offsets(v, 0)
	v.each(func(y, x, i int64) {
		a.set(out.pixel(y, x)+i, result{value: a.largest(v, v.in.pixel(y, x)+i)})
	})
}

func TestRoute(t *testing.T) { eachKind(t, "route", route[float32], route[float64]) }

func route[T float](a *arena[T]) {
	v := a.window(3, a.put)
	back, g := a.put(v.plane), a.grid(v.rows, v.cols, v.w, a.put)
	a.arguments(0, v.w, v.rows, v.cols)
	a.grids(v.in)
	a.arguments(back)
	a.grids(g)
	a.offsets(v, 0)
	v.each(func(y, x, i int64) {
		p := v.in.pixel(y, x) + i
		m, found := a.largest(v, p), false
		for _, offset := range v.offset {
			u := a.at(p + offset)
			if !found && (u == m || math.IsNaN(u) && math.IsNaN(m)) {
				found = true
				a.add(back+p-v.in.first+offset, a.at(g.pixel(y, x)+i))
			} else {
				a.add(back+p-v.in.first+offset, 0)
			}
		}
	})
}

func TestMultiply(t *testing.T) { eachKind(t, "multiply", multiply[float32], multiply[float64]) }

func multiply[T float](a *arena[T]) {
	m, n, k := a.size("m", 1, 20), a.lanes()*a.size("n", 1, 8), a.size("k", 0, 20)
	row, col := k, int64(1)
	if a.size("transposed", 0, 1) == 1 {
		row, col = 1, m
	}
	ldb, ldc, add := n+a.size("room of b", 0, 9), n+a.size("room of c", 0, 9), a.size("add", 0, 1)
	left, right, c := a.put(m*k), a.put(k*ldb), a.put(m*ldc)
	a.arguments(m, n, k, left, row, col, right, ldb, c, ldc, add)
	for i := range m {
		for j := range n {
			o := c + i*ldc + j
			var s result
			if add == 1 {
				s = s.plus(a.at(o))
			}
			for q := range k {
				s = s.plus(a.at(left+i*row+q*col) * a.at(right+q*ldb+j))
			}
			a.set(o, s)
		}
	}
}

// flat calls f for every element i of a flat sample and its place j in tables.
func (a *arena[T]) flat(n, period int64, f func(i, j int64)) {
	a.numbers = append([]int64{n, period}, a.numbers...)
	for i := range n {
		f(i, i%period)
	}
}

// sample draws the sizes of a flat sample and of its tables.
func (a *arena[T]) sample() (n, period int64) {
	return a.size("n", 0, 200), a.lanes() * a.size("vectors", 1, 4)
}

func TestSum(t *testing.T) { eachKind(t, "sum", sum[float32], sum[float64]) }

func sum[T float](a *arena[T]) {
	n, period := a.sample()
	x, s := a.put(n), a.put(period)
	a.arguments(x, s)
	a.flat(n, period, func(i, j int64) { a.add(s+j, a.at(x+i)) })
}

func TestSpread(t *testing.T) { eachKind(t, "spread", spread[float32], spread[float64]) }

func spread[T float](a *arena[T]) {
	n, period := a.sample()
	x, from, s, squares := a.put(n), a.put(period), a.put(period), a.put(period)
	a.arguments(x, from, s, squares)
	a.flat(n, period, func(i, j int64) {
		d := a.at(x+i) - a.at(from+j)
		a.add(s+j, d)
		a.add(squares+j, d*d)
	})
}

func TestDot(t *testing.T) { eachKind(t, "dot", dot[float32], dot[float64]) }

func dot[T float](a *arena[T]) {
	n, period := a.sample()
	g, x, mean, s := a.put(n), a.put(n), a.put(period), a.put(period)
	a.arguments(g, x, mean, s)
	a.flat(n, period, func(i, j int64) { a.add(s+j, a.at(g+i)*(a.at(x+i)-a.at(mean+j))) })
}

func TestBlend(t *testing.T) { eachKind(t, "blend", blend[float32], blend[float64]) }

func blend[T float](a *arena[T]) {
	n, period := a.sample()
	x, p, q, out, add := a.put(n), a.put(period), a.put(period), a.put(n), a.size("add", 0, 1)
	a.arguments(x, p, q, out, add)
	a.flat(n, period, func(i, j int64) {
		s := result{}.plus(a.at(p+j) * a.at(x+i)).plus(a.at(q + j))
		if add == 1 {
			s = s.plus(a.at(out + i))
		}
		a.set(out+i, s)
	})
}

func TestSlope(t *testing.T) { eachKind(t, "slope", slope[float32], slope[float64]) }

func slope[T float](a *arena[T]) {
	channels := a.size("channels", 1, 24)
	n, w := channels*a.size("pixels", 0, 12), a.wide(channels)
	period := w * a.size("periods", 1, 3)
	if channels < w {
		period = channels * a.lanes() // a multiple of both
	}
	g, x, p, q, r, out := a.put(n), a.put(n), a.put(period), a.put(period), a.put(period), a.put(n/channels*w)
	a.arguments(n, period, g, x, p, q, r, out, channels, w)
	for i := range n / channels * w {
		a.set(out+i, result{})
	}
	for i := range n {
		j := i % period
		if channels < w {
			j = i % channels
		}
		a.set(out+i/channels*w+i%channels, result{}.plus(a.at(p+j)*a.at(g+i)).plus(a.at(q+j)*a.at(x+i)).plus(a.at(r+j)))
	}
}
