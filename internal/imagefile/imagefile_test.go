package imagefile

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/golden/raw"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// tight is an image's pixels without what lies between its rows.
func tight(m Image) []byte {
	var pix []byte
	for y := range m.H {
		pix = append(pix, m.Pix[y*m.Stride:][:3*m.W]...)
	}
	return pix
}

// Every kind of file has the colours that Pillow gives it. Exactly so where the format leaves
// nothing open; JPEG leaves the rounding of its transform open.
func TestDecodeEqualsPillow(t *testing.T) {
	golden := raw.Read(t, "testdata/expected.safetensors")
	if len(golden.Names()) < 30 {
		t.Fatalf("%d goldens", len(golden.Names()))
	}
	for _, name := range golden.Names() {
		want, shape := golden.Bytes(t, name)
		m, err := Decode(read(t, filepath.Join("testdata", name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		worst, mean := apart(t, name, m, want, shape)
		worstAllowed, meanAllowed := 0, 0.0
		switch {
		case strings.HasSuffix(name, ".jpg"):
			worstAllowed, meanAllowed = 3, 0.1
		}
		if worst > worstAllowed || mean > meanAllowed {
			t.Errorf("%s differs by up to %d levels, %.3f on average", name, worst, mean)
		}
	}
}

// apart returns the largest and the mean difference between an image and the expected pixels of that shape.
func apart(t *testing.T, name string, m Image, want []byte, shape []int) (worst int, mean float64) {
	t.Helper()
	if m.H != shape[0] || m.W != shape[1] {
		t.Errorf("%s is %dx%d, not %dx%d", name, m.W, m.H, shape[1], shape[0])
		return 0, 0
	}
	sum := 0
	for i, v := range tight(m) {
		d := int(v) - int(want[i])
		worst, sum = max(worst, d, -d), sum+max(d, -d)
	}
	return worst, float64(sum) / float64(len(want))
}

// A part is what the whole image has there.
func TestRegionIsPartOfTheWhole(t *testing.T) {
	files := [][]byte{
		read(t, "../../datasets/testdata/photos/china.jpg"), read(t, "../../datasets/testdata/photos/flower.jpg"),
		read(t, "testdata/jpeg-422.jpg"), read(t, "testdata/jpeg-444.jpg"), read(t, "testdata/jpeg-cmyk.jpg"), read(t, "testdata/jpeg-grey.jpg"),
		read(t, "testdata/jpeg-progressive.jpg"), read(t, "testdata/exif-5.jpg"), read(t, "testdata/exif-8.jpg"), read(t, "testdata/rgba.png"),
	}
	var wholes []Image
	for _, file := range files {
		m, err := Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		wholes = append(wholes, m)
	}
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(files)-1).Draw(t, "file")
		whole := wholes[i]
		x, y := rapid.IntRange(0, whole.W-1).Draw(t, "x"), rapid.IntRange(0, whole.H-1).Draw(t, "y")
		r := image.Rect(x, y, x+rapid.IntRange(1, whole.W-x).Draw(t, "w"), y+rapid.IntRange(1, whole.H-y).Draw(t, "h"))
		if err := d.Open(files[i]); err != nil {
			t.Fatal(err)
		}
		m, err := d.Region(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tight(m), tight(whole.part(r))) {
			t.Fatalf("%v is another than in the whole image", r)
		}
	})
	if _, err := d.Region(image.Rect(0, 0, d.W+1, d.H)); err == nil {
		t.Error("a part goes beyond the image")
	}
	if _, err := d.Region(image.Rect(3, 3, 3, 9)); err == nil {
		t.Error("a part of nothing")
	}
}

// A file cut off anywhere, or changed anywhere, is an image or an error, never a panic; cut off
// before its last bytes it is an error.
func TestDamagedFiles(t *testing.T) {
	for _, name := range []string{"jpeg-420.jpg", "jpeg-progressive.jpg", "jpeg-cmyk.jpg", "exif-6.jpg", "rgb.png", "palette.gif", "rgb.bmp", "lossless.webp", "lossy.webp", "exif-6.webp"} {
		file := read(t, filepath.Join("testdata", name))
		for _, part := range []int{2, 3, 4, 10} {
			cut := file[:len(file)-len(file)/part]
			if _, err := Decode(cut); err == nil {
				t.Errorf("%s without its last %d of %d bytes is decoded", name, len(file)/part, len(file))
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			bad := bytes.Clone(file)
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			Decode(bad[:rapid.IntRange(0, len(bad)).Draw(t, "length")])
		})
	}
	for want, file := range map[string]string{"empty": "", "not a JPEG, PNG": "hello", "damaged PNG": "\x89PNG\r\n\x1a\nxxxxxxxxxxxxxxxx", "damaged JPEG": "\xff\xd8\xff\xd9"} {
		if _, err := Decode([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v", file, err)
		}
	}
	bomb := bytes.Clone(read(t, "testdata/rgb.bmp"))
	copy(bomb[18:], "\xff\xff\xff\x7f\xff\xff\xff\x7f")
	if _, err := Decode(bomb); err == nil {
		t.Error("a file of 2^62 pixels is decoded")
	}
}

// The chroma between rows is that between columns, turned; one rounds where the other does not.
func TestUpsamplingOfRowsIsThatOfColumns(t *testing.T) {
	wide := image.NewYCbCr(image.Rect(0, 0, 40, 40), image.YCbCrSubsampleRatio422)
	tall := image.NewYCbCr(image.Rect(0, 0, 40, 40), image.YCbCrSubsampleRatio440)
	for y := range 40 {
		for x := range 40 {
			wide.Y[y*40+x], tall.Y[x*40+y] = byte(x*y), byte(x*y)
			if x < 20 {
				cb, cr := byte(100+x+y), byte(90+2*x-y)
				wide.Cb[y*20+x], wide.Cr[y*20+x] = cb, cr
				tall.Cb[x*40+y], tall.Cr[x*40+y] = cb, cr
			}
		}
	}
	a, b := make([]byte, 3*40*40), make([]byte, 3*40*40)
	ycbcr(b, tall, ycbcr(a, wide, nil))
	for y := range 40 {
		for x := range 40 {
			for c := range 3 {
				if d := int(a[3*(40*y+x)+c]) - int(b[3*(40*x+y)+c]); d < -2 || d > 2 {
					t.Fatalf("pixel (%d,%d) differs by %d", x, y, d)
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"jpeg-odd-420.jpg", "exif-6.png", "palette.gif", "grey.bmp", "lossy.webp"} {
		f.Add(read(f, filepath.Join("testdata", name)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if m, err := Decode(file); err == nil && (len(m.Pix) < 3*m.W || m.W < 1 || m.H < 1) {
			t.Errorf("an image of %dx%d", m.W, m.H)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	file := read(b, "../../datasets/testdata/photos/china.jpg")
	for name, r := range map[string]image.Rectangle{"whole": image.Rect(0, 0, 500, 375), "half": image.Rect(80, 60, 430, 327)} {
		b.Run(name, func(b *testing.B) {
			var d Decoder
			for b.Loop() {
				if err := d.Open(file); err != nil {
					b.Fatal(err)
				}
				if _, err := d.Region(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
