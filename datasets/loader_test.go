package datasets

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// collect returns copies of all batches of an epoch.
func collect(t interface{ Fatal(...any) }, l *Loader, epoch, from int) (all []Batch) {
	for b, err := range l.Epoch(context.Background(), epoch, from) {
		if err != nil {
			t.Fatal(err)
		}
		b.Images, b.Labels, b.Others = slices.Clone(b.Images), slices.Clone(b.Labels), slices.Clone(b.Others)
		all = append(all, b)
	}
	return all
}

func same(a, b []Batch) bool {
	return slices.EqualFunc(a, b, func(a, b Batch) bool {
		return a.N == b.N && a.C == b.C && a.H == b.H && a.W == b.W && slices.Equal(a.Images, b.Images) && slices.Equal(a.Labels, b.Labels) &&
			slices.Equal(a.Others, b.Others) && a.Share == b.Share
	})
}

func standard(n int) *Loader {
	return &Loader{Dataset: fake(n, 3, 8, 6), Batch: 7, Shuffle: true, Seed: 3, Workers: 1,
		Transform: Transform{Padding: 2, Fill: 9, Flip: true, Cutout: 4}}
}

// everything is a transform with all steps that can be combined.
var everything = Transform{ResizedCrop: true, Flip: true, AutoAugment: "imagenet", ColorJitter: ColorJitter{0.4, 0.4, 0.4, 0.1},
	Cutout: 4, Erasing: 0.5, Mixup: 0.5, Cutmix: 1}

// Batches depend only on the seed, the epoch and the images' indices, also with all steps on, for bytes and for files.
func TestEverythingHangsOnTheSeedAlone(t *testing.T) {
	files := photo(t, View{Size: 8, Resize: 9})
	for range 20 {
		files.list.add("flower.png", 0)
	}
	for _, d := range []Dataset{fake(21, 3, 8, 8), files} {
		l := &Loader{Dataset: d, Batch: 4, Shuffle: true, Seed: 5, Workers: 1, Transform: everything}
		whole := collect(t, l, 3, 0)
		for _, workers := range []int{2, 7} {
			l.Workers = workers
			if !same(collect(t, l, 3, 0), whole) {
				t.Errorf("%s: other batches with %d workers", d.Info().Name, workers)
			}
			if !same(collect(t, l, 3, 2), whole[2:]) {
				t.Errorf("%s: other batches from 2 on", d.Info().Name)
			}
		}
		if same(collect(t, l, 4, 0), whole) {
			t.Errorf("%s: the next epoch is the same", d.Info().Name)
		}
		mixed := 0
		for _, b := range whole {
			if len(b.Others) != b.N {
				t.Errorf("%d other labels of %d images", len(b.Others), b.N)
			}
			if b.Share < 1 {
				mixed++
			}
		}
		if mixed == 0 {
			t.Error("nothing is mixed")
		}
	}
}

// Loaders that share an epoch have equally many batches. Those of one index are together the batch of one loader with
// the same number of images, but for the last one, which is added to the batch before if a loader had too few of its images.
func TestSharedBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world, least, batch := rapid.IntRange(2, 5).Draw(t, "world"), rapid.IntRange(0, 2).Draw(t, "least"), rapid.IntRange(2, 5).Draw(t, "batch")
		n := rapid.IntRange(max(1, least*world), 60).Draw(t, "images")
		l := &Loader{Dataset: fake(n, 1, 1, 1), Batch: batch * world, Least: least, Shuffle: true, DropLast: rapid.Bool().Draw(t, "drop last"), Seed: 2}
		whole := collect(t, l, 1, 0)
		l.Batch, l.World = batch, world
		parts := make([][]float32, l.Batches())
		for rank := range world {
			l.Rank = rank
			mine := collect(t, l, 1, 0)
			if len(mine) != len(parts) {
				t.Fatalf("loader %d has %d batches, not %d", rank, len(mine), len(parts))
			}
			for i, b := range mine {
				if b.Blank {
					continue
				}
				if b.N < max(1, least) {
					t.Fatalf("a batch of %d images", b.N)
				}
				parts[i] = append(parts[i], b.Images...)
			}
		}
		if extra := len(whole) - len(parts); extra > 0 {
			if rest := n % (batch * world); extra > 1 || rest >= least*world {
				t.Fatalf("%d batches instead of %d", len(parts), len(whole))
			}
			last := len(parts) - 1
			whole[last].Images = append(slices.Clone(whole[last].Images), whole[last+1].Images...)
		}
		for i, part := range parts {
			want := slices.Clone(whole[i].Images)
			slices.Sort(want)
			slices.Sort(part)
			if !slices.Equal(part, want) {
				t.Fatalf("batch %d: %v, not %v", i, part, want)
			}
		}
	})
}

// Each image is in exactly one of the loaders that share an epoch.
func TestShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, world := rapid.IntRange(0, 40).Draw(t, "images"), rapid.IntRange(1, 6).Draw(t, "world")
		d := fake(n, 1, 1, 1)
		l := &Loader{Dataset: d, Batch: rapid.IntRange(1, 7).Draw(t, "batch"), Shuffle: rapid.Bool().Draw(t, "shuffle"), World: world, Seed: 2}
		var all []float32
		for rank := range world {
			l.Rank = rank
			images := 0
			for _, b := range collect(t, l, 1, 0) {
				images += b.N
				all = append(all, b.Images...)
			}
			if images != n/world && images != (n+world-1)/world {
				t.Fatalf("loader %d of %d has %d images of %d", rank, world, images, n)
			}
		}
		var want []float32
		l.Rank, l.World = 0, 0
		for _, b := range collect(t, l, 1, 0) {
			want = append(want, b.Images...)
		}
		slices.Sort(all)
		slices.Sort(want)
		if !slices.Equal(all, want) {
			t.Fatal("the loaders together have other images than one alone")
		}
	})
}

func TestWorkersChangeNothing(t *testing.T) {
	l := standard(100)
	want := collect(t, l, 4, 0)
	for _, workers := range []int{0, 2, 5, 64} {
		l.Workers = workers
		if !same(collect(t, l, 4, 0), want) {
			t.Errorf("other batches with %d workers", workers)
		}
	}
}

func TestEpochGoesOnFromItsMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := standard(rapid.IntRange(0, 60).Draw(t, "images"))
		l.Batch = rapid.IntRange(1, 20).Draw(t, "batch")
		l.Workers = rapid.IntRange(1, 5).Draw(t, "workers")
		l.Least = rapid.IntRange(0, min(l.Batch, l.Dataset.Len())).Draw(t, "least")
		l.DropLast = rapid.Bool().Draw(t, "drop last")
		l.Shuffle = rapid.Bool().Draw(t, "shuffle")
		l.Seed = rapid.Uint64().Draw(t, "seed")
		whole := collect(t, l, 1, 0)
		if len(whole) != l.Batches() {
			t.Fatalf("%d batches, not %d", len(whole), l.Batches())
		}
		from := rapid.IntRange(0, len(whole)).Draw(t, "from")
		if !same(collect(t, l, 1, from), whole[from:]) {
			t.Fatalf("other batches from %d on", from)
		}
	})
}

// Images are identified by their labels: image i of at most 10 has the label i.
func TestEpochHoldsEveryImageOnce(t *testing.T) {
	l := &Loader{Dataset: fake(10, 1, 2, 2), Batch: 3, Shuffle: true, Workers: 2}
	var orders [][]int64
	for epoch := range 3 {
		var order []int64
		for _, b := range collect(t, l, epoch, 0) {
			order = append(order, b.Labels...)
		}
		orders = append(orders, slices.Clone(order))
		slices.Sort(order)
		if !slices.Equal(order, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("epoch %d has the images %v", epoch, order)
		}
	}
	if slices.Equal(orders[0], orders[1]) || slices.Equal(orders[1], orders[2]) {
		t.Errorf("epochs have the same order: %v", orders)
	}
	l.Shuffle = false
	if first := collect(t, l, 0, 0)[0].Labels; !slices.Equal(first, []int64{0, 1, 2}) {
		t.Errorf("not shuffled, it starts with %v", first)
	}
}

// A batch of learning has two images or more, whatever the number of images, and none is left out; a
// last one that damaged files leave with one is.
func TestNoBatchOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "images")
		l := &Loader{Dataset: fake(n, 1, 2, 2), Least: 2, Batch: rapid.IntRange(2, 12).Draw(t, "batch"), Shuffle: true, Workers: 2}
		images := 0
		for i, b := range collect(t, l, 0, 0) {
			if images += b.N; b.N < 2 || b.N > l.Batch+1 || b.N > l.Batch && i < l.Batches()-1 {
				t.Fatalf("batch %d of %d has %d images", i, l.Batches(), b.N)
			}
		}
		if images != n {
			t.Fatalf("%d images, not %d", images, n)
		}
	})
	for broken, want := range map[string][]int{"0": {3, 4}, "6": {4, 3}, "5,6": {4, 2}, "4,5,6": {4}, "4,5,6,7": {4}} {
		l := &Loader{Dataset: &torn{fake(8, 1, 2, 2), broken}, Least: 2, Batch: 4, Workers: 1, Damaged: func(*DamagedError) {}}
		var sizes []int
		for _, b := range collect(t, l, 0, 0) {
			sizes = append(sizes, b.N)
		}
		if !slices.Equal(sizes, want) {
			t.Errorf("without %s: batches of %v, not %v", broken, sizes, want)
		}
	}
}

// torn is a data set with some damaged files.
type torn struct {
	*images
	broken string // their numbers
}

func (d *torn) At(i int, dst []byte) (int, error) {
	if strings.Contains(d.broken, strconv.Itoa(i)) {
		return 0, &DamagedError{File: strconv.Itoa(i), Err: errBroken}
	}
	return d.images.At(i, dst)
}

// An image's random draws depend on its index in the data set, not on its place in the epoch.
func TestAugmentationFollowsTheImage(t *testing.T) {
	l := standard(10)
	epoch := 2
	byLabel := func() [10][]float32 {
		var images [10][]float32
		for _, b := range collect(t, l, epoch, 0) {
			size := b.C * b.H * b.W
			for k, label := range b.Labels {
				images[label] = b.Images[k*size:][:size]
			}
		}
		return images
	}
	shuffled := byLabel()
	l.Shuffle, l.Batch = false, 4
	for label, image := range byLabel() {
		if !slices.Equal(image, shuffled[label]) {
			t.Errorf("image %d is another in another order", label)
		}
	}
	l.Seed++
	if other := byLabel(); slices.Equal(slices.Concat(other[:]...), slices.Concat(shuffled[:]...)) {
		t.Error("another seed draws the same")
	}
	l.Seed--
	epoch++
	if other := byLabel(); slices.Equal(slices.Concat(other[:]...), slices.Concat(shuffled[:]...)) {
		t.Error("another epoch draws the same")
	}
}

func TestBatchesAreNormalised(t *testing.T) {
	d := fake(5, 2, 2, 3)
	l := &Loader{Dataset: d, Batch: 2}
	batches := collect(t, l, 0, 0)
	for i := range d.Len() {
		b := batches[i/2]
		for j := range 12 {
			c := j / 6
			want := float32((float64(d.pixels[i*12+j])/255 - d.info.Mean[c]) / d.info.Std[c])
			if got := b.Images[i%2*12+j]; got != want {
				t.Fatalf("image %d, value %d is %v, not %v", i, j, got, want)
			}
		}
	}
	if last := batches[2]; last.N != 1 || len(last.Images) != 12 || len(last.Labels) != 1 {
		t.Errorf("last batch is of %d images, %d values and %d labels", last.N, len(last.Images), len(last.Labels))
	}
}

func TestBatchCount(t *testing.T) {
	for _, c := range []struct {
		n, batch, least int
		drop            bool
		want            int
	}{{0, 4, 0, false, 0}, {1, 4, 0, false, 1}, {4, 4, 0, false, 1}, {5, 4, 0, false, 2}, {5, 4, 0, true, 1}, {3, 4, 0, true, 0}, {3, 0, 0, false, 0},
		{5, 4, 2, false, 1}, {6, 4, 2, false, 2}, {6, 4, 3, false, 1}, {5, 4, 2, true, 1}, {3, 4, 2, false, 1}} {
		l := &Loader{Dataset: fake(c.n, 1, 1, 1), Batch: c.batch, Least: c.least, DropLast: c.drop}
		if got := l.Batches(); got != c.want {
			t.Errorf("%+v: %d batches", c, got)
		}
	}
}

// slow is a data set that reads slowly; one of its images may be broken.
type slow struct {
	*images
	broken int
	reads  atomic.Int64
}

var errBroken = errors.New("unreadable")

func (s *slow) At(i int, dst []byte) (int, error) {
	s.reads.Add(1)
	time.Sleep(100 * time.Microsecond)
	if i == s.broken {
		return 0, errBroken
	}
	return s.images.At(i, dst)
}

func TestErrorEndsTheEpoch(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		defer goleak.VerifyNone(t)
		l := &Loader{Dataset: &slow{images: fake(200, 1, 2, 2), broken: 57}, Batch: 10, Workers: workers}
		good, failed := 0, 0
		for b, err := range l.Epoch(context.Background(), 0, 0) {
			if err == nil {
				good++
				continue
			}
			failed++
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "fake, image 57") || b.Images != nil {
				t.Errorf("error %q with %+v", err, b)
			}
		}
		if good != 5 || failed != 1 {
			t.Errorf("%d workers: %d batches and %d errors, not 5 and 1", workers, good, failed)
		}
	}
}

func TestLeavingEarlyStopsTheWorkers(t *testing.T) {
	defer goleak.VerifyNone(t)
	d := &slow{images: fake(10_000, 1, 2, 2), broken: -1}
	l := &Loader{Dataset: d, Batch: 10, Workers: 3}
	n := 0
	for _, err := range l.Epoch(context.Background(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	goleak.VerifyNone(t)                     // at once, not later
	if reads := d.reads.Load(); reads > 70 { // 2 batches, and 4 slots ahead of them
		t.Errorf("%d images were read for 2 batches of 10", reads)
	}
	func() {
		defer func() { recover() }()
		for range l.Epoch(context.Background(), 0, 0) {
			panic("in the loop")
		}
	}()
}

func TestCancelEndsTheEpoch(t *testing.T) {
	defer goleak.VerifyNone(t)
	d := &slow{images: fake(10_000, 1, 2, 2), broken: -1}
	l := &Loader{Dataset: d, Batch: 10, Workers: 2}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	for b, err := range l.Epoch(ctx, 0, 0) {
		if n++; n < 3 && err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			cancel()
		}
		if n == 3 && (!errors.Is(err, context.Canceled) || b.Images != nil) {
			t.Errorf("after cancel: %v", err)
		}
	}
	if n != 3 {
		t.Errorf("%d turns of the loop, not 2 batches and an error", n)
	}
	// The context is cancelled while the loop waits for a batch.
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	l.Batch = 10_000
	began := time.Now()
	for _, err := range l.Epoch(ctx, 0, 0) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
	}
	if took := time.Since(began); took > 500*time.Millisecond { // the batch would take a second
		t.Errorf("it took %v to stop", took)
	}
}

// A cancelled epoch always ends, even if its next batch is ready.
func TestCancelComesBeforeABatch(t *testing.T) {
	l := &Loader{Dataset: fake(4, 1, 1, 1), Batch: 1, Workers: 2}
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		batches := 0
		for _, err := range l.Epoch(ctx, 0, 0) {
			if err == nil {
				batches++
			}
			time.Sleep(time.Millisecond) // the next one gets ready
			cancel()
		}
		if batches != 1 {
			t.Fatalf("%d batches, not the 1 before the cancel", batches)
		}
	}
}

func TestLoaderRefuses(t *testing.T) {
	wrong := fake(5, 1, 2, 2)
	wrong.labels[3] = 10
	lame := fake(5, 1, 2, 2)
	lame.info.Std = nil
	good := fake(5, 1, 2, 2)
	for want, c := range map[string]struct {
		l    Loader
		from int
	}{
		"no data set":                              {Loader{Batch: 1}, 0},
		"batches of 0":                             {Loader{Dataset: good}, 0},
		"-1 workers":                               {Loader{Dataset: good, Batch: 1, Workers: -1}, 0},
		"padding -2":                               {Loader{Dataset: good, Batch: 1, Transform: Transform{Padding: -2}}, 0},
		"0 standard deviations":                    {Loader{Dataset: lame, Batch: 1}, 0},
		"from batch -1":                            {Loader{Dataset: good, Batch: 1}, -1},
		"from batch 6; it has 5":                   {Loader{Dataset: good, Batch: 1}, 6},
		"has 2 channels":                           {Loader{Dataset: fake(5, 2, 2, 2), Batch: 1, Transform: Transform{AutoAugment: "cifar10"}}, 0},
		"at least 6 are needed":                    {Loader{Dataset: fake(7, 1, 2, 2), Batch: 5, Least: 6}, 0},
		"too few images to learn":                  {Loader{Dataset: fake(1, 1, 2, 2), Batch: 2, Least: 2}, 0},
		"3 of the 4 images of batch 0 are damaged": {Loader{Dataset: &torn{fake(8, 1, 2, 2), "0,1,3"}, Batch: 4, Least: 2, Damaged: func(*DamagedError) {}}, 0},
		"rank 2 of 2":                              {Loader{Dataset: good, Batch: 1, Rank: 2, World: 2}, 0},
		"rank 1 of 1":                              {Loader{Dataset: good, Batch: 1, Rank: 1}, 0},
		"image 3: label 10":                        {Loader{Dataset: wrong, Batch: 5}, 0},
	} {
		n := 0
		for _, err := range c.l.Epoch(context.Background(), 0, c.from) {
			if n++; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, not one with %q", err, want)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d turns of the loop, not 1", want, n)
		}
	}
}

// Slices are reused, so an epoch allocates for its slots only, however long it is.
func TestBuffersAreBounded(t *testing.T) {
	l := standard(700)
	l.Workers = 2
	buffers := map[*float32]bool{}
	for b, err := range l.Epoch(context.Background(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		buffers[&b.Images[0]] = true
	}
	if len(buffers) > l.Workers+1 {
		t.Errorf("%d buffers for %d workers", len(buffers), l.Workers)
	}
}
