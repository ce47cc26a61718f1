package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"hdas/models/layer"
	"hdas/torch/dtype"
)

// The versions of ONNX that a model is written for: of its format, and of its operations.
const (
	irVersion = 8
	Opset     = 17
)

// maxModel is the largest size of a protobuf file in bytes.
const maxModel = math.MaxInt32

// Model is a graph with what an ONNX file says of it.
type Model struct {
	Graph
	Name      string
	Image     layer.Shape // of one image; the batch size is free
	Classes   int64
	Precision dtype.DType // Float32 or Float16: of the weights, the images and the logits
	Metadata  []Property
}

// Property is a text with its key.
type Property struct{ Key, Value string }

// The functions below append fields of messages of onnx.proto, by their numbers there.

// Write writes the model as an ONNX file. It returns an error if the weights do not fit the precision or the file.
func (m Model) Write(w io.Writer, read Weights) error {
	graph, err := m.graph(read)
	if err != nil {
		return err
	}
	model := message{}.integer(1, irVersion).text(2, producer).integer(5, 1) // ir_version, producer_name, model_version
	model = model.bytes(8, message{}.integer(2, Opset))                      // opset_import; the domain of standard operations is empty
	for _, p := range m.Metadata {
		model = model.bytes(14, message{}.text(1, p.Key).text(2, p.Value)) // metadata_props
	}
	model = protowire.AppendTag(model, 7, protowire.BytesType)
	model = protowire.AppendVarint(model, uint64(len(graph)))
	if len(model)+len(graph) > maxModel {
		return fmt.Errorf("an ONNX file has at most 2 GB, and the network's weights need %.1f GB", float64(len(graph))/1e9)
	}
	if _, err := w.Write(model); err != nil {
		return err
	}
	_, err = w.Write(graph)
	return err
}

const producer = "hdas"

// IsModel reports whether a file that begins with these bytes is probably an ONNX model: it begins with the
// version of the format and the name of the program that wrote it, and its next field is one of a model.
func IsModel(head []byte) bool {
	if len(head) < 4 || head[0] != 1<<3|byte(protowire.VarintType) || head[2] != 2<<3|byte(protowire.BytesType) {
		return false
	}
	next := 4 + int(head[3])
	return next < len(head) && head[next]>>3 >= 3 && head[next]>>3 <= 14
}

func (m Model) graph(read Weights) (message, error) {
	var size int64
	for _, p := range m.Parameters {
		size += (layer.Param{Shape: p.Shape}).Numel() * m.Precision.Size()
	}
	if size > maxModel {
		return nil, fmt.Errorf("an ONNX file has at most 2 GB, and the network's weights have %.1f GB in %v", float64(size)/1e9, m.Precision)
	}
	g := make(message, 0, size+int64(len(m.Nodes)+len(m.Parameters))<<9)
	for _, n := range m.Nodes {
		g = g.bytes(1, node(n))
	}
	g = g.text(2, m.Name)
	for _, p := range m.Parameters {
		t, err := m.tensor(p, read)
		if err != nil {
			return nil, err
		}
		g = g.bytes(5, t) // initializer
	}
	g = g.bytes(11, m.value(Input, m.Image.C, m.Image.H, m.Image.W))
	return g.bytes(12, m.value(Output, m.Classes)), nil
}

func node(n Node) message {
	var b message
	for _, name := range n.Inputs {
		b = b.text(1, name)
	}
	b = b.text(2, n.Name).text(3, n.Name).text(4, n.Op) // output, name, op_type
	for _, a := range n.Attributes {
		b = b.bytes(5, attribute(a))
	}
	return b
}

// attribute returns an AttributeProto; field 20 is the type of the value.
func attribute(a Attribute) message {
	b := message{}.text(1, a.Name)
	switch v := a.Value.(type) {
	case float64:
		b = protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(float32(v)))
		return b.integer(20, 1)
	case int64:
		return b.integer(3, v).integer(20, 2)
	case []int64:
		for _, i := range v {
			b = b.integer(8, i)
		}
		return b.integer(20, 7)
	}
	panic(fmt.Sprintf("export: attribute %s is a %T", a.Name, a.Value))
}

// element returns ONNX' number of the precision.
func (m Model) element() int64 {
	switch m.Precision {
	case dtype.Float32:
		return 1
	case dtype.Float16:
		return 10
	}
	panic(fmt.Sprintf("export: a model of %v", m.Precision))
}

// tensor returns a TensorProto.
func (m Model) tensor(p Parameter, read Weights) (message, error) {
	var b message
	for _, d := range p.Shape {
		b = b.integer(1, d)
	}
	element, data := m.element(), []byte{}
	if p.Integers != nil {
		element = 7
		for _, v := range p.Integers {
			data = binary.LittleEndian.AppendUint64(data, uint64(v))
		}
	} else {
		for _, v := range p.Values(read) {
			fits := false
			if data, fits = m.number(data, v); !fits {
				return nil, fmt.Errorf("%s has the value %g, which does not fit into %v", p.Name, v, m.Precision)
			}
		}
	}
	return b.integer(2, element).text(8, p.Name).bytes(9, data), nil // data_type, name, raw_data
}

// number appends a value. It fits unless it is rounded to infinity or is no number.
func (m Model) number(data []byte, v float64) (out []byte, fits bool) {
	if m.Precision == dtype.Float16 {
		bits := half(v)
		return binary.LittleEndian.AppendUint16(data, bits), bits&0x7c00 != 0x7c00
	}
	rounded := float32(v)
	return binary.LittleEndian.AppendUint32(data, math.Float32bits(rounded)), !math.IsInf(float64(rounded), 0) && rounded == rounded
}

// value returns the ValueInfoProto of a tensor with that name and shape, behind a free batch size.
func (m Model) value(name string, shape ...int64) message {
	dims := message{}.bytes(1, message{}.text(2, "batch"))
	for _, d := range shape {
		dims = dims.bytes(1, message{}.integer(1, d))
	}
	tensor := message{}.integer(1, m.element()).bytes(2, dims)
	return message{}.text(1, name).bytes(2, message{}.bytes(1, tensor))
}

// message is a protobuf message under construction.
type message []byte

func (m message) integer(field protowire.Number, v int64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), uint64(v))
}

func (m message) text(field protowire.Number, s string) message {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), strings.ToValidUTF8(s, "\uFFFD"))
}

func (m message) bytes(field protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), v)
}
