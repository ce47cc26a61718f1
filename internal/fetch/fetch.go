// Package fetch downloads a file whose checksum is known: what was cut off goes on, what stalls is
// asked for again, and what arrives is checked before it gets its name.
package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is what is wanted.
type File struct {
	URL  string
	Path string // where it goes; until it is whole, Path + ".part"
	MD5  string // in hexadecimal; the publishers of data sets give no other
}

// Getter is how it is downloaded. The zero Getter is usable.
type Getter struct {
	Client *http.Client
	Stall  time.Duration // without a byte after which the server is asked again; 0: 30 s
	Tries  int           // in a row that bring nothing; 0: 5
	Pause  time.Duration // before the second try, doubled before each further one; 0: 1 s
	// Progress, if any, is told how many bytes of how many are there; of -1 where the server does not say.
	Progress func(done, total int64)
}

const partSuffix = ".part"

// ErrThere is the answer for a file that is there already, and whole.
var ErrThere = errors.New("it is there already, with the published checksum")

// permanent is an error that asking again does not mend.
type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

// Get downloads the file. A file that is there with the right checksum is left alone: ErrThere. With
// another checksum it is replaced once the new one is whole.
func (g Getter) Get(ctx context.Context, f File) error {
	if sum, err := Sum(f.Path); err == nil && sum == f.MD5 {
		return ErrThere
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	tries, pause := g.Tries, g.Pause
	if tries == 0 {
		tries = 5
	}
	if pause == 0 {
		pause = time.Second
	}
	wait, left := pause, tries
	for {
		before := size(f.Path + partSuffix)
		err := g.attempt(ctx, f)
		var final permanent
		switch {
		case err == nil:
			done, err := f.finish(before > 0)
			if done || err != nil {
				return err
			}
			// What was left of an earlier download was of another file: once more, from the start.
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w; the same command goes on from there", f.Path+partSuffix, ctx.Err())
		case errors.As(err, &final):
			return err
		}
		if size(f.Path+partSuffix) > before {
			wait, left = pause, tries
		} else if left--; left == 0 {
			return fmt.Errorf("%s: given up after %d tries: %w; the same command goes on from there, or --url names a mirror", f.URL, tries, err)
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
		}
	}
}

// finish checks the whole part and gives it its name. It is false, without an error, where an older
// part is to blame.
func (f File) finish(resumed bool) (bool, error) {
	part := f.Path + partSuffix
	sum, err := Sum(part)
	if err != nil {
		return false, err
	}
	if sum == f.MD5 {
		return true, os.Rename(part, f.Path)
	}
	n := size(part)
	if err := os.Remove(part); err != nil || resumed {
		return false, err
	}
	return false, fmt.Errorf("%s is not what was published: %d bytes of MD5 %s, not %s; --url names another source", f.URL, n, sum, f.MD5)
}

// attempt asks for what is missing, once. It returns nil when the server has sent all that it has.
func (g Getter) attempt(ctx context.Context, f File) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := g.Stall
	if stall == 0 {
		stall = 30 * time.Second
	}
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no byte for %v", stall)) })
	defer watch.Stop()

	have := size(f.Path + partSuffix)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return permanent{err}
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	client := g.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(request)
	if err != nil {
		return cause(ctx, err)
	}
	defer answer.Body.Close()
	total := answer.ContentLength
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	switch answer.StatusCode {
	case http.StatusPartialContent:
		if !strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			os.Remove(f.Path + partSuffix)
			return fmt.Errorf("asked for the bytes from %d on, the server sent %q", have, answer.Header.Get("Content-Range"))
		}
		if total >= 0 {
			total += have
		}
	case http.StatusOK: // from the start, asked for or not
		mode |= os.O_TRUNC
		have = 0
	case http.StatusRequestedRangeNotSatisfiable: // nothing is missing, or the part is of another file
		return nil
	default:
		err := fmt.Errorf("%s: the server answers %s; --url names another source", f.URL, answer.Status)
		if answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests {
			return err
		}
		return permanent{err}
	}
	part, err := os.OpenFile(f.Path+partSuffix, mode, 0o644)
	if err != nil {
		return permanent{err}
	}
	_, err = io.Copy(part, &counted{r: answer.Body, each: func(n int) {
		watch.Reset(stall)
		have += int64(n)
		if g.Progress != nil {
			g.Progress(have, total)
		}
	}, done: ctx})
	if e := part.Close(); err == nil && e != nil {
		return permanent{e}
	}
	var full *os.PathError
	if errors.As(err, &full) {
		return permanent{err} // the disk's fault
	}
	return cause(ctx, err)
}

// cause is why a request was given up, where that was here.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// counted tells how much is read.
type counted struct {
	r    io.Reader
	each func(n int)
	done context.Context
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if n > 0 && c.done.Err() == nil {
		c.each(n)
	}
	return n, err
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Sum is a file's MD5 in hexadecimal.
func Sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
