package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// A pickle is a program for a stack machine. Before it is run, it is read once and reduced to a small,
// safe program: only opcodes that its kind of pickle needs are allowed, lengths are compared with the
// available bytes before memory is allocated, long texts and byte strings are taken out, and the remaining
// ones get one form. This bounds the memory that running the program can take.
const (
	// Short is the largest length in bytes of a text that remains in the program.
	Short = 64

	mostMarks        = 100  // largest number of nested marks; each takes 300 bytes in the unpickler
	opNextBuffer     = 0x97 // pushes the next value that was taken out
	opFrame          = 0x95
	opShortBinString = 'U'
	opStop           = '.'
	opGlobal         = 'c'
	opMark           = '('
	opTuple          = 't'
	opAppends        = 'e'
	opSetItems       = 'u'
	opBinUnicode     = 'X'
	opBinUnicode8    = 0x8d
	opLong1          = 0x8a
	opAddItems       = 0x90
	opFrozenSet      = 0x91
)

// operand describes the operand of an opcode: size bytes, or, if length is true, a length of size bytes
// followed by that many bytes.
type operand struct {
	size   int
	length bool
}

// plain holds the opcodes that are always allowed. The comments give their names in Python's pickletools.
var plain = map[byte]operand{
	'N': {}, 0x88: {}, 0x89: {}, // NONE NEWTRUE NEWFALSE
	'K': {size: 1}, 'M': {size: 2}, 'J': {size: 4}, // BININT1 BININT2 BININT
	opShortBinString: {1, true}, 'T': {4, true}, // SHORT_BINSTRING BINSTRING
	'C': {1, true}, 'B': {4, true}, 0x8e: {8, true}, 0x96: {8, true}, // SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
	0x8c: {1, true}, opBinUnicode: {4, true}, opBinUnicode8: {8, true}, // SHORT_BINUNICODE BINUNICODE BINUNICODE8
	opMark: {}, ')': {}, opTuple: {}, 0x85: {}, 0x86: {}, 0x87: {}, // MARK EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
	']': {}, 'a': {}, opAppends: {}, // EMPTY_LIST APPEND APPENDS
	'}': {}, 's': {}, opSetItems: {}, // EMPTY_DICT SETITEM SETITEMS
	'q': {size: 1}, 'r': {size: 4}, 0x94: {}, // BINPUT LONG_BINPUT MEMOIZE
	'h': {size: 1}, 'j': {size: 4}, // BINGET LONG_BINGET
	opGlobal: {}, 0x93: {}, 'R': {}, 'b': {}, // GLOBAL STACK_GLOBAL REDUCE BUILD
	0x80: {size: 1}, opFrame: {size: 8}, opStop: {}, // PROTO FRAME STOP
}

// objects holds the opcodes that are allowed if Reader.Objects is true.
var objects = map[byte]operand{
	'Q': {}, 0x81: {}, 'G': {size: 8}, opLong1: {1, true}, // BINPERSID NEWOBJ BINFLOAT LONG1
	0x8f: {}, opAddItems: {}, opFrozenSet: {}, // EMPTY_SET ADDITEMS FROZENSET
}

// others holds the opcodes of Python that no Reader allows. All remaining bytes are not opcodes.
const others = "012FILPSVdgilop\x82\x83\x84\x8b\x92\x97\x98"

// foreign reports whether op is an opcode of Python that a Reader does not allow.
func foreign(op byte) bool {
	_, object := objects[op]
	return object || strings.IndexByte(others, op) >= 0
}

// disguise is added before the module of every name. The unpickler has implementations of some names of its
// own; with the prefix, it calls FindClass for all of them.
const disguise = "~"

// reduce returns the program without its long operands, these operands in order, and the number of bytes of
// the pickle in data.
func (r Reader) reduce(data []byte) (program []byte, long []*Blob, size int, err error) {
	marks := 0
	for at, count := 0, 0; at < len(data); count++ {
		op, start := data[at], at
		form, known := plain[op]
		if !known && r.Objects {
			form, known = objects[op]
		}
		switch {
		case !known && foreign(op):
			return nil, nil, 0, unsupported(fmt.Sprintf("opcode 0x%02x at byte %d has no place in %s", op, at, r.What))
		case !known:
			return nil, nil, 0, fmt.Errorf("opcode 0x%02x at byte %d is not allowed in %s", op, at, r.What)
		case count == r.Most:
			return nil, nil, 0, fmt.Errorf("more than %d opcodes", r.Most)
		case op == opMark && marks == mostMarks:
			return nil, nil, 0, fmt.Errorf("more than %d nested values", mostMarks)
		case op == opMark:
			marks++
		case op == opTuple || op == opAppends || op == opSetItems || op == opAddItems || op == opFrozenSet:
			marks = max(0, marks-1)
		}
		at++
		if op == opGlobal {
			if at, err = afterGlobal(data, at); err != nil {
				return nil, nil, 0, err
			}
			program = append(append(append(program, op), disguise...), data[start+1:at]...)
			continue
		}
		if len(data)-at < form.size {
			return nil, nil, 0, fmt.Errorf("ends at byte %d, within an opcode", len(data))
		}
		size := uint64(0)
		if form.length {
			size = littleEndian(data[at : at+form.size])
		}
		at += form.size
		if size > uint64(len(data)-at) {
			return nil, nil, 0, fmt.Errorf("a value of %d bytes at byte %d, but only %d are left", size, start, len(data)-at)
		}
		value := data[at : at+int(size)]
		at += int(size)
		switch {
		case op == opFrame: // only a hint for buffering
		case len(value) > Short:
			long = append(long, &Blob{value, op == opBinUnicode || op == opBinUnicode8 || op == 0x8c})
			program = append(program, opNextBuffer)
		case knownUnasked(string(value)):
			program = append(program, opShortBinString, byte(len(disguise)+len(value)))
			program = append(append(program, disguise...), value...)
		case form.length && op != opLong1: // a text or a byte string
			program = append(program, opShortBinString, byte(size))
			program = append(program, value...)
		default:
			program = append(program, data[start:at]...)
		}
		if op == opStop {
			return program, long, at, nil
		}
	}
	return nil, nil, 0, fmt.Errorf("ends at byte %d without a last opcode", len(data))
}

// afterGlobal returns the position after the two lines, module and name, of the opcode GLOBAL.
func afterGlobal(data []byte, at int) (int, error) {
	for range 2 {
		window := data[at:min(len(data), at+Short)]
		end := bytes.IndexByte(window, '\n')
		if end < 0 {
			return 0, fmt.Errorf("the name at byte %d has no end", at)
		}
		at += end + 1
	}
	return at, nil
}

// knownUnasked reports whether text is a module for whose names the unpickler does not call FindClass. Such
// a text may be the module of a STACK_GLOBAL, so it gets the prefix disguise.
func knownUnasked(text string) bool {
	return text == "collections" || text == "__builtin__" || text == "copy_reg"
}

func littleEndian(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}
