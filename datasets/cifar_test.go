package datasets_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/datasets"
	"hdas/internal/datasetstest"
)

const records = 8 // in each file here

// pixel returns pixel j = c*1024+y*32+x of an image that testdata/pickles.py writes.
func pixel(i, j int) byte { return byte(37*i + 85*(j/1024) + 11*(j/32%32) + 3*(j%32)) }

// recordsOf returns a file in the binary form with the same images.
func recordsOf() []byte {
	var b bytes.Buffer
	for i := range records {
		b.WriteByte(byte(i % 10))
		for j := range 3072 {
			b.WriteByte(pixel(i, j))
		}
	}
	return b.Bytes()
}

const names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"

var batches = []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".pickle"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// inject writes the files of a form to dir.
func inject(t *testing.T, dir, suffix string, data []byte, meta string, metaData []byte) {
	t.Helper()
	for _, name := range batches {
		write(t, filepath.Join(dir, name+suffix), data)
	}
	if meta != "" {
		write(t, filepath.Join(dir, meta), metaData)
	}
}

func binary(t *testing.T) string {
	dir := t.TempDir()
	inject(t, dir, ".bin", recordsOf(), "batches.meta.txt", []byte(names))
	return dir
}

func pickled(t *testing.T) string {
	dir := t.TempDir()
	inject(t, dir, "", fixture(t, "python2"), "batches.meta", fixture(t, "python2.meta"))
	return dir
}

func TestCIFAR10(t *testing.T) {
	dirs := map[string]string{"binary": binary(t), "python 2": pickled(t)}
	parent := t.TempDir()
	inject(t, filepath.Join(parent, "cifar-10-batches-bin"), ".bin", recordsOf(), "", nil)
	dirs["binary, in the parent, without names"] = parent
	parent = t.TempDir()
	inject(t, filepath.Join(parent, "cifar-10-batches-py"), "", fixture(t, "numpy2-bytes-4"), "batches.meta", fixture(t, "numpy2.meta"))
	dirs["python, in the parent"] = parent
	for _, variant := range []string{"numpy1-text-2", "numpy1-text-4", "numpy1-text-5", "numpy1-bytes-4", "numpy2-text-2", "numpy2-text-4", "numpy2-text-5"} {
		dir := t.TempDir()
		inject(t, dir, "", fixture(t, variant), "batches.meta", fixture(t, variant[:6]+".meta"))
		dirs[variant] = dir
	}
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		t.Run(name, func(t *testing.T) {
			for split, files := range map[string]int{datasets.Train: 5, datasets.Test: 1} {
				d, err := datasets.OpenCIFARWith("cifar10", dirs[name], split, records)
				if err != nil {
					t.Fatal(err)
				}
				if d.Len() != files*records {
					t.Fatalf("%d images, not %d", d.Len(), files*records)
				}
				checkRecords(t, d)
				if name == "python 2" {
					datasetstest.Run(t, d)
				}
			}
		})
	}
}

func TestCIFAR10Refuses(t *testing.T) {
	long, label := recordsOf(), recordsOf()
	long = append(long, long[:3073]...)
	label[3*3073] = 10
	data := fixture(t, "python2")
	at := bytes.Index(data, []byte("K\x07e")) // the last label, 7, of the list
	if at < 0 {
		t.Fatal("the fixture is another")
	}
	badLabel := bytes.Clone(data)
	badLabel[at+1] = 99
	for what, c := range map[string]struct {
		dir, file string // file: of dir, which becomes data; nil data: it is removed
		data      []byte
		want      string
	}{
		"missing":              {binary(t), "test_batch.bin", nil, "no such file"},
		"empty":                {binary(t), "test_batch.bin", []byte{}, "holds 0 images, not 8"},
		"half a record":        {binary(t), "test_batch.bin", recordsOf()[:4000], "4000 bytes are not a whole number of records of 3073"},
		"a record less":        {binary(t), "test_batch.bin", recordsOf()[3073:], "holds 7 images, not 8"},
		"a record more":        {binary(t), "test_batch.bin", long, "holds 9 images, not 8"},
		"a label of 10":        {binary(t), "test_batch.bin", label, "image 3 has the label 10, which is not in 0..9"},
		"names of another set": {binary(t), "batches.meta.txt", []byte("apple\nbear\n"), "is it another data set?"},
		"pickle: missing":      {pickled(t), "test_batch", nil, "no such file"},
		"pickle: empty":        {pickled(t), "test_batch", []byte{}, "without a last opcode"},
		"pickle: truncated":    {pickled(t), "test_batch", data[:20_000], "are left"},
		"pickle: a label":      {pickled(t), "test_batch", badLabel, "image 7 has the label 99, which is not in 0..9"},
		"pickle: other form":   {pickled(t), "test_batch", recordsOf(), "opcode"},
		"pickle: names":        {pickled(t), "batches.meta", fixture(t, "python2"), `no list "label_names"`},
		"pickle: no names":     {pickled(t), "batches.meta", []byte("x"), "opcode 0x78"},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(c.dir, c.file)
			if c.data == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, path, c.data)
			}
			_, err := datasets.OpenCIFARWith("cifar10", c.dir, datasets.Test, records)
			if err == nil {
				t.Fatal("it is read")
			}
			for _, want := range []string{path, c.want, "hdas data get cifar10 --data-dir"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not have %q", err, want)
				}
			}
			if _, err := datasets.OpenCIFARWith("cifar10", c.dir, datasets.Train, records); err != nil && !strings.Contains(c.file, "meta") {
				t.Errorf("the training images are not read, either: %v", err)
			}
		})
	}
}

func TestCIFAR10IsNoFolderOfFolders(t *testing.T) {
	dir := binary(t)
	path := filepath.Join(dir, "test_batch.bin")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := datasets.OpenCIFARWith("cifar10", dir, datasets.Test, records); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder in a file's place gives %v", err)
	}
	write(t, filepath.Join(dir, "data_batch_1.bin"), nil)
	if err := os.Truncate(filepath.Join(dir, "data_batch_1.bin"), 1<<40); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	if _, err := datasets.OpenCIFARWith("cifar10", dir, datasets.Train, records); err == nil || !strings.Contains(err.Error(), "1099511627776 bytes") {
		t.Errorf("a file of a terabyte gives %v", err)
	}
}

// Published files have 10,000 images each; files of another size are refused.
func TestCIFAR10IsOfItsSize(t *testing.T) {
	for _, dir := range []string{binary(t), pickled(t)} {
		if _, err := datasets.Open("cifar10", dir, datasets.Test); err == nil || !strings.Contains(err.Error(), "holds 8 images, not 10000") {
			t.Errorf("8 images a file give %v", err)
		}
	}
}

// records100 returns a file in CIFAR-100's binary form. Image i has the fine label i and the coarse label 19-i.
func records100() []byte {
	var b bytes.Buffer
	for i := range records {
		b.Write([]byte{byte(19 - i), byte(i)})
		for j := range 3072 {
			b.WriteByte(pixel(i, j))
		}
	}
	return b.Bytes()
}

func TestCIFAR100(t *testing.T) {
	whole := open(t, "cifar100", publish100(t), datasets.Test)
	names := strings.Join(whole.Info().Classes, "\n") + "\n"
	binary, pickled := t.TempDir(), t.TempDir()
	for _, file := range []string{"train", "test"} {
		write(t, filepath.Join(binary, file+".bin"), records100())
		write(t, filepath.Join(pickled, "cifar-100-python", file), fixture(t, "cifar100-numpy1"))
	}
	write(t, filepath.Join(binary, "fine_label_names.txt"), []byte(names))
	write(t, filepath.Join(pickled, "cifar-100-python", "meta"), fixture(t, "cifar100-numpy1.meta"))
	for _, dir := range []string{binary, pickled} {
		for _, split := range []string{datasets.Train, datasets.Test} {
			d, err := datasets.OpenCIFARWith("cifar100", dir, split, records)
			if err != nil {
				t.Fatal(err)
			}
			checkRecords(t, d)
			datasetstest.Run(t, d)
		}
	}
	if info := whole.Info(); len(info.Classes) != 100 || whole.Len() != 10_000 {
		t.Errorf("%d images of %d classes", whole.Len(), len(info.Classes))
	}
	// A folder of CIFAR-100 is not one of CIFAR-10.
	if _, err := datasets.OpenCIFARWith("cifar10", binary, datasets.Test, records); err == nil || !strings.Contains(err.Error(), "cifar10 not found") {
		t.Errorf("CIFAR-100 as CIFAR-10 gives %v", err)
	}
}

// checkRecords checks that a data set has the images of these tests.
func checkRecords(t *testing.T, d datasets.Dataset) {
	t.Helper()
	image := make([]byte, 3072)
	for i := range d.Len() {
		label, err := d.At(i, image)
		if err != nil || label != i%records {
			t.Fatalf("image %d has the label %d (%v)", i, label, err)
		}
		for j, b := range image {
			if b != pixel(i%records, j) {
				t.Fatalf("image %d, byte %d is %d, not %d", i, j, b, pixel(i%records, j))
			}
		}
	}
}

// The published archives are read without unpacking.
func TestCIFARArchives(t *testing.T) {
	files := map[string][]byte{"cifar-10-batches-bin/readme.html": []byte("read me"), "cifar-10-batches-bin/batches.meta.txt": []byte(names)}
	pickles := map[string][]byte{"cifar-10-batches-py/batches.meta": fixture(t, "python2.meta")}
	for _, name := range batches {
		files["cifar-10-batches-bin/"+name+".bin"] = recordsOf()
		pickles["cifar-10-batches-py/"+name] = fixture(t, "python2")
	}
	good := zipped(t, pack(t, files))
	for archive, data := range map[string][]byte{"cifar-10-binary.tar.gz": good, "cifar-10-python.tar.gz": zipped(t, pack(t, pickles))} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, archive), data)
		for split, n := range map[string]int{datasets.Train: 5 * records, datasets.Test: records} {
			d, err := datasets.OpenCIFARWith("cifar10", dir, split, records)
			if err != nil {
				t.Fatal(err)
			}
			if d.Len() != n {
				t.Errorf("%s, %s: %d images, not %d", archive, split, d.Len(), n)
			}
			checkRecords(t, d)
		}
	}
	delete(files, "cifar-10-batches-bin/test_batch.bin")
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 0xff
	for want, data := range map[string][]byte{
		"damaged or cut off": good[:len(good)/2], "is not a gzip archive": []byte("hello"), "test_batch.bin: file does not exist": zipped(t, pack(t, files)), "damaged or cut": bad,
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "cifar-10-binary.tar.gz"), data)
		_, err := datasets.OpenCIFARWith("cifar10", dir, datasets.Test, records)
		for _, w := range []string{want, filepath.Join(dir, "cifar-10-binary.tar.gz"), "hdas data get cifar10"} {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v does not have %q", err, w)
			}
		}
	}
}
