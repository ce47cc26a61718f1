package predict

import (
	"fmt"

	"hdas/internal/filekind"
	"hdas/internal/imagefile"
	"hdas/model"
)

// Pixels returns the normalised pixels (C,H,W) of an image file at the size that the network takes; see
// model.Description.View. It may be called by several goroutines at once.
func (p Predictor) Pixels(file []byte) ([]float32, error) {
	d := p.Model.Description
	pix, err := d.View().Picture(file)
	if err != nil {
		return nil, err
	}
	return normalised(nil, pix, d), nil
}

// read returns Pixels of the file at a path.
func (p Predictor) read(path string) ([]float32, error) {
	file, err := filekind.Read(path, imagefile.MostFile)
	if err != nil {
		return nil, err
	}
	pixels, err := p.Pixels(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pixels, nil
}

// normalised appends the pixels of an image (3,H,W), normalised and converted to the network's number of
// channels, to dst and returns dst.
func normalised(dst []float32, pix []byte, d model.Description) []float32 {
	plane := len(pix) / 3
	for c := range int(d.Image.C) {
		for i := range plane {
			v := int(pix[c*plane+i])
			if d.Image.C == 1 { // the luma of ITU-R 601
				v = (299*int(pix[i]) + 587*int(pix[plane+i]) + 114*int(pix[2*plane+i]) + 500) / 1000
			}
			dst = append(dst, float32((float64(v)/255-d.Mean[c])/d.Std[c]))
		}
	}
	return dst
}
