package estimate

import "math"

// Bytes is a predicted number of bytes, and the upper end of its error.
type Bytes struct {
	Predicted int64 `json:"predicted"`
	High      int64 `json:"high"`
}

// Point is the peak memory that was measured in a step and an evaluation.
type Point struct {
	Batch int   `json:"batch"`
	Bytes int64 `json:"bytes"` // of tensors
}

// Memory is the peak memory of one run, as a function of the batch.
type Memory struct {
	Bytes  Bytes   `json:"bytes"`
	Fixed  int64   `json:"fixed"` // without tensors: of the program, the libraries and the images that the data set holds
	Image  int64   `json:"image"` // of the batches that the loaders make ahead, for each image of a batch
	Heap   Heap    `json:"heap"`
	Points []Point `json:"measured"` // with small batches, ascending
}

// Heap is what a process holds besides its tensors, as a share of them: freed blocks that do not fit the next
// tensor, and scratch memory of the kernels.
type Heap struct {
	Usual float64 `json:"usual"`
	Most  float64 `json:"most"`
}

// The shares in the measurements of docs/performance.md. Where intermediate results are recomputed, many blocks are
// freed between those that are kept.
var (
	Storing     = Heap{0.1, 0.28}
	Recomputing = Heap{0.6, 1.1}
)

// At predicts the peak memory with a batch. The peak is the largest of functions that are linear in the batch,
// one for each moment of a step, so it is convex: the line through the last two points is a lower bound
// beyond them. What that line misses between the first and the last points is added to the upper end.
func (m Memory) At(batch int) Bytes {
	tensors, miss := m.tensors(batch)
	fixed := m.Fixed + int64(batch)*m.Image
	return Bytes{fixed + int64((1+m.Heap.Usual)*float64(tensors)), fixed + int64((1+m.Heap.Most)*float64(tensors+miss))}
}

func (m Memory) tensors(batch int) (bytes, miss int64) {
	n := len(m.Points)
	switch n {
	case 0:
		return 0, 0
	case 1: // an upper bound for larger batches, since the weights are counted for each image
		p := m.Points[0]
		return int64(float64(p.Bytes) * float64(batch) / float64(p.Batch)), 0
	}
	a, b := m.Points[n-2], m.Points[n-1]
	bytes = line(a, b, batch)
	if n > 2 && batch > b.Batch {
		miss = max(0, line(m.Points[n-3], a, b.Batch)-b.Bytes, b.Bytes-line(m.Points[n-3], a, b.Batch))
		miss = int64(float64(miss) * float64(batch) / float64(b.Batch))
	}
	return max(bytes, 0), miss
}

// line returns the value at batch of the line through two points.
func line(a, b Point, batch int) int64 {
	slope := float64(b.Bytes-a.Bytes) / float64(b.Batch-a.Batch)
	return b.Bytes + int64(math.Round(slope*float64(batch-b.Batch)))
}

// Largest returns the largest batch, from least to most, whose memory is at most free, or 0 if there is none.
func (m Memory) Largest(free int64, least, most int) int {
	if m.At(least).High > free {
		return 0
	}
	for least < most {
		middle := least + (most-least+1)/2
		if m.At(middle).High <= free {
			least = middle
		} else {
			most = middle - 1
		}
	}
	return least
}
