package room

import (
	"context"
	"slices"
	"sync"
	"time"
)

// reads hands out places for calls of the Broker about rooms, but for appends: maxReads run
// at once.
//
// Two kinds of work wait for a place: goroutines that call claim, and jobs, which get a
// goroutine with their place. When a connection to Redis was lost, each followed room has
// two jobs. A job that waits costs some bytes, and no goroutine.
//
// Claims get two of three places, in their order. Jobs are in classes, those of the busiest
// rooms first; each fourth job is of another class by turns. So all that waits is served in
// bounded time.
type reads struct {
	hub *Hub

	mu     sync.Mutex // guards the fields below, and those of jobs; taken after a room's
	free   int
	claims queue[chan struct{}]
	jobs   [classes]queue[*job]
	queued int // jobs that wait
	turn   int // counts places while both kinds of work wait
	begun  int // counts jobs
	// later are jobs that are queued after a while, all after the same, and waiting whether
	// addLate runs.
	later   queue[later]
	waiting bool
}

type later struct {
	job   *job
	class class
	at    time.Time
}

// class is how urgent a job is.
type class int

// The classes of jobs, the most urgent first.
const (
	classAwaited class = iota // somebody waits for it
	classCrowd                // of a room with at least crowd members
	classMembers              // of a room with fewer
	classEmpty
	classes
)

// crowd is how many members a room has whose jobs precede those of others.
const crowd = 20

// classLocked returns the class of the room's jobs.
func (r *room) classLocked() class {
	switch n := len(r.members); {
	case r.joining > 0:
		return classAwaited
	case n >= crowd:
		return classCrowd
	case n > 0:
		return classMembers
	}
	return classEmpty
}

// job is work that gets a goroutine when there is a place for it.
type job struct {
	// run does the work. It may release the place before it ends.
	run func(p *place)

	waits bool // it is queued, once
	class class
}

// place is one of the calls that may run at once. It is used by one goroutine.
type place struct{ of *reads }

// release returns the place. Only the first call has an effect.
func (p *place) release() {
	if r := p.of; r != nil {
		p.of = nil
		r.put()
	}
}

// claim waits for a place until ctx or the hub ends.
func (r *reads) claim(ctx context.Context) (*place, error) {
	granted := r.take()
	if granted == nil {
		return &place{r}, nil
	}
	var err error
	select {
	case <-granted:
		return &place{r}, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-r.hub.ctx.Done():
		err = r.hub.ctx.Err()
	}
	if !r.withdraw(granted) {
		r.put() // it was granted meanwhile
	}
	return nil, err
}

// take takes a free place, or returns what is closed when there is one.
func (r *reads) take() (granted chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free > 0 {
		r.free--
		return nil
	}
	granted = make(chan struct{})
	r.claims.push(granted)
	return granted
}

func (r *reads) withdraw(granted chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims.remove(granted)
}

// add queues a job. One that is queued already only moves to the class, if that is more
// urgent. It does not wait, and may be called under a room's lock.
func (r *reads) add(j *job, c class) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !j.waits:
		j.waits = true
		r.queued++
	case c >= j.class:
		return
	}
	j.class = c
	r.jobs[c].push(j) // where it was queued before it is skipped
	if r.free > 0 {
		r.free--
		r.startLocked()
	}
}

// addLater queues a job at a time that is not before those of earlier calls, or little.
func (r *reads) addLater(j *job, c class, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.later.push(later{j, c, at})
	if !r.waiting {
		r.waiting = true
		r.hub.work.Go(r.addLate) // ends when there are no more, or with the hub, which waits for it
	}
}

func (r *reads) addLate() {
	for r.hub.ctx.Err() == nil {
		next, ok := r.nextLate()
		if !ok {
			return
		}
		if wait := time.Until(next.at); wait > 0 {
			r.hub.pause(wait)
		}
		r.add(next.job, next.class)
	}
}

func (r *reads) nextLate() (next later, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, ok = r.later.pop()
	r.waiting = ok
	return next, ok
}

// raise moves a job to a more urgent class, if it is queued.
func (r *reads) raise(j *job, c class) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.waits && c < j.class {
		j.class = c
		r.jobs[c].push(j) // as in add
	}
}

// put returns a place, and gives it to what is next.
func (r *reads) put() {
	r.mu.Lock()
	defer r.mu.Unlock()
	claims := r.claims.len() > 0
	if claims && r.queued > 0 {
		r.turn++
		claims = r.turn%3 != 0
	}
	switch {
	case claims:
		granted, _ := r.claims.pop()
		close(granted)
	case r.queued > 0:
		r.startLocked()
	default:
		r.free++
	}
}

// startLocked starts the next job, of which there is one, with a place.
func (r *reads) startLocked() {
	j := r.nextLocked()
	j.waits = false
	r.queued--
	p := &place{r}
	// It ends with its call of the Broker, whose time is bounded, and what follows from that;
	// the end of the hub waits for it.
	r.hub.work.Go(func() {
		defer p.release()
		j.run(p)
	})
}

// nextLocked removes the next job.
func (r *reads) nextLocked() *job {
	r.begun++
	from := class(0)
	if r.begun%4 == 0 {
		from = class(r.begun / 4 % int(classes))
	}
	for i := range classes {
		c := (from + i) % classes
		for r.jobs[c].len() > 0 {
			if j, _ := r.jobs[c].pop(); j.waits && j.class == c {
				return j
			}
		}
	}
	panic("no job is queued") // queued counts them
}

// queue is a first-in, first-out queue.
type queue[T comparable] struct {
	list []T
	from int // list[:from] was removed
}

func (q *queue[T]) len() int { return len(q.list) - q.from }

func (q *queue[T]) push(x T) {
	if q.from > 0 && len(q.list) == cap(q.list) && q.from >= q.len() {
		n := copy(q.list, q.list[q.from:])
		clear(q.list[n:])
		q.list, q.from = q.list[:n], 0
	}
	q.list = append(q.list, x)
}

// pop removes the first element; ok is false if there is none.
func (q *queue[T]) pop() (x T, ok bool) {
	if q.len() == 0 {
		return x, false
	}
	var zero T
	x, q.list[q.from] = q.list[q.from], zero
	if q.from++; q.from == len(q.list) {
		*q = queue[T]{} // so that what a crowd needed is freed
	}
	return x, true
}

// remove removes an element, and reports whether it was there.
func (q *queue[T]) remove(x T) bool {
	i := slices.Index(q.list[q.from:], x)
	if i >= 0 {
		q.list = slices.Delete(q.list, q.from+i, q.from+i+1)
	}
	return i >= 0
}
