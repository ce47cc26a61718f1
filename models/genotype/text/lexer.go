package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// place is where a token begins: both count from 1, columns in letters.
type place struct{ line, column int }

func (p place) String() string { return fmt.Sprintf("line %d, column %d", p.line, p.column) }

type kind int

const (
	end    kind = iota
	name        // a Python name, or several joined by dots
	number      // a whole number, perhaps with a minus
	quoted      // a string; text is what is between the quotes
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

// short is s in quotes, its beginning where it is long.
func short(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// lexer cuts a text into tokens. A copy of it looks ahead.
type lexer struct {
	rest string
	at   place
}

// take cuts off the first n bytes, which hold no line break.
func (l *lexer) take(n int) string {
	s := l.rest[:n]
	l.rest, l.at.column = l.rest[n:], l.at.column+utf8.RuneCountInString(s)
	return s
}

// space passes over blanks, line breaks, comments and backslashes at the end of a line.
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

// scan is the next token.
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
			return t, fmt.Errorf("%v: the string has no end on its line, or a backslash in it; expected %c behind it", t.at, c)
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
		return t, fmt.Errorf("%v: %s has no place in a genotype", t.at, short(l.rest[:n]))
	}
	return t, nil
}

// upTo is how many bytes come before the first of those letters, or before the end.
func upTo(s, letters string) int {
	if i := strings.IndexAny(s, letters); i >= 0 {
		return i
	}
	return len(s)
}

func digit(c byte) bool  { return '0' <= c && c <= '9' }
func letter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
