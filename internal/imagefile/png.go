package imagefile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
)

// pngRegion decodes a PNG. If the standard library's decoder refuses the file, it is decoded again after mendPNG:
// Pillow ignores the checksums of the pixel data, a missing end, and everything after the pixels.
func pngRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	m, err := whole(png.Decode)(d, w, h, r)
	if err == nil {
		return m, nil
	}
	if m, again := whole(png.Decode)(&Decoder{file: mendPNG(d.file)}, w, h, r); again == nil {
		return m, nil
	}
	return m, err
}

// mendPNG returns a PNG with only the chunks that the pixels need, correct checksums of the pixel data, and an
// end.
func mendPNG(file []byte) []byte {
	out := bytes.Clone(file[:8])
	for at := 8; at+8 <= len(file); {
		kind, rest := string(file[at+4:at+8]), file[at+8:]
		size := int(min(uint32(len(rest)), binary.BigEndian.Uint32(file[at:])))
		switch kind {
		case "IHDR", "PLTE", "tRNS":
			out = append(out, file[at:min(len(file), at+12+size)]...)
		case "IDAT":
			out = chunkPNG(out, kind, rest[:size])
		case "IEND":
			return chunkPNG(out, kind, nil)
		}
		at += 12 + size
	}
	return chunkPNG(out, "IEND", nil)
}

func chunkPNG(out []byte, kind string, content []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(content)))
	begin := len(out)
	out = append(append(out, kind...), content...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[begin:]))
}
