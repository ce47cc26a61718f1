package filekind

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// ReadText reads a text file of at most the given number of bytes. The error for a file of another kind
// names it: "x.png is a PNG image, not a text".
func ReadText(path string, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is not a file but a folder%s", path, yamlIn(path))
	}
	data, err := Read(path, most)
	if err != nil && data == nil {
		return nil, err
	}
	if kind := Name(data); kind != "" {
		return nil, fmt.Errorf("%s is %s, not a text", path, kind)
	}
	if head := data[:min(len(data), 4096)]; err == nil && (bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(whole(head))) {
		return nil, fmt.Errorf("%s is a binary file, not a text", path)
	}
	return data, err
}

// yamlIn returns a text with the first YAML files in a folder, empty if there are none.
func yamlIn(folder string) string {
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if len(files) == 0 {
		return ""
	}
	return "; files in it are " + strings.Join(files[:min(len(files), 3)], ", ")
}

// readable holds the first bytes of binary files that this program reads or writes.
var readable = []struct{ magic, name string }{
	{"\x89PNG\r\n\x1a\n", "a PNG image"},
	{"\xff\xd8\xff", "a JPEG image"},
	{"GIF8", "a GIF image"},
	{"BM????\x00\x00\x00\x00", "a BMP image"},
	{"II*\x00", "a TIFF image"},
	{"MM\x00*", "a TIFF image"},
	{"RIFF????WEBP", "a WebP image"},
	{"\x08?\x12?", "an ONNX model"}, // the version of its format, then its producer
}

// Name returns the format of a binary file's content, empty if it is not known. Unlike Of it knows the formats
// that this program reads or writes, too.
func Name(data []byte) string {
	for _, k := range readable {
		if Matches(k.magic, data) {
			return k.name
		}
	}
	if IsSafetensors(data) {
		return "a safetensors file, as checkpoints are"
	}
	return Of(data)
}

// IsSafetensors reports whether data begins as a safetensors file does.
func IsSafetensors(data []byte) bool {
	return len(data) > 9 && binary.LittleEndian.Uint64(data) < 1<<40 && data[8] == '{'
}

// whole returns data without the bytes of a letter that is cut off at its end.
func whole(data []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if at := len(data) - n; utf8.RuneStart(data[at]) {
			if !utf8.FullRune(data[at:]) {
				return data[:at]
			}
			break
		}
	}
	return data
}
