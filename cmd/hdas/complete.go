package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/parity"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/recipe"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dtype"
	"hdas/torch/kernel"
)

// completer returns what a word that begins with prefix may be, each with a tab and a description if that helps. It
// may return words that begin otherwise.
type completer func(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective)

// again, at the end of the completers of arguments, repeats the one before it.
var again completer

// arguments completes the arguments of the commands, in their order, by the names below hdas.
var arguments = map[string][]completer{
	"bench":         {words(parity.WorkloadNames()...), again},
	"compare":       {genotypes},
	"config check":  {either(configurations, runs)},
	"config diff":   {either(configurations, runs), either(configurations, runs)},
	"config keys":   {keys},
	"config show":   {either(configurations, runs)},
	"data check":    {folders},
	"data get":      {words(downloads...)},
	"draw":          {genotypes},
	"eval":          {runs},
	"export":        {runs},
	"finetune":      {runs},
	"import":        {files},
	"man":           {folders},
	"predict":       {runs, files, again},
	"report":        {either(runs, folders), again},
	"reproduce":     {either(words(configs.Recipes()...), files), again},
	"runs":          {folders},
	"search random": {searches},
	"serve":         {runs},
	"show":          {either(words("genotypes\tlist the published ones"), genotypes)},
	"space":         {searches},
	"train":         {genotypes},
	"watch":         {runs, again},
}

// values completes the values of flags, by their names, or by those of the command and the flag.
var values = map[string]completer{
	"bench precision":  words(dtype.Precisions...),
	"cells":            genotypes,
	"config":           configurations,
	"data check name":  words(datasets.Names()...),
	"data-dir":         folders,
	"dataset":          words(datasets.Described()...),
	"device":           devices,
	"devices":          deviceList,
	"every":            words("1s", "10s", "1m"),
	"export precision": words(exportPrecisions...),
	"form":             words("binary", "python"),
	"genotype":         genotypes,
	"kind":             either(searches, words(configs.Training)),
	"log-every":        words("10s", "1m", "10m"),
	"log-format":       words("auto", "json", "text", "none"),
	"names":            words(exportNames...),
	"only":             words(parity.Networks()...),
	"order":            words("first", "second", "both"),
	"out":              folders,
	"path":             words(kernel.Paths...),
	"pool-norm":        words(string(plan.PoolNormAuto), string(plan.PoolNormOn), string(plan.PoolNormOff)),
	"precision":        words(precisions...),
	"preset":           words(string(plan.CIFAR), string(plan.ImageNet)),
	"recompute":        words(kernel.Recomputes...),
	"reference":        folders,
	"rows":             rowsOf,
	"runs filter":      words("kind=search", "kind=training", "state=running", "state=done", "state=stopped", "state=damaged"),
	"runs sort":        words(columnNames()...),
	"scale":            words("paper", "small", "tiny"),
	"select":           trainings,
	"select-set":       settingsOfTrainings,
	"set":              settingsOf,
	"split":            words(datasets.Train, "validation", datasets.Test),
	"stage-output":     words(string(plan.LastTwo), string(plan.Last)),
	"variations":       files,
	"wiring":           words(string(plan.Summed), string(plan.Paired)),
}

// completed makes the shells complete the arguments and flags of a command and of those below it.
func completed(c *cobra.Command) {
	name := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), c.Root().Name()))
	if list, ok := arguments[name]; ok {
		c.ValidArgsFunction = func(c *cobra.Command, a []string, prefix string) ([]string, cobra.ShellCompDirective) {
			i := len(a)
			if last := len(list) - 1; list[last] == nil {
				i = min(i, last-1)
			}
			if i >= len(list) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			found, how := list[i](c, prefix)
			return beginning(found, prefix), how
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		of := values[name+" "+f.Name]
		if of == nil {
			of = values[f.Name]
		}
		if number := numeric(f.Value) || f.Value.Type() == "uint64"; number || of == nil {
			if number {
				c.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
			}
			return
		}
		c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
			before := ""
			if f.Value.Type() == "stringSlice" {
				before = prefix[:strings.LastIndex(prefix, ",")+1]
			}
			found, how := of(c, strings.TrimPrefix(prefix, before))
			var list []string
			for _, word := range found {
				list = append(list, before+word)
			}
			return beginning(list, prefix), how
		})
	})
	for _, below := range c.Commands() {
		completed(below)
	}
}

// beginning returns the words that begin with prefix.
func beginning(words []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, prefix) })
}

// words completes a closed set.
func words(list ...string) completer {
	return func(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// either completes what one of two completes, and otherwise names of files if the second does.
func either(one, other completer) completer {
	return func(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
		found, _ := one(c, prefix)
		more, how := other(c, prefix)
		return append(slices.Clone(found), more...), how
	}
}

func files(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func folders(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// searches are the kinds of searches.
func searches(*cobra.Command, string) (list []string, _ cobra.ShellCompDirective) {
	for _, k := range configs.Kinds {
		list = append(list, string(k))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// genotypes are the published ones, also as the stages in CELLS+STAGES, and runs.
func genotypes(_ *cobra.Command, prefix string) (list []string, _ cobra.ShellCompDirective) {
	cells := prefix[:strings.LastIndex(prefix, "+")+1]
	for _, name := range genotype.Names() {
		list = append(list, cells+name)
	}
	return append(list, runFolders(prefix)...), cobra.ShellCompDirectiveDefault
}

// rowsOf are the rows of the experiments on the command line.
func rowsOf(c *cobra.Command, _ string) (list []string, _ cobra.ShellCompDirective) {
	for _, name := range c.Flags().Args() {
		if r, err := recipe.Load(name); err == nil {
			for _, row := range r.Rows {
				list = append(list, row.Name)
			}
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// runs are the folders of runs.
func runs(_ *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	return runFolders(prefix), cobra.ShellCompDirectiveDefault
}

// runFolders returns the folders of runs whose path begins with prefix, one or two levels below its folder.
func runFolders(prefix string) (list []string) {
	here := ""
	if strings.HasPrefix(prefix, "./") {
		here = "./" // which Glob leaves out
	}
	for _, pattern := range []string{prefix + "*", prefix + "*/*"} {
		found, _ := filepath.Glob(pattern + "/" + run.ConfigFile) // a prefix that is no pattern has none
		for _, file := range found {
			list = append(list, here+strings.TrimSuffix(file, "/"+run.ConfigFile))
		}
	}
	return list
}

// configurations are the built-in ones of the command's kind.
func configurations(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	switch {
	case c.Parent().Name() == "config":
		return builtins("")
	case c.Name() == "random":
		return builtins(" search")
	case c.Parent().Name() == "search":
		return builtins(c.Name() + " search")
	}
	return trainings(c, prefix)
}

// trainings are the built-in configurations of trainings.
func trainings(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	return builtins("training")
}

// builtins are the built-in configurations whose kind ends so.
func builtins(kind string) (list []string, _ cobra.ShellCompDirective) {
	for _, b := range configs.List() {
		if strings.HasSuffix(b.Kind, kind) {
			list = append(list, b.Name+"\t"+b.About)
		}
	}
	return list, cobra.ShellCompDirectiveDefault
}

// keys are the keys of configurations and their sections.
func keys(*cobra.Command, string) (list []string, _ cobra.ShellCompDirective) {
	for _, k := range configs.Reference() {
		for i, r := range k.Name {
			if section := k.Name[:i]; r == '.' && !slices.Contains(list, section) {
				list = append(list, section)
			}
		}
		list = append(list, k.Name+"\t"+k.Meaning)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// devices are those of this machine.
func devices(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	list := []string{"auto", "cpu"}
	n := torch.CUDADevices()
	if n > 0 {
		list = append(list, "cuda")
	}
	for i := range n {
		list = append(list, torch.CUDA(i).String())
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// deviceList are the devices that a list may name.
func deviceList(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	list, how := devices(c, prefix)
	return slices.DeleteFunc(list, func(name string) bool { return name == "auto" || name == "cuda" }), how
}

// settingsOf are the keys that the command can set and, after =, their values.
func settingsOf(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	switch c.Parent().Name() {
	case "config":
		return settingsBut("?", c, prefix)
	case "search":
		return settingsBut("train.", c, prefix)
	}
	return settingsOfTrainings(c, prefix)
}

func settingsOfTrainings(c *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	return settingsBut("search.", c, prefix)
}

// settingsBut are the settings without those of a section.
func settingsBut(other string, c *cobra.Command, prefix string) (list []string, how cobra.ShellCompDirective) {
	key, value, given := strings.Cut(prefix, "=")
	for _, k := range configs.Reference() {
		switch {
		case !given && !strings.HasPrefix(k.Name, other):
			list, how = append(list, fmt.Sprintf("%s=\t%s; default %s", k.Name, k.Meaning, k.Default())), cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp
		case given && k.Name == key:
			of := words(k.Words...)
			switch {
			case k.Type == "true or false":
				of = words("true", "false")
			case key == "device":
				of = devices
			case key == "search.cells":
				of = genotypes
			case key == "train.init":
				of = runs
			case strings.HasPrefix(k.Type, "list"):
				of = words()
			}
			found, _ := of(c, value)
			for _, v := range found {
				list = append(list, key+"="+v)
			}
			how = cobra.ShellCompDirectiveNoFileComp
		}
	}
	return list, how
}
