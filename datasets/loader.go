package datasets

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"hdas/internal/raster"
)

// Batch is N images (N,C,H,W), normalised, in row-major order, with their labels in
// [0, number of classes). Its slices belong to the loader and are used again for later batches:
// they are valid until the next batch is asked for.
type Batch struct {
	N, C, H, W int
	Images     []float32
	Labels     []int64
	// Where images are mixed, image i is so much of what Labels names and for the rest of what
	// Others names; without mixing Others is empty and Share 1.
	Others []int64
	Share  float64
}

// Loader makes batches of a data set. Their order and augmentation depend on Seed, the epoch and
// the images' numbers alone (mixing on the batch's), whatever the number of workers. It may be used
// by several goroutines at once, as long as none changes its fields.
type Loader struct {
	Dataset Dataset
	Batch   int // images a batch; the last one of an epoch may be smaller
	// Least is how many images a batch has at least, 2 where batch norm learns from it: of a smaller
	// last one they go to the one before, which is that much larger. 0 is 1.
	Least     int
	DropLast  bool // leave a smaller last one out
	Shuffle   bool // another order in every epoch
	Transform Transform
	Seed      uint64
	Workers   int // batches made at once; 0: one for each processor
	// One of World loaders in as many processes, which share an epoch: of its order they take turns
	// image by image, the loader Rank, in [0,World), being the first to begin at image Rank. So
	// each image is in one of them, and they differ by one image at most. World 0 is 1.
	Rank, World int
	// Damaged, if any, is told of files that no image can be made of, by several goroutines at once;
	// they are left out of their batches. Without it they end the epoch.
	Damaged func(*DamagedError)
}

// images is the number of an epoch, of this loader.
func (l *Loader) images() int {
	if l.World > 1 {
		return (l.Dataset.Len() - l.Rank + l.World - 1) / l.World
	}
	return l.Dataset.Len()
}

// Batches is the number of batches of an epoch; 0 where Validate finds fault.
func (l *Loader) Batches() int {
	switch {
	case l.Dataset == nil || l.Batch < 1 || l.World > 1 && (l.Rank < 0 || l.Rank >= l.World):
		return 0
	}
	whole, rest := l.images()/l.Batch, l.images()%l.Batch
	if l.DropLast || rest < max(1, l.Least) {
		return whole
	}
	return whole + 1
}

// Validate names every impossible value.
func (l *Loader) Validate() error {
	faults := []error{l.Transform.Validate()}
	if l.Dataset == nil {
		faults = append(faults, errors.New("the loader has no data set"))
	} else {
		info := l.Dataset.Info()
		faults = append(faults, info.Validate())
		if l.Least > 0 && l.images() < l.Least {
			faults = append(faults, fmt.Errorf("%s has too few images to learn from: %d, and a batch has at least %d", info.Name, l.images(), l.Least))
		}
		if l.Transform.recolours() && info.Channels != 1 && info.Channels != 3 {
			faults = append(faults, fmt.Errorf("%s has %d channels, and policies and colour jitter are for grey (1) and colours (3)", info.Name, info.Channels))
		}
	}
	if l.Batch < max(1, l.Least) {
		faults = append(faults, fmt.Errorf("batches of %d images; there must be at least %d in each", l.Batch, max(1, l.Least)))
	}
	if l.Workers < 0 {
		faults = append(faults, fmt.Errorf("%d workers; there must be at least 1, or 0 for one a processor", l.Workers))
	}
	if l.World < 0 || l.Rank < 0 || l.Rank >= max(1, l.World) {
		faults = append(faults, fmt.Errorf("rank %d of %d loaders; ranks count from 0", l.Rank, max(1, l.World)))
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
			if batch.N >= max(1, l.Least) || err != nil { // the last one may have lost too many
				if !yield(batch, err) || err != nil {
					return
				}
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
			w := f.worker()
			for b := range p.numbers {
				s := &p.slots[b%len(p.slots)]
				s.done <- f.fill(&s.batch, b, w, &p.stopped)
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
	files         Encoded // the data set, where it has files
	name          string
	size, classes int   // values of an image; number of classes
	order         []int // nil: as they come
	draws, mixes  key   // of the augmentation, of the batches
}

func newFiller(l *Loader, epoch int) *filler {
	info := l.Dataset.Info()
	f := &filler{Loader: l, name: info.Name, size: info.Size(), classes: len(info.Classes),
		draws: stream(l.Seed, "augment").at(epoch), mixes: stream(l.Seed, "mix").at(epoch)}
	filter := raster.Bilinear
	if files, ok := l.Dataset.(Encoded); ok {
		f.files, filter = files, files.View().Filter
	}
	f.pipeline = newPipeline(l.Transform, info, filter)
	if l.Shuffle {
		f.order = rng(l.Seed, "order", epoch).permutation(l.Dataset.Len())
	}
	return f
}

// number is the image at a place of this loader's epoch.
func (f *filler) number(place int) int {
	if f.World > 1 {
		place = f.Rank + place*f.World
	}
	if f.order != nil {
		return f.order[place]
	}
	return place
}

// worker is the scratch space of one goroutine.
type worker struct {
	image  []byte // of a data set of bytes
	studio studio
	canvas raster.Canvas
}

func (f *filler) worker() *worker {
	w := new(worker)
	if f.files == nil {
		w.image = make([]byte, f.size)
	}
	return w
}

// fill makes batch b in the slices of out. It gives up, the batch half made, when stopped is set.
func (f *filler) fill(out *Batch, b int, w *worker, stopped *atomic.Bool) error {
	start := b * f.Batch
	n := min(f.Batch, f.images()-start)
	if rest := f.images() - start - n; rest > 0 && rest < f.Least && !f.DropLast {
		n += rest
	}
	if cap(out.Images) < n*f.size {
		out.Images, out.Labels = make([]float32, n*f.size), make([]int64, n)
	}
	*out = Batch{C: f.c, H: f.h, W: f.w, Images: out.Images[:n*f.size], Labels: out.Labels[:n], Others: out.Others[:0], Share: 1}
	for k := range n {
		if stopped.Load() {
			return nil
		}
		i := f.number(start + k)
		label, err := f.make(out.Images[out.N*f.size:][:f.size], i, w)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged) && f.Damaged != nil:
			f.Damaged(damaged)
			continue
		case damaged != nil:
			return fmt.Errorf("data set %s, image %d: %w; mend the file, or skip such files (data.damaged=skip)", f.name, i, err)
		case err != nil:
			return fmt.Errorf("data set %s, image %d: %w", f.name, i, err)
		case label < 0 || label >= f.classes:
			return fmt.Errorf("data set %s, image %d: label %d is not in 0..%d", f.name, i, label, f.classes-1)
		}
		out.Labels[out.N] = int64(label)
		out.N++
	}
	if out.N < max(1, f.Least) && start+n < f.images() {
		return fmt.Errorf("data set %s: %d of the %d images of batch %d are damaged; mend them, or let a batch have more", f.name, n-out.N, n, b)
	}
	out.Images, out.Labels = out.Images[:out.N*f.size], out.Labels[:out.N]
	if f.Mixes() && out.N > 0 {
		var r random
		r.seed(f.mixes.at(b))
		f.mix(out, &r)
	}
	return nil
}

// make makes image i in dst.
func (f *filler) make(dst []float32, i int, w *worker) (label int, err error) {
	k := f.draws.at(i)
	var src []byte
	if f.files != nil {
		label, err = f.fromFile(i, k, &w.studio)
		src = w.studio.canvas.Pix
	} else {
		label, err = f.Dataset.At(i, w.image)
		src = w.image
		if err == nil && f.ResizedCrop {
			src = f.part(k, w)
		}
	}
	if err != nil {
		return 0, err
	}
	d := f.draw(k)
	f.apply(dst, src, &d, &w.canvas)
	return label, nil
}

// fromFile sets the studio's canvas to image i at the size of the data set: a random part, or the
// view.
func (f *filler) fromFile(i int, k key, s *studio) (label int, err error) {
	name, label, err := s.open(f.files, i)
	if err != nil {
		return 0, err
	}
	if !f.ResizedCrop {
		return label, s.see(name, f.files.View())
	}
	box := f.box(k, s.decoder.H, s.decoder.W)
	return label, s.resize(name, f.job(box), box.Min)
}

// part is a random part of an image of bytes, at its size.
func (f *filler) part(k key, w *worker) []byte {
	box := f.box(k, f.h, f.w)
	old := raster.Image{C: f.c, H: box.Dy(), W: box.Dx()}
	w.canvas.Reset(f.c, old.H, old.W)
	old.Pix = w.canvas.Pix
	for row := range f.c * old.H {
		c, y := row/old.H, row%old.H+box.Min.Y
		copy(old.Pix[row*old.W:][:old.W], w.image[(c*f.h+y)*f.w+box.Min.X:])
	}
	w.studio.resizer.Plan(f.job(box))
	w.studio.resizer.Planes(&w.studio.canvas, old)
	return w.studio.canvas.Pix
}

// job resizes a part to the size of the data set's images.
func (f *filler) job(part image.Rectangle) raster.Job {
	return raster.Job{OldH: part.Dy(), OldW: part.Dx(), H: f.h, W: f.w, Window: image.Rect(0, 0, f.w, f.h), Filter: f.filter}
}
