package datasets

import (
	"bytes"
	"image"
	"os"

	"hdas/datasets/raster"
)

// Picture reads an image file as the images of this data set are seen where nothing is learned from
// them, at h x w pixels: 3*h*w bytes, red first. Of a data set of image files the shorter side is
// resized and the middle cut out; of others the whole image is resized.
func (s Spec) Picture(path string, h, w int) ([]byte, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st := studios.Get().(*studio)
	defer studios.Put(st)
	if err := st.decoder.Open(file); err != nil {
		return nil, &DamagedError{path, err}
	}
	j := raster.Job{OldH: st.decoder.H, OldW: st.decoder.W, H: h, W: w, Filter: s.filter(), Window: image.Rect(0, 0, w, h)}
	if OfFiles(s.Name) && h == w {
		s.Size = h
		j = s.view().job(st.decoder.H, st.decoder.W)
	}
	if err := st.resize(path, j, image.Point{}); err != nil {
		return nil, err
	}
	return bytes.Clone(st.canvas.Pix), nil
}
