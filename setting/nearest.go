package setting

import (
	"fmt"
	"strings"
)

// Nearest returns the known word that a misspelt one most likely means: one that begins with it, or else
// the one with the smallest edit distance. It ignores letter case and does not distinguish - and _. ok is
// false if no word is similar.
func Nearest[T ~string](word string, known []T) (best T, ok bool) {
	word = Plain(word)
	least := 1 + len(word)/3
	for _, k := range known {
		n := Plain(string(k))
		if len(word) > 1 && strings.HasPrefix(n, word) {
			return k, true
		}
		if d := distance(word, n); d <= least && d < max(len(word), len(n)) && (d < least || !ok) {
			best, ok, least = k, true, d
		}
	}
	return best, ok
}

// Meant returns the question "; did you mean X?" for a misspelt word, or an empty text if no known word is
// similar.
func Meant[T ~string](word string, known []T) string {
	if n, ok := Nearest(word, known); ok {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}

// Unknown returns what is wrong with a word that is none of the known ones: "is unknown; known are a, b; did
// you mean a?".
func Unknown[T ~string](word string, known []T) string {
	return "is unknown; known are " + List(known) + Meant(word, known)
}

// Plain returns a word without what Nearest ignores.
func Plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance returns the number of letters to insert, remove, replace or exchange with their neighbour to
// turn a into b.
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			next[j+1] = min(row[j+1], next[j]) + 1
			if a[i] == b[j] {
				next[j+1] = min(next[j+1], row[j])
			} else {
				next[j+1] = min(next[j+1], row[j]+1)
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
