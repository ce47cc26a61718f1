package datasets

// Labels returns the labels of all images of a data set. Of files they are known from their folders; otherwise all
// images are read.
func Labels(d Dataset) ([]int, error) {
	labels := make([]int, d.Len())
	files, ok := d.(Encoded)
	buf := make([]byte, d.Info().Size())
	for i := range labels {
		if ok {
			_, labels[i] = files.Entry(i)
			continue
		}
		var err error
		if labels[i], err = d.At(i, buf); err != nil {
			return nil, err
		}
	}
	return labels, nil
}

// balanced returns as many draws as there are labels, in random order, equally many of each class to one. The
// images of a class are drawn in random order, each once before any of them is drawn again. A draw is the index
// of an image, plus the number of labels for each time that it was drawn before.
func balanced(labels []int, r *random) []int {
	var members [][]int // by class, without empty classes
	place := map[int]int{}
	for i, label := range labels {
		at, known := place[label]
		if !known {
			at = len(members)
			place[label], members = at, append(members, nil)
		}
		members[at] = append(members[at], i)
	}
	var draws []int
	n := len(labels)
	for rank, class := range r.permutation(len(members)) {
		of := members[class]
		quota := n / len(members)
		if rank < n%len(members) {
			quota++
		}
		for round := 0; quota > 0; round++ {
			for _, k := range r.permutation(len(of))[:min(quota, len(of))] {
				draws = append(draws, of[k]+round*n)
			}
			quota -= min(quota, len(of))
		}
	}
	order := make([]int, n)
	for i, k := range r.permutation(n) {
		order[i] = draws[k]
	}
	return order
}
