package main

import (
	"fmt"
	"sync"

	"hdas/datasets"
)

// skipped names each damaged file once, with their count so far.
func (p *program) skipped() func(*datasets.DamagedError) {
	var lock sync.Mutex
	seen := map[string]bool{}
	return func(e *datasets.DamagedError) {
		lock.Lock()
		defer lock.Unlock()
		if !seen[e.File] {
			seen[e.File] = true
			fmt.Fprintf(p.err, "hdas: skipped (%d so far): %v\n", len(seen), e)
		}
	}
}
