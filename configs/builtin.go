package configs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hdas/internal/filekind"
	"hdas/setting"
)

// To add a built-in configuration, add its file to this folder.
//
//go:embed *.yaml
var builtin embed.FS

// To add an experiment, add its file to the folder recipes. scales.yaml has the sizes at which experiments run, and
// variations.yaml settings of trainings under which networks are compared.
//
//go:embed recipes/*.yaml
var recipes embed.FS

// Recipes returns the names of the built-in experiments (package recipe).
func Recipes() (names []string) {
	files, err := fs.Glob(recipes, "recipes/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, f := range files {
		if name := strings.TrimSuffix(path.Base(f), ".yaml"); name != "scales" && name != "variations" {
			names = append(names, name)
		}
	}
	return names
}

// RecipeScales returns the text of the sizes at which experiments run.
func RecipeScales() []byte { return embedded("recipes/scales.yaml") }

// RecipeVariations returns the text of the settings under which networks are compared.
func RecipeVariations() []byte { return embedded("recipes/variations.yaml") }

func embedded(name string) []byte {
	text, err := recipes.ReadFile(name)
	if err != nil {
		panic(err) // the file is embedded
	}
	return text
}

// ReadRecipe returns the text of a built-in experiment or of a file.
func ReadRecipe(nameOrFile string) ([]byte, error) {
	if slices.Contains(Recipes(), nameOrFile) {
		return recipes.ReadFile("recipes/" + nameOrFile + ".yaml")
	}
	text, err := filekind.ReadText(nameOrFile, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("experiment %q is neither built in nor a file; built in are %s%s", nameOrFile, setting.List(Recipes()), setting.Meant(nameOrFile, Recipes()))
	}
	return text, err
}

// Names returns the names of the built-in configurations.
func Names() []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// Builtin describes a built-in configuration.
type Builtin struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`  // "cell search", "training"
	About string `json:"about"` // the comment in its first line
}

// List returns the built-in configurations.
func List() (list []Builtin) {
	for _, name := range Names() {
		text, _, err := read(name)
		if err != nil {
			panic(err) // the file is embedded
		}
		values, err := parse(text)
		if err != nil {
			panic(err) // tests load every built-in configuration
		}
		about, _, _ := strings.Cut(string(text), "\n")
		list = append(list, Builtin{name, kindsIn(values)[0], strings.TrimSpace(strings.TrimLeft(about, "# "))})
	}
	return list
}

// maxFile is the largest size in bytes of a configuration file.
const maxFile = 1 << 20

// read returns the text of a built-in configuration or of a file.
func read(nameOrFile string) (text []byte, isBuiltin bool, err error) {
	if slices.Contains(Names(), nameOrFile) {
		text, err = builtin.ReadFile(nameOrFile + ".yaml")
		return text, true, err
	}
	text, err = filekind.ReadText(nameOrFile, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := setting.Meant(nameOrFile, Names())
		if hint == "" {
			hint = "; built in are " + setting.List(Names())
		}
		return nil, false, fmt.Errorf("configuration %q is neither built in nor a file%s", nameOrFile, hint)
	case err != nil:
		return nil, false, fmt.Errorf("no configuration: %w", err)
	}
	return text, false, nil
}

// builtinOf returns the names of the built-in configurations of that kind (see kindOf).
func builtinOf(kind string) (names []string) {
	for _, b := range List() {
		if b.Kind == kind {
			names = append(names, b.Name)
		}
	}
	return names
}
