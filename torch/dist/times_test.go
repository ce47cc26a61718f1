package dist_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"hdas/internal/disttest"
	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/dist"
)

var times = flag.Bool("times", false, "measure reductions of the gradients of networks (docs/scaling.md)")

// gradients are what a step of known networks reduces: weights and running statistics.
var gradients = []struct {
	name             string
	weights, tensors int64
	buffers, more    int64
}{
	{"search, C=16, 8 cells", 1930618, 1399, 74592, 1858},
	{"CIFAR, C=36, 20 cells", 3825768, 927, 42184, 482},
	{"ImageNet, C=48, 14 cells", 5979528, 632, 36592, 328},
}

func init() {
	acts["times"] = func(g *dist.Group) error {
		return torch.Do(func(*torch.Scope) error {
			g.Use(torchtest.Device())
			for _, n := range gradients {
				list := append(split(n.weights, n.tensors), split(n.buffers, n.more)...)
				measure(g, n.name, func() { g.AllReduce(list, 1/float64(g.World())) })
			}
			measure(g, "number of images", func() { g.Sum(1, 0) })
			return nil
		})
	}
}

// split returns zeros in that many tensors, of about the same size.
func split(numbers, tensors int64) (list []torch.Tensor) {
	for i := range tensors {
		list = append(list, torch.Zeros(torchtest.Options(torch.Float32), numbers*(i+1)/tensors-numbers*i/tensors))
	}
	return list
}

// measure prints the shortest and the median time of 40 calls in rank 0, the first five not counted.
func measure(g *dist.Group, name string, f func()) {
	var all []time.Duration
	for range 45 {
		g.Barrier()
		began := time.Now()
		torch.Within(func(*torch.Scope) { f() })
		all = append(all, time.Since(began))
	}
	all = all[5:]
	slices.Sort(all)
	if g.Rank() == 0 {
		fmt.Printf("%d processes, %s: %v, median %v\n", g.World(), name, all[0].Round(10*time.Microsecond), all[len(all)/2].Round(10*time.Microsecond))
	}
}

func TestTimes(t *testing.T) {
	if !*times {
		t.Skip("it measures, with -times")
	}
	for _, world := range []int{2, 4} {
		errs, texts := disttest.Run(t, "times", world)
		for rank, err := range errs {
			if err != nil {
				t.Errorf("rank %d of %d: %v, %s", rank, world, err, texts[rank])
			}
		}
		t.Log("\n" + texts[0])
	}
}
