package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// A pickle is a program for a stack machine. Before it is run it is read through once and reduced:
// of its opcodes only those pass that its kind can have, lengths are held against what is there
// before anything is made of that length, long texts and bytes are taken out of it, and all that
// stay get one form. What then runs is small, and so is all that it can make, whatever the data holds.
const (
	// Short is the most bytes of a text that stays in the program.
	Short = 64

	mostMarks        = 100  // open at once; each costs the unpickler 300 bytes
	opNextBuffer     = 0x97 // "the next value that was taken out"
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

// operand is what follows an opcode: so many bytes, or a length in so many bytes and then that
// much.
type operand struct {
	size   int
	length bool
}

// plain are the opcodes that always pass. By their names in Python's pickletools:
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

// objects are the opcodes that pass where Reader.Objects says so.
var objects = map[byte]operand{
	'Q': {}, 0x81: {}, 'G': {size: 8}, opLong1: {1, true}, // BINPERSID NEWOBJ BINFLOAT LONG1
	0x8f: {}, opAddItems: {}, opFrozenSet: {}, // EMPTY_SET ADDITEMS FROZENSET
}

// others are the opcodes of Python that pass nowhere; any other byte is none.
const others = "012FILPSVdgilop\x82\x83\x84\x8b\x92\x97\x98"

// foreign reports whether Python has an opcode that no reader, or not this one, lets pass.
func foreign(op byte) bool {
	_, object := objects[op]
	return object || strings.IndexByte(others, op) >= 0
}

// disguise stands before the module of every name, so that the unpickler, which knows some
// without asking, asks for all.
const disguise = "~"

// reduce gives the program without its long operands, those in their order, and how many bytes of
// data the pickle has.
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
			return nil, nil, 0, fmt.Errorf("opcode 0x%02x at byte %d has no place in %s", op, at, r.What)
		case count == r.Most:
			return nil, nil, 0, fmt.Errorf("more than %d opcodes", r.Most)
		case op == opMark && marks == mostMarks:
			return nil, nil, 0, fmt.Errorf("more than %d values in each other", mostMarks)
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
			return nil, nil, 0, fmt.Errorf("a value of %d bytes at byte %d, where %d are left", size, start, len(data)-at)
		}
		value := data[at : at+int(size)]
		at += int(size)
		switch {
		case op == opFrame: // says only how much to read at once
		case len(value) > Short:
			long = append(long, &Blob{value, op == opBinUnicode || op == opBinUnicode8 || op == 0x8c})
			program = append(program, opNextBuffer)
		case knownUnasked(string(value)):
			program = append(program, opShortBinString, byte(len(disguise)+len(value)))
			program = append(append(program, disguise...), value...)
		case form.length && op != opLong1: // text or bytes, it makes no difference here
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

// afterGlobal is where GLOBAL's two lines, module and name, end.
func afterGlobal(data []byte, at int) (int, error) {
	for range 2 {
		window := data[at:min(len(data), at+Short)]
		end := bytes.IndexByte(window, '\n')
		if end < 0 {
			return 0, fmt.Errorf("a name at byte %d without an end", at)
		}
		at += end + 1
	}
	return at, nil
}

// knownUnasked are the modules of which the unpickler knows names without asking. A text that is
// one is taken for the module of a STACK_GLOBAL.
func knownUnasked(text string) bool {
	return text == "collections" || text == "__builtin__" || text == "copy_reg"
}

func littleEndian(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}
