package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// place is the position where a token begins. Both numbers count from 1; columns count characters.
type place struct{ line, column int }

func (p place) String() string { return fmt.Sprintf("line %d, column %d", p.line, p.column) }

type kind int

const (
	end    kind = iota
	name        // a Python name, or several joined by dots
	number      // an integer, possibly negative
	quoted      // a string; text is the part between the quotes
	mark        // one of ()[],=
)

type token struct {
	kind kind
	text string
	at   place
}

func (t token) String() string {
	switch t.kind {
	case end:
		return "the end of the text"
	case quoted:
		return "the string " + short(t.text)
	}
	return short(t.text)
}

// short returns s in quotes; only its beginning if it is long.
func short(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// lexer splits a text into tokens. To look ahead, scan with a copy of it.
type lexer struct {
	rest string
	at   place
}

// take removes and returns the next n bytes, which must not contain a line break.
func (l *lexer) take(n int) string {
	s := l.rest[:n]
	l.rest, l.at.column = l.rest[n:], l.at.column+utf8.RuneCountInString(s)
	return s
}

// space skips blanks, line breaks, comments and backslashes at the end of a line.
func (l *lexer) space() {
	for l.rest != "" {
		switch c := l.rest[0]; {
		case c == '\n':
			l.rest, l.at = l.rest[1:], place{l.at.line + 1, 1}
		case c == ' ' || c == '\t' || c == '\r' || c == '\f':
			l.take(1)
		case c == '#':
			l.take(upTo(l.rest, "\n"))
		case strings.HasPrefix(l.rest, "\\\n") || strings.HasPrefix(l.rest, "\\\r\n"):
			l.take(1)
		default:
			return
		}
	}
}

// scan returns the next token.
func (l *lexer) scan() (token, error) {
	l.space()
	t := token{at: l.at}
	if l.rest == "" {
		return t, nil
	}
	c := l.rest[0]
	switch {
	case strings.IndexByte("()[],=", c) >= 0:
		t.kind, t.text = mark, l.take(1)
	case c == '\'' || c == '"':
		n := upTo(l.rest[1:], string(c)+"\\\n")
		if n+1 == len(l.rest) || l.rest[n+1] != c {
			return t, fmt.Errorf("%v: the string does not end on its line, or contains a backslash; expected %c at its end", t.at, c)
		}
		l.take(1)
		t.kind, t.text = quoted, l.take(n)
		l.take(1)
	case digit(c) || c == '-':
		n := 1
		for n < len(l.rest) && (digit(l.rest[n]) || letter(l.rest[n])) {
			n++
		}
		t.kind, t.text = number, l.take(n)
	case letter(c):
		n := 1
		for n < len(l.rest) && (letter(l.rest[n]) || digit(l.rest[n]) || l.rest[n] == '.') {
			n++
		}
		t.kind, t.text = name, l.take(n)
	default:
		_, n := utf8.DecodeRuneInString(l.rest)
		return t, fmt.Errorf("%v: %s is not allowed in a genotype", t.at, short(l.rest[:n]))
	}
	return t, nil
}

// upTo returns the number of bytes before the first of these letters, or before the end of s.
func upTo(s, letters string) int {
	if i := strings.IndexAny(s, letters); i >= 0 {
		return i
	}
	return len(s)
}

func digit(c byte) bool  { return '0' <= c && c <= '9' }
func letter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
