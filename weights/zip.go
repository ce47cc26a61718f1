package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"path"
	"strings"
)

// The form of PyTorch since 1.6: a zip archive whose members lie in one folder, uncompressed.
const (
	zipPickle    = "data.pkl"
	zipStorages  = "data/" // and the storage's key
	zipByteOrder = "byteorder"
	zipVersion   = "version"

	// mostMembers is how many members a small archive may have; each takes 400 bytes in memory. One
	// of a network has a member for each tensor, of 200 bytes in the least case.
	mostMembers = 1 << 12
)

var memberMark = []byte("PK\x01\x02")

func isZip(data []byte) bool { return bytes.HasPrefix(data, []byte("PK\x03\x04")) }

func readZip(data []byte, key string) (File, error) {
	if n := bytes.Count(data, memberMark); n > mostMembers+len(data)/400 {
		return File{}, unsupported("a zip archive with %d members, which no checkpoint of %d bytes has", n, len(data))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return File{}, damaged("%w, so it may be cut; get it again", err)
	}
	a := archive{data: data, members: map[string]*zip.File{}}
	for _, f := range z.File {
		if path.Base(f.Name) == zipPickle && a.folder == "" {
			a.folder = strings.TrimSuffix(f.Name, zipPickle)
		}
		if a.members[f.Name] != nil {
			return File{}, damaged("it has two members %.100q", f.Name)
		}
		a.members[f.Name] = f
	}
	if a.members[a.folder+"constants.pkl"] != nil {
		return File{}, unsupported("a TorchScript program, not a checkpoint; save the state_dict: torch.save(model.state_dict(), FILE)")
	}
	if a.members[a.folder+zipByteOrder] != nil {
		if order, err := a.member(zipByteOrder); err != nil {
			return File{}, err
		} else if string(order) != "little" {
			return File{}, unsupported("a file of PyTorch of %.20q byte order; little is needed", order)
		}
	}
	program, err := a.member(zipPickle)
	if err != nil {
		return File{}, err
	}
	found := storages{}
	content, _, err := found.reader(len(data)).Load(program)
	if err != nil {
		return File{}, unpickled(zipPickle, err)
	}
	for k, s := range found {
		bytes, err := a.member(zipStorages + k)
		if err != nil {
			return File{}, err
		}
		if int64(len(bytes)) != s.bytes() {
			return File{}, damaged("storage %.50q has %d bytes, not %d elements of %v", k, len(bytes), s.count, s.elements)
		}
		s.data = bytes
	}
	return choose(content, key)
}

// archive is a zip archive in memory.
type archive struct {
	data    []byte
	folder  string // in which all members are, with its slash
	members map[string]*zip.File
}

// member is the content of a member, which is not copied.
func (a archive) member(name string) ([]byte, error) {
	f := a.members[a.folder+name]
	if f == nil {
		if a.folder == "" && name == zipPickle {
			return nil, unsupported("a zip archive without the member %.100q, so no checkpoint of PyTorch", name)
		}
		return nil, damaged("a zip archive without the member %.100q", a.folder+name)
	}
	if f.Method != zip.Store {
		return nil, unsupported("its member %.100q is compressed, as PyTorch never does; save it again with torch.save", f.Name)
	}
	at, err := f.DataOffset()
	if err == nil && at > int64(len(a.data)) {
		err = errors.New("it would begin behind the file's end")
	}
	if err != nil {
		return nil, damaged("member %.100q: %w", f.Name, err)
	}
	if left := uint64(len(a.data)) - uint64(at); f.UncompressedSize64 != f.CompressedSize64 || f.UncompressedSize64 > left {
		return nil, damaged("member %.100q would have %d bytes, where %d are left", f.Name, f.UncompressedSize64, left)
	}
	content := a.data[at:][:f.UncompressedSize64]
	if crc32.ChecksumIEEE(content) != f.CRC32 {
		return nil, damaged("the checksum of member %.100q is not that of its content", f.Name)
	}
	return content, nil
}
