package jobs

import (
	"context"
	"slices"
	"sync"
)

// queue hands out jobs, each after those that it needs.
type queue struct {
	lock    sync.Mutex
	change  *sync.Cond
	waiting []Job
	left    map[string]bool // names of jobs that have not ended
	failed  map[string]bool
	running int
}

func newQueue(jobs []Job) *queue {
	q := &queue{waiting: slices.Clone(jobs), left: map[string]bool{}, failed: map[string]bool{}}
	q.change = sync.NewCond(&q.lock)
	for _, j := range jobs {
		q.left[j.Name] = true
	}
	return q
}

// state says what is to be done with a job of a queue.
type state int

const (
	none     state = iota // there is no job any more
	ready                 // run it
	hopeless              // one that it needs has failed
)

// take returns the first job whose needs have ended, and waits for one. Names that are in no job of the list have ended.
func (q *queue) take(ctx context.Context) (Job, state) {
	q.lock.Lock()
	defer q.lock.Unlock()
	for ; len(q.waiting) > 0 && ctx.Err() == nil; q.change.Wait() {
		for i, j := range q.waiting {
			switch {
			case slices.ContainsFunc(j.Needs, func(n string) bool { return q.failed[n] }):
				q.waiting = slices.Delete(q.waiting, i, i+1)
				q.end(j, false)
				return j, hopeless
			case !slices.ContainsFunc(j.Needs, func(n string) bool { return q.left[n] }):
				q.waiting = slices.Delete(q.waiting, i, i+1)
				q.running++
				return j, ready
			}
		}
		if q.running == 0 { // jobs that need each other
			j := q.waiting[0]
			q.waiting = q.waiting[1:]
			q.end(j, false)
			return j, hopeless
		}
	}
	return Job{}, none
}

// ended is called when a job that take returned as ready has ended.
func (q *queue) ended(j Job, well bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.running--
	q.end(j, well)
}

func (q *queue) end(j Job, well bool) {
	delete(q.left, j.Name)
	q.failed[j.Name] = !well
	q.change.Broadcast()
}
