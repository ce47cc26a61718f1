package tfevents

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Event is what Read returns of an event.
type Event struct {
	End     int64   // offset in the file behind its record
	Time    float64 // seconds since 1970
	Step    int64
	Scalars map[string]float64 // by tag
}

// Read returns the events of a file up to its end or to the first record that is not whole. The first event of a
// file has its version alone.
func Read(file []byte) (events []Event) {
	const head, tail = 12, 4
	end := uint64(0)
	for rest := file; len(rest) >= head+tail; rest = file[end:] {
		n := binary.LittleEndian.Uint64(rest)
		if n > uint64(len(rest)-head-tail) || checksum(rest[:8]) != binary.LittleEndian.Uint32(rest[8:]) {
			break
		}
		data := rest[head:][:n]
		if checksum(data) != binary.LittleEndian.Uint32(rest[head+n:]) {
			break
		}
		end += head + n + tail
		e := Event{End: int64(end), Scalars: map[string]float64{}}
		if !e.decode(data) {
			break
		}
		events = append(events, e)
	}
	return events
}

// decode reports whether data is an event.
func (e *Event) decode(data []byte) bool {
	return fields(data, func(field protowire.Number, v uint64, content []byte) bool {
		switch field {
		case 1:
			e.Time = math.Float64frombits(v)
		case 2:
			e.Step = int64(v)
		case 5:
			return fields(content, func(field protowire.Number, _ uint64, value []byte) bool { return field != 1 || e.scalar(value) })
		}
		return true
	})
}

// scalar adds a Summary.Value if it is a scalar.
func (e *Event) scalar(data []byte) bool {
	tag, number, is := "", 0.0, false
	whole := fields(data, func(field protowire.Number, v uint64, content []byte) bool {
		switch field {
		case 1:
			tag = string(content)
		case 2:
			number, is = float64(math.Float32frombits(uint32(v))), true
		}
		return true
	})
	if is {
		e.Scalars[tag] = number
	}
	return whole
}

// fields calls f with each field of a message: with the bits of a number, or with the content of a message, a text or
// bytes. It returns false if f does, or if the message is damaged.
func fields(data []byte, f func(field protowire.Number, v uint64, content []byte) bool) bool {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false
		}
		data = data[n:]
		var v uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var narrow uint32
			narrow, n = protowire.ConsumeFixed32(data)
			v = uint64(narrow)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(data)
		default:
			return false
		}
		if n < 0 || !f(field, v, content) {
			return false
		}
		data = data[n:]
	}
	return true
}
