package filekind

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestOf(t *testing.T) {
	for content, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "git lfs pull",
		"\xef\xbb\xbf \n<!DocType HTML><p>Sign in":                   "an HTML page",
		"<html lang=en>":                         "an HTML page",
		"<?xml version='1.0'?><Error>":           "an XML document",
		"<?xml version='1.0'?>\n<svg xmlns='x'>": "an SVG drawing",
		"\x00\x00\x00\x1cftypavif\x00":           "an AVIF image",
		"\x00\x00\x00\x1cftypheic\x00":           "a HEIC image",
		"\x00\x00\x00\x1cftypisom\x00":           "a video",
		"\x1f\x8b\x08\x00":                       "gunzip",
		"":                                       "", "<": "", "hello": "", "version 1": "", "\x89PNG\r\n\x1a\n": "",
	} {
		if got := Of([]byte(content)); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q is %q, not %q", content, got, want)
		}
	}
}

func TestAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { Of(rapid.SliceOf(rapid.Byte()).Draw(t, "data")) })
}
