package report

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"slices"

	"hdas/draw"
	"hdas/metric/score"
)

// evaluation is the part of a training's predictions.
type evaluation struct {
	*score.Evaluation
	Classes  []score.Class   // in the order of the labels or, of many, the worst ones
	Worst    bool            // Classes are the worst ones
	Matrix   [][]cell        // of few classes; row: class of the images
	Picture  template.URL    // of more classes: the matrix as an image
	Mistakes []score.Mistake // the most frequent ones
}

// cell is an element of a matrix of confusion.
type cell struct {
	Images int64
	Shade  int // percent of the images of the class
	Right  bool
}

// How many classes have a matrix with numbers, or one that is an image, and how many classes and mistakes are listed.
const (
	mostInTable, mostInImage, mostListed = 20, 200, 20
)

// evaluationOf returns the part of an evaluation, nil if there is none. It returns an error if the numbers of classes and
// of rows differ.
func evaluationOf(e *score.Evaluation) (*evaluation, error) {
	if e == nil {
		return nil, nil
	}
	n := len(e.Report.Classes)
	for _, row := range e.Confusion {
		if len(row) != n || len(e.Confusion) != n {
			return nil, fmt.Errorf("a matrix of confusion of %d rows, one of %d numbers, is not that of %d classes", len(e.Confusion), len(row), n)
		}
	}
	v := &evaluation{Evaluation: e, Classes: e.Report.Classes}
	if len(e.Confusion) == n {
		v.Mistakes = e.Report.Mistakes(mostListed)
	}
	if v.Worst = n > 2*mostListed; v.Worst {
		v.Classes = slices.DeleteFunc(slices.Clone(v.Classes), func(c score.Class) bool { return c.Images == 0 })
		slices.SortStableFunc(v.Classes, func(a, b score.Class) int { return cmp.Compare(a.Top1, b.Top1) })
		v.Classes = v.Classes[:min(mostListed, len(v.Classes))]
	}
	shares := make([][]float64, len(e.Confusion))
	for i, row := range e.Confusion {
		var cells []cell
		for j, images := range row {
			share := float64(images) / float64(max(1, e.Report.Classes[i].Images))
			shares[i] = append(shares[i], share)
			cells = append(cells, cell{images, int(100*share + 0.5), i == j})
		}
		v.Matrix = append(v.Matrix, cells)
	}
	if n <= mostInTable {
		return v, nil
	}
	if v.Matrix = nil; n > mostInImage || len(shares) == 0 {
		return v, nil
	}
	var b bytes.Buffer
	if err := png.Encode(&b, draw.Heat(shares)); err != nil {
		return v, err
	}
	v.Picture = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
	return v, nil
}
