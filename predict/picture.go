package predict

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif"  // for image.Decode
	_ "image/jpeg" // for image.Decode
	_ "image/png"  // for image.Decode
	"math"
	"os"

	_ "golang.org/x/image/bmp" // for image.Decode
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // for image.Decode

	"hdas/models"
	"hdas/train"
)

// extensions of the files that a folder's images are, in lower case.
var extensions = []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}

// mostPixels keeps a small file from claiming all memory.
const mostPixels = 1 << 27

// decode reads an image file. Its alpha is dropped.
func decode(path string) (*image.NRGBA, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; images are JPEG, PNG, WebP, GIF and BMP", path, err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > mostPixels/c.Height {
		return nil, fmt.Errorf("%s: an image of %dx%d pixels, not of 1 to %d", path, c.Width, c.Height, mostPixels)
	}
	m, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := image.NewNRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Src)
	for i := 3; i < len(out.Pix); i += 4 {
		out.Pix[i] = 0xff
	}
	return out, nil
}

// fit makes an image the size that a network was trained on: small ones are resized to it; of
// ImageNet's the shorter side is resized to 256 where the network takes 224, and the middle cut out.
func fit(m *image.NRGBA, d train.Description) *image.NRGBA {
	w, h := int(d.Image.W), int(d.Image.H)
	if d.Macro.Preset != models.ImageNet {
		return resize(m, w, h)
	}
	short := min(m.Rect.Dx(), m.Rect.Dy())
	side := func(n, trained int) int { return max(trained, n*(trained*256/224)/short) }
	m = resize(m, side(m.Rect.Dx(), w), side(m.Rect.Dy(), h))
	at := func(n, trained int) int { return int(math.RoundToEven(float64(n-trained) / 2)) }
	from := image.Pt(at(m.Rect.Dx(), w), at(m.Rect.Dy(), h))
	return m.SubImage(image.Rectangle{from, from.Add(image.Pt(w, h))}).(*image.NRGBA)
}

// resize is bilinear, over all pixels that a smaller one covers.
func resize(m *image.NRGBA, w, h int) *image.NRGBA {
	if m.Rect.Dx() == w && m.Rect.Dy() == h {
		return m
	}
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(out, out.Rect, m, m.Rect, draw.Src, nil)
	return out
}

// normalised appends an image's values to dst, channel by channel, as the network takes them.
func normalised(dst []float32, m *image.NRGBA, d train.Description) []float32 {
	for c := range int(d.Image.C) {
		for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
			row := m.Pix[m.PixOffset(m.Rect.Min.X, y):]
			for x := range m.Rect.Dx() {
				v := int(row[4*x+c])
				if d.Image.C == 1 { // the luma of ITU-R 601
					v = (299*int(row[4*x]) + 587*int(row[4*x+1]) + 114*int(row[4*x+2]) + 500) / 1000
				}
				dst = append(dst, float32((float64(v)/255-d.Mean[c])/d.Std[c]))
			}
		}
	}
	return dst
}
