package tfevents_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"hdas/internal/tfevents"
)

// message holds the values of the fields of a protobuf message, in order: uint64, []byte.
type message map[protowire.Number][]any

// parse reads a message that has only those fields, of those kinds.
func parse(t *testing.T, data []byte, kinds map[protowire.Number]protowire.Type) message {
	t.Helper()
	m := message{}
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			t.Fatalf("no field: %q", data)
		}
		if want, known := kinds[field]; !known || want != kind {
			t.Fatalf("field %d of type %d", field, kind)
		}
		data = data[n:]
		var v any
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(data)
			v = uint64(bits)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(data)
		}
		if n < 0 {
			t.Fatalf("field %d is cut off", field)
		}
		m[field], data = append(m[field], v), data[n:]
	}
	return m
}

func (m message) text(field protowire.Number) string { return string(m[field][0].([]byte)) }

func (m message) double(field protowire.Number) float64 {
	return math.Float64frombits(m[field][0].(uint64))
}

func (m message) doubles(t *testing.T, field protowire.Number) (values []float64) {
	t.Helper()
	packed := m[field][0].([]byte)
	if len(packed)%8 != 0 {
		t.Fatalf("field %d has %d bytes", field, len(packed))
	}
	for ; len(packed) > 0; packed = packed[8:] {
		values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(packed)))
	}
	return values
}

// records returns the events of a file, which must be nothing but whole records.
func records(t *testing.T, file []byte) (events [][]byte) {
	t.Helper()
	sum := func(data []byte) uint32 { // as in record_writer.h: rotated to the right by 15 bits, plus a constant
		c := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		return c>>15 + c<<17 + 0xa282ead8
	}
	for len(file) > 0 {
		n := int(binary.LittleEndian.Uint64(file))
		if got := binary.LittleEndian.Uint32(file[8:]); got != sum(file[:8]) {
			t.Fatalf("checksum of a length %x", got)
		}
		event := file[12:][:n]
		if got := binary.LittleEndian.Uint32(file[12+n:]); got != sum(event) {
			t.Fatalf("checksum of an event %x", got)
		}
		events, file = append(events, event), file[16+n:]
	}
	return events
}

// The kinds of fields in the messages of TensorBoard that are used.
const (
	varint = protowire.VarintType
	f32    = protowire.Fixed32Type
	f64    = protowire.Fixed64Type
	long   = protowire.BytesType
)

type kinds = map[protowire.Number]protowire.Type

// A reader that knows the fields of TensorBoard's messages, and no others, finds what was written.
func TestFilesAreAsTensorBoardReadsThem(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	img.SetGray(2, 1, color.Gray{200})
	file := tfevents.Begin(1.5)
	file = tfevents.Append(file, 2.5, 7, []tfevents.Value{
		tfevents.Scalar("train/loss", 0.25), tfevents.Histogram("alpha", []float64{3, 0, 1, 1}), tfevents.Histogram("same", []float64{2, 2}),
		tfevents.Image("heat", "what", img), tfevents.Text("config", "a: b\xff"),
	})
	events := records(t, file)
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	event := kinds{1: f64, 2: varint, 3: long, 5: long}
	if first := parse(t, events[0], event); first.double(1) != 1.5 || first.text(3) != "brain.Event:2" || len(first) != 2 {
		t.Errorf("first event %v", first)
	}
	second := parse(t, events[1], event)
	if second.double(1) != 2.5 || second[2][0] != uint64(7) || len(second) != 3 {
		t.Errorf("second event %v", second)
	}
	values := parse(t, second[5][0].([]byte), kinds{1: long})[1]
	var of []message
	for _, v := range values {
		of = append(of, parse(t, v.([]byte), kinds{1: long, 2: f32, 4: long, 5: long, 8: long, 9: long}))
	}
	if len(of) != 5 {
		t.Fatalf("%d values", len(of))
	}
	if s := of[0]; s.text(1) != "train/loss" || math.Float32frombits(uint32(s[2][0].(uint64))) != 0.25 || len(s) != 2 {
		t.Errorf("scalar %v", s)
	}
	histogram := kinds{1: f64, 2: f64, 3: f64, 4: f64, 5: f64, 6: long, 7: long}
	h := parse(t, of[1][5][0].([]byte), histogram)
	limits, counts := h.doubles(t, 6), h.doubles(t, 7)
	if h.double(1) != 0 || h.double(2) != 3 || h.double(3) != 4 || h.double(4) != 5 || h.double(5) != 11 || len(limits) != 30 || len(counts) != 30 {
		t.Errorf("histogram %v", h)
	}
	if !slices.IsSorted(limits) || limits[29] != 3 || counts[0] != 1 || counts[10] != 2 || counts[29] != 1 {
		t.Errorf("bins up to %v with %v", limits, counts)
	}
	h = parse(t, of[2][5][0].([]byte), histogram)
	if limits, counts := h.doubles(t, 6), h.doubles(t, 7); !slices.Equal(limits, []float64{2}) || !slices.Equal(counts, []float64{2}) {
		t.Errorf("bins of equal values up to %v with %v", limits, counts)
	}
	picture := parse(t, of[3][4][0].([]byte), kinds{1: varint, 2: varint, 3: varint, 4: long})
	back, err := png.Decode(bytes.NewReader(picture[4][0].([]byte)))
	if err != nil || picture[1][0] != uint64(2) || picture[2][0] != uint64(3) || color.GrayModel.Convert(back.At(2, 1)) != (color.Gray{200}) {
		t.Errorf("image %v, %v", picture, err)
	}
	if about := parse(t, of[3][9][0].([]byte), kinds{1: long, 3: long}); about.text(3) != "what" || parse(t, about[1][0].([]byte), kinds{1: long}).text(1) != "images" {
		t.Errorf("description %v", about)
	}
	tensor := parse(t, of[4][8][0].([]byte), kinds{1: varint, 2: long, 8: long})
	plugin := parse(t, parse(t, of[4][9][0].([]byte), kinds{1: long})[1][0].([]byte), kinds{1: long})
	shape := parse(t, parse(t, tensor[2][0].([]byte), kinds{2: long})[2][0].([]byte), kinds{1: varint})
	if tensor[1][0] != uint64(7) || tensor.text(8) != "a: b\uFFFD" || plugin.text(1) != "text" || shape[1][0] != uint64(1) {
		t.Errorf("text %v, %v, %v", tensor, plugin, shape)
	}
}

// example is a file with a version and two events.
func example() (file []byte, ends []int64) {
	file = tfevents.Begin(1)
	ends = append(ends, int64(len(file)))
	for step := range int64(2) {
		file = tfevents.Append(file, 2, step+1, []tfevents.Value{tfevents.Scalar("a", 0.5), tfevents.Text("t", "x"), tfevents.Scalar("b", -2)})
		ends = append(ends, int64(len(file)))
	}
	return file, ends
}

// Read returns the events before the first damage, wherever that is.
func TestReadUpToTheDamage(t *testing.T) {
	file, ends := example()
	events := tfevents.Read(file)
	if len(events) != 3 || events[2].Step != 2 || events[2].Time != 2 || len(events[2].Scalars) != 2 || events[2].Scalars["b"] != -2 {
		t.Fatalf("%v", events)
	}
	whole := func(size int) (n int) {
		for n < len(ends) && ends[n] <= int64(size) {
			n++
		}
		return n
	}
	for i := range file {
		damaged := slices.Clone(file)
		damaged[i] ^= 4
		for what, got := range map[string]int{"cut": len(tfevents.Read(file[:i])), "damaged": len(tfevents.Read(damaged))} {
			if got != whole(i) {
				t.Fatalf("%s at %d: %d events, not %d", what, i, got, whole(i))
			}
		}
	}
	if got := len(tfevents.Read(append(file, strings.Repeat("\xff", 40)...))); got != 3 {
		t.Errorf("%d events before bytes of another kind", got)
	}
}

func FuzzRead(f *testing.F) {
	file, _ := example()
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		end := int64(0)
		for _, e := range tfevents.Read(file) {
			if e.End <= end || e.End > int64(len(file)) {
				t.Fatalf("an event that ends at %d of %d bytes, after %d", e.End, len(file), end)
			}
			end = e.End
		}
	})
}
