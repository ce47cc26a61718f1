package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
)

// On terminals of any width the progress of a run is one line, which changes in place: nothing of an older line is left,
// and none is wider than the terminal. Above it is what the run is. The same of hdas watch.
func TestBarOnATerminal(t *testing.T) {
	images := ownImages(t, briefImages)
	for _, width := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "run")
			shown := onTerminal(t, width, append(brief(images, folder), "--set", "search.batch=4")...)
			if bars := shown.containing("epoch 2/2"); len(bars) != 1 || !strings.Contains(bars[0], map[bool]string{true: "took ", false: "done"}[width >= 80]) {
				t.Errorf("the last lines of progress are %q of\n%s", bars, shown)
			}
			if bars := shown.containing("epoch 1/2"); len(bars) > 0 {
				t.Errorf("older progress is left: %q of\n%s", bars, shown)
			}
			for _, word := range []string{"device    ", "folder    ", "resume    ", "time      "} {
				if len(shown.containing(word)) != 1 {
					t.Errorf("no line %q in\n%s", word, shown)
				}
			}
			if shown.frames < 2 {
				t.Errorf("the line was shown %d times", shown.frames)
			}
			watched := onTerminal(t, width, "watch", folder)
			if len(watched.containing("epoch 2/2")) != 1 {
				t.Errorf("watch shows\n%s", watched)
			}
		})
	}
}

// onTerminal runs a command whose outputs are a terminal of that width, and returns what this shows at the end.
func onTerminal(t *testing.T, width int, args ...string) *screenful {
	t.Helper()
	outside, inside, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if err := pty.Setsize(inside, &pty.Winsize{Rows: 50, Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	written := make(chan []byte)
	go func() {
		var all bytes.Buffer
		io.Copy(&all, outside) // until the terminal is closed, which is an error
		written <- all.Bytes()
	}()
	code := execute(context.Background(), args, inside, inside)
	inside.Close()
	shown := &screenful{width: width}
	shown.write(string(<-written))
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, shown)
	}
	return shown
}

// screenful is what a terminal shows that knows line ends and the sequences that move the cursor up and erase.
type screenful struct {
	width, row, column int
	lines              [][]rune
	frames             int // how often something was erased
}

var sequence = regexp.MustCompile(`^\x1b\[\??([0-9]*)([A-Za-z])`)

func (s *screenful) write(text string) {
	for len(text) > 0 {
		if m := sequence.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			switch m[2] {
			case "A":
				s.row = max(0, s.row-max(1, n))
			case "J":
				s.frames++
				s.line()
				s.lines = s.lines[:s.row+1]
				s.lines[s.row] = s.lines[s.row][:min(s.column, len(s.lines[s.row]))]
			}
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\n':
			s.row, s.column = s.row+1, 0
		case '\r':
			s.column = 0
		default:
			if s.column+runewidth.RuneWidth(r) > s.width { // the terminal wraps
				s.row, s.column = s.row+1, 0
			}
			line := s.line()
			for len(*line) <= s.column {
				*line = append(*line, ' ')
			}
			(*line)[s.column] = r
			s.column += runewidth.RuneWidth(r)
		}
	}
}

// line returns the line of the cursor.
func (s *screenful) line() *[]rune {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, nil)
	}
	return &s.lines[s.row]
}

// containing returns the lines with that text.
func (s *screenful) containing(text string) (list []string) {
	for line := range strings.Lines(s.String()) {
		if strings.Contains(line, text) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

func (s *screenful) String() string {
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return b.String()
}
