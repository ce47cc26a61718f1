package datasets

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

// Batch is N images (N,C,H,W), normalised, in row-major order, with their labels in
// [0, number of classes). Its slices belong to the loader and are used again for later batches:
// they are valid until the next batch is asked for.
type Batch struct {
	N, C, H, W int
	Images     []float32
	Labels     []int64
}

// Loader makes batches of a data set. Their order and augmentation depend on Seed, the epoch and
// the images' numbers alone, whatever the number of workers. It may be used by several goroutines
// at once, as long as none changes its fields.
type Loader struct {
	Dataset   Dataset
	Batch     int  // images a batch; the last one of an epoch may be smaller
	DropLast  bool // leave that smaller one out
	Shuffle   bool // another order in every epoch
	Transform Transform
	Seed      uint64
	Workers   int // batches made at once; 0: one for each processor
}

// Batches is the number of batches of an epoch; 0 where Validate finds fault.
func (l *Loader) Batches() int {
	switch {
	case l.Dataset == nil || l.Batch < 1:
		return 0
	case l.DropLast:
		return l.Dataset.Len() / l.Batch
	}
	return (l.Dataset.Len() + l.Batch - 1) / l.Batch
}

// Validate names every impossible value.
func (l *Loader) Validate() error {
	faults := []error{l.Transform.Validate()}
	if l.Dataset == nil {
		faults = append(faults, errors.New("the loader has no data set"))
	} else {
		faults = append(faults, l.Dataset.Info().Validate())
	}
	if l.Batch < 1 {
		faults = append(faults, fmt.Errorf("batches of %d images; there must be at least 1 in each", l.Batch))
	}
	if l.Workers < 0 {
		faults = append(faults, fmt.Errorf("%d workers; there must be at least 1, or 0 for one a processor", l.Workers))
	}
	return errors.Join(faults...)
}

// Epoch yields the batches of an epoch from number `from` on, the same as an unbroken epoch's. An
// error ends it: one of the loader's values, of the data set, or ctx's. Whatever way the loop is
// left, no goroutine stays behind.
func (l *Loader) Epoch(ctx context.Context, epoch, from int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if err := l.Validate(); err != nil {
			yield(Batch{}, err)
			return
		}
		n := l.Batches()
		if from < 0 || from > n {
			yield(Batch{}, fmt.Errorf("%s: no epoch goes on from batch %d; it has %d batches of %d: was the batch size or the data another?",
				l.Dataset.Info().Name, from, n, l.Batch))
			return
		}
		workers := l.Workers
		if workers == 0 {
			workers = runtime.GOMAXPROCS(0)
		}
		p := newPrefetch(newFiller(l, epoch), min(workers, n-from))
		defer p.stop()
		for b := from; b < min(n, from+len(p.slots)); b++ {
			p.numbers <- b
		}
		for b := from; b < n; b++ {
			batch, err := p.take(ctx, b)
			if !yield(batch, err) || err != nil {
				return
			}
			if next := b + len(p.slots); next < n {
				p.numbers <- next
			}
		}
	}
}

// prefetch makes batches ahead of their reader. Batch b has its place in slot b modulo their
// count, so a slot is handed out again when its batch is done with.
type prefetch struct {
	slots   []slot // one more than workers: one is the reader's
	numbers chan int
	stopped atomic.Bool
	workers sync.WaitGroup
}

type slot struct {
	batch Batch
	done  chan error // one for every number handed out
}

func newPrefetch(f *filler, workers int) *prefetch {
	p := &prefetch{slots: make([]slot, workers+1), numbers: make(chan int, workers+1)}
	for i := range p.slots {
		p.slots[i].done = make(chan error, 1)
	}
	for range workers {
		p.workers.Go(func() {
			image := make([]byte, f.size)
			for b := range p.numbers {
				s := &p.slots[b%len(p.slots)]
				s.done <- f.fill(&s.batch, b, image, &p.stopped)
			}
		})
	}
	return p
}

// take waits for batch b.
func (p *prefetch) take(ctx context.Context, b int) (Batch, error) {
	if err := ctx.Err(); err != nil { // even where the batch is there
		return Batch{}, err
	}
	s := &p.slots[b%len(p.slots)]
	select {
	case err := <-s.done:
		if err != nil {
			return Batch{}, err
		}
		return s.batch, nil
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	}
}

// stop ends the workers, after the image that each is at.
func (p *prefetch) stop() {
	p.stopped.Store(true)
	close(p.numbers)
	p.workers.Wait()
}

// filler makes the batches of one epoch.
type filler struct {
	*Loader
	pipeline
	name          string
	size, classes int   // bytes of an image; number of classes
	order         []int // nil: as they come
	draws         key   // of the augmentation
}

func newFiller(l *Loader, epoch int) *filler {
	info := l.Dataset.Info()
	f := &filler{Loader: l, pipeline: newPipeline(l.Transform, info), name: info.Name, size: info.Size(), classes: len(info.Classes),
		draws: stream(l.Seed, "augment").at(epoch)}
	if l.Shuffle {
		f.order = rng(l.Seed, "order", epoch).permutation(l.Dataset.Len())
	}
	return f
}

// fill makes batch b in the slices of out, with image as scratch space. It gives up, the batch
// half made, when stopped is set.
func (f *filler) fill(out *Batch, b int, image []byte, stopped *atomic.Bool) error {
	start := b * f.Batch
	n := min(f.Batch, f.Dataset.Len()-start)
	if cap(out.Images) < n*f.size {
		out.Images, out.Labels = make([]float32, n*f.size), make([]int64, n)
	}
	*out = Batch{n, f.c, f.h, f.w, out.Images[:n*f.size], out.Labels[:n]}
	var r random
	for k := range n {
		if stopped.Load() {
			return nil
		}
		i := start + k
		if f.order != nil {
			i = f.order[i]
		}
		label, err := f.Dataset.At(i, image)
		if err != nil {
			return fmt.Errorf("data set %s, image %d: %w", f.name, i, err)
		}
		if label < 0 || label >= f.classes {
			return fmt.Errorf("data set %s, image %d: label %d is not in 0..%d", f.name, i, label, f.classes-1)
		}
		r.seed(f.draws.at(i))
		f.apply(out.Images[k*f.size:][:f.size], image, f.draw(&r))
		out.Labels[k] = int64(label)
	}
	return nil
}
