package imagefile

import (
	"encoding/binary"
	"errors"
	"image"
	"io"
	"math"
)

// golang.org/x/image/tiff does not support CMYK, YCbCr, JPEG compression, extra samples or separate planes, and
// inverts some fax images. This decoder parses the file itself; it uses that module's LZW and fax decoders.

// The tags that are used here.
const (
	tiffWidth, tiffHeight       = 256, 257
	tiffBits, tiffCompression   = 258, 259
	tiffColours, tiffFillOrder  = 262, 266
	tiffStrips, tiffSamples     = 273, 277
	tiffRowsPerStrip            = 278
	tiffStripBytes, tiffPlanar  = 279, 284
	tiffPredictor, tiffColorMap = 317, 320
	tiffTileWidth               = 322
	tiffTileHeight, tiffTiles   = 323, 324
	tiffTileBytes, tiffExtra    = 325, 338
	tiffFormat, tiffTables      = 339, 347
	tiffSubsampling             = 530
)

// tiffJPEG is the value of the tag "compression" for JPEG.
const tiffJPEG = 7

// Values of the tag "photometric interpretation".
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
)

// tiffDir holds the tags with integer values of the first directory in a TIFF.
type tiffDir struct {
	file  []byte
	order binary.ByteOrder
	tags  map[uint16][]uint32
}

// tiffDirOf parses the first directory. It skips tags whose values are outside the file.
func tiffDirOf(file []byte) (d tiffDir, err error) {
	d = tiffDir{file: file, order: binary.LittleEndian, tags: map[uint16][]uint32{}}
	if len(file) < 8 {
		return d, io.ErrUnexpectedEOF
	}
	if file[0] == 'M' {
		d.order = binary.BigEndian
	}
	// at is the offset of the directory, entry the size of an entry, inline the size of the values that it can
	// hold itself, behind the size of the directory's entry count. BigTIFF has larger ones.
	at, n, entry, inline := uint64(d.order.Uint32(file[4:])), uint64(0), 12, 4
	behind := 2
	if d.order.Uint16(file[2:]) == 43 {
		if len(file) < 16 {
			return d, io.ErrUnexpectedEOF
		}
		at, entry, inline, behind = d.order.Uint64(file[8:]), 20, 8, 8
	}
	if at > uint64(len(file)-behind) {
		return d, io.ErrUnexpectedEOF
	}
	entries := file[at:]
	if n = uint64(d.order.Uint16(entries)); inline == 8 {
		n = d.order.Uint64(entries)
	}
	if entries = entries[behind:]; n > uint64(len(entries)/entry) {
		return d, io.ErrUnexpectedEOF
	}
	total := 0
	for i := range int(n) {
		e := entries[entry*i:][:entry]
		size := map[uint16]uint64{1: 1, 7: 1, 3: 2, 4: 4, 16: 8}[d.order.Uint16(e[2:])]
		if size == 0 { // a tag that is not of integers
			continue
		}
		count := uint64(d.order.Uint32(e[4:]))
		if inline == 8 {
			count = d.order.Uint64(e[4:])
		}
		if count > uint64(len(file)) { // the values are outside the file
			continue
		}
		values := e[entry-inline:]
		if size*count > uint64(inline) {
			begin := uint64(d.order.Uint32(values))
			if inline == 8 {
				begin = d.order.Uint64(values)
			}
			if begin > uint64(len(file)) || size*count > uint64(len(file))-begin {
				continue
			}
			values = file[begin:][:size*count]
		}
		if total += int(count); total > len(file) { // many tags could share the same bytes otherwise
			return d, errors.New("tags that overlap")
		}
		numbers := make([]uint32, count)
		for k := range numbers {
			switch v := values[uint64(k)*size:]; size {
			case 8: // a larger offset is outside the file anyway
				numbers[k] = uint32(min(d.order.Uint64(v), math.MaxUint32))
			case 1:
				numbers[k] = uint32(v[0])
			case 2:
				numbers[k] = uint32(d.order.Uint16(v))
			default:
				numbers[k] = d.order.Uint32(v)
			}
		}
		d.tags[d.order.Uint16(e)] = numbers
	}
	return d, nil
}

// first returns the first value of a tag, or the default if the tag is missing.
func (d tiffDir) first(tag uint16, otherwise uint32) int {
	if v := d.tags[tag]; len(v) > 0 {
		return int(v[0])
	}
	return int(otherwise)
}

func tiffSize(file []byte) (image.Config, error) {
	d, err := tiffDirOf(file)
	return image.Config{Width: d.first(tiffWidth, 0), Height: d.first(tiffHeight, 0)}, err
}

// tiffLayout describes how the samples are stored.
type tiffLayout struct {
	tiffDir
	w, h      int
	bits      int // per sample
	samples   int // per pixel
	used      int // number of them that are decoded: the colours, and alpha if they are premultiplied by it
	format    int // of the samples: 1 unsigned, 2 signed, 3 floating-point
	colours   int
	code      int // the compression
	planes    bool
	predictor int
	bw, bh    int // size of a block, which is a strip or a tile
	offsets   []uint32
	counts    []uint32
}

func (d tiffDir) layout(w, h int) (l tiffLayout, err error) {
	l = tiffLayout{tiffDir: d, w: w, h: h, bits: d.first(tiffBits, 1), samples: d.first(tiffSamples, 1),
		colours: d.first(tiffColours, tiffWhiteIsZero), code: d.first(tiffCompression, 1), planes: d.first(tiffPlanar, 1) == 2, predictor: d.first(tiffPredictor, 1)}
	for _, bits := range d.tags[tiffBits] {
		if int(bits) != l.bits {
			return l, unsupported("samples of %d and %d bits", l.bits, bits)
		}
	}
	l.used = map[int]int{tiffWhiteIsZero: 1, tiffBlackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3}[l.colours]
	l.format = d.first(tiffFormat, 1)
	if l.colours == tiffRGB && l.samples > 3 && d.first(tiffExtra, 0) == 1 {
		l.used = 4 // premultiplied by alpha
	}
	grey32 := l.bits == 32 && l.used == 1 && l.samples == 1 && l.colours != tiffPalette && l.predictor == 1
	switch {
	case l.used == 0:
		return l, unsupported("colours of kind %d", l.colours)
	case grey32 && l.format <= 3:
	case l.bits != 1 && l.bits != 2 && l.bits != 4 && l.bits != 8 && l.bits != 16:
		return l, unsupported("samples of %d bits", l.bits)
	case l.samples < l.used || l.samples > 16:
		return l, unsupported("%d samples a pixel for colours of kind %d", l.samples, l.colours)
	case l.format > 2:
		return l, unsupported("samples that are no whole numbers")
	case l.predictor > 2 || l.predictor == 2 && l.bits < 8:
		return l, unsupported("predictor %d of samples of %d bits", l.predictor, l.bits)
	}
	l.bw, l.bh, l.offsets, l.counts = w, d.first(tiffRowsPerStrip, uint32(h)), d.tags[tiffStrips], d.tags[tiffStripBytes]
	if len(l.offsets) == 0 {
		l.bw, l.bh, l.offsets, l.counts = d.first(tiffTileWidth, 0), d.first(tiffTileHeight, 0), d.tags[tiffTiles], d.tags[tiffTileBytes]
		const largest = 1 << 16
		if l.bw < 1 || l.bh < 1 || l.bw > largest || l.bh > largest {
			return l, errors.New("it has neither strips nor tiles")
		}
	}
	if l.bh = min(l.bh, max(h, d.first(tiffTileHeight, 0))); l.bh < 1 {
		return l, errors.New("strips without rows")
	}
	return l, nil
}

// tiffPixels decodes a TIFF of w x h pixels into dst, as RGB.
func tiffPixels(file, dst []byte, w, h int) error {
	d, err := tiffDirOf(file)
	if err != nil {
		return err
	}
	l, err := d.layout(w, h)
	if err != nil {
		return err
	}
	across, down := (w+l.bw-1)/l.bw, (h+l.bh-1)/l.bh
	planes := 1
	if l.planes {
		planes = l.used
	}
	if len(l.offsets) < planes*across*down {
		return errors.New("it lacks strips or tiles")
	}
	levels := make([]byte, l.used*w*h) // of the colours in 8 bits, or palette indices
	for plane := range planes {
		for k := range across * down {
			block, err := l.block(plane*across*down + k)
			if err == nil {
				at := image.Rect(0, 0, l.bw, l.bh).Add(image.Pt(k%across*l.bw, k/across*l.bh))
				err = l.decode(block, at, plane, levels)
			}
			if err != nil {
				return err
			}
		}
	}
	return l.convert(dst, levels)
}

// block returns the compressed content of a strip or a tile.
func (l tiffLayout) block(i int) ([]byte, error) {
	at := int64(l.offsets[i])
	if at > int64(len(l.file)) {
		return nil, io.ErrUnexpectedEOF
	}
	block := l.file[at:]
	if i < len(l.counts) && int64(l.counts[i]) < int64(len(block)) {
		block = block[:l.counts[i]]
	}
	return block, nil
}

// convert converts levels to RGB.
func (l tiffLayout) convert(dst, levels []byte) error {
	switch l.colours {
	case tiffRGB:
		if l.used == 3 {
			copy(dst, levels)
			return nil
		}
		for i := 0; i < len(levels); i += 4 {
			for c, level := range levels[i : i+3] {
				v := int(level)
				if a := int(levels[i+3]); a == 0 {
					v = 0
				} else if a < 255 {
					v = min(255, v*255/a)
				}
				dst[i/4*3+c] = byte(v)
			}
		}
	case tiffWhiteIsZero, tiffBlackIsZero:
		spread(dst, levels)
	case tiffCMYK:
		cmykRow(dst, levels)
	case tiffYCbCr:
		if l.code == tiffJPEG {
			copy(dst, levels) // the JPEG decoder has already converted them
			return nil
		}
		var y, cb, cr [1]byte
		for i := 0; i < len(levels); i += 3 {
			y[0], cb[0], cr[0] = levels[i], levels[i+1], levels[i+2]
			jfif(dst[i:i+3], y[:], cb[:], cr[:])
		}
	case tiffPalette:
		table := l.tags[tiffColorMap]
		n := len(table) / 3
		for i, index := range levels {
			if int(index) >= n {
				return errors.New("an index that is not in its palette")
			}
			for c := range 3 {
				dst[3*i+c] = byte(table[c*n+int(index)] >> 8)
			}
		}
	}
	return nil
}
