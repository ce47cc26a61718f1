package configs

import "go.yaml.in/yaml/v3"

// YAML returns the configuration as it is saved in a run folder: every setting that the search uses.
func (c Search) YAML() ([]byte, error) { return resolved(c, c.idle()) }

// YAML returns the configuration as it is saved in a run folder: every setting that a training of networks
// of its form uses.
func (c Train) YAML() ([]byte, error) { return resolved(c, c.idle()) }

// Template returns a configuration as YAML for a file of --config. Of trainings of which it is not known whether their
// networks have stages, it has no setting that is for one form alone, so that trainings of both can read it.
func Template(c Configuration) ([]byte, error) {
	without := c.idle()
	if t, ok := c.(Train); ok && t.Form == "" {
		for _, key := range append(ofStages, ofChains) {
			without[key] = ""
		}
	}
	return resolved(c, without)
}

// resolved returns the configuration c as YAML, without the given keys.
func resolved(c any, without map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := doc.Encode(c); err != nil {
		return nil, err
	}
	prune(&doc, "", without)
	return yaml.Marshal(&doc)
}

// prune removes keys from the YAML mapping n, whose own keys begin with prefix.
func prune(n *yaml.Node, prefix string, without map[string]string) {
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, drop := without[prefix+key.Value]; drop {
			continue
		}
		if value.Kind == yaml.MappingNode {
			prune(value, prefix+key.Value+".", without)
		}
		kept = append(kept, key, value)
	}
	n.Content = kept
}
