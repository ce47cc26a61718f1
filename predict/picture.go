package predict

import (
	"fmt"

	"hdas/internal/filekind"
	"hdas/internal/imagefile"
	"hdas/model"
)

// picture returns the pixels (3,H,W) of an image file at the size that the network takes (model.Description.View).
func picture(path string, d model.Description) ([]byte, error) {
	file, err := filekind.Read(path, imagefile.MostFile)
	if err != nil {
		return nil, err
	}
	pix, err := d.View().Picture(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pix, nil
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
