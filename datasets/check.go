package datasets

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"hdas/internal/fetch"
)

// Archive is a published file of a data set.
type Archive struct {
	Name, MD5 string
	Form      string // "binary" or "python": the form of the records in it
}

// Published returns the archives of a data set that can be downloaded without an account. Most data
// sets have none.
func Published(name string) (list []Archive) {
	for _, c := range []cifar{cifar10, cifar100} {
		if c.info.Name != name {
			continue
		}
		for _, f := range c.forms {
			form := "python"
			if f.records {
				form = "binary"
			}
			list = append(list, Archive{f.archive, f.md5, form})
		}
	}
	return list
}

// Verify compares the archives of a data set in dir with their published checksums. It returns the names
// of the correct ones, and an error if one is wrong. Archives that are missing are ignored.
func Verify(name, dir string) (good []string, err error) {
	var faults []error
	for _, a := range Published(name) {
		path := filepath.Join(dir, a.Name)
		sum, err := fetch.Sum(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			faults = append(faults, err)
		case sum != a.MD5:
			faults = append(faults, fmt.Errorf("%s has the MD5 %s, not the published %s; get it again: hdas data get %s --form %s --data-dir %s", path, sum, a.MD5, name, a.Form, dir))
		default:
			good = append(good, path)
		}
	}
	return good, errors.Join(faults...)
}

// Tally holds statistics of a split.
type Tally struct {
	Images  int       `json:"images"` // number of images that can be decoded
	Classes []string  `json:"classes"`
	Counts  []int     `json:"counts"`            // number of such images in each class
	Mean    []float64 `json:"mean"`              // mean of each channel, for pixels in [0,1]
	Std     []float64 `json:"std"`               // standard deviation of each channel
	Damaged []string  `json:"damaged,omitempty"` // the damaged files, each with its error
}

// Count reads all images of a data set, using all processors, and returns their statistics. For a data
// set of files, an image is its View. step, unless nil, is called after each image, by several goroutines
// at once. Damaged files are listed in the result; any other error ends Count.
func Count(ctx context.Context, d Dataset, step func()) (Tally, error) {
	info := d.Info()
	workers := runtime.GOMAXPROCS(0)
	parts := make([]share, workers)
	var next atomic.Int64
	var group sync.WaitGroup
	for w := range parts {
		p := &parts[w]
		p.counts, p.bytes = make([]int, len(info.Classes)), make([][256]int, info.Channels)
		group.Go(func() {
			image := make([]byte, info.Size())
			for p.err == nil && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= d.Len() {
					return
				}
				p.add(d, i, image)
				if step != nil {
					step()
				}
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return Tally{}, err
	}
	return join(info, parts)
}

// share holds the counts of one goroutine.
type share struct {
	counts  []int
	bytes   [][256]int // for each channel, the number of occurrences of each byte
	damaged []string
	err     error
}

func (p *share) add(d Dataset, i int, image []byte) {
	label, err := d.At(i, image)
	var damaged *DamagedError
	switch {
	case errors.As(err, &damaged):
		p.damaged = append(p.damaged, damaged.Error())
		return
	case err != nil:
		p.err = fmt.Errorf("image %d: %w", i, err)
		return
	}
	p.counts[label]++
	plane := len(image) / len(p.bytes)
	for c := range p.bytes {
		count := &p.bytes[c]
		for _, v := range image[c*plane:][:plane] {
			count[v]++
		}
	}
}

// join returns the statistics over the counts of all goroutines. The sums are sums of integers, so they
// do not depend on the order.
func join(info Info, parts []share) (t Tally, err error) {
	t = Tally{Classes: info.Classes, Counts: make([]int, len(info.Classes))}
	bytes := make([][256]int, info.Channels)
	for _, p := range parts {
		err = errors.Join(err, p.err)
		t.Damaged = append(t.Damaged, p.damaged...)
		for k, n := range p.counts {
			t.Counts[k] += n
			t.Images += n
		}
		for c := range bytes {
			for v, n := range p.bytes[c] {
				bytes[c][v] += n
			}
		}
	}
	slices.Sort(t.Damaged)
	for _, count := range bytes {
		var n, sum, squares float64
		for v, k := range count {
			n, sum, squares = n+float64(k), sum+float64(k*v), squares+float64(k*v*v)
		}
		mean := sum / max(n, 1)
		t.Mean = append(t.Mean, mean/255)
		t.Std = append(t.Std, math.Sqrt(max(squares/max(n, 1)-mean*mean, 0))/255)
	}
	return t, err
}
