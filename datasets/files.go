package datasets

import (
	"io"
	"math"
	"os"
	"slices"

	"hdas/internal/filekind"
	"hdas/internal/imagefile"
)

// list holds the names and labels of many files in little memory: all names are in one slice, without a
// pointer and a header for each.
type list struct {
	names  []byte
	ends   []uint32 // where each name ends
	labels []uint16
}

func (l *list) len() int { return len(l.labels) }

func (l *list) name(i int) string {
	from := uint32(0)
	if i > 0 {
		from = l.ends[i-1]
	}
	return string(l.names[from:l.ends[i]])
}

// add appends a file. It returns false if the list is full.
func (l *list) add(name string, label int) bool {
	if len(l.names)+len(name) > math.MaxUint32 || label > math.MaxUint16 {
		return false
	}
	l.names = append(l.names, name...)
	l.ends = append(l.ends, uint32(len(l.names)))
	l.labels = append(l.labels, uint16(label))
	return true
}

// compact frees the spare capacity of the slices.
func (l *list) compact() {
	l.names, l.ends, l.labels = slices.Clone(l.names), slices.Clone(l.ends), slices.Clone(l.labels)
}

// fileset is a data set of image files.
type fileset struct {
	info Info
	view View
	list *list
	// read reads file i into buf and returns a name by which the user can find the file.
	read func(i int, buf []byte) (file []byte, name string, err error)
	// size returns the bytes of file i, -1 where it cannot be read.
	size func(i int) int64
}

// newFileset returns a data set of the files in l. Mean and standard deviation are those of ImageNet.
func newFileset(s Spec, classes []string, origin string, l *list, read func(i int, buf []byte) ([]byte, string, error)) *fileset {
	v := s.View()
	return &fileset{Info{Name: s.Name, Classes: classes, Channels: 3, Height: v.Size, Width: v.Size,
		Mean: imagenetInfo.Mean, Std: imagenetInfo.Std, Origin: origin}, v, l, read, func(int) int64 { return -1 }}
}

func (d *fileset) Info() Info { return d.info }
func (d *fileset) View() View { return d.view }
func (d *fileset) Len() int   { return d.list.len() }

func (d *fileset) File(i int, buf []byte) (file []byte, name string, label int, err error) {
	file, name, err = d.read(i, buf)
	return file, name, int(d.list.labels[i]), err
}

func (d *fileset) Entry(i int) (path string, label int) {
	label = int(d.list.labels[i])
	return d.info.Classes[label] + "/" + d.list.name(i), label
}

func (d *fileset) FileSize(i int) int64 { return d.size(i) }

func (d *fileset) At(i int, dst []byte) (int, error) { return viewAt(d, i, dst) }

// readInto reads a file into buf, or into a new slice if buf is too short, and returns the content.
func readInto(path string, buf []byte) ([]byte, error) {
	f, size, err := filekind.Open(path, imagefile.MostFile)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	buf = slices.Grow(buf[:0], int(size))[:size]
	if _, err := io.ReadFull(f, buf); err != nil {
		return buf, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return buf, nil
}
