package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/lab"
	"hdas/run"
	"hdas/setting"
)

func (p *program) config() *cobra.Command {
	c := &cobra.Command{
		Use: "config list|show|keys|diff|check", Short: "List, explain, compare and check configurations",
		Args: commandOf("config"),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.configList(), p.configShow(), p.configKeys(), p.configDiff(), p.configCheck())
	return c
}

func (p *program) configList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the built-in configurations",
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			list := configs.List()
			return p.print(list, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, c := range list {
					fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, c.Kind, c.About)
				}
				t.Flush()
			}, step{command("config", "show", list[0].Name), "all settings of one of them"})
		},
	}
}

// chosen holds the flags of commands that read a configuration of any kind.
type chosen struct{ kind, genotype string }

func (s *chosen) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.kind, "kind", "", "cell, distribution, stage, joint or train, if the file does not say what it is for")
	f.StringVar(&s.genotype, "genotype", "", "genotype of the trainings, on which default sizes depend")
}

// read returns the configuration of a name, a file or a run, and its faults as configs.Check does.
func (s *chosen) read(name string, set []string) (c configs.Configuration, wrong, unfit error) {
	o := configs.Overrides{File: name, Set: set, Start: lab.StartOf}
	if run.Begun(name) && !slices.Contains(configs.Names(), name) {
		if len(set) > 0 {
			return nil, fmt.Errorf("%s is a run, whose configuration --set cannot change", name), nil
		}
		o.File, o.Alone, o.Start = filepath.Join(name, run.ConfigFile), true, nil
	}
	if s.genotype != "" {
		g, err := run.LoadGenotype(s.genotype)
		if err != nil {
			return nil, err, nil
		}
		o.Form = configs.FormOf(len(g.Stages) > 0)
	}
	c, wrong, unfit = configs.Check(s.kind, o)
	if errors.Is(wrong, configs.ErrNoKind) {
		wrong = fmt.Errorf("%w; name one by --kind", wrong)
	}
	return c, wrong, unfit
}

// valid is read for configurations without faults.
func (s *chosen) valid(name string, set []string) (configs.Configuration, error) {
	c, wrong, unfit := s.read(name, set)
	if wrong != nil || unfit != nil {
		return nil, usageError{together(wrong, unfit)}
	}
	return c, nil
}

// together returns all faults of a configuration.
func together(wrong, unfit error) error {
	if wrong == nil || unfit == nil {
		return errors.Join(wrong, unfit)
	}
	return errors.Join(wrong, fmt.Errorf("and without these settings:\n%w", unfit))
}

func (p *program) configShow() *cobra.Command {
	var s chosen
	var set []string
	c := &cobra.Command{
		Use: "show NAME|FILE|RUN", Short: "Print every setting of a built-in configuration, a file or a run, as YAML",
		Long: `Print every setting that a search or a training with a configuration would use, as
YAML that --config reads: those that it gives, those of the environment and of
--set, and the defaults of all others. Of a run, they are those that it began with.`,
		Example: "  hdas config show tiny-cell\n  hdas config show hs-train --genotype Hs_DAS_CIFAR_stages --set train.epochs=300 > mine.yaml\n  hdas config show runs/cells --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			c, err := s.valid(a[0], set)
			if err != nil {
				return err
			}
			text, err := configs.Template(c)
			if err != nil {
				return err
			}
			var tree map[string]any
			if err := yaml.Unmarshal(text, &tree); err != nil {
				return err
			}
			return p.print(tree, func(w io.Writer) {
				if t, ok := c.(configs.Train); ok && s.genotype == "" && !run.Begun(a[0]) {
					fmt.Fprint(w, ofForm[t.Form])
				}
				w.Write(text)
			})
		},
	}
	s.flags(c)
	c.Flags().StringArrayVar(&set, "set", nil, "change one setting, as in --set train.epochs=10 (repeatable)")
	return c
}

// ofForm says which trainings the settings are for, if no genotype tells it.
var ofForm = map[configs.Form]string{
	"":             "# Without network.layers (of chains), network.wiring and network.stage_output (of genotypes with stages): --genotype adds them.\n",
	configs.Chain:  "# For genotypes that are chains of cells; --genotype NAME shows the settings for another.\n",
	configs.Staged: "# For genotypes with stages; --genotype NAME shows the settings for another.\n",
}

func (p *program) configKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys [KEY|SECTION|WORD...]", Short: "Explain the settings: values, default, meaning, place in the paper",
		Long: `Explain the settings of searches and trainings: all, one, those of a section (data,
network, search, search.alpha, train ...) or those with these words in their name
or meaning. Each has its values, its default and its meaning; docs/configuration.md
has the same as tables.`,
		Example: "  hdas config keys train.lr\n  hdas config keys search.alpha\n  hdas config keys alpha learning rate",
		RunE: func(_ *cobra.Command, a []string) error {
			text := strings.Join(a, " ")
			keys := configs.Find(text)
			if len(keys) == 0 {
				words := strings.FieldsFunc(strings.Join(configs.Keys(), "."), func(r rune) bool { return r == '.' })
				return usageError{fmt.Errorf("no key has %q in its name or meaning%s; hdas config keys lists all", text, setting.Meant(text, words))}
			}
			return p.print(keys, func(w io.Writer) {
				for _, k := range keys {
					fmt.Fprintf(w, "%s\n    %s; default %s\n    %s\n", k.Name, k.Values(), k.Default(), k.About())
					for _, note := range k.Notes() {
						fmt.Fprintf(w, "    %s\n", note)
					}
				}
				if len(keys) == 1 {
					fmt.Fprintf(w, "    set it by --set %s=..., in a file of --config, or by the environment variable %s\n", keys[0].Name, keys[0].Variable)
				}
			})
		},
	}
}

func (p *program) configDiff() *cobra.Command {
	var s chosen
	c := &cobra.Command{
		Use: "diff A B", Short: "Print the settings in which two configurations differ",
		Long: `Print the settings in which two configurations differ: of built-in ones, files or
runs, with the defaults of what they do not give; - is a setting that one of them
does not use.`,
		Example: "  hdas config diff cell-search runs/cells\n  hdas config diff hc-train hs-train",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			one, err := s.valid(a[0], nil)
			if err != nil {
				return err
			}
			other, err := s.valid(a[1], nil)
			if err != nil {
				return err
			}
			list := configs.Diff(one, other)
			return p.print(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "no setting differs")
					return
				}
				writeDifferences(w, list, a[0], a[1])
			})
		},
	}
	s.flags(c)
	return c
}

// writeDifferences writes a table of settings, whose values are those of a and of b.
func writeDifferences(w io.Writer, list []configs.Difference, a, b string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "setting\t%s\t%s\n", plain(a), plain(b))
	for _, d := range list {
		is, other := d.Texts()
		fmt.Fprintf(t, "%s\t%s\t%s\n", d.Key, plain(is), plain(other))
	}
	t.Flush()
}

// checked is the output of check.
type checked struct {
	File    string               `json:"file"`
	Faults  []fault              `json:"faults,omitempty"` // of single keys
	Remain  []fault              `json:"remain,omitempty"` // without these
	Kind    string               `json:"kind,omitempty"`   // what it would run: "cell search", "training"
	Epochs  int                  `json:"epochs,omitempty"` // of that
	Dataset string               `json:"dataset,omitempty"`
	Command string               `json:"command,omitempty"` // that runs it
	Changes []configs.Difference `json:"changes,omitempty"` // of the defaults (a)
}

// fault is a fault of a configuration.
type fault struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

func faults(err error) (list []fault) {
	for _, f := range setting.All(err) {
		list = append(list, fault{f.Key, f.Error()})
	}
	return list
}

func (p *program) configCheck() *cobra.Command {
	var s chosen
	c := &cobra.Command{
		Use: "check FILE|NAME|RUN", Short: "Print everything that is wrong with a configuration, or what it would run",
		Long: `Check a configuration without data or device. If it has faults, all are printed:
those of single settings, then those of what remains without these. Otherwise it
prints the command that runs it, and the settings that differ from the defaults.`,
		Example: "  hdas config check mine.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			c, wrong, unfit := s.read(a[0], nil)
			r := checked{File: a[0], Faults: faults(wrong), Remain: faults(unfit)}
			if wrong != nil || unfit != nil {
				if p.json && len(r.Faults)+len(r.Remain) > 0 {
					p.print(r, nil)
				}
				return usageError{together(wrong, unfit)}
			}
			r.describe(c)
			return p.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "%s is a %s of %d epochs on %s: %s\n", plain(r.File), r.Kind, r.Epochs, r.Dataset, plain(r.Command))
				if len(r.Changes) > 0 {
					fmt.Fprintln(w)
					writeDifferences(w, r.Changes, "default", "here")
				}
			})
		},
	}
	s.flags(c)
	return c
}

// describe sets what a configuration would run.
func (r *checked) describe(c configs.Configuration) {
	how, genotype := "--config "+quoted(r.File), "GENOTYPE "
	if run.Begun(r.File) {
		how, genotype = "--resume --out "+quoted(r.File), ""
	}
	switch c := c.(type) {
	case configs.Search:
		r.Kind, r.Epochs, r.Dataset = string(c.Search.Kind)+" search", c.Search.Epochs, c.Data.Name
		r.Command = fmt.Sprintf("hdas search %s %s", c.Search.Kind, how)
		r.Changes = configs.Diff(configs.DefaultSearch(c.Search.Kind), c)
	case configs.Train:
		r.Kind, r.Epochs, r.Dataset = "training", c.Train.Epochs, c.Data.Name
		if c.Train.Init != "" {
			genotype = ""
		}
		r.Command = fmt.Sprintf("hdas train %s%s", genotype, how)
		begin := configs.DefaultTrain()
		begin.Form = c.Form
		r.Changes = configs.Diff(begin, c)
	}
}
