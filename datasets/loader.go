package datasets

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

// Batch is N images (N,C,H,W), normalised, in row-major order, with their labels in
// [0, number of classes). Its slices are used again for later batches: they are valid until the
// next batch is asked for.
type Batch struct {
	N, C, H, W int
	Images     []float32
	Labels     []int64
}

// Loader makes batches of a data set. Their order and augmentation depend on Seed, the epoch and
// the images' numbers alone, whatever the number of workers.
type Loader struct {
	Dataset   Dataset
	Batch     int // images a batch; the last one may be smaller
	Shuffle   bool
	Transform Transform
	Seed      uint64
	Workers   int // batches made at once; 0: one for each processor
}

// Batches is the number of batches of an epoch.
func (l *Loader) Batches() int { return (l.Dataset.Len() + l.Batch - 1) / l.Batch }

// Epoch yields the batches of an epoch from number `from` on, the same as an unbroken epoch's. An
// error ends it. Whatever way the loop is left, no goroutine stays behind.
func (l *Loader) Epoch(ctx context.Context, epoch, from int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if l.Batch < 1 {
			yield(Batch{}, fmt.Errorf("batches of %d images; at least 1", l.Batch))
			return
		}
		workers := l.Workers
		if workers < 1 {
			workers = runtime.GOMAXPROCS(0)
		}
		f := newFiller(l, epoch)
		n := l.Batches()
		// One batch is the reader's; the others are being made or wait.
		slots := make([]slot, workers+1)
		for i := range slots {
			slots[i].done = make(chan error, 1)
		}
		numbers := make(chan int, len(slots))
		var stopped atomic.Bool
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				image := make([]byte, f.size)
				for b := range numbers {
					s := &slots[b%len(slots)]
					var err error
					if !stopped.Load() {
						err = f.fill(&s.batch, b, image)
					}
					s.done <- err
				}
			})
		}
		defer wg.Wait()
		defer close(numbers)
		defer stopped.Store(true)
		for b := from; b < min(n, from+len(slots)); b++ {
			numbers <- b
		}
		for b := from; b < n; b++ {
			s := &slots[b%len(slots)]
			var err error
			select {
			case err = <-s.done:
			case <-ctx.Done():
				err = ctx.Err()
			}
			if !yield(s.batch, err) || err != nil {
				return
			}
			if next := b + len(slots); next < n {
				numbers <- next
			}
		}
	}
}

type slot struct {
	batch Batch
	done  chan error // one for every number handed out
}

// filler makes the batches of one epoch.
type filler struct {
	*Loader
	pipeline
	name        string
	size, epoch int
	order       []int // nil: as they come
}

func newFiller(l *Loader, epoch int) *filler {
	info := l.Dataset.Info()
	f := &filler{l, newPipeline(l.Transform, info), info.Name, info.Size(), epoch, nil}
	if l.Shuffle {
		f.order = stream(l.Seed, "order", epoch, 0).Perm(l.Dataset.Len())
	}
	return f
}

// fill makes batch b, with image as scratch space.
func (f *filler) fill(out *Batch, b int, image []byte) error {
	start := b * f.Batch
	n := min(f.Batch, f.Dataset.Len()-start)
	if cap(out.Images) < n*f.size {
		out.Images, out.Labels = make([]float32, f.Batch*f.size), make([]int64, f.Batch)
	}
	*out = Batch{n, f.c, f.h, f.w, out.Images[:n*f.size], out.Labels[:n]}
	var r random
	for k := range n {
		i := start + k
		if f.order != nil {
			i = f.order[i]
		}
		label, err := f.Dataset.At(i, image)
		if err != nil {
			return fmt.Errorf("%s, image %d: %w", f.name, i, err)
		}
		r.seed(f.Seed, "augment", f.epoch, i)
		f.apply(out.Images[k*f.size:][:f.size], image, &r)
		out.Labels[k] = int64(label)
	}
	return nil
}
