// Package fetch downloads a file whose checksum is known. It resumes interrupted downloads, retries
// stalled ones, and checks the content before it gives the file its name.
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

// File is a file to download.
type File struct {
	URL  string
	Path string // the file's path; an incomplete file has the path Path + ".part"
	MD5  string // in hexadecimal; publishers of data sets give only this checksum
}

// Getter holds the options of downloads. The zero value is ready to use.
type Getter struct {
	Client *http.Client
	Stall  time.Duration // time without a byte after which a request is repeated; 0 means 30 s
	Tries  int           // number of consecutive requests without any byte before giving up; 0 means 5
	Pause  time.Duration // pause before the second request, doubled before each further one; 0 means 1 s
	// Progress, unless nil, is called with the number of bytes so far and in total; total is -1 if the
	// server does not tell.
	Progress func(done, total int64)
}

const partSuffix = ".part"

// ErrThere is the error of Get for a file that already exists and has the right checksum.
var ErrThere = errors.New("the file already exists and has the published checksum")

// permanent is an error that a repeated request would not remove.
type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

// Get downloads the file. If it exists with the right checksum, Get returns ErrThere. If it exists with
// another checksum, Get replaces it after the download is complete.
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
			// The part left from an earlier download belonged to another file: download again from the start.
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w; the same command continues from there", f.Path+partSuffix, ctx.Err())
		case errors.As(err, &final):
			return err
		}
		if size(f.Path+partSuffix) > before {
			wait, left = pause, tries
		} else if left--; left == 0 {
			return fmt.Errorf("%s: given up after %d tries: %w; the same command continues from there, or --url names a mirror", f.URL, tries, err)
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
		}
	}
}

// finish checks the complete part and renames it to f.Path. It returns false without an error if the
// checksum is wrong and the download was resumed; then the part is removed.
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

// attempt requests the missing bytes once. It returns nil when the server has sent all of them.
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
			return fmt.Errorf("requested the bytes from %d on, but the server sent %q", have, answer.Header.Get("Content-Range"))
		}
		if total >= 0 {
			total += have
		}
	case http.StatusOK: // the whole file, even if only a part was requested
		mode |= os.O_TRUNC
		have = 0
	case http.StatusRequestedRangeNotSatisfiable: // nothing is missing, or the part belongs to another file
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
		return permanent{err} // an error of the disk
	}
	return cause(ctx, err)
}

// cause returns the reason for which this program cancelled the request, or err if it did not.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// counted is a reader that reports each read.
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

// Sum returns a file's MD5 checksum in hexadecimal.
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
