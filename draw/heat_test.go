package draw_test

import (
	"image"
	"image/color"
	"testing"

	"hdas/draw"
)

// Rows go down and columns to the right; a larger probability is darker.
func TestHeat(t *testing.T) {
	img := draw.Heat([][]float64{{0, 0.1, 0.9}, {0.3, 0.7, 1}})
	if img.Bounds() != image.Rect(0, 0, 48, 32) {
		t.Fatalf("%v", img.Bounds())
	}
	at := func(row, column int) color.RGBA {
		corner := img.At(16*column, 16*row)
		if end := img.At(16*column+15, 16*row+15); end != corner {
			t.Errorf("row %d, column %d is not of one colour", row, column)
		}
		return corner.(color.RGBA)
	}
	if at(0, 0) != (color.RGBA{255, 255, 255, 255}) || at(1, 2) != (color.RGBA{8, 48, 107, 255}) {
		t.Errorf("0 is %v, 1 is %v", at(0, 0), at(1, 2))
	}
	order := []color.RGBA{at(0, 0), at(0, 1), at(1, 0), at(1, 1), at(0, 2), at(1, 2)}
	for i := range order[1:] {
		if order[i].R <= order[i+1].R || order[i].B <= order[i+1].B {
			t.Errorf("%v is not lighter than %v", order[i], order[i+1])
		}
	}
}
