package filekind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A text is read; a file of another kind, however large, is named.
func TestReadText(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for content, want := range map[string]string{
		"hello": "", "": "", "tschüß": "", "\xef\xbb\xbfa: 1": "", strings.Repeat("ü", 2048) + "x": "", "x" + strings.Repeat("ü", 2500): "",
		"\x89PNG\r\n\x1a\n....": "a PNG image", "\xff\xd8\xff\xe0": "a JPEG image", "GIF89a": "a GIF image", "RIFF....WEBPVP8 ": "a WebP image",
		"II*\x00\x08\x00": "a TIFF image", "PK\x03\x04": "a zip archive", "\x00\x01": "a binary file", "a\xff\xfeb": "a binary file", "\xe9t\xe9": "a binary file",
		"\x10\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}": "a safetensors file",
		"\x89PNG\r\n\x1a\n" + strings.Repeat("x", 10000):        "a PNG image",
		strings.Repeat("x", 10000):                              "larger than",
	} {
		if err := os.WriteFile(at("file"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := ReadText(at("file"), 9000)
		if want == "" && (err != nil || string(data) != content) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: %.20q, %v, not %q", content, data, err, want)
		}
	}
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(at(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadText(dir, 9); err == nil || !strings.HasSuffix(err.Error(), " is not a file but a folder; files in it are "+at("a.yaml")+", "+at("b.yaml")) {
		t.Errorf("a folder: %v", err)
	}
}
