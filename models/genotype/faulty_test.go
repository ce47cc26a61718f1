package genotype

// faulty lists files with all faults that Decode must report.
var faulty = map[string]struct {
	text   string
	faults []string
}{
	"everything": {
		text: `version: 2
name: 12
author: nobody
cells:
  normal:
    nodes:
      - [sep_conv_3x3: 0, sep_conv_3x3: 2]
      - [sep_conv_3x3: zero, {skip_connect: 0, none: 1}]
      - skip_connect
    out: [2, 2, 9]
    outs: [2]
  normal:
    out: []
stages:
  - cell: normal
    nodes:
      - [skip_connect: -1]
      - []
    out: [2, 3.0]
  - 7
  - cell: other
    nodes: 3
    out: [2]
    reduce: normal
`,
		faults: []string{
			`line 1: version is 2; this program reads version 1`,
			`line 2: name is "12", not a text; quote it if it is one`,
			`line 3: genotype.author is an unknown key; known are version, name, source, reported, cells, stages`,
			`line 7: cells.normal.nodes[0].in[1] reads state 2; it may read 0 to 1`,
			`line 8: cells.normal.nodes[1].in[0] is "zero", not a whole number`,
			`line 8: cells.normal.nodes[1].in[1] is a mapping, not one operation and the state that it reads, as in sep_conv_3x3: 0`,
			`line 9: cells.normal.nodes[2] is "skip_connect", not a list`,
			`line 10: cells.normal.out[1] is state 2 a second time`,
			`line 10: cells.normal.out[2] is state 9; it may be 2 to 4`,
			`line 11: cells.normal.outs is an unknown key; known are nodes, out`,
			`line 12: cells key "normal" is there twice`,
			`line 15: stages[0].reduce is missing; a reduction cell follows every stage but the last`,
			`line 17: stages[0].nodes[0].in[0] reads state -1; it may read 0 to 1`,
			`line 18: stages[0].nodes[1] has no edge; a cell of a stage reads at least one state`,
			`line 19: stages[0].out[1] is "3.0", not a whole number`,
			`line 20: stages[1] is "7", not a mapping`,
			`line 21: stages[2].cell is "other"; the cells are normal`,
			`line 22: stages[2].nodes is "3", not a list`,
			`line 24: stages[2].reduce is "normal", but no reduction cell follows the last stage; leave it out`,
		},
	},
	"what was reported": {
		text: "version: 1\nname: x\nreported:\n  cifar10_error: 102.5\n  imagenet_error: .nan\ncells:\n  normal: {nodes: [[none: 0]], out: [2]}\n  reduce: {nodes: [[none: 0]], out: [2]}\n",
		faults: []string{
			`line 3: reported.source is missing; it says who reports that`,
			`line 4: reported.cifar10_error is 102.5; an error is above 0 and below 100 percent`,
			`line 5: reported.imagenet_error is ".nan", not a number`,
		},
	},
	"half a chain": {
		text: "version: 1\nname: x\ncells:\n  normal: {nodes: [[none: 0]], out: [2]}\n",
		faults: []string{
			`line 3: cells are normal; without stages they are to be normal, reduce (lacks reduce) or normal1, reduce1, normal2, reduce2, normal3 (lacks normal1, reduce1, normal2, reduce2, normal3)`,
		},
	},
	"nothing in it": {
		text: "{}",
		faults: []string{
			`line 1: version is 0; this program reads version 1`,
			`line 1: name is missing`,
			`line 1: cells are missing, and so are stages; a genotype has either or both`,
		},
	},
	"a node that is not there": {
		text: "version: 1\nname: x\ncells:\n  normal: {nodes: [[], [none: 2]], out: [2]}\n  reduce: {nodes: [], out: [1]}\n",
		faults: []string{
			`line 4: cells.normal.nodes[1].in[0] reads state 2, which has no edge`,
			`line 4: cells.normal.out[0] is state 2, which has no edge; leave it out`,
			`line 5: cells.reduce.out[0] is state 1, but there are no nodes`,
		},
	},
	"empty values": {
		text: "version:\nname: ~\nsource: null\ncells:\n",
		faults: []string{
			`line 1: version is empty, not a whole number`,
			`line 2: name is empty, not a text; quote it if it is one`,
			`line 3: source is empty, not a text; quote it if it is one`,
			`line 4: cells is empty, not a mapping`,
		},
	},
	"no operation": {
		text:   "version: 1\nname: x\nstages:\n- {cell: c, nodes: [[\"\": 0, 1: 0]], out: [2]}\n",
		faults: []string{`line 4: stages[0].nodes[0].in[0] is a mapping, not one operation and the state that it reads, as in sep_conv_3x3: 0`, `line 4: stages[0].nodes[0].in[1] is a mapping, not one operation and the state that it reads, as in sep_conv_3x3: 0`},
	},
	"keys that are no texts": {
		text:   "version: 1\nname: x\n1: 2\n[a]: 3\nstages:\n- {cell: c, nodes: [[none: 0]], out: [2]}\n",
		faults: []string{`line 3: genotype key is "1", not a text`, `line 4: genotype key is a list, not a text`},
	},
	"an alias": {
		text:   "version: 1\nname: &n x\nsource: *n\nstages:\n- {cell: c, nodes: [[none: 0]], out: [2]}\n",
		faults: []string{`line 3: source is an alias, not a text; quote it if it is one`},
	},
	"a list": {
		text:   "- 1\n",
		faults: []string{`line 1: genotype is a list, not a mapping`},
	},
	"two documents": {
		text:   "version: 1\n---\nversion: 1\n",
		faults: []string{`line 2: the file holds a second document; remove it`},
	},
}
