package weights

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// alignment is the alignment of the elements of every storage in a file, in bytes.
const alignment = 64

// WriteTorch writes a state dict as torch.save does: an OrderedDict of tensors in a zip archive.
// torch.load can read it, also with weights_only=True. folder is the name of the archive's only folder.
func WriteTorch(w io.Writer, folder string, entries []Entry) error {
	program, err := stateDict(entries)
	if err != nil {
		return err
	}
	a := &archiver{out: &counter{w: w}, folder: folder}
	a.zip = zip.NewWriter(a.out)
	a.add(zipPickle, program)
	a.add(zipByteOrder, []byte("little"))
	for i, e := range entries {
		a.add(fmt.Sprint(zipStorages, i), e.Bytes())
	}
	a.add(zipVersion, []byte("3\n"))
	if a.err == nil {
		a.err = a.zip.Close()
	}
	return a.err
}

// archiver writes the members of an archive. After an error it writes nothing more; the error is kept.
type archiver struct {
	out    *counter
	zip    *zip.Writer
	folder string
	err    error
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// add writes a member whose content begins at a multiple of alignment. An extra field, of the kind that
// PyTorch uses, fills the space before it.
func (a *archiver) add(name string, content []byte) {
	if a.err == nil {
		a.err = a.zip.Flush()
	}
	if a.err != nil {
		return
	}
	const header, extra = 30, 4
	h := &zip.FileHeader{Name: a.folder + "/" + name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content))}
	fill := -(a.out.n + header + extra + int64(len(h.Name))) & (alignment - 1)
	h.Extra = append(h.Extra, 'F', 'B', byte(fill), 0)
	h.Extra = append(h.Extra, slices.Repeat([]byte{'Z'}, int(fill))...)
	w, err := a.zip.CreateRaw(h)
	if err == nil {
		_, err = w.Write(content)
	}
	a.err = err
}

// pickler writes a pickle of protocol 2. Repeated values are written once and then read from the memo.
type pickler struct {
	out  []byte
	memo map[string]int
}

// stateDict returns the pickle of an OrderedDict of tensors. Tensor i has the storage with key "i".
func stateDict(entries []Entry) ([]byte, error) {
	p := pickler{out: []byte{0x80, 2}, memo: map[string]int{}}
	p.global("collections\nOrderedDict\n")
	p.op(")R(")
	for i, e := range entries {
		if !e.DType.Known() {
			return nil, fmt.Errorf("tensor %q: PyTorch has no elements of %v", e.Name, e.DType)
		}
		count := int64(1)
		strides := make([]int64, len(e.Shape))
		for d := len(e.Shape) - 1; d >= 0; d-- {
			strides[d] = count
			count *= max(e.Shape[d], 1) // PyTorch computes the strides of an empty tensor in this way
		}
		if slices.Contains(e.Shape, 0) {
			count = 0
		}
		p.text(e.Name)
		p.global("torch._utils\n_rebuild_tensor_v2\n")
		p.op("((")
		p.repeated("storage")
		p.global("torch\n" + e.DType.Storage() + "\n")
		p.text(fmt.Sprint(i))
		p.repeated("cpu")
		p.integer(count)
		p.op("tQ") // the storage with this persistent id
		p.integer(0)
		p.integers(e.Shape)
		p.integers(strides)
		p.op("\x89") // requires_grad is False
		p.global("collections\nOrderedDict\n")
		p.op(")RtR") // no backward hooks
	}
	p.op("u.")
	return p.out, nil
}

func (p *pickler) op(codes string) { p.out = append(p.out, codes...) }

func (p *pickler) global(name string) { p.once(name, func() { p.op("c" + name) }) }

func (p *pickler) repeated(text string) { p.once(text, func() { p.text(text) }) }

// once writes a value the first time, and reads it from the memo after that. Fewer than 256 different
// values are possible.
func (p *pickler) once(key string, write func()) {
	if i, ok := p.memo[key]; ok {
		p.out = append(p.out, 'h', byte(i))
		return
	}
	write()
	p.out = append(p.out, 'q', byte(len(p.memo)))
	p.memo[key] = len(p.memo)
}

func (p *pickler) text(s string) {
	p.out = binary.LittleEndian.AppendUint32(append(p.out, 'X'), uint32(len(s)))
	p.op(s)
}

func (p *pickler) integer(n int64) {
	if n == int64(int32(n)) {
		p.out = binary.LittleEndian.AppendUint32(append(p.out, 'J'), uint32(n))
		return
	}
	p.out = binary.LittleEndian.AppendUint64(append(p.out, 0x8a, 8), uint64(n))
}

func (p *pickler) integers(list []int64) {
	p.op("(")
	for _, n := range list {
		p.integer(n)
	}
	p.op("t")
}
