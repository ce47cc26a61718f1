package dist_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hdas/internal/disttest"
	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/dist"
)

// acts are what the members of groups do.
var acts = map[string]func(g *dist.Group) error{}

func TestMain(m *testing.M) { os.Exit(disttest.Main(m, acts)) }

// Of collectives, the members check what all give, for several types, strides and sizes, and that they free what they made.
func init() {
	acts["collectives"] = func(g *dist.Group) error {
		return torch.Do(func(*torch.Scope) error { return errors.Join(collectives(g), norms(g)) })
	}
	acts["lost"] = func(g *dist.Group) error {
		if g.Rank() == g.World()-1 {
			os.Exit(7)
		}
		if err := torch.Do(func(*torch.Scope) error { return norms(g) }); !dist.Lost(err) {
			return fmt.Errorf("a batch norm without a process: %w", err)
		}
		return torch.Do(func(*torch.Scope) error { g.Barrier(); return nil })
	}
}

func collectives(g *dist.Group) error {
	r, n := float64(g.Rank()), float64(g.World())
	sum := n * (n - 1) / 2
	before := torch.Live()
	var fault error
	torch.Within(func(*torch.Scope) {
		d, gpus := torchtest.DeviceOf(g.Rank())
		if why := g.Use(d); (why == "") != (g.World() <= gpus) { // by NCCL, if each process has a GPU of its own
			fault = fmt.Errorf("%d processes on %s: %q", g.World(), d, why)
		}
		a := d.FromFloat64([]float64{r, 2, 3, 4, 5, 6}, 2, 3)
		b := d.FromFloat32([]float32{float32(r), 1}, 2)
		c := d.FromFloat64([]float64{r, r, 10, 10}, 2, 2)
		column := c.Narrow(1, 0, 1) // not contiguous
		big := torch.Full(torch.Options{DType: torch.Float32, Device: d}, r, 1<<20)
		empty := torch.Zeros(torch.Options{DType: torch.Float32, Device: d}, 0)
		g.AllReduce([]torch.Tensor{a, {}, b, column, big, empty}, 1/n)
		mean := sum / n
		for what, pair := range map[string][2][]float64{
			"matrix": {a.Float64s(), {mean, 2, 3, 4, 5, 6}}, "float32": {b.Float64s(), {mean, 1}}, "column": {c.Float64s(), {mean, r, 10, 10}},
			"big": {big.Narrow(0, 1<<20-2, 2).Float64s(), {mean, mean}}, "sums": {g.Sum(r, 1), {sum, n}},
		} {
			for i, v := range pair[0] {
				if d := v - pair[1][i]; d > 1e-6 || d < -1e-6 {
					fault = errors.Join(fault, fmt.Errorf("%s: %v, not %v", what, pair[0], pair[1]))
					break
				}
			}
		}
		exact := []torch.Tensor{d.FromInt64([]int64{int64(r), 1 << 40}, 2), d.FromFloat32([]float32{float32(r), 3}, 2).To(torch.Float16),
			d.FromFloat64([]float64{r, 3, 5, 7}, 2, 2).To(torch.BFloat16).Narrow(1, 0, 1), d.FromInt64([]int64{int64(r)}, 1).To(torch.Int32)}
		g.AllReduce(exact, 1)
		for i, want := range [][]float64{{sum, n * (1 << 40)}, {sum, 3 * n}, {sum, 5 * n}, {sum}} {
			if v := exact[i].To(torch.Float64).Float64s(); !slices.Equal(v, want) {
				fault = errors.Join(fault, fmt.Errorf("%v: %v, not %v", exact[i].DType(), v, want))
			}
		}
		f, e := d.FromFloat64([]float64{r + 1, r}, 2), d.FromInt64([]int64{int64(r) + 7}, 1)
		g.Broadcast([]torch.Tensor{f, e})
		if v, w := f.Float64s(), e.Int64s(); !slices.Equal(v, []float64{1, 0}) || w[0] != 7 {
			fault = errors.Join(fault, fmt.Errorf("broadcast: %v %v", v, w))
		}
		for _, of := range []func(int) string{func(int) string { return "" }, func(r int) string { return strings.Repeat("x", r) }, func(r int) string { return "rank " + strconv.Itoa(r) }} {
			for rank, text := range g.Gather([]byte(of(g.Rank()))) {
				if string(text) != of(rank) {
					fault = errors.Join(fault, fmt.Errorf("gather: %q of rank %d", text, rank))
				}
			}
		}
		g.Barrier()
	})
	if left := torch.Live() - before; left != 0 {
		fault = errors.Join(fault, fmt.Errorf("%d tensors are left", left))
	}
	return fault
}

// norms returns an error if a batch norm over the processes, each of which has two images, is not that of all images in one
// process; and if it counts the images of a process that are not to count.
func norms(g *dist.Group) (fault error) {
	o := torchtest.Options(torch.Float64)
	images := func(ranks int) torch.Tensor { // of so many processes
		numbers := make([]float64, 2*ranks*3*4)
		for i := range numbers {
			numbers[i] = float64(i*i%17) + float64(i%3)
		}
		return torch.FromFloat64(numbers, int64(2*ranks), 3, 2, 2).To(o.DType).ToDevice(o.Device)
	}
	// pass returns the result, the gradients of images, scale and shift, and the running statistics.
	pass := func(x torch.Tensor, norm func(x, w, b, mean, variance torch.Tensor) torch.Tensor) []torch.Tensor {
		x = x.Clone().SetRequiresGrad(true)
		w, b := torch.Full(o, 1.5, 3).SetRequiresGrad(true), torch.Full(o, 0.5, 3).SetRequiresGrad(true)
		mean, variance := torch.Zeros(o, 3), torch.Full(o, 1, 3)
		y := norm(x, w, b, mean, variance)
		return append(append([]torch.Tensor{y}, torch.Grad(y.Mul(y).Mul(x).Sum(), []torch.Tensor{x, w, b})...), mean, variance)
	}
	same := func(what string, a, b torch.Tensor) {
		x, y := a.Float64s(), b.Float64s()
		for i := range x {
			if d := x[i] - y[i]; !(d < 1e-9 && d > -1e-9) {
				fault = errors.Join(fault, fmt.Errorf("%s: %v, not %v", what, x[i], y[i]))
				return
			}
		}
	}
	for counted := g.World(); counted >= max(1, g.World()-1); counted-- { // ranks whose images count
		first, counts := int64(2*g.Rank()), g.Rank() < counted
		all := pass(images(counted), func(x, w, b, mean, variance torch.Tensor) torch.Tensor {
			return torch.BatchNorm(x, w, b, mean, variance, true, 0.1, 1e-5)
		})
		mine := pass(images(g.World()).Narrow(0, first, 2), func(x, w, b, mean, variance torch.Tensor) torch.Tensor {
			y := torch.SyncBatchNorm(x, w, b, mean, variance, counts)
			if !counts {
				return y.MulScalar(0) // what does not count has no loss
			}
			return y
		})
		g.AllReduce(mine[2:4], 1)
		if counts {
			same("result", mine[0], all[0].Narrow(0, first, 2))
			same("gradient of the images", mine[1], all[1].Narrow(0, first, 2))
		}
		for i, what := range []string{"gradient of the scale", "gradient of the shift", "running mean", "running variance"} {
			same(what, mine[2+i], all[2+i])
		}
	}
	return fault
}

func TestCollectives(t *testing.T) {
	for _, world := range []int{1, 2, 4} {
		disttest.Together(t, "collectives", world)
	}
}

// A member that ends is an error of all others.
func TestLostMember(t *testing.T) {
	for _, world := range []int{2, 4} {
		errs, texts := disttest.Run(t, "lost", world)
		for rank := range world - 1 {
			if errs[rank] == nil || !strings.Contains(texts[rank], fmt.Sprintf("rank %d of %d has lost another process", rank, world)) {
				t.Errorf("rank %d of %d: %v, %s", rank, world, errs[rank], texts[rank])
			}
		}
	}
}

// A store that does not answer, and members that do not come, are errors that say which.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	join := func(m dist.Member) error {
		if m.Address, m.Join = "127.0.0.1", 2*time.Second; !m.Serve { // else a port of its own
			m.Port = port
		}
		return torch.Do(func(*torch.Scope) error {
			g, err := dist.Join(m)
			g.Close()
			return err
		})
	}
	// Go's side of the socket takes the connection, and nobody answers.
	silent := join(dist.Member{Rank: 1, World: 2})
	l.Close()
	for what, c := range map[string]struct {
		err   error
		words []string
	}{
		"a silent store": {silent, []string{"rank 1 of 2", fmt.Sprintf("127.0.0.1:%d", port), "2s"}},
		"no store":       {join(dist.Member{Rank: 1, World: 2}), []string{"rank 1 of 2", fmt.Sprintf("127.0.0.1:%d", port), "2s"}},
		"no members":     {join(dist.Member{World: 3, Serve: true}), []string{"rank 0 of 3", "missing ranks: 1, 2"}},
		"no such rank":   {join(dist.Member{Rank: 2, World: 2}), []string{"rank 2 of 2"}},
	} {
		for _, word := range c.words {
			if c.err == nil || !strings.Contains(c.err.Error(), word) {
				t.Errorf("%s: %v lacks %q", what, c.err, word)
			}
		}
	}
}

// A group that is closed leaves no threads, sockets or files behind.
func TestCloseLeavesNothing(t *testing.T) {
	count := func() (n int) {
		for _, folder := range []string{"/proc/self/fd", "/proc/self/task"} {
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			n += len(entries)
		}
		return n
	}
	once := func() {
		if err := torch.Do(func(*torch.Scope) error {
			g, err := dist.Join(dist.Member{World: 1, Address: "127.0.0.1", Serve: true, Join: time.Minute})
			if err == nil {
				g.Barrier()
				g.Close()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	once() // what stays for the life of the process
	before := count()
	for range 5 {
		once()
	}
	if after := count(); after > before+2 { // Go's own threads come and go
		t.Errorf("%d threads and files, %d before", after, before)
	}
}

// The group of a single process leaves everything as it is.
func TestNoGroup(t *testing.T) {
	var g *dist.Group
	torchtest.Do(t, func(*torch.Scope) {
		a := torch.Ones(torchtest.Options(torch.Float32), 2)
		g.AllReduce([]torch.Tensor{a}, 1)
		g.Broadcast([]torch.Tensor{a})
		g.Barrier()
		g.Close()
		if v := g.Sum(3, 4); g.World() != 1 || g.Rank() != 0 || a.Float64s()[1] != 1 || v[1] != 4 || string(g.Gather([]byte("x"))[0]) != "x" {
			t.Errorf("%v of %d", v, g.World())
		}
	})
}
