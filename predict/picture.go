package predict

import "hdas/train"

// normalised appends an image's values to dst, channel by channel, as the network takes them. pixels
// are red, green and blue, one plane after the other.
func normalised(dst []float32, pixels []byte, d train.Description) []float32 {
	n := len(pixels) / 3
	for c := range int(d.Image.C) {
		for i := range n {
			v := int(pixels[c*n+i])
			if d.Image.C == 1 { // the luma of ITU-R 601
				v = (299*int(pixels[i]) + 587*int(pixels[n+i]) + 114*int(pixels[2*n+i]) + 500) / 1000
			}
			dst = append(dst, float32((float64(v)/255-d.Mean[c])/d.Std[c]))
		}
	}
	return dst
}
