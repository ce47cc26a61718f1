package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hdas/configs"
	"hdas/setting"
)

// commandOf returns the check of the arguments of a command that only has subcommands: a word is a misspelt
// one.
func commandOf(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if len(a) == 0 {
			return nil
		}
		var known []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				known = append(known, sub.Name())
			}
		}
		more := "usage: " + c.UseLine()
		if !c.HasParent() {
			more = c.CommandPath() + " --help lists them"
		}
		return usageError{fmt.Errorf("%s %q %s; %s", what, a[0], setting.Unknown(a[0], known), more)}
	}
}

// types holds what a flag of each type takes.
var types = map[string]string{
	"int": "an integer", "int64": "an integer", "uint64": "an integer of at least 0", "float64": "a number", "bool": "true or false",
	"intSlice": "a list of integers, as 1,2", "int64Slice": "a list of integers, as 1,2",
}

// flagError returns the error for flags that cannot be read, with the flag or the setting that is meant.
func flagError(c *cobra.Command, err error) error {
	meant := ""
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		meant = flagMeant(c, unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		var out *outOfRange
		if errors.As(err, &out) {
			return usageError{fmt.Errorf("--%s %w; %s --help describes the flag", f.Name, out, c.CommandPath())}
		}
		if is, ok := types[f.Value.Type()]; ok {
			return usageError{fmt.Errorf("--%s %q is not %s; %s --help describes the flag", f.Name, invalid.GetValue(), is, c.CommandPath())}
		}
	}
	return usageError{fmt.Errorf("%w%s; %s --help lists the flags", err, meant, c.CommandPath())}
}

// flagMeant returns what may be meant by an unknown flag: a setting of that name, or a similar flag or setting.
func flagMeant(c *cobra.Command, name string) string {
	keys := map[string]string{} // by their last word
	if c.Flags().Lookup("set") != nil {
		other := "train."
		if c.Name() == "train" || c.Name() == "compare" {
			other = "search."
		}
		for _, key := range configs.Keys() {
			word := key[strings.LastIndex(key, ".")+1:]
			nested := func(key string) int { return strings.Count(key, ".") }
			if before := keys[word]; !strings.HasPrefix(key, other) && (before == "" || nested(key) < nested(before)) {
				keys[word] = key
			}
		}
	}
	if key := keys[setting.Plain(name)]; key != "" {
		return fmt.Sprintf("; did you mean --set %s=...?", key)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	slices.Sort(known)
	if n, ok := setting.Nearest(name, known); ok {
		return fmt.Sprintf("; did you mean --%s?", n)
	}
	if word, ok := setting.Nearest(name, slices.Sorted(maps.Keys(keys))); ok {
		return fmt.Sprintf("; did you mean --set %s=...?", keys[word])
	}
	return ""
}
