// Package filekind recognises files in unsupported formats by their first bytes, so that errors can name the
// format, and reads files up to a largest size.
package filekind

import (
	"bytes"
	"strings"
)

// kinds holds the first bytes of files in each format; ? is any byte.
var kinds = []struct{ magic, name string }{
	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself; get that with: git lfs pull"},
	{"????ftypavif", "an AVIF image; convert it to PNG or JPEG"},
	{"????ftypavis", "an AVIF image; convert it to PNG or JPEG"},
	{"????ftyphei", "a HEIC image; convert it to PNG or JPEG"},
	{"????ftyphev", "a HEIC image; convert it to PNG or JPEG"},
	{"????ftypmif1", "a HEIF image; convert it to PNG or JPEG"},
	{"????ftypmsf1", "a HEIF image; convert it to PNG or JPEG"},
	{"????ftyp", "a video"},
	{"\xff\x0a", "a JPEG XL image; convert it to PNG or JPEG"},
	{"\x00\x00\x00\x0cJXL ", "a JPEG XL image; convert it to PNG or JPEG"},
	{"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image; convert it to PNG or JPEG"},
	{"\xff\x4f\xff\x51", "a JPEG 2000 image; convert it to PNG or JPEG"},
	{"8BPS", "a Photoshop document; convert it to PNG or JPEG"},
	{"DDS ", "a DDS texture; convert it to PNG or JPEG"},
	{"qoif", "a QOI image; convert it to PNG or JPEG"},
	{"\x00\x00\x01\x00", "a Windows icon; convert it to PNG or JPEG"},
	{"%PDF-", "a PDF document"},
	{"%!PS", "a PostScript document"},
	{"PK\x03\x04", "a zip archive"},
	{"PK\x05\x06", "an empty zip archive"},
	{"\x1f\x8b", "a file compressed by gzip; unpack it with: gunzip"},
	{"BZh", "a file compressed by bzip2; unpack it with: bunzip2"},
	{"\xfd7zXZ\x00", "a file compressed by xz; unpack it with: unxz"},
	{"\x28\xb5\x2f\xfd", "a file compressed by zstd; unpack it with: unzstd"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{"Rar!\x1a\x07", "a RAR archive"},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes; load it there and save its tensors by torch.save"},
	{"\x93NUMPY", "an array of numpy"},
	{"GGUF", "a GGUF file"},
	{"\x7fELF", "a program"},
}

// Of returns the format of a file's content, and what the user can do: "a Git LFS pointer, not the file
// itself; ...". It returns an empty text for unknown formats.
func Of(data []byte) string {
	for _, k := range kinds {
		if Matches(k.magic, data) {
			return k.name
		}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 512)], []byte("\xef\xbb\xbf")), " \t\r\n")
	switch begin := strings.ToLower(string(text)); {
	case strings.HasPrefix(begin, "<!doctype html"), strings.HasPrefix(begin, "<html"):
		return "an HTML page, as a site sends in place of a file; download it again"
	case strings.HasPrefix(begin, "<svg"), strings.HasPrefix(begin, "<?xml") && strings.Contains(begin, "<svg"):
		return "an SVG drawing; convert it to PNG"
	case strings.HasPrefix(begin, "<?xml"):
		return "an XML document, as a site sends in place of a file; download it again"
	}
	return ""
}

// Matches reports whether data begins with magic, in which ? is any byte.
func Matches(magic string, data []byte) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}
