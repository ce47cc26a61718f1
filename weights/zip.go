package weights

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io"
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
		return File{}, unsupported("a zip archive with %d members, which no checkpoint of %d bytes has", n, len(data))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return File{}, damaged("%w, so it may be cut; get it again", err)
	}
	a := &archive{data: data, members: map[string]*zip.File{}}
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
			return File{}, unsupported("a PyTorch file with byte order %.20q; only little is supported", order)
		}
	}
	program, err := a.member(zipPickle)
	if err != nil {
		return File{}, err
	}
	found := storages{}
	content, _, err := found.reader(len(data) + int(a.inflated)).Load(program)
	if err != nil && a.withoutSums > 0 {
		return File{}, damaged("the checksum of member %.100q is not that of its content: %w", a.unsummed, err)
	} else if err != nil {
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
	f, err := choose(content, key)
	if err == nil {
		err = a.checkSums(&f)
	}
	f.size = a.inflated
	return f, err
}

// archive is a zip archive in memory.
type archive struct {
	data    []byte
	folder  string // the folder of all members, with a slash at its end
	members map[string]*zip.File

	inflated    int64  // total size of the decompressed members
	sums        int    // number of correct checksums
	unsummed    string // a member with a wrong checksum
	withoutSums int    // number of wrong checksums
}

// member returns the content of a member. Unless the member is compressed, the result shares the archive's
// memory.
func (a *archive) member(name string) ([]byte, error) {
	f := a.members[a.folder+name]
	if f == nil {
		if a.folder == "" && name == zipPickle {
			return nil, unsupported("a zip archive without the member %.100q, so no checkpoint of PyTorch", name)
		}
		return nil, damaged("a zip archive without the member %.100q", a.folder+name)
	}
	at, err := f.DataOffset()
	if err == nil && at > int64(len(a.data)) {
		err = errors.New("it begins after the end of the file")
	}
	if err != nil {
		return nil, damaged("member %.100q: %w", f.Name, err)
	}
	left := uint64(len(a.data)) - uint64(at)
	if f.CompressedSize64 > left || f.Method == zip.Store && f.UncompressedSize64 != f.CompressedSize64 {
		return nil, damaged("member %.100q would have %d bytes, where %d are left", f.Name, f.UncompressedSize64, left)
	}
	content := a.data[at:][:f.CompressedSize64]
	if f.Method != zip.Store {
		if content, err = a.inflate(f, content); err != nil {
			return nil, err
		}
	}
	switch {
	case len(content) == 0:
	case crc32.ChecksumIEEE(content) == f.CRC32:
		a.sums++
	default:
		a.withoutSums++
		a.unsummed = f.Name
	}
	return content, nil
}

// inflate decompresses a member. PyTorch does not write compressed members, but reads them. The total
// decompressed size is limited to a multiple of the file's size.
func (a *archive) inflate(f *zip.File, content []byte) ([]byte, error) {
	if f.Method != zip.Deflate {
		return nil, unsupported("its member %.100q is compressed by method %d; save it again with torch.save", f.Name, f.Method)
	}
	if most := int64(8*len(a.data) + 4<<20); f.UncompressedSize64 > uint64(most-a.inflated) {
		return nil, unsupported("its member %.100q is compressed from %d bytes, more than a file of %d may hold; save it again with torch.save", f.Name, f.UncompressedSize64, len(a.data))
	}
	out := make([]byte, f.UncompressedSize64)
	r := flate.NewReader(bytes.NewReader(content))
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, damaged("its compressed member %.100q: %w", f.Name, err)
	}
	a.inflated += int64(len(out))
	return out, nil
}

// checkSums returns an error if some checksums are correct and others are wrong. If all are wrong, the file was
// written without checksums (torch.serialization.set_crc32_options(False)), which it mentions in a notice.
func (a *archive) checkSums(f *File) error {
	switch {
	case a.withoutSums > 0 && a.sums > 0:
		return damaged("the checksum of member %.100q is not that of its content", a.unsummed)
	case a.withoutSums > 0:
		f.notice("the file has no checksums that would show damage")
	}
	return nil
}
