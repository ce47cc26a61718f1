package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A pickle is a program for a stack machine. Before it is run it is read through once and reduced:
// of its opcodes only those pass that a batch of CIFAR can have, lengths are held against what
// is there before anything is made of that length, the pixels are taken out of it, and all texts
// and bytes that stay get one form. What then runs is small, and so is all that it can make, whatever the file holds.
const (
	mostOpcodes      = 1 << 17 // and one more for every 256 bytes: a published batch of 10,000 images has 30,000 in 30 MB, one that Python 3 wrote by protocol 2 up to 90,000
	shortOperand     = 64      // bytes; longer ones are taken out
	opNextBuffer     = 0x97    // "the next value that was taken out"
	opFrame          = 0x95
	opShortBinString = 'U'
	opStop           = '.'
	opGlobal         = 'c'
	opBinUnicode     = 'X'
	opBinUnicode8    = 0x8d
)

// operand is what follows an opcode: so many bytes, or a length in so many bytes and then that
// much.
type operand struct {
	size   int
	length bool
}

// opcodes are those that pass. By their names in Python's pickletools:
var opcodes = map[byte]operand{
	'N': {}, 0x88: {}, 0x89: {}, // NONE NEWTRUE NEWFALSE
	'K': {size: 1}, 'M': {size: 2}, 'J': {size: 4}, // BININT1 BININT2 BININT
	opShortBinString: {1, true}, 'T': {4, true}, // SHORT_BINSTRING BINSTRING
	'C': {1, true}, 'B': {4, true}, 0x8e: {8, true}, 0x96: {8, true}, // SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
	0x8c: {1, true}, opBinUnicode: {4, true}, opBinUnicode8: {8, true}, // SHORT_BINUNICODE BINUNICODE BINUNICODE8
	'(': {}, ')': {}, 't': {}, 0x85: {}, 0x86: {}, 0x87: {}, // MARK EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
	']': {}, 'a': {}, 'e': {}, // EMPTY_LIST APPEND APPENDS
	'}': {}, 's': {}, 'u': {}, // EMPTY_DICT SETITEM SETITEMS
	'q': {size: 1}, 'r': {size: 4}, 0x94: {}, // BINPUT LONG_BINPUT MEMOIZE
	'h': {size: 1}, 'j': {size: 4}, // BINGET LONG_BINGET
	opGlobal: {}, 0x93: {}, 'R': {}, 'b': {}, // GLOBAL STACK_GLOBAL REDUCE BUILD
	0x80: {size: 1}, opFrame: {size: 8}, opStop: {}, // PROTO FRAME STOP
}

// blob is a long operand. It aliases the file's bytes.
type blob struct {
	data []byte
	text bool // UTF-8, not bytes
}

// GoString keeps the pixels out of error texts.
func (b *blob) GoString() string { return fmt.Sprintf("%d bytes", len(b.data)) }

// reduce gives the program without its long operands, and those in their order.
func reduce(data []byte) (program []byte, long []*blob, err error) {
	most := mostOpcodes + len(data)/256
	for at, count := 0, 0; at < len(data); count++ {
		op, start := data[at], at
		form, known := opcodes[op]
		switch {
		case !known:
			return nil, nil, fmt.Errorf("opcode 0x%02x at byte %d has no place in a batch of CIFAR", op, at)
		case count == most:
			return nil, nil, fmt.Errorf("more than %d opcodes", most)
		}
		at++
		if op == opGlobal {
			if at, err = afterGlobal(data, at); err != nil {
				return nil, nil, err
			}
			program = append(program, data[start:at]...)
			continue
		}
		if len(data)-at < form.size {
			return nil, nil, fmt.Errorf("ends at byte %d, within an opcode", len(data))
		}
		size := uint64(0)
		if form.length {
			size = littleEndian(data[at : at+form.size])
		}
		at += form.size
		if size > uint64(len(data)-at) {
			return nil, nil, fmt.Errorf("a value of %d bytes at byte %d, where %d are left", size, start, len(data)-at)
		}
		value := data[at : at+int(size)]
		at += int(size)
		switch {
		case op == opFrame: // says only how much to read at once
		case len(value) > shortOperand:
			long = append(long, &blob{value, op == opBinUnicode || op == opBinUnicode8})
			program = append(program, opNextBuffer)
		case inert(string(value)):
			return nil, nil, refused(string(value))
		case form.length: // text or bytes, it makes no difference here
			program = append(program, opShortBinString, byte(size))
			program = append(program, value...)
		default:
			program = append(program, data[start:at]...)
		}
		if op == opStop {
			return program, long, nil
		}
	}
	return nil, nil, fmt.Errorf("ends at byte %d without a last opcode", len(data))
}

// afterGlobal is where GLOBAL's two lines, module and name, end.
func afterGlobal(data []byte, at int) (int, error) {
	for line := range 2 {
		window := data[at:min(len(data), at+shortOperand)]
		end := bytes.IndexByte(window, '\n')
		if end < 0 {
			return 0, fmt.Errorf("a name at byte %d without an end", at)
		}
		if module := string(window[:end]); line == 0 && inert(module) {
			return 0, refused(module)
		}
		at += end + 1
	}
	return at, nil
}

// inert are the modules of which the unpickler knows names without asking. They do no harm, but
// no batch has them.
func inert(module string) bool {
	return module == "collections" || module == "__builtin__" || module == "copy_reg"
}

func refused(name string) error {
	return fmt.Errorf("it names %.64q, which no batch of CIFAR does", name)
}

func littleEndian(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}
