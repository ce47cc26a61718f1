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

	"hdas/internal/proc"
	"hdas/internal/raster"
)

// Batch holds N normalised images (N,C,H,W), in row-major order, and their labels in [0, number of
// classes). Its slices belong to the loader, which reuses them: they are valid until the loop over
// Loader.Epoch requests the next batch.
type Batch struct {
	N, C, H, W int
	Images     []float32
	Labels     []int64
	// With mixup or cutmix, image i has label Labels[i] with weight Share, and label Others[i] with weight
	// 1-Share. Without them, Others is empty and Share is 1.
	Others []int64
	Share  float64
	// Blank is whether the images are black and not of the data set: a process that shares an epoch computes them because
	// the others have images in this batch.
	Blank bool
}

// Part returns the n images from the given one on, as a batch that shares the slices of b.
func (b Batch) Part(from, n int) Batch {
	size := b.C * b.H * b.W
	p := b
	p.N, p.Images, p.Labels = n, b.Images[from*size:(from+n)*size], b.Labels[from:from+n]
	if len(b.Others) > 0 {
		p.Others = b.Others[from : from+n]
	}
	return p
}

// Loader makes batches from a data set. The order of the images depends only on Seed and the epoch, the
// augmentation of an image only on Seed, the epoch and the image's index, and mixing only on Seed, the
// epoch and the batch's index. The number of workers has no influence. Several goroutines may use a
// Loader at once if none of them changes its fields.
type Loader struct {
	Dataset Dataset
	Batch   int // number of images in a batch; the last batch of an epoch may be smaller
	// Least is the smallest allowed number of images in a batch: 2 if batch norm trains on it. The images
	// of a last batch that is smaller than this are added to the batch before. 0 means 1.
	Least    int
	blank    bool
	DropLast bool // leave out a smaller last batch
	Shuffle  bool // use a different random order in each epoch
	// Balance, unless nil, holds the labels of all images (Labels). Then an epoch has as many images as the data
	// set, but equally many of each class, to one: images of small classes are repeated, each time augmented
	// anew, and some of large classes are left out, in each epoch others. It needs Shuffle.
	Balance   []int
	Transform Transform
	Seed      uint64
	Workers   int // number of goroutines, each of which makes one batch; 0 means one for each processor
	// World is the number of processes that share an epoch, and Rank in [0,World) is the index of this
	// one. The loader takes the images Rank, Rank+World, Rank+2*World and so on in the order of the
	// epoch. 0 means 1 process. All have the same number of batches, and the batches of one index are together the
	// batch that a single process has, of Batch*World images, unless that would leave less than Least images to one.
	Rank, World int
	// Damaged, unless nil, is called with the error for each damaged file, by several goroutines at once,
	// and the file is left out of its batch. If it is nil, a damaged file ends the epoch.
	Damaged func(*DamagedError)
}

// images returns the number of images that this loader has in an epoch.
func (l *Loader) images() int { return l.before(l.Dataset.Len()) }

// before returns how many of the first n images of an epoch are this loader's.
func (l *Loader) before(n int) int { return max(0, n-l.Rank+l.world()-1) / l.world() }

// world returns the number of processes.
func (l *Loader) world() int { return max(1, l.World) }

// Batches returns the number of batches in an epoch, or 0 if the data set, the batch size or the rank is
// invalid.
func (l *Loader) Batches() int {
	switch {
	case l.Dataset == nil || l.Batch < 1 || l.World > 1 && (l.Rank < 0 || l.Rank >= l.World):
		return 0
	}
	whole, rest := l.Dataset.Len()/(l.Batch*l.world()), l.Dataset.Len()%(l.Batch*l.world())
	if l.DropLast || rest < max(1, l.Least*l.world()) {
		return whole
	}
	return whole + 1
}

// Measuring returns a copy of the loader for measurements, with another number of images in a batch. It reads damaged
// files as black images of class 0, without a word.
func (l *Loader) Measuring(batch int) *Loader {
	other := *l
	other.Batch, other.blank = batch, true
	return &other
}

// Ahead returns the memory of the batches that Epoch makes ahead, in bytes for each image of a batch: one batch
// for each worker and that of the reader, and as much again until Go's garbage collector runs.
func (l *Loader) Ahead() int64 {
	return 2 * int64(min(l.workers(), l.Batches())+1) * int64(l.Dataset.Info().Size()) * 4
}

// workers returns the number of workers, the default filled in.
func (l *Loader) workers() int {
	if l.Workers == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return l.Workers
}

// Validate returns an error that lists every invalid value.
func (l *Loader) Validate() error {
	faults := []error{l.Transform.Validate()}
	if l.Dataset == nil {
		faults = append(faults, errors.New("the loader has no data set"))
	} else {
		info := l.Dataset.Info()
		faults = append(faults, info.Validate())
		if n := l.Dataset.Len(); l.Least > 0 && n < l.Least*l.world() {
			faults = append(faults, fmt.Errorf("%s has too few images to learn from: %d, but a batch needs at least %d", info.Name, n, l.Least*l.world()))
		}
		if l.Transform.recolours() && info.Channels != 1 && info.Channels != 3 {
			faults = append(faults, fmt.Errorf("%s has %d channels, but policies and colour jitter need 1 (grey) or 3 (colour)", info.Name, info.Channels))
		}
	}
	if l.Batch < max(1, l.Least) {
		faults = append(faults, fmt.Errorf("batches of %d images; at least %d are needed", l.Batch, max(1, l.Least)))
	}
	if l.Workers < 0 {
		faults = append(faults, fmt.Errorf("%d workers; at least 1 is needed, or 0 for one for each processor", l.Workers))
	}
	faults = append(faults, l.fits())
	if l.World < 0 || l.Rank < 0 || l.Rank >= max(1, l.World) {
		faults = append(faults, fmt.Errorf("rank %d of %d loaders; ranks count from 0", l.Rank, max(1, l.World)))
	}
	return errors.Join(faults...)
}

// fits returns an error if the batches that are in memory at once need more than this machine has.
func (l *Loader) fits() error {
	if l.Dataset == nil || l.Batch < 1 || l.Workers < 0 {
		return nil // another fault
	}
	info, n, batches := l.Dataset.Info(), min(l.Batch, l.images()), min(l.workers(), l.Batches())+1
	bytes := 4 * float64(batches) * float64(n) * float64(info.Size())
	if memory := proc.Machine("MemTotal"); memory > 0 && bytes > float64(memory) {
		return fmt.Errorf("%d batches of %d images of %dx%dx%d need %.1f GB, and this machine has %.1f GB; take smaller batches, smaller images or fewer workers (data.size, data.workers)",
			batches, n, info.Channels, info.Height, info.Width, bytes/1e9, float64(memory)/1e9)
	}
	return nil
}

// Epoch yields the batches of an epoch, beginning with the batch of index `from`; they are the same as
// in a complete epoch. An error of Validate, of the data set or of ctx is yielded and ends the epoch.
// When the loop ends, for any reason, all goroutines of the epoch have ended.
func (l *Loader) Epoch(ctx context.Context, epoch, from int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if err := l.Validate(); err != nil {
			yield(Batch{}, err)
			return
		}
		n := l.Batches()
		if from < 0 || from > n {
			yield(Batch{}, fmt.Errorf("%s: an epoch cannot continue from batch %d; it has %d batches of %d: did the batch size or the data change?",
				l.Dataset.Info().Name, from, n, l.Batch))
			return
		}
		p := newPrefetch(newFiller(l, epoch), min(l.workers(), n-from))
		defer p.stop()
		for b := from; b < min(n, from+len(p.slots)); b++ {
			p.numbers <- b
		}
		for b := from; b < n; b++ {
			batch, err := p.take(ctx, b)
			if err == nil && batch.N < max(1, l.Least) && l.World > 1 {
				batch = l.black()
			}
			if batch.N >= max(1, l.Least) || batch.Blank || err != nil { // the last batch may have too few images left
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

// black returns a batch of the least number of images, all of them black.
func (l *Loader) black() Batch {
	info := l.Dataset.Info()
	return Batch{N: l.Least, C: info.Channels, H: info.Height, W: info.Width, Images: make([]float32, l.Least*info.Size()), Labels: make([]int64, l.Least),
		Share: 1, Blank: true}
}

// prefetch makes batches in advance. Batch b is made in the slot with index b modulo the number of slots,
// which is reused when the reader has finished with its batch.
type prefetch struct {
	slots   []slot // one more than there are workers, because the reader holds one
	numbers chan int
	stopped atomic.Bool
	workers sync.WaitGroup
}

type slot struct {
	batch Batch
	done  chan error // receives one value for each batch that was given to a worker
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

// take waits for batch b and returns it.
func (p *prefetch) take(ctx context.Context, b int) (Batch, error) {
	if err := ctx.Err(); err != nil { // also if the batch is ready
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

// stop ends the workers, each after its current image, and waits for them.
func (p *prefetch) stop() {
	p.stopped.Store(true)
	close(p.numbers)
	p.workers.Wait()
}

// filler makes the batches of one epoch.
type filler struct {
	*Loader
	pipeline
	files         Encoded // the data set, if it consists of files; else nil
	name          string
	size, classes int   // number of values in an image; number of classes
	order         []int // the draws of the epoch in order (see draw); nil for the data set's order
	draws, mixes  key   // random streams: augmentation of images, mixing of batches
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
	if l.Shuffle && l.Balance != nil {
		f.order = balanced(l.Balance, rng(l.Seed, "order", epoch))
	} else if l.Shuffle {
		f.order = rng(l.Seed, "order", epoch).permutation(l.Dataset.Len())
	}
	return f
}

// number returns the draw at a place in this loader's epoch: the index of an image in the data set, plus the
// number of images for each time that the epoch has drawn it before.
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
	image  []byte // an image of a data set that does not consist of files
	images imageReader
	canvas raster.Canvas
}

func (f *filler) worker() *worker {
	w := new(worker)
	if f.files == nil {
		w.image = make([]byte, f.size)
	}
	return w
}

// fill makes batch b in the slices of out. It returns early, with an incomplete batch, when stopped is
// set.
func (f *filler) fill(out *Batch, b int, w *worker, stopped *atomic.Bool) error {
	start, n := b*f.Batch, f.Batch
	if b == f.Batches()-1 && !f.DropLast { // to the end
		n = f.images() - start
	}
	if cap(out.Images) < n*f.size {
		out.Images, out.Labels = make([]float32, n*f.size), make([]int64, n)
	}
	*out = Batch{C: f.c, H: f.h, W: f.w, Images: out.Images[:n*f.size], Labels: out.Labels[:n], Others: out.Others[:0], Share: 1}
	for k := range n {
		if stopped.Load() {
			return nil
		}
		draw := f.number(start + k)
		i := draw % f.Dataset.Len()
		label, err := f.make(out.Images[out.N*f.size:][:f.size], i, f.draws.at(draw), w)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged) && f.blank:
			clear(out.Images[out.N*f.size:][:f.size])
		case damaged != nil && f.Damaged != nil:
			f.Damaged(damaged)
			continue
		case damaged != nil:
			return fmt.Errorf("data set %s, image %d: %w; repair the file, or skip such files (data.damaged=skip)", f.name, i, err)
		case err != nil:
			return fmt.Errorf("data set %s, image %d: %w", f.name, i, err)
		case label < 0 || label >= f.classes:
			return fmt.Errorf("data set %s, image %d: label %d is not in 0..%d", f.name, i, label, f.classes-1)
		}
		out.Labels[out.N] = int64(label)
		out.N++
	}
	if out.N < max(1, f.Least) && start+n < f.images() {
		return fmt.Errorf("data set %s: %d of the %d images of batch %d are damaged; repair them, or use a larger batch", f.name, n-out.N, n, b)
	}
	out.Images, out.Labels = out.Images[:out.N*f.size], out.Labels[:out.N]
	if f.Mixes() && out.N > 0 {
		var r random
		r.seed(f.mixes.at(b))
		f.mix(out, &r)
	}
	return nil
}

// make writes image i, augmented with the random numbers of k and normalised, to dst and returns its label.
func (f *filler) make(dst []float32, i int, k key, w *worker) (label int, err error) {
	var src []byte
	if f.files != nil {
		label, err = f.fromFile(i, k, &w.images)
		src = w.images.canvas.Pix
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

// fromFile sets the canvas of s to image i in the size of the data set's images: a random part, with
// ResizedCrop, or the view. It returns the label.
func (f *filler) fromFile(i int, k key, s *imageReader) (label int, err error) {
	name, label, err := s.open(f.files, i)
	if err != nil {
		return 0, err
	}
	if !f.ResizedCrop {
		return label, s.view(name, f.files.View())
	}
	box := f.box(k, s.decoder.H, s.decoder.W)
	return label, s.resize(name, f.job(box), box.Min)
}

// part returns a random part of w.image, resized to the size of that image.
func (f *filler) part(k key, w *worker) []byte {
	box := f.box(k, f.h, f.w)
	old := raster.Image{C: f.c, H: box.Dy(), W: box.Dx()}
	w.canvas.Reset(f.c, old.H, old.W)
	old.Pix = w.canvas.Pix
	for row := range f.c * old.H {
		c, y := row/old.H, row%old.H+box.Min.Y
		copy(old.Pix[row*old.W:][:old.W], w.image[(c*f.h+y)*f.w+box.Min.X:])
	}
	w.images.resizer.Plan(f.job(box))
	w.images.resizer.Planes(&w.images.canvas, old)
	return w.images.canvas.Pix
}

// job returns the resizing of a part of an image to the size of the data set's images.
func (f *filler) job(part image.Rectangle) raster.Job {
	return raster.Job{OldH: part.Dy(), OldW: part.Dx(), H: f.h, W: f.w, Window: image.Rect(0, 0, f.w, f.h), Filter: f.filter}
}
