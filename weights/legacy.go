package weights

import (
	"bytes"
	"encoding/binary"

	"github.com/nlpodyssey/gopickle/types"

	"hdas/internal/pickle"
)

// The format of PyTorch before 1.6 has five pickles (a magic number, the version, system information,
// the content, the keys of the storages), followed by the length and the elements of each storage.
const legacyVersion = 1001

var legacyMark = []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")

func isLegacy(data []byte) bool { return bytes.HasPrefix(data, legacyMark) }

func readLegacy(data []byte, key string) (File, error) {
	found := storages{}
	r := found.reader(len(data))
	var parts [4]any
	rest := data[len(legacyMark):]
	for i, what := range []string{"version", "facts", "content", "list of storages"} {
		v, next, err := r.Load(rest)
		if err != nil {
			return File{}, unpickled(what, err)
		}
		parts[i], rest = v, next
	}
	if parts[0] != legacyVersion {
		return File{}, unsupported("a PyTorch file of an unknown version, not %d", legacyVersion)
	}
	for k, v := range entries(parts[1]) {
		if k == "little_endian" && v != true {
			return File{}, unsupported("a PyTorch file from a big-endian machine")
		}
	}
	keys, ok := parts[3].(*types.List)
	if !ok {
		return File{}, damaged("no list of its storages")
	}
	for _, k := range *keys {
		text, _ := pickle.Text(k)
		s := found[text]
		if s == nil {
			return File{}, damaged("nothing refers to its storage %.50q", text)
		}
		if len(rest) < 8 || binary.LittleEndian.Uint64(rest) != uint64(s.count) || int64(len(rest)-8) < s.bytes() {
			return File{}, damaged("its storage %.50q is not as large as stated, or the file is cut", text)
		}
		s.data, rest = rest[8:8+s.bytes()], rest[8+s.bytes():]
	}
	return choose(parts[2], key)
}
