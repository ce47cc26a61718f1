package datasets

import (
	"context"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"hdas/internal/imagefile"
)

// pipelines holds the transforms that scripts/bench.py compares with torchvision, by its names for them.
var pipelines = []struct {
	name  string
	files bool
	batch int
	Transform
}{
	{"cifar", false, 128, Transform{Padding: 4, Flip: true, Cutout: 16}},
	{"cifar-autoaugment", false, 128, Transform{Padding: 4, Flip: true, Cutout: 16, AutoAugment: "cifar10"}},
	{"imagenet", true, 32, Transform{ResizedCrop: true, Flip: true}},
	{"imagenet-jitter", true, 32, Transform{ResizedCrop: true, Flip: true, ColorJitter: ColorJitter{0.4, 0.4, 0.4, 0.2}}},
}

var photographs = []string{"china.jpg", "flower.jpg"}

// tiles returns n images of CIFAR's size, cut from the photographs row by row and repeated.
func tiles(b *testing.B, n int) *images {
	d := &images{info: cifar10.info}
	for _, name := range photographs {
		file, err := os.ReadFile(filepath.Join("testdata", "photos", name))
		if err != nil {
			b.Fatal(err)
		}
		m, err := imagefile.Decode(file)
		if err != nil {
			b.Fatal(err)
		}
		for y := 0; y+32 <= m.H; y += 32 {
			for x := 0; x+32 <= m.W; x += 32 {
				for c := range 3 {
					for p := range 32 * 32 {
						d.pixels = append(d.pixels, m.Pix[(y+p/32)*m.Stride+3*(x+p%32)+c])
					}
				}
			}
		}
	}
	for len(d.pixels) < n*cifarSize {
		d.pixels = append(d.pixels, d.pixels...)
	}
	d.labels = make([]byte, n)
	return d
}

// shelf is a data set of n files, which are the photographs in turn. It reads them from disk each time.
func shelf(n int) *fileset {
	l := new(list)
	for i := range n {
		l.add(photographs[i%len(photographs)], 0)
	}
	return newFileset(Spec{Name: "folder"}, []string{"photograph"}, "testdata", l, func(i int, buf []byte) ([]byte, string, error) {
		path := filepath.Join("testdata", "photos", l.name(i))
		file, err := readInto(path, buf)
		return file, path, err
	})
}

// BenchmarkPipeline makes batches with a loader of as many workers as -cpu says.
func BenchmarkPipeline(b *testing.B) {
	for _, p := range pipelines {
		b.Run(p.name, func(b *testing.B) {
			var d Dataset = shelf(512)
			if !p.files {
				d = tiles(b, 6400)
			}
			l := &Loader{Dataset: d, Batch: p.batch, Shuffle: true, Seed: 1, Workers: runtime.GOMAXPROCS(0), Transform: p.Transform}
			made, epoch := 0, 0
			for b.Loop() {
				for batch, err := range l.Epoch(context.Background(), epoch, 0) {
					if err != nil {
						b.Fatal(err)
					}
					made += batch.N
				}
				epoch++
			}
			b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

// BenchmarkOperation times each operation of the policies on an image of 224x224 pixels.
func BenchmarkOperation(b *testing.B) {
	s := new(imageReader)
	d := shelf(1)
	for k, o := range operations {
		b.Run(o.name, func(b *testing.B) {
			name, _, err := s.open(d, 0)
			if err == nil {
				err = s.resize(name, d.view.job(375, 500), image.Point{})
			}
			if err != nil {
				b.Fatal(err)
			}
			step := newStep(k, 6, autoBins, false, 224, 224)
			for b.Loop() {
				o.apply(&s.canvas, step.strength)
			}
		})
	}
}
