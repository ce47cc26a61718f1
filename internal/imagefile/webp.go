package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// golang.org/x/image/webp decodes still images only. For an animation, the functions here extract the first
// frame as a still image and draw it on a black canvas, like libwebp and therefore Pillow.

// videoRange is an image whose luma is in 16..235 ("studio swing"). Lossy WebP images are, although
// x/image/webp returns them as ordinary YCbCr images.
type videoRange struct{ *image.YCbCr }

func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	switch m := m.(type) {
	case *image.YCbCr:
		return videoRange{m}, err
	case *image.NYCbCrA:
		return videoRange{&m.YCbCr}, err
	}
	return m, err
}

// webpFrame describes the first frame of an animation.
type webpFrame struct {
	canvas image.Point // size in pixels
	at     image.Rectangle
	still  []byte // a WebP file with only this frame
}

// webpAnimated returns the first frame if the file is an animation, and nil if it is not.
func webpAnimated(file []byte) (*webpFrame, error) {
	const animation = 2
	chunks := file[min(12, len(file)):]
	kind, head, chunks := webpChunk(chunks)
	if kind != "VP8X" || len(head) < 10 || head[0]&animation == 0 {
		return nil, nil
	}
	f := &webpFrame{canvas: image.Pt(int(uint24(head[4:]))+1, int(uint24(head[7:]))+1)}
	for len(chunks) > 0 {
		var frame []byte
		if kind, frame, chunks = webpChunk(chunks); kind != "ANMF" {
			continue
		}
		if len(frame) < 16 {
			return nil, io.ErrUnexpectedEOF
		}
		x, y := 2*int(uint24(frame)), 2*int(uint24(frame[3:]))
		f.at = image.Rect(x, y, x+int(uint24(frame[6:]))+1, y+int(uint24(frame[9:]))+1)
		if !f.at.In(image.Rectangle{Max: f.canvas}) {
			return nil, errors.New("a frame that is not within its canvas")
		}
		for parts := frame[16:]; len(parts) > 0; {
			before := parts
			if kind, _, parts = webpChunk(parts); kind == "VP8 " || kind == "VP8L" { // a transparency chunk is skipped
				image := before[:len(before)-len(parts)]
				f.still = append([]byte("RIFF\x00\x00\x00\x00WEBP"), image...)
				f.still = append(f.still, make([]byte, len(image)%2)...)
				binary.LittleEndian.PutUint32(f.still[4:], uint32(len(f.still)-8))
				return f, nil
			}
		}
		break
	}
	return nil, errors.New("an animation without a frame")
}

// webpChunk splits the first chunk from the following ones. If it is cut short, content is the part that is
// there.
func webpChunk(chunks []byte) (kind string, content, rest []byte) {
	if len(chunks) < 8 {
		return "", nil, nil
	}
	size := int(min(uint32(len(chunks)-8), binary.LittleEndian.Uint32(chunks[4:])))
	return string(chunks[:4]), chunks[8:][:size], chunks[min(len(chunks), 8+size+size%2):]
}

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

func webpSize(file []byte) (image.Config, error) {
	if len(file) < 12 || uint64(len(file)) < 8+uint64(binary.LittleEndian.Uint32(file[4:])) {
		return image.Config{}, io.ErrUnexpectedEOF
	}
	f, err := webpAnimated(file)
	if err != nil || f == nil {
		if err != nil {
			return image.Config{}, err
		}
		return webp.DecodeConfig(bytes.NewReader(file))
	}
	return image.Config{Width: f.canvas.X, Height: f.canvas.Y}, nil
}

func webpRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	f, err := webpAnimated(d.file)
	if err != nil {
		return Image{}, err
	}
	if f == nil {
		return whole(decodeWebP)(d, w, h, r)
	}
	src, err := decodeWebP(bytes.NewReader(f.still))
	if err != nil {
		return Image{}, err
	}
	if src.Bounds().Size() != f.at.Size() {
		return Image{}, errors.New("a frame of another size than its head says")
	}
	frame := Image{f.at.Dx(), f.at.Dy(), 3 * f.at.Dx(), make([]byte, 3*f.at.Dx()*f.at.Dy())}
	d.line = convert(frame.Pix, src, d.line)
	d.pix = resized(d.pix, 3*w*h)
	clear(d.pix)
	for y := range frame.H {
		copy(d.pix[3*(w*(f.at.Min.Y+y)+f.at.Min.X):], frame.Pix[y*frame.Stride:][:frame.Stride])
	}
	return Image{w, h, 3 * w, d.pix}.part(r), nil
}

// libwebp interpolates the chroma channels with the same weights as libjpeg, but with different rounding.

// webpRow interpolates one output row of a chroma channel. near and far are the nearest input row and the next
// nearest one.
func webpRow(dst, near, far []byte) {
	end := func(i int) byte { return byte((3*int(near[i]) + int(far[i]) + 2) >> 2) }
	dst[0] = end(0)
	for x := 1; x < len(near); x++ {
		nl, n, fl, f := int(near[x-1]), int(near[x]), int(far[x-1]), int(far[x])
		all := nl + n + fl + f + 8
		put(dst, 2*x-1, ((all+2*(n+fl))>>3+nl)>>1)
		put(dst, 2*x, ((all+2*(nl+f))>>3+n)>>1)
	}
	put(dst, 2*len(near)-1, int(end(len(near)-1)))
}

// webpRGB converts a lossy WebP image, whose chroma channels have half its width and height, to RGB in dst. It
// returns line, scratch space that may have grown.
func webpRGB(dst []byte, src *image.YCbCr, line []byte) []byte {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	line = resized(line, 2*(w+1))
	cb, cr := line[:w], line[w+1:][:w]
	for y := range h {
		near := y / 2
		far := min(max(near-1+2*(y%2), 0), ch-1)
		webpRow(cb, src.Cb[near*src.CStride:][:cw], src.Cb[far*src.CStride:][:cw])
		webpRow(cr, src.Cr[near*src.CStride:][:cw], src.Cr[far*src.CStride:][:cw])
		bt601(dst[3*w*y:][:3*w], src.Y[y*src.YStride:][:w], cb, cr)
	}
	return line
}
