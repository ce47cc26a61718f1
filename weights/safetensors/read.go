package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"hdas/internal/filekind"
	"hdas/internal/proc"
	"hdas/torch/dtype"
)

const (
	// mostTexts is the largest number of metadata entries.
	mostTexts = 1 << 12
	// mostFile is the largest size of a file in bytes; files are read into memory completely.
	mostFile = 1 << 35
	// mostDims is the largest number of dimensions of a tensor.
	mostDims = 16
	// mostSize is the largest size of a dimension; the product of two such sizes fits into an int64.
	mostSize = 1 << 31
)

// largestHeader returns the largest allowed header, in bytes, for a file of that size. Reading a header
// takes up to ten times its size in memory. A network's header has about 110 bytes for each tensor.
func largestHeader(file int64) int64 { return 4<<20 + file/4 }

// Read reads a file into memory. The returned tensors share that memory. The error says what is wrong
// with the file.
func Read(path string) (File, error) {
	f, size, err := open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	// The header is judged before the rest is read: a file may be large and empty.
	if _, err := checkHeader(f, size); err != nil {
		return File{}, fmt.Errorf("%s is not a whole safetensors file: %w", path, err)
	}
	data, err := content(f, size)
	if err != nil {
		return File{}, err
	}
	file, err := Parse(data)
	if err != nil {
		return File{}, fmt.Errorf("%s is not a whole safetensors file: %w", path, err)
	}
	return file, nil
}

// ReadTexts returns the texts of a file. It reads and checks the header alone.
func ReadTexts(path string) (map[string]string, error) {
	f, size, err := filekind.Open(path, mostFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	texts, err := checkHeader(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s is not a whole safetensors file: %w", path, err)
	}
	return texts, nil
}

// ReadFile returns the content of a file of any format. It returns an error for a folder, a pipe or a
// device.
func ReadFile(path string) ([]byte, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return content(f, size)
}

// open opens a file that fits into the free memory.
func open(path string) (f *os.File, size int64, err error) {
	if f, size, err = filekind.Open(path, mostFile); err != nil {
		return nil, 0, err
	}
	if free := proc.Free(); free > 0 && size > free {
		f.Close()
		return nil, 0, fmt.Errorf("%s has %d bytes, and %d bytes of memory are free", path, size, free)
	}
	return f, size, nil
}

// content reads a whole file.
func content(f *os.File, size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, &os.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return data, nil
}

// checkHeader returns the texts of a file, or an error if its header does not describe all of its bytes.
func checkHeader(f *os.File, size int64) (map[string]string, error) {
	var length [8]byte
	if _, err := f.ReadAt(length[:], 0); err != nil {
		return nil, errNoHeader
	}
	n, err := headerSize(length[:], size)
	if err != nil {
		return nil, err
	}
	header := make([]byte, n)
	if _, err := f.ReadAt(header, 8); err != nil {
		return nil, err
	}
	_, texts, err := layout(header, size-8-n)
	return texts, err
}

var errNoHeader = errors.New("it has no header")

// headerSize returns the size of the header of a file of that size, from the first eight bytes.
func headerSize(head []byte, size int64) (int64, error) {
	n := binary.LittleEndian.Uint64(head)
	if n > uint64(size-8) || n > uint64(largestHeader(size)) {
		return 0, fmt.Errorf("a header of %d bytes is too large for a file of %d bytes", n, size)
	}
	return int64(n), nil
}

// layout returns the tensors that a header describes, in the order of their elements, which are rest bytes.
func layout(header []byte, rest int64) (tensors []entry, texts map[string]string, err error) {
	if tensors, texts, err = parseHeader(header); err != nil {
		return nil, nil, fmt.Errorf("its header: %w", err)
	}
	slices.SortFunc(tensors, func(a, b entry) int { return slices.Compare(a.Offsets, b.Offsets) })
	end := int64(0) // the end of the tensors so far
	for _, e := range tensors {
		size := e.size()
		if e.Offsets[0] != end || e.Offsets[1]-end != size || e.Offsets[1] > rest {
			return nil, nil, fmt.Errorf("tensor %.100q must have %d bytes from offset %d on, but data_offsets are %v of %d bytes", e.name, size, end, e.Offsets, rest)
		}
		end += size
	}
	if end != rest {
		return nil, nil, fmt.Errorf("its header describes %d of %d bytes", end, rest)
	}
	return tensors, texts, nil
}

// Parse reads the content of a safetensors file. The returned tensors share the memory of data. It
// returns an error if the header does not describe every byte of the content exactly once.
func Parse(data []byte) (File, error) {
	if len(data) < 8 {
		return File{}, errNoHeader
	}
	n, err := headerSize(data, int64(len(data)))
	if err != nil {
		return File{}, err
	}
	header, rest := data[8:8+n], data[8+n:]
	tensors, texts, err := layout(header, int64(len(rest)))
	if err != nil {
		return File{}, err
	}
	f := File{Tensors: make([]Tensor, len(tensors)), Texts: texts}
	for i, e := range tensors {
		elements := rest[e.Offsets[0]:e.Offsets[1]:e.Offsets[1]]
		f.Tensors[i] = Tensor{e.name, e.dtype, e.Shape, func() []byte { return elements }}
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	for i := range len(f.Tensors) - 1 {
		if name := f.Tensors[i].Name; name == f.Tensors[i+1].Name {
			return File{}, fmt.Errorf("two tensors are named %.100q", name)
		}
	}
	return f, nil
}

// size returns the number of bytes of the elements, or -1 if it does not fit into an int64.
func (e entry) size() int64 {
	n := e.dtype.Size()
	for _, d := range e.Shape {
		if d > 0 && n > (1<<62)/d {
			return -1
		}
		n *= d
	}
	return n
}

// numbers is a list of at most mostDims integers.
type numbers []int64

// UnmarshalJSON reads a list. It counts the numbers before it allocates memory for them.
func (n *numbers) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '[' {
		return fmt.Errorf("%.100q is not a list of numbers", text)
	}
	*n = numbers{}
	text = bytes.TrimSpace(text[1 : len(text)-1])
	if len(text) == 0 {
		return nil
	}
	count := bytes.Count(text, []byte(",")) + 1
	if count > mostDims {
		return fmt.Errorf("a list of %d numbers; at most %d are allowed", count, mostDims)
	}
	*n = make(numbers, 0, count)
	for part := range bytes.SplitSeq(text, []byte(",")) {
		v, err := strconv.ParseUint(string(bytes.TrimSpace(part)), 10, 63)
		if err != nil {
			return err
		}
		*n = append(*n, int64(v))
	}
	return nil
}

// parseHeader reads a header: a JSON object with an entry for each tensor and one for the metadata. It
// allocates memory once, for the largest number of entries that the header can hold.
func parseHeader(header []byte) (tensors []entry, texts map[string]string, err error) {
	d := json.NewDecoder(bytes.NewReader(header))
	d.DisallowUnknownFields()
	tensors = make([]entry, 0, bytes.Count(header, []byte(`"data_offsets"`)))
	err = object(d, func(name string) error {
		if name == textsKey && texts == nil {
			texts = map[string]string{}
			return object(d, func(key string) error {
				if len(texts) == mostTexts {
					return fmt.Errorf("%q has more than %d entries", textsKey, mostTexts)
				}
				value, err := d.Token()
				text, ok := value.(string)
				if !ok {
					return errors.Join(fmt.Errorf("%.100q is not a text", key), err)
				}
				texts[key] = text
				return nil
			})
		}
		e := entry{name: name}
		begin := d.InputOffset()
		err := d.Decode(&e)
		if err == nil {
			err = e.check(header[begin:d.InputOffset()])
		}
		if err != nil {
			return fmt.Errorf("%.100q: %w", name, err)
		}
		tensors = append(tensors, e)
		return nil
	})
	if _, end := d.Token(); err == nil && end != io.EOF {
		err = errors.New("something follows its object")
	}
	return tensors, texts, err
}

// object reads a JSON object. It calls value for each key, which must read the value of that key.
func object(d *json.Decoder, value func(key string) error) error {
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return errors.Join(errors.New("a JSON object is missing"), err)
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// keys lists the keys of an entry. check compares them itself, because package json ignores their case
// and accepts repeated ones.
var keys = [][]byte{[]byte(`"dtype"`), []byte(`"shape"`), []byte(`"data_offsets"`)}

// check sets the element type of an entry. It returns an error if a key is missing, unknown or repeated,
// or a value is invalid. text is the entry in the header, with the colon before it.
func (e *entry) check(text []byte) error {
	known := false
	if e.dtype, known = dtype.FromSafetensors(e.DType); !known {
		return fmt.Errorf("elements of type %.20q are not supported", e.DType)
	}
	for _, key := range keys {
		if bytes.Count(text, key) != 1 || bytes.Count(text, []byte(":")) != 1+len(keys) {
			return fmt.Errorf("an entry must have the keys %s, each once", bytes.Join(keys, []byte(", ")))
		}
	}
	if len(e.Offsets) != 2 {
		return fmt.Errorf("data_offsets must be two numbers, not %d", len(e.Offsets))
	}
	return checkShape(e.Shape)
}

// checkShape returns an error if a shape has too many dimensions, or one that is negative or too large.
func checkShape(shape []int64) error {
	if len(shape) > mostDims {
		return fmt.Errorf("%d dimensions; at most %d are allowed", len(shape), mostDims)
	}
	for _, d := range shape {
		if d < 0 || d > mostSize {
			return fmt.Errorf("a dimension has the size %d", d)
		}
	}
	return nil
}
