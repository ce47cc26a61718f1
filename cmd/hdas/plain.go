package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// plainWriter writes text without what a terminal would obey: control characters other than line ends and
// tabs, and marks that change the direction of writing, are written as \u001b. All output of the program goes
// through one, because names of files, classes and genotypes come from others.
type plainWriter struct{ to io.Writer }

func (w plainWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.to, escape(string(b), "\n\t")); err != nil {
		return 0, err
	}
	return len(b), nil
}

// terminal returns the file of a writer and true if it is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	if p, ok := w.(plainWriter); ok {
		w = p.to
	}
	if r, ok := w.(*results); ok {
		w = r.to
	}
	f, ok := w.(*os.File)
	return f, ok && isatty.IsTerminal(f.Fd())
}

// plain returns a name for a table or a sentence, without line ends and tabs, either.
func plain(s string) string { return escape(s, "") }

// escape returns s with its control characters escaped, except those in keep.
func escape(s, keep string) string {
	var b strings.Builder
	for i, r := range s {
		n := utf8.RuneLen(r)
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case obeyed(r) && !strings.ContainsRune(keep, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
	}
	return b.String()
}

// obeyed reports whether a terminal acts on a letter instead of showing it.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}
