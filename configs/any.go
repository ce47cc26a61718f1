package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Configuration is a Search or a Train.
type Configuration interface {
	Validate() error
	YAML() ([]byte, error)

	// idle returns the keys that the configuration does not use, each with the reason.
	idle() map[string]string
	// with returns the fault of the configuration with another value of a key.
	with(key string, value any) error
}

func (c Search) with(key string, value any) error { return with(&c, key, value) }
func (c Train) with(key string, value any) error  { return with(&c, key, value) }

func with(c validator, key string, value any) error {
	if err := (values{key: {is: value}}).decode(c); err != nil {
		return err
	}
	return c.Validate()
}

// ErrNoKind is the error for a file that does not say what it is the configuration of.
var ErrNoKind = errors.New("it has neither the key search.kind nor the section train, so that it may be a configuration of any kind")

// Check returns the configuration of a kind, one of Kinds or Training, and its faults as CheckSearch does. If kind is
// empty, it is that of the file.
func Check(kind string, o Overrides) (c Configuration, wrong, unfit error) {
	if kind == "" || o.Alone || kind == Training && o.Form == "" && o.File != "" {
		text, _, err := read(o.File)
		if err != nil {
			return nil, err, nil
		}
		list, err := parse(text)
		if list == nil && err != nil {
			return nil, fmt.Errorf("%s: %w", o.File, err), nil
		}
		if kind == "" {
			if kind, err = kindOfFile(list); err != nil {
				return nil, fmt.Errorf("%s: %w", o.File, err), nil
			}
		}
		if o.Form == "" {
			o.Form = formIn(list, o.Set)
		}
	}
	if kind == Training {
		return checked(CheckTrain(o))
	}
	return checked(CheckSearch(Kind(kind), o))
}

// formIn returns the form of the networks that settings are for; empty if they fit both.
func formIn(list map[string]any, set []string) Form {
	given := func(key string) bool {
		_, ok := list[key]
		return ok || slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, key+"=") })
	}
	switch {
	case slices.ContainsFunc(ofStages, given):
		return Staged
	case given(ofChains):
		return Chain
	}
	return ""
}

// checked returns a configuration of any kind, with its faults.
func checked[C Configuration](c C, wrong, unfit error) (Configuration, error, error) {
	return c, wrong, unfit
}

// kindOfFile returns the kind of the configuration with those values.
func kindOfFile(list map[string]any) (string, error) {
	kinds := kindsIn(list)
	switch k, ok := list["search.kind"].(string); {
	case len(kinds) == 1 && kinds[0] == training:
		return Training, nil
	case len(kinds) == 1 && ok:
		return k, nil
	case len(kinds) > 1:
		return "", errors.New("it has the sections search and train; a configuration has one of the two")
	}
	return "", ErrNoKind
}
