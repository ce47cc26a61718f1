package datasets

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ImageNet's development kit lists its classes in a MATLAB level 5 file. Such a file consists of
// elements: a type, a length, and that many bytes. A matrix is an element that contains other elements.
// This file reads a list of structs whose fields are texts and numbers.
const (
	matHeader     = 128 // bytes of text before the elements
	matMost       = 64 << 20
	matCompressed = 15
	matMatrix     = 14
	classStruct   = 2
	classChar     = 4
	classDouble   = 6
	classUint64   = 15
)

// element is an element of a MATLAB file.
type element struct {
	kind uint32
	data []byte
}

// nextElement returns the first element of b and the bytes after it.
func nextElement(b []byte, order binary.ByteOrder) (e element, rest []byte, err error) {
	if len(b) < 8 {
		return e, nil, io.ErrUnexpectedEOF
	}
	kind := order.Uint32(b)
	if size := kind >> 16; size != 0 { // a small element: eight bytes in all
		if size > 4 {
			return e, nil, fmt.Errorf("a small element of %d bytes", size)
		}
		return element{kind & 0xffff, b[4 : 4+size]}, b[8:], nil
	}
	size := uint64(order.Uint32(b[4:]))
	if size > uint64(len(b)-8) {
		return e, nil, fmt.Errorf("an element of %d bytes, but only %d are left", size, len(b)-8)
	}
	e, rest = element{kind, b[8 : 8+size]}, b[8+size:]
	if padding := (8 - size%8) % 8; kind != matCompressed && padding <= uint64(len(rest)) {
		rest = rest[padding:]
	}
	return e, rest, nil
}

// matrix holds an array's class and its elements after the name.
type matrix struct {
	class uint32
	count int
	rest  []byte
}

func readMatrix(e element, order binary.ByteOrder) (m matrix, name string, err error) {
	if e.kind != matMatrix {
		return m, "", fmt.Errorf("an element of type %d, not a matrix", e.kind)
	}
	flags, rest, err := nextElement(e.data, order)
	if err != nil || len(flags.data) < 8 {
		return m, "", errors.Join(errors.New("a matrix without flags"), err)
	}
	dims, rest, err := nextElement(rest, order)
	if err != nil {
		return m, "", err
	}
	m.class, m.count = order.Uint32(flags.data)&0xff, 1
	for d := dims.data; len(d) >= 4; d = d[4:] {
		n := int(order.Uint32(d))
		if n > matMost || m.count*n > matMost {
			return m, "", fmt.Errorf("a matrix of more than %d values", matMost)
		}
		m.count *= n
	}
	label, rest, err := nextElement(rest, order)
	m.rest = rest
	return m, string(label.data), err
}

// value returns the text of a matrix of characters, or the first number of a numeric matrix.
func (m matrix) value(order binary.ByteOrder) (text string, number int, err error) {
	if m.count == 0 {
		return "", 0, nil
	}
	e, _, err := nextElement(m.rest, order)
	if err != nil {
		return "", 0, err
	}
	width := map[uint32]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2}[e.kind]
	if width == 0 || len(e.data) < width {
		return "", 0, nil // another type, which names and numbers do not have
	}
	if m.class == classChar {
		var runes []rune
		for b := e.data; len(b) >= width; b = b[width:] {
			if width == 2 {
				runes = append(runes, rune(order.Uint16(b)))
			} else {
				runes = append(runes, rune(b[0]))
			}
		}
		return string(runes), 0, nil
	}
	if m.class < classDouble || m.class > classUint64 {
		return "", 0, nil
	}
	switch b := e.data; {
	case e.kind == 9:
		f := math.Float64frombits(order.Uint64(b))
		if f != math.Trunc(f) || math.Abs(f) > 1<<31 {
			return "", 0, nil
		}
		number = int(f)
	case width == 1:
		number = int(b[0])
	case width == 2:
		number = int(order.Uint16(b))
	case width == 4:
		number = int(order.Uint32(b))
	}
	return "", number, nil
}

// readSynsets returns the names (WNID) of the classes without children, by their numbers
// (ILSVRC2012_ID).
func readSynsets(file []byte) (map[int]string, error) {
	if len(file) < matHeader || !bytes.HasPrefix(file, []byte("MATLAB 5.0")) {
		return nil, errors.New("not a file of MATLAB, level 5")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(file[126:128]) == "MI" {
		order = binary.BigEndian
	}
	for rest := file[matHeader:]; len(rest) > 0; {
		e, after, err := nextElement(rest, order)
		if err != nil {
			return nil, err
		}
		if rest = after; e.kind == matCompressed {
			z, err := zlib.NewReader(bytes.NewReader(e.data))
			if err != nil {
				return nil, err
			}
			inner, err := io.ReadAll(io.LimitReader(z, matMost))
			if err != nil {
				return nil, err
			}
			if e, _, err = nextElement(inner, order); err != nil {
				return nil, err
			}
		}
		if m, name, err := readMatrix(e, order); err == nil && name == "synsets" {
			return m.synsets(order)
		}
	}
	return nil, errors.New(`no matrix "synsets"`)
}

func (m matrix) synsets(order binary.ByteOrder) (map[int]string, error) {
	if m.class != classStruct {
		return nil, errors.New(`"synsets" is not a list of structs`)
	}
	length, rest, err := nextElement(m.rest, order)
	if err != nil || len(length.data) < 4 {
		return nil, errors.Join(errors.New("fields without names"), err)
	}
	names, rest, err := nextElement(rest, order)
	size := int(order.Uint32(length.data))
	if err != nil || size < 1 || size > len(names.data) {
		return nil, errors.Join(errors.New("fields without names"), err)
	}
	var fields []string
	for b := names.data; len(b) >= size; b = b[size:] {
		name, _, _ := bytes.Cut(b[:size], []byte{0})
		fields = append(fields, string(name))
	}
	found := map[int]string{}
	for i := range m.count {
		texts, numbers := map[string]string{}, map[string]int{}
		for _, field := range fields {
			var e element
			if e, rest, err = nextElement(rest, order); err != nil {
				return nil, fmt.Errorf("struct %d: %w", i, err)
			}
			v, _, err := readMatrix(e, order)
			if err == nil {
				texts[field], numbers[field], err = v.value(order)
			}
			if err != nil {
				return nil, fmt.Errorf("struct %d, %s: %w", i, field, err)
			}
		}
		if wnid := texts["WNID"]; wnid != "" && numbers["num_children"] == 0 {
			found[numbers["ILSVRC2012_ID"]] = wnid
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no class has a WNID")
	}
	return found, nil
}
