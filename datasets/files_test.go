package datasets_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"hdas/datasets"
	"hdas/internal/datasetstest"
)

// plain returns a PNG of one colour.
func plain(c color.RGBA, w, h int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = c.R, c.G, c.B, 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// shade returns the colour of image i of a class in these tests.
func shade(class, i int) color.RGBA { return color.RGBA{byte(60 * class), byte(10 * i), 7, 255} }

// photos writes a folder of class folders; image i of a class is of the colour shade(class, i).
func photos(t *testing.T, dir string, classes []string, each int) {
	t.Helper()
	for k, class := range classes {
		for i := range each {
			write(t, filepath.Join(dir, class, fmt.Sprintf("image-%02d.png", i)), plain(shade(k, i), 20+i, 16))
		}
	}
}

func colourAt(t *testing.T, d datasets.Dataset, i int) (colour color.RGBA, label int) {
	t.Helper()
	info := d.Info()
	image := make([]byte, info.Size())
	label, err := d.At(i, image)
	if err != nil {
		t.Fatal(err)
	}
	plane := info.Height * info.Width
	return color.RGBA{image[0], image[plane], image[2*plane], 255}, label
}

func TestFolderSplitByFolders(t *testing.T) {
	for _, test := range []string{"test", "val", "valid", "validation"} {
		dir := t.TempDir()
		photos(t, filepath.Join(dir, "train"), []string{"apple", "pear"}, 3)
		photos(t, filepath.Join(dir, test), []string{"apple", "pear"}, 2)
		write(t, filepath.Join(dir, "train", "apple", ".hidden.png"), nil)
		write(t, filepath.Join(dir, "train", "apple", "note.txt"), []byte("not an image"))
		write(t, filepath.Join(dir, "train", "pear", "deep", "er.JPG"), plain(shade(1, 9), 8, 9))
		s := datasets.Spec{Name: "folder", Dir: dir, Size: 8}
		train, err := s.Open(datasets.Train)
		if err != nil {
			t.Fatal(err)
		}
		if info := train.Info(); train.Len() != 7 || !slices.Equal(info.Classes, []string{"apple", "pear"}) || info.Height != 8 || info.Width != 8 {
			t.Errorf("%d images of %+v", train.Len(), info)
		}
		// Of the names image-00.png, .., deep/er.JPG.
		for i, want := range []struct{ class, n int }{{0, 0}, {0, 1}, {0, 2}, {1, 9}, {1, 0}, {1, 1}, {1, 2}} {
			if c, label := colourAt(t, train, i); c != shade(want.class, want.n) || label != want.class {
				t.Errorf("image %d is %v, of class %d", i, c, label)
			}
		}
		if d, err := s.Open(datasets.Test); err != nil || d.Len() != 4 {
			t.Errorf("%v, %v", d, err)
		}
		datasetstest.Run(t, train)
	}
}

func TestFolderSplitByFraction(t *testing.T) {
	dir := t.TempDir()
	photos(t, dir, []string{"a", "b", "c"}, 10)
	open := func(split string, seed uint64) map[color.RGBA]bool {
		d, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8, TestFraction: 0.3, SplitSeed: seed}.Open(split)
		if err != nil {
			t.Fatal(err)
		}
		found := map[color.RGBA]bool{}
		for i := range d.Len() {
			c, label := colourAt(t, d, i)
			if int(c.R) != 60*label {
				t.Errorf("%v is of class %d", c, label)
			}
			found[c] = true
		}
		if len(found) != d.Len() {
			t.Error("an image is there twice")
		}
		return found
	}
	train, test := open(datasets.Train, 1), open(datasets.Test, 1)
	if len(train) != 21 || len(test) != 9 {
		t.Errorf("%d and %d images, not 7 and 3 of each class", len(train), len(test))
	}
	for c := range test {
		if train[c] {
			t.Errorf("%v is in both", c)
		}
	}
	if !maps.Equal(test, open(datasets.Test, 1)) {
		t.Error("the same seed divides in another way")
	}
	if maps.Equal(test, open(datasets.Test, 2)) {
		t.Error("another seed divides alike")
	}
	d, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8}.Open(datasets.Test)
	if err != nil || d.Len() != 6 {
		t.Errorf("%v; a fifth of 30 is 6", err)
	}
	datasetstest.Run(t, d)
}

func TestFolderRefuses(t *testing.T) {
	empty, one, alone, odd := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	photos(t, one, []string{"a"}, 2)
	write(t, filepath.Join(one, "b", "text.txt"), nil)
	photos(t, filepath.Join(alone, "train"), []string{"a"}, 2)
	photos(t, filepath.Join(odd, "train"), []string{"a", "b"}, 2)
	photos(t, filepath.Join(odd, "val"), []string{"a", "zebra"}, 2)
	for want, dir := range map[string]string{
		"no folders": empty, "b has no images": one, "none of test, val": alone, "zebra is a class without training images": odd, "no such file": filepath.Join(empty, "x"),
	} {
		if _, err := datasets.Open("folder", dir, datasets.Test); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not have %q", err, want)
		}
	}
	for want, s := range map[string]datasets.Spec{
		"resize 20 is less than size, 32 pixels":     {Name: "folder", Size: 32, Resize: 20},
		"set size instead":                           {Name: "cifar10", Resize: 40, Size: 32},
		"has its own split":                          {Name: "imagenet", TestFraction: 0.5},
		"interpolation \"cubic\"":                    {Name: "folder", Interpolation: "cubic"},
		"three numbers":                              {Name: "folder", Mean: []float64{1}},
		"std [1 0 1] holds 0, which is not in (0,1]": {Name: "folder", Mean: []float64{1, 1, 1}, Std: []float64{1, 0, 1}},
		"size -1":                           {Name: "folder", Size: -1},
		"known are cifar10, cifar100, digi": {Name: "folders"},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not have %q", err, want)
		}
	}
}

// A view is torchvision's Resize and CenterCrop; its numbers are of a size that is cut on both sides.
func TestViewOfFile(t *testing.T) {
	dir := t.TempDir()
	m := image.NewRGBA(image.Rect(0, 0, 40, 20)) // red grows by 6 a column
	for i := range 40 * 20 {
		m.Pix[4*i], m.Pix[4*i+3] = byte(6*(i%40)), 255
	}
	var b bytes.Buffer
	png.Encode(&b, m)
	write(t, filepath.Join(dir, "train", "a", "x.png"), b.Bytes())
	write(t, filepath.Join(dir, "test", "a", "x.png"), b.Bytes())
	d, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8, Resize: 10}.Open(datasets.Test)
	if err != nil {
		t.Fatal(err)
	}
	pix := make([]byte, 3*8*8)
	if _, err := d.At(0, pix); err != nil {
		t.Fatal(err)
	}
	// Resized to 20x10, columns 6..13 are left: column x there is the old 2x and 2x+1, and of their
	// neighbours as much on both sides: 6(2x + 1/2).
	for x := range 8 {
		if want := 6*2*(x+6) + 3; int(pix[x]) != want {
			t.Errorf("column %d is %d, not %d", x, pix[x], want)
		}
	}
}

// mixed writes a folder of good files of all kinds and of damaged files, and returns the names of the damaged ones.
func mixed(t *testing.T) (dir string, damaged []string) {
	dir = t.TempDir()
	photos(t, filepath.Join(dir, "train"), []string{"a", "b"}, 20)
	photos(t, filepath.Join(dir, "test"), []string{"a", "b"}, 2)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 60, 50)), nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "train", "a", "grey.jpg"), b.Bytes())
	for name, data := range map[string][]byte{"a/cut.jpg": b.Bytes()[:b.Len()/2], "a/empty.png": {}, "b/text.png": []byte("hello"), "b/cut.png": plain(shade(1, 1), 9, 9)[:60]} {
		path := filepath.Join(dir, "train", filepath.FromSlash(name))
		write(t, path, data)
		damaged = append(damaged, path)
	}
	slices.Sort(damaged)
	return dir, damaged
}

func TestDamagedFilesAreSkippedOrFatal(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir, damaged := mixed(t)
	d, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8}.Open(datasets.Train)
	if err != nil {
		t.Fatal(err)
	}
	l := &datasets.Loader{Dataset: d, Batch: 7, Shuffle: true, Workers: 3, Transform: datasets.Transform{ResizedCrop: true, Flip: true}}
	var failure error
	for _, err := range l.Epoch(context.Background(), 0, 0) {
		failure = err
	}
	var fault *datasets.DamagedError
	if !errors.As(failure, &fault) || !slices.Contains(damaged, fault.File) || !strings.Contains(failure.Error(), fault.File) {
		t.Errorf("the epoch ends with %v", failure)
	}
	var lock sync.Mutex
	var named []string
	l.Damaged = func(e *datasets.DamagedError) {
		lock.Lock()
		named = append(named, e.File)
		lock.Unlock()
	}
	images := 0
	for b, err := range l.Epoch(context.Background(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Labels) != b.N || len(b.Images) != b.N*3*8*8 {
			t.Errorf("a batch of %d has %d labels and %d values", b.N, len(b.Labels), len(b.Images))
		}
		images += b.N
	}
	slices.Sort(named)
	if images != 41 || !slices.Equal(named, damaged) {
		t.Errorf("%d images, without %v", images, named)
	}
	// A file that cannot be read is not reported as damaged.
	if err := os.Remove(filepath.Join(dir, "train", "a", "grey.jpg")); err != nil {
		t.Fatal(err)
	}
	failure = nil
	for _, err := range l.Epoch(context.Background(), 0, 0) {
		failure = err
	}
	if !errors.Is(failure, os.ErrNotExist) || !strings.Contains(failure.Error(), "grey.jpg") {
		t.Errorf("a file that is gone ends the epoch with %v", failure)
	}
}

// pack makes an archive of files, in the order of their names.
func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var synsets = []string{"n01440764", "n02119789", "n03000684"} // by name; their numbers are 2, 1, 3

// validation lists the classes of the validation images; some classes have none.
var validation = []int{2, 0, 2, 2, 0, 2}

// publishImageNet writes the three archives, of 3 classes, 5 training and 2 validation images each.
func publishImageNet(t *testing.T) (dir string) {
	dir = t.TempDir()
	train, val := map[string][]byte{}, map[string][]byte{}
	for k, synset := range synsets {
		files := map[string][]byte{}
		for i := range 5 {
			files[fmt.Sprintf("%s_%d.JPEG", synset, i)] = plain(shade(k, i), 30, 20) // whatever the name says
		}
		train[synset+".tar"] = pack(t, files)
	}
	truth := ""
	for i, k := range validation {
		val[fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", i+1)] = plain(shade(k, i), 20, 30)
		truth += fmt.Sprintln([]int{2, 1, 3}[k])
	}
	mat, err := os.ReadFile("testdata/synsets.mat")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ILSVRC2012_img_train.tar"), pack(t, train))
	write(t, filepath.Join(dir, "ILSVRC2012_img_val.tar"), pack(t, val))
	write(t, filepath.Join(dir, "ILSVRC2012_devkit_t12.tar.gz"), zipped(t, pack(t, map[string][]byte{
		"ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": []byte(truth),
		"ILSVRC2012_devkit_t12/data/meta.mat":                               mat,
		"ILSVRC2012_devkit_t12/readme.txt":                                  []byte("read me"),
	})))
	return dir
}

func TestImageNetTars(t *testing.T) {
	dir := publishImageNet(t)
	if err := datasets.Missing("imagenet", dir); err != nil {
		t.Error(err)
	}
	check := func() {
		t.Helper()
		train, test := open(t, "imagenet", dir, datasets.Train), open(t, "imagenet", dir, datasets.Test)
		if !slices.Equal(train.Info().Classes, synsets) || !slices.Equal(test.Info().Classes, synsets) || train.Len() != 15 || test.Len() != 6 {
			t.Fatalf("%d and %d images, classes %v, %v", train.Len(), test.Len(), train.Info().Classes, test.Info().Classes)
		}
		for i := range 15 {
			if c, label := colourAt(t, train, i); label != i/5 || c != shade(i/5, i%5) {
				t.Errorf("training image %d is %v, of class %d", i, c, label)
			}
		}
		for i, k := range validation {
			if c, label := colourAt(t, test, i); label != k || c != shade(k, i) {
				t.Errorf("validation image %d is %v, of class %d", i, c, label)
			}
		}
	}
	check()
	index := filepath.Join(dir, "ILSVRC2012_img_train.tar.hdas-index")
	first, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	check() // by the index
	for _, bad := range [][]byte{{}, []byte("hdas tar index 1\nxx"), first[:len(first)/2], bytes.Replace(first, []byte("n0144"), []byte("n\x000\x00\x00"), 1)} {
		write(t, index, bad)
		check()
	}
	datasetstest.Run(t, open(t, "imagenet", dir, datasets.Test))
	// Only a part is unpacked.
	photos(t, filepath.Join(dir, "val"), synsets, 1)
	if d := open(t, "imagenet", dir, datasets.Test); d.Len() != 3 {
		t.Errorf("%d images, not 3", d.Len())
	}
}

func TestImageNetRefuses(t *testing.T) {
	cut := publishImageNet(t)
	if err := os.Truncate(filepath.Join(cut, "ILSVRC2012_img_train.tar"), 3000); err != nil {
		t.Fatal(err)
	}
	bare := publishImageNet(t)
	if err := os.Remove(filepath.Join(bare, "ILSVRC2012_devkit_t12.tar.gz")); err != nil {
		t.Fatal(err)
	}
	short := publishImageNet(t)
	write(t, filepath.Join(short, "ILSVRC2012_img_val.tar"), pack(t, map[string][]byte{"ILSVRC2012_val_00000007.JPEG": plain(shade(0, 0), 3, 3)}))
	other := t.TempDir()
	photos(t, filepath.Join(other, "train"), synsets, 1)
	photos(t, filepath.Join(other, "val"), synsets[:2], 1)
	for _, c := range []struct{ dir, split, want string }{
		{t.TempDir(), datasets.Train, "ILSVRC2012_img_train.tar; download the archive from image-net.org"},
		{cut, datasets.Train, "cut off"},
		{bare, datasets.Test, "ILSVRC2012_devkit_t12.tar.gz"},
		{short, datasets.Test, "none of the 6 images"},
		{other, datasets.Test, "not the same"},
	} {
		if _, err := datasets.Open("imagenet", c.dir, c.split); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not have %q", err, c.want)
		}
	}
}

// ImageNet's index takes at most 100 bytes of memory for each image, for archives and for folders.
func TestIndexIsSmall(t *testing.T) {
	const n = 20_000
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("n01440764_%d.JPEG", 100_000+i)] = nil
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ILSVRC2012_img_train.tar"), pack(t, map[string][]byte{"n01440764.tar": pack(t, files)}))
	files = nil
	measure := func(name, dir string, n int) float64 {
		used := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := used()
		d := open(t, name, dir, datasets.Train)
		after := used()
		if d.Len() != n {
			t.Fatalf("%d images", d.Len())
		}
		runtime.KeepAlive(d)
		t.Logf("%s: %.1f bytes an image", name, float64(after-before)/float64(n))
		return float64(after-before) / float64(n)
	}
	for _, how := range []string{"built", "read"} {
		if each := measure("imagenet", dir, n); each > 100 {
			t.Errorf("%s, the index of an archive has %.0f bytes an image", how, each)
		}
	}
	folder := t.TempDir()
	for i := range 3000 {
		write(t, filepath.Join(folder, "train", "n01440764", fmt.Sprintf("n01440764_%d.JPEG", 100_000+i)), nil)
	}
	if each := measure("imagenet", folder, 3000); each > 100 {
		t.Errorf("the index of a folder has %.0f bytes an image", each)
	}
}
