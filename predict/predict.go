// Package predict classifies images with a trained network.
package predict

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/internal/imagefile"
	"hdas/model"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// Guess is a class with its probability.
type Guess struct {
	Class       string  `json:"class"`
	Index       int     `json:"index"` // index of the class, from 0
	Probability float64 `json:"probability"`
}

// Image is an image file with its most likely classes, in descending order of probability.
type Image struct {
	File    string  `json:"file"`
	Guesses []Guess `json:"guesses"`
}

// Find returns the image files for a list of paths, and an error for each path that cannot be read. A
// file is taken whatever its name is; a folder is searched recursively for the extensions of images.
func Find(paths []string) (files []string, faults []error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if !info.IsDir() {
			if err := checkFile(path, info); err != nil {
				faults = append(faults, err)
			} else {
				files = append(files, path)
			}
			continue
		}
		before := len(files)
		filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				faults = append(faults, err)
			} else if !e.IsDir() && slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(file))) {
				info, err := os.Stat(file)
				if err == nil {
					err = checkFile(file, info)
				}
				if err != nil {
					faults = append(faults, err)
				} else {
					files = append(files, file)
				}
			}
			return nil
		})
		if len(files) == before && len(faults) == 0 {
			faults = append(faults, fmt.Errorf("folder %s holds no image (%s)", path, strings.Join(imagefile.Extensions, ", ")))
		}
	}
	return files, faults
}

// checkFile returns an error if a path is not a regular file or is too large. Pipes and devices may never end.
func checkFile(path string, info os.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case info.Size() > imagefile.MostFile:
		return fmt.Errorf("%s has %d bytes, where %d are allowed", path, info.Size(), imagefile.MostFile)
	}
	return nil
}

// Predictor runs a network on images.
type Predictor struct {
	Model *model.Model
	Batch int // images in a batch, at least 1
	Top   int // number of classes to return for an image, at least 1
}

// Check returns an error if the model does not have what Images needs: square images of 1 or 3 channels,
// per-channel mean and standard deviation, and names of the classes.
func (p Predictor) Check() error {
	d := p.Model.Description
	if c := int(d.Image.C); c != 1 && c != 3 || len(d.Mean) != c || len(d.Std) != c {
		return fmt.Errorf("the checkpoint does not say how the images of %q, of %d channels, are normalised; use --input with a tensor that is", d.Dataset, d.Image.C)
	}
	if d.Image.H != d.Image.W {
		return fmt.Errorf("the network takes images of %dx%d, which are not square; use --input with a tensor", d.Image.H, d.Image.W)
	}
	if n := int64(len(d.Classes)); n != d.Macro.Classes {
		return fmt.Errorf("the checkpoint has %d names for %d classes", n, d.Macro.Classes)
	}
	return nil
}

// Images classifies image files and calls yield with the result for each, in order, until yield returns
// false. For a file that cannot be read yield gets an error. If ctx is cancelled, Images returns its
// error.
func (p Predictor) Images(ctx context.Context, files []string, yield func(Image, error) bool) error {
	for batch := range slices.Chunk(files, p.Batch) {
		var pixels []float32
		var faults = make([]error, len(batch))
		for i, file := range batch {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			pix, err := p.read(file)
			faults[i], pixels = err, append(pixels, pix...)
		}
		guesses, err := p.Guess(pixels)
		if err != nil {
			return err
		}
		for i, file := range batch {
			r := Image{File: file}
			if faults[i] == nil {
				r.Guesses, guesses = guesses[0], guesses[1:]
			}
			if !yield(r, faults[i]) {
				return nil
			}
		}
	}
	return nil
}

// Guess returns the most likely classes of each of several normalised images (N,C,H,W), in descending order of
// probability.
func (p Predictor) Guess(pixels []float32) (guesses [][]Guess, err error) {
	s := p.Model.Image
	n := int64(len(pixels)) / (s.C * s.H * s.W)
	if n == 0 {
		return nil, nil
	}
	err = torch.Do(func(*torch.Scope) error {
		logits := p.logits(torch.FromFloat32(pixels, n, s.C, s.H, s.W))
		for row := range slices.Chunk(logits.To(torch.Float64).Softmax(1).Float64s(), len(p.Model.Classes)) {
			list := make([]Guess, len(row))
			for i, v := range row {
				list[i] = Guess{p.Model.Classes[i], i, v}
			}
			slices.SortStableFunc(list, func(a, b Guess) int { return cmp.Compare(b.Probability, a.Probability) })
			guesses = append(guesses, list[:min(p.Top, len(list))])
		}
		return nil
	})
	return guesses, err
}

// logits returns the logits (N,Classes), on the CPU, for images (N,C,H,W) of any type.
func (p Predictor) logits(images torch.Tensor) (out torch.Tensor) {
	o := p.Model.Weights.Options()
	torch.NoGrad(func() { out = p.Model.Logits(&nn.Ctx{}, images.To(o.DType).ToDevice(o.Device)).ToDevice(torch.CPU) })
	return out
}

// Logits returns the logits (N,Classes), on the CPU and in the type of the weights, for normalised
// images (N,C,H,W). They belong to the innermost scope. It runs inside torch.Do.
func (p Predictor) Logits(ctx context.Context, images torch.Tensor) (torch.Tensor, error) {
	shape, s := images.Shape(), p.Model.Image
	if len(shape) != 4 || shape[0] < 1 || shape[1] != s.C || shape[2] != s.H || shape[3] != s.W {
		return torch.Tensor{}, fmt.Errorf("images of shape %v, where the network takes (N,%d,%d,%d)", shape, s.C, s.H, s.W)
	}
	if err := p.sound(images); err != nil {
		return torch.Tensor{}, err
	}
	var parts []torch.Tensor
	for from := int64(0); from < shape[0]; from += int64(p.Batch) {
		if ctx.Err() != nil {
			return torch.Tensor{}, ctx.Err()
		}
		torch.Within(func(scope *torch.Scope) {
			part := p.logits(images.Narrow(0, from, min(int64(p.Batch), shape[0]-from)))
			scope.Return(part)
			parts = append(parts, part)
		})
	}
	return torch.Cat(parts, 0), nil
}

// sound returns an error if images are not of a floating-point type, or have NaN or infinite values.
func (p Predictor) sound(images torch.Tensor) error {
	if t := images.DType(); !t.Floating() {
		return fmt.Errorf("images of %s, where the network takes floating-point numbers that are normalised: pixels of 0 to 255 are to be divided by 255, then by mean %.4g and deviation %.4g of the channels", t, p.Model.Mean, p.Model.Std)
	}
	for i := range images.Shape()[0] {
		if !model.Finite(images.Narrow(0, i, 1)) {
			return fmt.Errorf("image %d has values that are NaN or infinite, as of a division by a deviation of 0 when it was normalised", i)
		}
	}
	return nil
}

// File reads the tensor "input" (normalised images, see Logits) from the safetensors file in, writes the
// tensor "logits" to the safetensors file out, and returns the shape of the logits.
func (p Predictor) File(ctx context.Context, in, out string) (shape []int64, err error) {
	err = torch.Do(func(*torch.Scope) error {
		tensors, _, err := run.ReadTensors(in)
		if err != nil {
			return err
		}
		input, ok := tensors["input"]
		if !ok {
			return fmt.Errorf(`%s has no tensor "input"`, in)
		}
		logits, err := p.Logits(ctx, input)
		if err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
		shape = logits.Shape()
		return run.WriteTensors(out, []nn.Param{{Name: "logits", Tensor: logits}}, nil)
	})
	return shape, err
}
