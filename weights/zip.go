package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"strings"
)

// The format of PyTorch since 1.6 is a zip archive with uncompressed members in one folder.
const (
	zipPickle    = "data.pkl"
	zipStorages  = "data/" // followed by the storage's key
	zipByteOrder = "byteorder"
	zipVersion   = "version"

	// mostMembers is the largest number of members in a small archive; each takes 400 bytes of memory. The
	// archive of a network has a member for each tensor, of at least 200 bytes.
	mostMembers = 1 << 12
)

var memberMark = []byte("PK\x01\x02")

func isZip(data []byte) bool { return bytes.HasPrefix(data, []byte("PK\x03\x04")) }

func readZip(data []byte, key string) (File, error) {
	if n := bytes.Count(data, memberMark); n > mostMembers+len(data)/400 {
		return File{}, fmt.Errorf("a zip archive with %d members, which no checkpoint of %d bytes has", n, len(data))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return File{}, fmt.Errorf("damaged PyTorch file: %w", err)
	}
	a := archive{data: data, members: map[string]*zip.File{}}
	for _, f := range z.File {
		if path.Base(f.Name) == zipPickle && a.folder == "" {
			a.folder = strings.TrimSuffix(f.Name, zipPickle)
		}
		if a.members[f.Name] != nil {
			return File{}, fmt.Errorf("damaged PyTorch file: it has two members %.100q", f.Name)
		}
		a.members[f.Name] = f
	}
	if a.members[a.folder+"constants.pkl"] != nil {
		return File{}, errors.New("a TorchScript program, not a checkpoint; save the state_dict: torch.save(model.state_dict(), FILE)")
	}
	if a.members[a.folder+zipByteOrder] != nil {
		if order, err := a.member(zipByteOrder); err != nil {
			return File{}, err
		} else if string(order) != "little" {
			return File{}, fmt.Errorf("a PyTorch file with byte order %.20q; only little is supported", order)
		}
	}
	program, err := a.member(zipPickle)
	if err != nil {
		return File{}, err
	}
	found := storages{}
	content, _, err := found.reader(len(data)).Load(program)
	if err != nil {
		return File{}, fmt.Errorf("damaged PyTorch file, or not a PyTorch file: its %s: %w", zipPickle, err)
	}
	for k, s := range found {
		bytes, err := a.member(zipStorages + k)
		if err != nil {
			return File{}, err
		}
		if int64(len(bytes)) != s.count*s.dtype.Size() {
			return File{}, fmt.Errorf("damaged PyTorch file: storage %.50q has %d bytes, not %d elements of %v", k, len(bytes), s.count, s.dtype)
		}
		s.data = bytes
	}
	return choose(content, key)
}

// archive is a zip archive in memory.
type archive struct {
	data    []byte
	folder  string // the folder of all members, with a slash at its end
	members map[string]*zip.File
}

// member returns the content of a member; the result shares the archive's memory.
func (a archive) member(name string) ([]byte, error) {
	f := a.members[a.folder+name]
	if f == nil {
		return nil, fmt.Errorf("a zip archive without the member %.100q: not a PyTorch checkpoint, or a damaged one", a.folder+name)
	}
	if f.Method != zip.Store {
		return nil, fmt.Errorf("its member %.100q is compressed, which PyTorch never does; save it again with torch.save", f.Name)
	}
	at, err := f.DataOffset()
	if err == nil && at > int64(len(a.data)) {
		err = errors.New("it begins after the end of the file")
	}
	if err != nil {
		return nil, fmt.Errorf("damaged PyTorch file: member %.100q: %w", f.Name, err)
	}
	if left := uint64(len(a.data)) - uint64(at); f.UncompressedSize64 != f.CompressedSize64 || f.UncompressedSize64 > left {
		return nil, fmt.Errorf("damaged PyTorch file: member %.100q has %d bytes, but only %d are left", f.Name, f.UncompressedSize64, left)
	}
	content := a.data[at:][:f.UncompressedSize64]
	if crc32.ChecksumIEEE(content) != f.CRC32 {
		return nil, fmt.Errorf("damaged PyTorch file: the checksum of member %.100q is wrong", f.Name)
	}
	return content, nil
}
