package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/export"
	"hdas/internal/filekind"
	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/report"
	"hdas/run"
)

// output is a kind of file that a command writes.
type output struct {
	what    string   // as contents names it
	endings []string // of its name
}

var (
	aGenotype   = output{"a genotype", []string{".yaml", ".yml"}}
	aDrawing    = output{"an SVG drawing", []string{".svg"}}
	aPicture    = output{"a PNG image", []string{".png"}}
	anAnimation = output{"a GIF image", []string{".gif"}}
	aReport     = output{"a report", []string{".html"}}
	aCheckpoint = output{run.ImportedWeights, []string{".safetensors"}}
	logits      = output{"a tensor of logits", []string{".safetensors"}}
	asTensors   = output{run.Tensors, []string{".safetensors"}}
	asPyTorch   = output{"a PyTorch file", []string{".pt"}}
	asONNX      = output{"an ONNX model", []string{".onnx"}}
	asModule    = output{"an exported PyTorch module", []string{".py"}}
)

// or is a kind whose files are of this or of another kind.
func (o output) or(other output) output {
	return output{o.what + " or " + other.what, slices.Concat(o.endings, other.endings)}
}

// may returns an error unless a command may write that kind of file to path: the name has one of its
// endings or none, and the file is new, empty or of the same kind; it is none that the command reads (through no link,
// either), and none that belongs to a run. inputs are the files and the folders that the command reads; names
// that are neither are ignored. All commands that write a file ask here before they compute.
func (o output) may(path string, inputs ...string) error {
	if ending := filepath.Ext(path); ending != "" && !slices.Contains(o.endings, strings.ToLower(ending)) {
		return fmt.Errorf("-o %q: this writes %s, whose name ends in %s", path, o.what, strings.Join(o.endings, " or "))
	}
	if run.Owns(path) {
		return fmt.Errorf("-o %s belongs to the run in that folder; choose another name", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, input := range inputs {
		if reads(input, info) {
			return fmt.Errorf("-o %s is a file that this command reads (%s); choose another name", path, input)
		}
	}
	if is := contents(path, info); is != "" && is != o.what {
		return fmt.Errorf("-o %s is %s, which would be replaced by %s; choose another name or remove it", path, is, o.what)
	}
	return nil
}

// reads reports whether a file is the input or, if that is a folder, is in it.
func reads(input string, file os.FileInfo) bool {
	found := false
	if input == "" {
		return false
	}
	filepath.WalkDir(resolved(input), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is not read, either
		}
		if info, err := os.Stat(path); err == nil && os.SameFile(info, file) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// resolved returns the path that a link leads to, because a walk does not follow links.
func resolved(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}

// genotypeInputs returns the paths that a genotype may be read from: the name, or both parts of
// CELLS+STAGES.
func genotypeInputs(name string) []string {
	paths := []string{name}
	for i, c := range name {
		if c == '+' {
			paths = append(paths, name[:i], name[i+1:])
		}
	}
	return paths
}

// contents returns what a file holds, empty if it is an empty file.
func contents(path string, info os.FileInfo) string {
	const most = 1 << 20 // bytes of a genotype or a drawing that are looked at
	switch {
	case info.IsDir():
		return "a folder"
	case !info.Mode().IsRegular():
		return "no regular file"
	case info.Size() == 0:
		return ""
	}
	head, err := filekind.Read(path, most)
	switch {
	case head == nil && err != nil:
		return "a file that cannot be read"
	case filekind.IsSafetensors(head):
		return tensorsIn(path)
	case bytes.HasPrefix(head, []byte("PK")) && isPyTorch(path):
		return asPyTorch.what
	case bytes.Contains(head[:min(len(head), 1024)], []byte(report.Mark)):
		return aReport.what
	case bytes.HasPrefix(bytes.ToLower(head), []byte("<!doctype html")):
		return "another web page"
	case bytes.Contains(head[:min(len(head), 1024)], []byte("<svg")):
		return aDrawing.what
	case export.IsModel(head):
		return asONNX.what
	case export.IsModule(head):
		return asModule.what
	}
	if _, err := text.Load(path); err == nil {
		return aGenotype.what
	}
	if kind := filekind.Name(head); kind != "" {
		return kind
	}
	return "another file"
}

// tensorsIn returns what a safetensors file holds.
func tensorsIn(path string) string {
	what, names := run.ContentOf(path)
	if what == run.Tensors && slices.Equal(names, []string{"logits"}) {
		return logits.what
	}
	return what
}

// isPyTorch reports whether a zip archive is one of torch.save.
func isPyTorch(path string) bool {
	z, err := zip.OpenReader(path)
	if err != nil {
		return false
	}
	defer z.Close()
	return slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, "/data.pkl") })
}

// writeGenotype writes a genotype to a file as YAML.
func writeGenotype(path string, g genotype.Genotype) error { return run.Replace(path, g.Encode) }
