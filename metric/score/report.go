package score

import (
	"cmp"
	"math"
	"slices"
)

// Bins is the number of bins of the calibration error: equally wide ones of the confidence, which is the
// probability of the most likely class.
const Bins = 15

// Tally counts the predictions of a classifier.
type Tally struct {
	confusion [][]int64 // row: class of the image; column: the most likely class
	ranks     []int64   // images whose class is the most likely one, the second, and so on
	bins      [Bins]Bin
}

// Bin is a bin of the calibration error.
type Bin struct {
	Images     int64   `json:"images"`
	Confidence float64 `json:"confidence"` // mean over its images
	Top1       float64 `json:"top1"`       // accuracy of its images
}

// NewTally returns an empty tally of a classifier with that number of classes.
func NewTally(classes int) *Tally {
	t := &Tally{confusion: make([][]int64, classes), ranks: make([]int64, classes)}
	for i := range t.confusion {
		t.confusion[i] = make([]int64, classes)
	}
	return t
}

// Add adds an image of a class with the probabilities of all classes. Of equally likely classes the first counts
// as more likely.
func (t *Tally) Add(probabilities []float64, class int) {
	guess, rank := 0, 0
	for i, p := range probabilities {
		if p > probabilities[guess] {
			guess = i
		}
		if q := probabilities[class]; p > q || p == q && i < class {
			rank++
		}
	}
	t.confusion[class][guess]++
	t.ranks[rank]++
	confidence := probabilities[guess]
	b := &t.bins[min(max(int(math.Ceil(confidence*Bins))-1, 0), Bins-1)] // (0, 1/15], (1/15, 2/15] and so on
	b.Images++
	b.Confidence += confidence
	if guess == class {
		b.Top1++
	}
}

// Numbers returns all counts and sums of a tally: sums of those of several tallies are those of all their images.
func (t *Tally) Numbers() (all []float64) {
	for _, row := range append(t.confusion, t.ranks) {
		for _, n := range row {
			all = append(all, float64(n))
		}
	}
	for _, b := range t.bins {
		all = append(all, float64(b.Images), b.Confidence, b.Top1)
	}
	return all
}

// SetNumbers replaces the counts and sums by others, in the order of Numbers.
func (t *Tally) SetNumbers(all []float64) {
	next := func() (v float64) {
		v, all = all[0], all[1:]
		return v
	}
	for _, row := range append(t.confusion, t.ranks) {
		for i := range row {
			row[i] = int64(next())
		}
	}
	for i := range t.bins {
		t.bins[i] = Bin{int64(next()), next(), next()}
	}
}

// Report describes the predictions of a classifier.
type Report struct {
	Top       []float64 `json:"top"`       // accuracies in [0,1]: at k-1 that of the k most likely classes, for k up to 10
	Classes   []Class   `json:"classes"`   // in the order of the labels
	Confusion [][]int64 `json:"confusion"` // number of images; row: class of the image; column: the most likely class
	// CalibrationError is the expected calibration error (arXiv:1706.04599): the mean over the images of the
	// difference between accuracy and confidence of their bin.
	CalibrationError float64 `json:"calibration_error"`
	Bins             []Bin   `json:"bins"`
}

// Class is the score of a class.
type Class struct {
	Name      string  `json:"name"`
	Images    int64   `json:"images"`
	Top1      float64 `json:"top1"`      // share of its images for which it is the most likely class (recall)
	Precision float64 `json:"precision"` // share of the images for which it is the most likely class that are of it; 0 if there are none
}

// Report returns the report of all images that were added. names are those of the classes.
func (t *Tally) Report(names []string) Report {
	r := Report{Confusion: t.confusion}
	var images, right int64
	for k, n := range t.ranks {
		images += n
		if k < 10 {
			right += n
			r.Top = append(r.Top, float64(right))
		}
	}
	for k := range r.Top {
		r.Top[k] = share(r.Top[k], images)
	}
	for i, row := range t.confusion {
		c := Class{Name: names[i]}
		var guessed int64
		for j, n := range row {
			c.Images += n
			guessed += t.confusion[j][i]
		}
		c.Top1, c.Precision = share(float64(row[i]), c.Images), share(float64(row[i]), guessed)
		r.Classes = append(r.Classes, c)
	}
	for _, b := range t.bins {
		r.CalibrationError += share(math.Abs(b.Top1-b.Confidence), images)
		b.Top1, b.Confidence = share(b.Top1, b.Images), share(b.Confidence, b.Images)
		r.Bins = append(r.Bins, b)
	}
	return r
}

func share(part float64, of int64) float64 {
	if of == 0 {
		return 0
	}
	return part / float64(of)
}

// Mistake is a number of images of one class for which another class is the most likely one.
type Mistake struct {
	Class, Guess string
	Images       int64
}

// Mistakes returns the most frequent mistakes, at most n of them.
func (r Report) Mistakes(n int) (list []Mistake) {
	for i, row := range r.Confusion {
		for j, images := range row {
			if i != j && images > 0 {
				list = append(list, Mistake{r.Classes[i].Name, r.Classes[j].Name, images})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Mistake) int { return cmp.Compare(b.Images, a.Images) })
	return list[:min(n, len(list))]
}

// Evaluation is the score of a network after an epoch, with the description of its predictions.
type Evaluation struct {
	Epoch int `json:"epoch"` // from 1
	Score
	Report
}
