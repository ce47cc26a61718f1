// Package tfevents writes event files of TensorBoard, and reads the scalars in them.
package tfevents

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// An event file is a sequence of records: the length of an event (uint64), its checksum, the event, and the event's
// checksum, all little-endian (tensorflow/core/lib/io/record_writer.h). Events are messages of
// tensorboard/compat/proto/event.proto, summary.proto, histogram.proto, tensor.proto and tensor_shape.proto, in whose
// field numbers they are written here. Values are those that PyTorch's SummaryWriter writes.

// version is the text in the first event of a file.
const version = "brain.Event:2"

// Value is a value with its tag.
type Value struct{ encoded message }

// Scalar returns a number, which is rounded to float32.
func Scalar(tag string, v float64) Value {
	return Value{message{}.text(1, tag).float(2, v)} // tag, simple_value
}

// bins is the number of equally wide bins of a histogram.
const bins = 30

// Histogram returns the distribution of at least one finite number.
func Histogram(tag string, values []float64) Value {
	low, high := slices.Min(values), slices.Max(values)
	n := bins
	if low == high {
		n = 1
	}
	counts, sum, squares := make([]float64, n), 0.0, 0.0
	for _, v := range values {
		sum, squares = sum+v, squares+v*v
		bin := 0
		if n > 1 {
			bin = max(0, min(int((v-low)/(high-low)*float64(n)), n-1))
		}
		counts[bin]++
	}
	limits := make([]float64, n) // the upper end of each bin
	for i := range limits {
		limits[i] = low + (high-low)*float64(i+1)/float64(n)
	}
	limits[n-1] = high
	histogram := message{}.double(1, low).double(2, high).double(3, float64(len(values))).double(4, sum).double(5, squares) // min, max, num, sum, sum_squares
	histogram = histogram.doubles(6, limits).doubles(7, counts)                                                             // bucket_limit, bucket
	return Value{message{}.text(1, tag).bytes(5, histogram)}                                                                // tag, histo
}

// encoder writes images of few colours. Its files are hardly larger than those of the default, in a fifth of the time.
var encoder = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &buffers{}}

// buffers keeps the buffers of encoders.
type buffers struct{ sync.Pool }

func (b *buffers) Get() *png.EncoderBuffer {
	e, _ := b.Pool.Get().(*png.EncoderBuffer)
	return e
}

func (b *buffers) Put(e *png.EncoderBuffer) { b.Pool.Put(e) }

// Image returns an image with its description.
func Image(tag, description string, img image.Image) Value {
	var file bytes.Buffer
	if err := encoder.Encode(&file, img); err != nil {
		panic(err) // only of an empty or a huge image
	}
	size := img.Bounds().Size()
	const rgb = 3
	encoded := message{}.integer(1, uint64(size.Y)).integer(2, uint64(size.X)).integer(3, rgb).bytes(4, file.Bytes()) // height, width, colorspace, encoded_image_string
	metadata := message{}.bytes(1, message{}.text(1, "images")).text(3, description)                                  // plugin_data: plugin_name; summary_description
	return Value{message{}.text(1, tag).bytes(4, encoded).bytes(9, metadata)}                                         // tag, image, metadata
}

// Text returns a text in Markdown.
func Text(tag, text string) Value {
	const dtString = 7
	shape := message{}.bytes(2, message{}.integer(1, 1))                     // dim: size
	tensor := message{}.integer(1, dtString).bytes(2, shape).text(8, text)   // dtype, tensor_shape, string_val
	metadata := message{}.bytes(1, message{}.text(1, "text"))                // plugin_data: plugin_name
	return Value{message{}.text(1, tag).bytes(8, tensor).bytes(9, metadata)} // tag, tensor, metadata
}

// Hyperparameters returns settings, each a float64, a bool or a string, for TensorBoard's table of hyperparameters
// (tensorboard/plugins/hparams/plugin_data.proto). began is in seconds since 1970. Without a description of the
// experiment, TensorBoard compares runs by all their scalars.
func Hyperparameters(settings map[string]any, began float64) Value {
	var session message
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		var value message // google.protobuf.Value
		switch v := settings[key].(type) {
		case float64:
			value = value.double(2, v)
		case string:
			value = value.text(3, v)
		case bool:
			value = value.integer(4, map[bool]uint64{true: 1}[v])
		}
		session = session.bytes(1, message{}.text(1, key).bytes(2, value)) // hparams: key, value
	}
	session = session.double(5, began)                                                                 // start_time_secs
	metadata := message{}.bytes(1, message{}.text(1, "hparams").bytes(2, message{}.bytes(3, session))) // plugin_data: plugin_name, content: session_start_info
	return Value{message{}.text(1, "_hparams_/session_start_info").bytes(9, metadata)}                 // tag, metadata
}

// Begin returns the start of a file that is begun at that time, in seconds since 1970.
func Begin(time float64) []byte {
	return record(nil, message{}.double(1, time).text(3, version)) // wall_time, file_version
}

// Append appends an event with values of that step to a file.
func Append(file []byte, time float64, step int64, values []Value) []byte {
	var summary message
	for _, v := range values {
		summary = summary.bytes(1, v.encoded) // value
	}
	return record(file, message{}.double(1, time).integer(2, uint64(step)).bytes(5, summary)) // wall_time, step, summary
}

func record(file []byte, event message) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	file = append(file, length...)
	file = binary.LittleEndian.AppendUint32(file, checksum(length))
	file = append(file, event...)
	return binary.LittleEndian.AppendUint32(file, checksum(event))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the masked CRC-32C of data.
func checksum(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// message is a protobuf message under construction.
type message []byte

func (m message) integer(field protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func (m message) float(field protowire.Number, v float64) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, field, protowire.Fixed32Type), math.Float32bits(float32(v)))
}

func (m message) double(field protowire.Number, v float64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, field, protowire.Fixed64Type), math.Float64bits(v))
}

func (m message) doubles(field protowire.Number, values []float64) message {
	var packed []byte
	for _, v := range values {
		packed = protowire.AppendFixed64(packed, math.Float64bits(v))
	}
	return m.bytes(field, packed)
}

func (m message) text(field protowire.Number, s string) message {
	return m.bytes(field, []byte(strings.ToValidUTF8(s, "\uFFFD")))
}

func (m message) bytes(field protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), v)
}
