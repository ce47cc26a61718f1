package datasets

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a data set of n images (C,H,W) of 10 classes, whose pixel j of image i is
// 31 i + j mod 256 and whose label is i mod 10.
func fake(n, c, h, w int) *images {
	d := &images{info: Info{Name: "fake", Classes: make([]string, 10), Channels: c, Height: h, Width: w, Origin: "these tests"}}
	for k := range d.info.Classes {
		d.info.Classes[k] = fmt.Sprint(k)
	}
	for k := range c {
		d.info.Mean = append(d.info.Mean, 0.3+0.1*float64(k))
		d.info.Std = append(d.info.Std, 0.2+0.01*float64(k))
	}
	for i := range n {
		d.labels = append(d.labels, byte(i%10))
		for j := range c * h * w {
			d.pixels = append(d.pixels, byte(31*i+j))
		}
	}
	return d
}
