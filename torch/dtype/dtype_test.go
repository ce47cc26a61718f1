package dtype_test

import (
	"strings"
	"testing"

	"hdas/torch/dtype"
)

// That libtorch has the same numbers and sizes is tested in package torch.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for d := dtype.DType(0); d.Known(); d++ {
		for name, find := range map[string]func(string) (dtype.DType, bool){d.Safetensors(): dtype.FromSafetensors, d.Storage(): dtype.FromStorage} {
			if got, ok := find(name); !ok || got != d {
				t.Errorf("%q is %v, not %v", name, got, d)
			}
		}
		if got, ok := dtype.FromNumber(d.Number()); !ok || got != d {
			t.Errorf("number %d is %v, not %v", d.Number(), got, d)
		}
		if seen[d.String()] || d.Floating() != strings.Contains(d.String(), "float") {
			t.Errorf("%v is there twice, or is not a floating-point type by its name", d)
		}
		seen[d.String()] = true
	}
	for d, want := range map[dtype.DType]string{
		dtype.Float32: "float32 F32 FloatStorage", dtype.Float64: "float64 F64 DoubleStorage", dtype.Float16: "float16 F16 HalfStorage",
		dtype.BFloat16: "bfloat16 BF16 BFloat16Storage", dtype.Int64: "int64 I64 LongStorage", dtype.Int32: "int32 I32 IntStorage",
		dtype.Int16: "int16 I16 ShortStorage", dtype.Int8: "int8 I8 CharStorage", dtype.Uint8: "uint8 U8 ByteStorage", dtype.Bool: "bool BOOL BoolStorage",
	} {
		if got := d.String() + " " + d.Safetensors() + " " + d.Storage(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if _, ok := dtype.FromSafetensors("F8"); ok {
		t.Error("F8 is known")
	}
	if _, ok := dtype.FromNumber(8); ok {
		t.Error("complex32 is known")
	}
	if d := dtype.DType(99); d.Known() || d.String() != "dtype(99)" || (dtype.DType(0)).String() != "float32" {
		t.Error(d)
	}
}

func TestPrecision(t *testing.T) {
	for name, want := range map[string]dtype.Precision{
		"float32": {}, "fp32": {}, "float64": {DType: dtype.Float64}, "bf16": {Autocast: dtype.BFloat16},
	} {
		if p, err := dtype.ParsePrecision(name, false); p != want || err != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if p, err := dtype.ParsePrecision("tf32", true); p != (dtype.Precision{TF32: true}) || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := dtype.ParsePrecision("tf32", false); err == nil || !strings.Contains(err.Error(), "use float32") {
		t.Error(err)
	}
	if p, err := dtype.ParsePrecision("fp16", true); p.Autocast != dtype.Float16 || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := dtype.ParsePrecision("fp16", false); err == nil || !strings.Contains(err.Error(), "use bf16") {
		t.Error(err)
	}
	if _, err := dtype.ParsePrecision("half", false); err == nil || !strings.Contains(err.Error(), "bf16 fp16") {
		t.Error(err)
	}
}
