package torch_test

import (
	"errors"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Every failure below comes with its operation, its operands' shapes and libtorch's words, and
// leaves nothing behind: not in memory, not in the slot of the last error, not in the mode.
func TestErrors(t *testing.T) {
	torchtest.OnCPU(t)
	z := func(shape ...int64) torch.Tensor { return torch.Zeros(float32s(), shape...) }
	var none torch.Tensor
	conv := torch.ConvOptions{Groups: 3}
	ints := func() torch.Tensor { return torch.FromInt64([]int64{5, 0}, 2) }
	cases := []struct {
		op     string
		shapes [][]int64
		words  string
		run    func()
	}{
		{"add", [][]int64{{2, 3}, {2, 4}}, "must match the size of tensor b (4) at non-singleton dimension 1", func() { z(2, 3).Add(z(2, 4)) }},
		{"sub", [][]int64{{2}, {3}}, "must match", func() { z(2).Sub(z(3)) }},
		{"mul", [][]int64{{2}, {3}}, "must match", func() { z(2).Mul(z(3)) }},
		{"add_", [][]int64{{}, {2}}, "doesn't match the broadcast shape", func() { z().Add_(z(2)) }},
		{"copy_", [][]int64{{2}, {3}}, "must match", func() { z(2).Copy_(z(3)) }},
		{"conv2d", [][]int64{{1, 3, 8, 8}, {4, 2, 3, 3}, nil}, "expected input[1, 3, 8, 8] to have 2 channels", func() { torch.Conv2d(z(1, 3, 8, 8), z(4, 2, 3, 3), none, torch.ConvOptions{}) }},
		{"conv2d", [][]int64{{1, 2, 8, 8}, {3, 1, 3, 3}, nil}, "to have 3 channels", func() { torch.Conv2d(z(1, 2, 8, 8), z(3, 1, 3, 3), none, conv) }},
		{"conv2d", [][]int64{{1, 3, 8, 8}, {3, 1, 3, 3}, nil}, "stride", func() {
			torch.Conv2d(z(1, 3, 8, 8), z(3, 1, 3, 3), none, torch.ConvOptions{Groups: 3, Stride: []int64{0}})
		}},
		{"conv2d", [][]int64{{1, 3, 8, 8}, {3, 1, 3, 3}, nil}, "padding", func() {
			torch.Conv2d(z(1, 3, 8, 8), z(3, 1, 3, 3), none, torch.ConvOptions{Groups: 3, Padding: []int64{-1}})
		}},
		{"conv2d", [][]int64{{1, 3, 8, 8}, {3, 1, 3, 3}, nil}, "dilation", func() {
			torch.Conv2d(z(1, 3, 8, 8), z(3, 1, 3, 3), none, torch.ConvOptions{Groups: 3, Dilation: []int64{0}})
		}},
		{"conv2d", [][]int64{{1, 3, 2, 2}, {3, 1, 3, 3}, nil}, "greater than actual input size", func() { torch.Conv2d(z(1, 3, 2, 2), z(3, 1, 3, 3), none, conv) }},
		{"batch_norm", [][]int64{{2, 3, 1, 1}, {3}, {4}, nil, nil}, "", func() { torch.BatchNorm(z(2, 3, 1, 1), z(3), z(4), none, none, true, 0.1, 1e-5) }},
		{"max_pool2d", [][]int64{{1, 1, 4, 4}}, "stride should not be zero", func() { torch.MaxPool2d(z(1, 1, 4, 4), 3, 0, 1) }},
		{"max_pool2d", [][]int64{{1, 1, 4, 4}}, "pad should be at most half", func() { torch.MaxPool2d(z(1, 1, 4, 4), 2, 1, 2) }},
		{"avg_pool2d", [][]int64{{1, 1, 4, 4}}, "stride should not be zero", func() { torch.AvgPool2d(z(1, 1, 4, 4), 3, 0, 1) }},
		{"avg_pool2d", [][]int64{{1, 1, 4, 4}}, "stride should not be zero", func() { torch.AvgPool2d(z(1, 1, 4, 4), 2, 0, 0) }},
		{"adaptive_avg_pool2d", [][]int64{{4}}, "", func() { torch.GlobalAvgPool(z(4)) }},
		{"linear", [][]int64{{2, 3}, {5, 4}, nil}, "cannot be multiplied", func() { torch.Linear(z(2, 3), z(5, 4), none) }},
		{"cross_entropy_loss", [][]int64{{2, 3}, {2}}, "Target 5 is out of bounds", func() { torch.CrossEntropy(z(2, 3), ints(), 0) }},
		{"cat", [][]int64{{2, 3}, {2, 4}}, "Sizes of tensors must match", func() { torch.Cat([]torch.Tensor{z(2, 3), z(2, 4)}, 0) }},
		{"cat", nil, "", func() { torch.Cat(nil, 0) }},
		{"stack", [][]int64{{2}, {3}}, "each tensor to be equal size", func() { torch.Stack([]torch.Tensor{z(2), z(3)}, 0) }},
		{"stack", nil, "non-empty TensorList", func() { torch.Stack(nil, 0) }},
		{"permute", [][]int64{{2, 3}}, "dim", func() { z(2, 3).Permute(0) }},
		{"reshape", [][]int64{{6}}, "invalid for input of size 6", func() { z(6).Reshape(4) }},
		{"narrow", [][]int64{{6}}, "exceeds dimension size (6)", func() { z(6).Narrow(0, 4, 3) }},
		{"select", [][]int64{{6}}, "index 6 out of range", func() { z(6).Select(0, 6) }},
		{"gather", [][]int64{{2}, {2}}, "index 5 is out of bounds", func() { z(2).Gather(0, ints()) }},
		{"argmax", [][]int64{{2}}, "Dimension out of range", func() { z(2).Argmax(1) }},
		{"softmax", [][]int64{{2}}, "Dimension out of range", func() { z(2).Softmax(1) }},
		{"sum", [][]int64{{2}}, "Dimension out of range", func() { z(2).SumDim(1) }},
		{"topk", [][]int64{{2}}, "out of range", func() { z(2).TopK(3, 0) }},
		{"mean", [][]int64{{2}}, "could not infer output dtype", func() { ints().Mean() }},
		{"zeros", nil, "negative", func() { z(-1) }},
		{"uniform_", [][]int64{{2}}, "from", func() { z(2).Uniform_(1, 0) }},
		{"bernoulli_", [][]int64{{2}}, "p", func() { z(2).Bernoulli_(2) }},
		{"from_data", [][]int64{{2, 2}}, "12 bytes of float32 given, 16 needed", func() { torch.FromFloat32(make([]float32, 3), 2, 2) }},
		{"item", [][]int64{{2}}, "2 elements, not one", func() { z(2).Item() }},
		{"grad", [][]int64{{2}}, "grad can be implicitly created only for scalar outputs", func() {
			x := z(2).SetRequiresGrad(true)
			torch.Grad(x.AddScalar(1), []torch.Tensor{x})
		}},
		{"grad", [][]int64{{}}, "does not require grad", func() { torch.Grad(z(2).Sum(), []torch.Tensor{z(2)}) }},
		{"grad", [][]int64{{}}, "backward through the graph a second time", func() {
			x := z(2).SetRequiresGrad(true)
			loss := x.Mul(x).Sum()
			torch.Grad(loss, []torch.Tensor{x})
			torch.Grad(loss, []torch.Tensor{x})
		}},
		{"requires_grad", [][]int64{{2}}, "Only Tensors of floating point", func() { ints().SetRequiresGrad(true) }},
		{"requires_grad", [][]int64{{2}}, "leaf", func() { z(2).SetRequiresGrad(true).AddScalar(1).SetRequiresGrad(false) }},
		{"add_", [][]int64{{2}}, "a leaf Variable that requires grad is being used in an in-place operation", func() { z(2).SetRequiresGrad(true).AddScalar_(1) }},
		{"sgd", nil, "", func() {
			torch.SGDStep([]torch.Tensor{z(2)}, []torch.Tensor{z(3)}, nil, nil, torch.SGDOptions{LR: 1})
		}},
		{"adam", nil, "", func() {
			torch.AdamStep([]torch.Tensor{z(2)}, []torch.Tensor{z(2)}, []torch.Tensor{z(3)}, []torch.Tensor{z(2)}, []int64{1}, nil, torch.AdamOptions{LR: 1})
		}},
		{"generator_state", [][]int64{{3}}, "input RNG state size to be 3", func() { torch.SetGeneratorState(torch.CPU, make([]byte, 3)) }},
		{"set_num_threads", nil, "positive", func() { torch.SetThreads(-1) }},
	}
	for _, c := range cases {
		name := c.op + " " + c.words
		t.Run(strings.Trim(name, " "), func(t *testing.T) {
			before := torch.Live()
			reached := false
			err := torch.Do(func(*torch.Scope) error {
				torch.Ones(float32s(), 1)
				torch.Within(func(*torch.Scope) {
					torch.Ones(float32s(), 2)
					torch.Within(func(s *torch.Scope) {
						s.Return(torch.Ones(float32s(), 3))
						c.run()
						reached = true
					})
				})
				return nil
			})
			var e *torch.Error
			if reached || !errors.As(err, &e) {
				t.Fatalf("no *Error, but %v", err)
			}
			if e.Op != c.op || !reflect.DeepEqual(e.Shapes, c.shapes) {
				t.Errorf("%s of %v, want %s of %v", e.Op, e.Shapes, c.op, c.shapes)
			}
			words := e.Err.Error()
			if !strings.Contains(words, c.words) || words == "" || errors.Unwrap(err) != e.Err {
				t.Errorf("says %q, not %q", words, c.words)
			}
			for _, noise := range []string{"frame #", "Exception raised", "0x"} {
				if strings.Contains(err.Error(), noise) {
					t.Errorf("has a C++ stack: %q", err)
				}
			}
			if text := err.Error(); strings.ContainsAny(text[len(text)-1:], " \n") || !strings.HasPrefix(text, "torch: "+c.op) {
				t.Errorf("the text %q", text)
			}
			if left := torch.Live() - before; left != 0 {
				t.Errorf("%d tensors left behind", left)
			}
			do(t, func(*torch.Scope) {
				if !torch.GradEnabled() || torch.Ones(float32s(), 2).Add(torch.Ones(float32s(), 2)).Sum().Item() != 4 {
					t.Error("the next Do is not what it should be")
				}
			})
		})
	}
}

// Too little memory is told apart from other failures, and leaves nothing behind.
func TestOutOfMemory(t *testing.T) {
	before := torch.Live()
	err := torch.Do(func(*torch.Scope) error {
		torch.Zeros(float32s(), 1<<20, 1<<30)
		return nil
	})
	if !errors.Is(err, torch.ErrOutOfMemory) || !strings.Contains(err.Error(), "zeros: out of memory: ") || !strings.Contains(err.Error(), torchtest.OutOfMemory()) {
		t.Errorf("error %v", err)
	}
	if left := torch.Live() - before; left != 0 {
		t.Errorf("%d tensors left behind", left)
	}
	err = torch.Do(func(*torch.Scope) error { torch.Zeros(float32s(), 2).Add(torch.Zeros(float32s(), 3)); return nil })
	if err == nil || errors.Is(err, torch.ErrOutOfMemory) {
		t.Errorf("another failure is %v", err)
	}
}

func TestErrorText(t *testing.T) {
	err := &torch.Error{Op: "conv2d", Shapes: [][]int64{{1, 2}, {}, nil}, Err: errors.New("words")}
	if got, want := err.Error(), "torch: conv2d [1 2], [], undefined: words"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Mistakes that libtorch would answer by ending the process are ordinary panics.
func TestMisuse(t *testing.T) {
	var none, freed, kept torch.Tensor
	do(t, func(*torch.Scope) { freed = torch.Zeros(float32s(), 1) })
	if err := torch.Do(func(*torch.Scope) error { kept = torch.Zeros(float32s(), 1).Keep(); return nil }); err != nil {
		t.Fatal(err)
	}
	uses := map[string]func(x torch.Tensor){
		"add":           func(x torch.Tensor) { x.Add(kept) },
		"add, second":   func(x torch.Tensor) { kept.Add(x) },
		"add_":          func(x torch.Tensor) { x.AddScalar_(1) },
		"mul":           func(x torch.Tensor) { x.MulScalar(1) },
		"copy_":         func(x torch.Tensor) { kept.Copy_(x) },
		"cat":           func(x torch.Tensor) { torch.Cat([]torch.Tensor{x}, 0) },
		"to":            func(x torch.Tensor) { x.To(torch.Float64) },
		"topk":          func(x torch.Tensor) { x.TopK(1, 0) },
		"clone":         func(x torch.Tensor) { x.Clone() },
		"conv2d":        func(x torch.Tensor) { torch.Conv2d(kept, x, none, torch.ConvOptions{}) },
		"depthwise":     func(x torch.Tensor) { torch.Conv2d(kept, x, none, torch.ConvOptions{Groups: 2}) },
		"linear":        func(x torch.Tensor) { torch.Linear(kept, x, none) },
		"batch_norm":    func(x torch.Tensor) { torch.BatchNorm(x, none, none, none, none, true, 0.1, 1e-5) },
		"max_pool2d":    func(x torch.Tensor) { torch.MaxPool2d(x, 3, 1, 1) },
		"cross_entropy": func(x torch.Tensor) { torch.CrossEntropy(kept, x, 0) },
		"grad":          func(x torch.Tensor) { torch.Grad(x, []torch.Tensor{kept}) },
		"grad, input":   func(x torch.Tensor) { torch.Grad(kept, []torch.Tensor{x}) },
		"requires_grad": func(x torch.Tensor) { x.SetRequiresGrad(true) },
		"sgd": func(x torch.Tensor) {
			torch.SGDStep([]torch.Tensor{kept}, []torch.Tensor{x}, nil, nil, torch.SGDOptions{})
		},
		"bytes":    func(x torch.Tensor) { x.Bytes() },
		"float64s": func(x torch.Tensor) { x.Float64s() },
		"int64s":   func(x torch.Tensor) { x.Int64s() },
		"item":     func(x torch.Tensor) { x.Item() },
		"shape":    func(x torch.Tensor) { x.Shape() },
		"dtype":    func(x torch.Tensor) { x.DType() },
		"device":   func(x torch.Tensor) { x.Device() },
	}
	for name, use := range uses {
		var ofNone, ofFreed string
		do(t, func(*torch.Scope) {
			ofNone = panics(func() { use(none) })
			ofFreed = panics(func() { use(freed) })
		})
		if !strings.Contains(ofNone, "undefined tensor") {
			t.Errorf("%s of an undefined tensor: %q", name, ofNone)
		}
		if !strings.Contains(ofFreed, "used after it was freed") {
			t.Errorf("%s of a freed tensor: %q", name, ofFreed)
		}
	}

	outside := map[string]func(){
		"zeros":           func() { torch.Zeros(float32s(), 1) },
		"full":            func() { torch.Full(float32s(), 1) },
		"from_data":       func() { torch.FromFloat32([]float32{1}, 1) },
		"add":             func() { kept.Add(kept) },
		"add_":            func() { kept.AddScalar_(1) },
		"copy_":           func() { kept.Copy_(kept) },
		"topk":            func() { kept.TopK(1, 0) },
		"clone":           func() { kept.Clone() },
		"max_pool2d":      func() { torch.MaxPool2d(kept, 3, 1, 1) },
		"float64s":        func() { kept.Float64s() },
		"int64s":          func() { kept.Int64s() },
		"bytes":           func() { kept.Bytes() },
		"item":            func() { kept.Item() },
		"grad":            func() { torch.Grad(kept, []torch.Tensor{kept}) },
		"stored grad":     func() { kept.Grad() },
		"no_grad":         func() { torch.NoGrad(func() {}) },
		"grad_mode":       func() { torch.GradEnabled() },
		"requires_grad":   func() { kept.SetRequiresGrad(true) },
		"is grad":         func() { kept.RequiresGrad() },
		"scope":           func() { torch.Within(func(*torch.Scope) {}) },
		"manual_seed":     func() { torch.Seed(1) },
		"generator_state": func() { torch.GeneratorState(torch.CPU) },
		"set generator":   func() { torch.SetGeneratorState(torch.CPU, nil) },
		"threads":         func() { torch.Threads() },
		"set threads":     func() { torch.SetThreads(1) },
		"compile":         func() { torch.Compile(torch.Graph{}) },
		"sgd":             func() { torch.SGDStep(nil, nil, nil, nil, torch.SGDOptions{}) },
		"adam":            func() { torch.AdamStep(nil, nil, nil, nil, nil, nil, torch.AdamOptions{}) },
		"norm":            func() { torch.Norm(nil) },
		"clip":            func() { torch.ClipGradNorm(nil, 1) },
	}
	for name, f := range outside {
		if got := panics(f); !strings.Contains(got, "outside torch.Do") {
			t.Errorf("%s outside Do: %q", name, got)
		}
	}
	// Nor is a goroutine that was started inside Do inside it.
	do(t, func(*torch.Scope) {
		text := make(chan string)
		go func() { text <- panics(func() { kept.Float64s() }) }()
		if got := <-text; !strings.Contains(got, "outside torch.Do") {
			t.Errorf("in another goroutine: %q", got)
		}
	})
	if err := torch.Do(func(*torch.Scope) error { kept.Free(); return nil }); err != nil {
		t.Error(err)
	}
}

// Lists that do not belong together would be read behind their ends.
func TestStepsWithListsOfDifferentLengths(t *testing.T) {
	do(t, func(*torch.Scope) {
		one := func(n int) []torch.Tensor {
			ts := make([]torch.Tensor, n)
			for i := range ts {
				ts[i] = torch.Zeros(float32s(), 1)
			}
			return ts
		}
		momentum := torch.SGDOptions{LR: 1, Momentum: 0.9}
		for name, f := range map[string]func(){
			"sgd, gradients": func() { torch.SGDStep(one(2), one(1), nil, nil, torch.SGDOptions{LR: 1}) },
			"sgd, buffers":   func() { torch.SGDStep(one(2), one(2), one(1), make([]bool, 2), momentum) },
			"sgd, no buffer": func() { torch.SGDStep(one(2), one(2), nil, make([]bool, 2), momentum) },
			"sgd, fresh":     func() { torch.SGDStep(one(2), one(2), one(2), make([]bool, 1), momentum) },
			"adam, moments":  func() { torch.AdamStep(one(2), one(2), one(2), one(1), make([]int64, 2), nil, torch.AdamOptions{}) },
			"adam, steps":    func() { torch.AdamStep(one(2), one(2), one(2), one(2), make([]int64, 1), nil, torch.AdamOptions{}) },
		} {
			if got := panics(f); !strings.Contains(got, "2 parameters") {
				t.Errorf("%s: %q", name, got)
			}
		}
	})
}

// An ordinary panic continues in the caller with its original stack; scopes and modes are restored.
func TestPanic(t *testing.T) {
	before := torch.Live()
	for name, f := range map[string]func(){
		"text":   func() { panic("some words") },
		"index":  func() { _ = []int{}[torch.Zeros(float32s(), 3).Size(0)] },
		"nested": func() { _ = torch.Do(func(*torch.Scope) error { panic("some words") }) },
	} {
		want := "some words"
		if name == "index" {
			want = "index out of range [3]"
		}
		got := panics(func() {
			err := torch.Do(func(*torch.Scope) error {
				torch.Zeros(float32s(), 2)
				torch.Within(func(*torch.Scope) { torch.NoGrad(f) })
				return nil
			})
			t.Errorf("%s: Do returned %v", name, err)
		})
		if !strings.Contains(got, want) || !strings.Contains(got, "error_test.go") {
			t.Errorf("%s: panicked with %q", name, got)
		}
		if strings.Count(got, "debug.Stack()") != 1 {
			t.Errorf("%s: not one stack in %q", name, got)
		}
		if torch.Live() != before {
			t.Errorf("%s: %d tensors left behind", name, torch.Live()-before)
		}
		do(t, func(*torch.Scope) {
			if !torch.GradEnabled() {
				t.Errorf("%s: gradients are not recorded any more", name)
			}
		})
	}
}

// runtime.Goexit inside Do, as by testing.T.Fatal, ends the goroutine that called Do, and the
// tensor thread's successor is as good as it was.
func TestGoexit(t *testing.T) {
	before := torch.Live()
	var threads int
	do(t, func(*torch.Scope) { threads = torch.Threads(); torch.SetThreads(1) })
	for _, nested := range []bool{false, true} {
		var returned, ended bool
		var wait sync.WaitGroup
		wait.Go(func() {
			defer func() { ended = true }()
			_ = torch.Do(func(*torch.Scope) error {
				torch.Zeros(float32s(), 2)
				quit := func(*torch.Scope) { torch.NoGrad(runtime.Goexit) }
				if nested {
					_ = torch.Do(func(s *torch.Scope) error { quit(s); return nil })
				} else {
					quit(nil)
				}
				return nil
			})
			returned = true
		})
		wait.Wait()
		if returned || !ended || torch.Live() != before {
			t.Errorf("returned %v, ended %v, %d tensors left behind", returned, ended, torch.Live()-before)
		}
		do(t, func(*torch.Scope) {
			if !torch.GradEnabled() || torch.Threads() != 1 || torch.Ones(float32s(), 3).Sum().Item() != 3 {
				t.Error("the next Do is not what it should be")
			}
		})
	}
	do(t, func(*torch.Scope) { torch.SetThreads(threads) })
}
