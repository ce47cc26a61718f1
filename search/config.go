package search

import (
	"hdas/models"
	"hdas/search/space"
)

// undecided is what a plan has to know of a space.
func undecided(s space.Space) models.Search {
	return models.Search{Cell: s.Cell, Stage: s.Stage, MinCells: s.MinCells, Shared: s.Shared}
}

func isSkip(op string) bool { return op == "skip_connect" }
