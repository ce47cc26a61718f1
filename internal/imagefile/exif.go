package imagefile

import (
	"bytes"
	"encoding/binary"
)

// orientation is the EXIF orientation, 1 to 8: how an image must be turned or mirrored to be upright.
type orientation int

const upright orientation = 1

// swaps reports whether turning the image upright swaps width and height.
func (o orientation) swaps() bool { return o >= 5 }

// apply writes src, turned upright, to dst and returns it.
func (o orientation) apply(dst []byte, src Image) Image {
	out := Image{W: src.W, H: src.H, Pix: dst}
	if o.swaps() {
		out.W, out.H = src.H, src.W
	}
	out.Stride = 3 * out.W
	// The pixel (x,y) of the file goes to the offset start + x*dx + y*dy.
	right, down := 3, out.Stride
	lastX, lastY := 3*(out.W-1), (out.H-1)*out.Stride
	var start, dx, dy int
	switch o {
	case 2: // mirrored
		start, dx, dy = lastX, -right, down
	case 3: // upside down
		start, dx, dy = lastX+lastY, -right, -down
	case 4: // mirrored, upside down
		start, dx, dy = lastY, right, -down
	case 5: // transposed
		start, dx, dy = 0, down, right
	case 6: // turn by 90 degrees clockwise
		start, dx, dy = lastX, down, -right
	case 7: // transposed, upside down
		start, dx, dy = lastX+lastY, -down, -right
	case 8: // turn by 90 degrees counterclockwise
		start, dx, dy = lastY, -down, right
	default:
		start, dx, dy = 0, right, down
	}
	for y := range src.H {
		line := src.Pix[y*src.Stride:][:3*src.W]
		at := start + y*dy
		for x := 0; x < len(line); x += 3 {
			dst[at], dst[at+1], dst[at+2] = line[x], line[x+1], line[x+2]
			at += dx
		}
	}
	return out
}

// exifOrientation returns the orientation in EXIF data: tag 0x0112 of the first TIFF directory. It
// returns 1, upright, if the data are malformed or have no such tag.
func exifOrientation(tiff []byte) orientation {
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return upright
		}
		const short = 3
		if order.Uint16(entries) == 0x0112 && order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 {
			if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			return upright
		}
		entries = entries[12:]
	}
	return upright
}

func noEXIF([]byte) []byte { return nil }

// jpegEXIF returns the EXIF data of a JPEG file: the TIFF in its first EXIF APP1 segment.
func jpegEXIF(file []byte) []byte {
	for at := 2; at+4 <= len(file); {
		if file[at] != 0xff { // rubbish between the segments
			at++
			continue
		}
		marker, size := file[at+1], int(binary.BigEndian.Uint16(file[at+2:]))
		switch {
		case marker == 0xff: // a fill byte
			at++
			continue
		case marker == 0xda || size < 2 || size > len(file)-at-2: // the scan begins, or the file is damaged
			return nil
		}
		if tiff, ok := bytes.CutPrefix(file[at+4:at+2+size], []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			return tiff
		}
		at += 2 + size
	}
	return nil
}

// pngEXIF returns the EXIF data of a PNG file: its chunk eXIf.
func pngEXIF(file []byte) []byte {
	for at := 8; at+12 <= len(file); {
		size := uint64(binary.BigEndian.Uint32(file[at:]))
		if size > uint64(len(file)-at-12) {
			return nil
		}
		if string(file[at+4:at+8]) == "eXIf" {
			return file[at+8:][:size]
		}
		at += 12 + int(size)
	}
	return nil
}

// webpEXIF returns the EXIF data of a WebP file: its chunk EXIF. Some programs begin it with the header of
// JPEG's segment, which is removed.
func webpEXIF(file []byte) []byte {
	for at := 12; at+8 <= len(file); {
		size := uint64(binary.LittleEndian.Uint32(file[at+4:]))
		if size > uint64(len(file)-at-8) {
			return nil
		}
		if string(file[at:at+4]) == "EXIF" {
			return bytes.TrimPrefix(file[at+8:][:size], []byte("Exif\x00\x00"))
		}
		at += 8 + int(size+size%2)
	}
	return nil
}
