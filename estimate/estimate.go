// Package estimate predicts the time and the peak memory of runs from measurements of their steps, and the
// largest batch that fits into the free memory. It needs no libtorch.
package estimate

import (
	"cmp"
	"fmt"
	"slices"
)

// Estimate is the prediction for one or several runs.
type Estimate struct {
	Device  string   `json:"device"`  // on which it was measured
	Threads int      `json:"threads"` // of tensor operations on the CPU
	Parts   []Part   `json:"parts"`   // one after the other
	Seconds Seconds  `json:"seconds"` // of all parts
	Bytes   Bytes    `json:"bytes"`   // at the peak: the largest of the parts, times the runs at once
	Free    int64    `json:"free"`    // bytes of memory that these runs could use when it was measured; 0: unknown
	Fits    bool     `json:"fits"`    // Bytes.High is not above Free, or Free is unknown
	Assumed []string `json:"assumed"` // what was assumed instead of measured, one sentence each
}

// Part is the prediction for runs of the same kind.
type Part struct {
	Name       string  `json:"name"`
	Runs       int     `json:"runs"`
	AtOnce     int     `json:"at_once"`
	Weights    int64   `json:"weights"`                // number of weights of the network
	Arch       int64   `json:"architecture,omitempty"` // number of architecture parameters of a search
	Epochs     int     `json:"epochs"`
	Steps      int     `json:"steps"` // in an epoch
	Batch      int     `json:"batch"`
	Step       Seconds `json:"step"`       // of the last epochs
	Timed      Timed   `json:"timed"`      // how Step was measured
	Evaluation Seconds `json:"evaluation"` // after each epoch
	Run        Seconds `json:"run"`        // one run
	Memory     Memory  `json:"memory"`     // of one run
	// LargestBatch is the largest batch with which the runs fit into the free memory, at most the number of
	// images of an epoch. 0: none fits, or the free memory is unknown.
	LargestBatch int    `json:"largest_batch"`
	Key          string `json:"batch_key"` // of the batch in the configuration
	Less         string `json:"less"`      // the settings with which a run would need less memory
}

// Timed says from how many steps of which batch a time follows.
type Timed struct {
	Batch int `json:"batch"`
	Steps int `json:"steps"`
}

// Seconds is a time. Low and High are what it would be if every step took as long as the fastest and the
// slowest of those that were measured.
type Seconds struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Of returns the median and the range of measured times.
func Of(times []float64) Seconds {
	if len(times) == 0 {
		return Seconds{}
	}
	s := slices.Sorted(slices.Values(times))
	return Seconds{(s[(len(s)-1)/2] + s[len(s)/2]) / 2, s[0], s[len(s)-1]}
}

// Times returns s n times in a row.
func (s Seconds) Times(n float64) Seconds { return Seconds{n * s.Median, n * s.Low, n * s.High} }

// Plus returns the time of s and then o.
func (s Seconds) Plus(o Seconds) Seconds {
	return Seconds{s.Median + o.Median, s.Low + o.Low, s.High + o.High}
}

// Join returns the estimate of parts that run one after the other, on the same device.
func Join(parts ...Estimate) Estimate {
	var e Estimate
	for i, p := range parts {
		if i == 0 {
			e = Estimate{Device: p.Device, Threads: p.Threads, Free: p.Free, Fits: true}
		}
		e.Parts = append(e.Parts, p.Parts...)
		e.Seconds = e.Seconds.Plus(p.Seconds)
		e.Fits = e.Fits && p.Fits
		if p.Bytes.High > e.Bytes.High {
			e.Bytes = p.Bytes
		}
		for _, a := range p.Assumed {
			if !slices.Contains(e.Assumed, a) {
				e.Assumed = append(e.Assumed, a)
			}
		}
	}
	return e
}

// Warning returns a sentence that says that the runs will not fit into the memory, which batch would and what
// else needs less, or an empty text if they fit.
func (e Estimate) Warning() string {
	if e.Fits {
		return ""
	}
	p := slices.MaxFunc(e.Parts, func(a, b Part) int { return cmp.Compare(a.needs(), b.needs()) })
	name, fewer := p.Name, ""
	if p.AtOnce > 1 {
		name, fewer = fmt.Sprintf("%s, %d at once,", p.Name, p.AtOnce), "fewer at once, "
	}
	cure := "no batch would fit"
	if p.LargestBatch > 0 {
		cure = fmt.Sprintf("%s=%d would fit", p.Key, p.LargestBatch)
	}
	return fmt.Sprintf("%s will probably not fit into memory: about %s are needed, and %s are free on %s; %s; less is needed with %s%s",
		name, Size(e.Bytes.Predicted), Size(e.Free), e.Device, cure, fewer, p.Less)
}

func (p Part) needs() int64 { return p.Memory.Bytes.High * int64(p.AtOnce) }

// Size formats a number of bytes.
func Size(bytes int64) string { return fmt.Sprintf("%.2f GB", float64(bytes)/1e9) }
