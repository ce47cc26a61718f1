package draw

import (
	"image"
	"image/color"
	"math"
)

// heatCell is the side of an element of a heat map in pixels.
const heatCell = 16

// Heat returns an image of a matrix of probabilities, a square of 16 pixels for each: from white for 0 to dark blue
// for 1. The shade is that of the square root, so that 1/8 and 1/4 can be told from each other.
func Heat(rows [][]float64) image.Image {
	shades := make(color.Palette, 256)
	for i := range shades {
		share := float64(i) / 255
		fade := func(to float64) uint8 { return uint8(math.Round(255 + share*(to-255))) }
		shades[i] = color.RGBA{fade(8), fade(48), fade(107), 255}
	}
	img := image.NewPaletted(image.Rect(0, 0, heatCell*len(rows[0]), heatCell*len(rows)), shades)
	for y, row := range rows {
		for x, p := range row {
			shade := uint8(math.Round(255 * math.Sqrt(min(max(p, 0), 1))))
			for i := range heatCell * heatCell {
				img.SetColorIndex(heatCell*x+i%heatCell, heatCell*y+i/heatCell, shade)
			}
		}
	}
	return img
}
