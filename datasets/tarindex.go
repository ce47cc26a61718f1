package datasets

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"hdas/internal/filekind"
	"hdas/internal/imagefile"
)

// A tar archive is read without unpacking it. An index, built once and saved next to the archive, holds
// the offset of each image.

// tarIndex is the index of an archive's images. It takes about 40 bytes of memory for each image.
type tarIndex struct {
	list
	classes []string
	offsets []int64
	sizes   []uint32
	file    *os.File // the archive; stays open until the process ends
}

// indexSuffix is added to the archive's name for the file of its index.
const (
	indexSuffix = ".hdas-index"
	indexMagic  = "hdas tar index 1\n"
)

// savedIndex is the form of the index in its file. Size and Time are those of the archive, to detect that
// it was replaced.
type savedIndex struct {
	Size, Time int64
	Classes    []string
	Names      []byte
	Ends       []uint32
	Labels     []uint16
	Offsets    []int64
	Sizes      []uint32
}

// indexLargest is the largest size of a saved index in bytes. That of ImageNet has 50 MB.
const indexLargest = 1 << 30

// openTar opens an archive of images, or of archives of images. label returns the class of an image,
// which must be one of classes, a sorted list. If classes is nil, all classes that label returns are
// used.
func openTar(file string, classes []string, label func(archive, name string) (string, error)) (*tarIndex, error) {
	f, _, err := filekind.Open(file, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if saved, err := filekind.Read(file+indexSuffix, indexLargest); err == nil {
		if x, err := decodeIndex(saved, info.Size(), info.ModTime().UnixNano()); err == nil {
			x.file = f
			return x, nil
		} // outdated or damaged: the index is built again
	}
	x := &tarIndex{file: f, classes: classes}
	if err := x.build(f, info.Size(), label); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	saved, err := x.encode(info.Size(), info.ModTime().UnixNano())
	if err != nil {
		f.Close()
		return nil, err
	}
	writeWhole(file+indexSuffix, saved) // if this fails, the index is built again next time
	return x, nil
}

// writeWhole writes a file under a temporary name and then renames it, so that a file of this name is
// always complete.
func writeWhole(name string, data []byte) error {
	part := fmt.Sprintf("%s.%d", name, os.Getpid())
	err := os.WriteFile(part, data, 0o644)
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		os.Remove(part)
	}
	return err
}

// build makes the index by reading the headers in the archive.
func (x *tarIndex) build(f io.ReaderAt, size int64, label func(archive, name string) (string, error)) error {
	labels := map[string]int{}
	var synsets []string
	err := walkTar(f, 0, size, "", func(archive, name string, offset, size int64) error {
		class, err := label(archive, name)
		if err != nil {
			return err
		}
		if size > imagefile.MostFile {
			return fmt.Errorf("%s has %d bytes, where %d are allowed", name, size, imagefile.MostFile)
		}
		n, known := labels[class]
		if !known {
			n = len(synsets)
			labels[class] = n
			synsets = append(synsets, class)
		}
		if !x.add(path.Base(name), n) {
			return errors.New("too many images or classes")
		}
		x.offsets, x.sizes = append(x.offsets, offset), append(x.sizes, uint32(size))
		return nil
	})
	if err != nil {
		return err
	}
	if x.len() == 0 {
		return errors.New("it contains no images")
	}
	// Labels number the classes sorted by name, not in the order of the archive.
	if x.classes == nil {
		x.classes = slices.Sorted(slices.Values(synsets))
	}
	for i, n := range x.labels {
		at, known := slices.BinarySearch(x.classes, synsets[n])
		if !known {
			return fmt.Errorf("%s has the class %q, which is unknown", x.name(i), synsets[n])
		}
		x.labels[i] = uint16(at)
	}
	x.compact()
	x.offsets, x.sizes = slices.Clone(x.offsets), slices.Clone(x.sizes)
	return nil
}

// walkTar calls visit for each image in the archive that begins at offset in f, and in archives inside
// it.
func walkTar(f io.ReaderAt, offset, size int64, archive string, visit func(archive, name string, offset, size int64) error) error {
	section := io.NewSectionReader(f, offset, size)
	for entries := tar.NewReader(section); ; {
		head, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("damaged or cut off: %w", err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		at, err := section.Seek(0, io.SeekCurrent) // the position of the content: tar.Reader has read no further than the header
		if err != nil {
			return err
		}
		if head.Size > size-at {
			return fmt.Errorf("cut off: %s has %d bytes, but only %d are left", head.Name, head.Size, size-at)
		}
		switch ext := strings.ToLower(path.Ext(head.Name)); {
		case ext == ".tar" && archive == "":
			err = walkTar(f, offset+at, head.Size, head.Name, visit)
		case slices.Contains(imagefile.Extensions, ext):
			err = visit(archive, head.Name, offset+at, head.Size)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", head.Name, err)
		}
	}
}

// read reads the file of image i.
func (x *tarIndex) read(i int, buf []byte) ([]byte, string, error) {
	name := x.file.Name() + ":" + x.name(i)
	buf = slices.Grow(buf[:0], int(x.sizes[i]))[:x.sizes[i]]
	if _, err := x.file.ReadAt(buf, x.offsets[i]); err != nil {
		return buf, name, fmt.Errorf("%s: %w", name, err)
	}
	return buf, name, nil
}

func (x *tarIndex) encode(size, time int64) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(savedIndex{size, time, x.classes, x.names, x.ends, x.labels, x.offsets, x.sizes})
	sum := sha256.Sum256(b.Bytes())
	return slices.Concat([]byte(indexMagic), sum[:], b.Bytes()), err
}

// decodeIndex reads the index of an archive of that size and time. It returns an error if the index does
// not fit the archive.
func decodeIndex(data []byte, size, time int64) (*tarIndex, error) {
	data, ok := bytes.CutPrefix(data, []byte(indexMagic))
	if !ok || len(data) < sha256.Size {
		return nil, errors.New("not an index")
	}
	if sum := sha256.Sum256(data[sha256.Size:]); !bytes.Equal(sum[:], data[:sha256.Size]) {
		return nil, errors.New("a damaged index")
	}
	data = data[sha256.Size:]
	var s savedIndex
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&s); err != nil {
		return nil, err
	}
	n := len(s.Labels)
	if s.Size != size || s.Time != time {
		return nil, errors.New("the index of another archive")
	}
	if n == 0 || len(s.Ends) != n || len(s.Offsets) != n || len(s.Sizes) != n || !slices.IsSorted(s.Ends) || int(s.Ends[n-1]) != len(s.Names) {
		return nil, errors.New("lists of different lengths")
	}
	for i := range n {
		if int(s.Labels[i]) >= len(s.Classes) || s.Offsets[i] < 0 || s.Offsets[i] > size-int64(s.Sizes[i]) {
			return nil, fmt.Errorf("image %d is outside the archive", i)
		}
	}
	return &tarIndex{list{s.Names, s.Ends, s.Labels}, s.Classes, s.Offsets, s.Sizes, nil}, nil
}
