package imagefile

import (
	"encoding/binary"
	"errors"
	"image"
	"io"
	"math"
)

// golang.org/x/image/tiff refuses CMYK, YCbCr, JPEG, samples besides the colours and colours in planes, and takes
// black for white in some faxes. This decoder reads the container, and leaves the codes
// of LZW and fax to that module.

// Tags of TIFF.
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

// tiffJPEG is the compression by JPEG.
const tiffJPEG = 7

// Ways to have colours.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
)

// tiffDir is the first directory of a TIFF: the numbers of each tag.
type tiffDir struct {
	file  []byte
	order binary.ByteOrder
	tags  map[uint16][]uint32
}

// tiffDirOf reads the first directory. Of each tag it takes as many numbers as the file has.
func tiffDirOf(file []byte) (d tiffDir, err error) {
	d = tiffDir{file: file, order: binary.LittleEndian, tags: map[uint16][]uint32{}}
	if len(file) < 8 {
		return d, io.ErrUnexpectedEOF
	}
	if file[0] == 'M' {
		d.order = binary.BigEndian
	}
	// Behind the mark: where the directory begins, the size of an entry, of its count and of what it holds
	// itself; BigTIFF has larger ones.
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
		if size == 0 { // texts, fractions and the like
			continue
		}
		count := uint64(d.order.Uint32(e[4:]))
		if inline == 8 {
			count = d.order.Uint64(e[4:])
		}
		if count > uint64(len(file)) { // leads out of the file, as below: what needs the tag misses it
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
		if total += int(count); total > len(file) { // tags may not share their numbers without end
			return d, errors.New("tags that overlap")
		}
		numbers := make([]uint32, count)
		for k := range numbers {
			switch v := values[uint64(k)*size:]; size {
			case 8: // too large for a file that is in memory where it is no uint32
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

// first is the first number of a tag, or otherwise.
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

// tiffLayout is how the samples of a TIFF lie.
type tiffLayout struct {
	tiffDir
	w, h      int
	bits      int // of a sample
	samples   int // of a pixel
	used      int // of these, as colours, and alpha where that is in them
	format    int // of a sample: 1 unsigned, 2 signed, 3 floating-point
	colours   int
	code      int // the compression
	planes    bool
	predictor int
	bw, bh    int // of a block: a strip or a tile
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
		l.used = 4 // what alpha has dimmed
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

// tiffPixels decodes a TIFF of w x h to RGB.
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
	levels := make([]byte, l.used*w*h) // of the colours; of a palette the index
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

// block is the content of a strip or a tile as the file has it.
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

// convert makes RGB of the levels.
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
			copy(dst, levels) // converted with the JPEG
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
