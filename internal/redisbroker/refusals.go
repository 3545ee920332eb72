package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// refusedFor is how long a failure counts if nothing of its kind was tried since. Then
	// it is unknown whether it still holds.
	refusedFor = 5 * time.Second
	// trialWithin bounds one trial, and trialsAtOnce the number of trials at a heartbeat.
	trialWithin  = time.Second
	trialsAtOnce = 8
	// persistsAfter is how long all calls of one kind must have failed to make the node not
	// ready, whatever the reason.
	persistsAfter = 2 * time.Second
	// passesWithin is the same for failures that are known to be temporary.
	passesWithin = 10 * time.Second
)

// refusals are the failures of calls about rooms and users. The lease may be renewed, and
// probes arrive, while Redis accepts no message, for another reason or in another part of a
// Redis Cluster. A refusal that affects every room makes the node not ready at once, any
// other failure if it persists. The number of entries is bounded by the number of
// partitions.
type refusals struct {
	mu   sync.Mutex // guards the field below
	last map[work]failure
}

// work is a kind of call, and its partition, which is "" outside of a Redis Cluster.
type work struct{ what, tag string }

// failure describes the failures since the last success.
type failure struct {
	err       error
	effect    effect
	since, at time.Time // the first and the last of them
}

// counts reports whether this failure makes the node not ready.
func (f failure) counts() bool {
	switch f.effect {
	case general, state:
		return true
	case passing:
		return f.at.Sub(f.since) >= passesWithin
	}
	return f.at.Sub(f.since) >= persistsAfter
}

// note records the result of a call. A call that its own caller cancelled is ignored.
func (r *refusals) note(w work, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.last, w)
		return
	}
	effect := kinds[kind(err)].effect
	if effect == ownRoom || errors.Is(err, context.Canceled) {
		return
	}
	now := time.Now()
	f, ok := r.last[w]
	if !ok || now.Sub(f.at) >= refusedFor {
		f = failure{since: now}
	}
	f.err, f.effect, f.at = err, effect, now
	if r.last == nil {
		r.last = make(map[work]failure)
	}
	r.last[w] = f
}

// onTrial returns the kinds of work whose failures a trial can confirm.
func (r *refusals) onTrial() []work {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []work
	for w, f := range r.last {
		if (f.effect == state || f.effect == away) && len(list) < trialsAtOnce {
			list = append(list, w)
		}
	}
	return list
}

// tryAgain tries each kind of work that has failed. So a node is ready again as soon as
// messages pass, and not before, although clients send none to a node that is not ready.
// It always tries an append, and records a refusal.
func (b *core) tryAgain(ctx context.Context) {
	failed := b.health.refusals.onTrial()
	for _, w := range failed {
		b.health.refusals.note(w, b.try(ctx, w))
	}
	// A node that has not appended anything yet must not be ready if Redis would refuse
	// it. The success of a trial does not prove that a real append succeeds.
	w := work{what: appending}
	if b.cluster != nil {
		w.tag = mainTag
	}
	if slices.Contains(failed, w) {
		return // it was tried above
	}
	if err := b.try(ctx, w); err != nil && isReply(err) {
		b.health.refusals.note(w, err)
	}
}

// notTaken is the answer to an entry with the id 0-0 if Redis has no other reason to refuse it
// (t_stream.c of R 5.0+, V, D; the embedded broker).
const notTaken = "must be greater than 0-0"

// try repeats in the partition what failed there, without changing anything: it appends an
// entry as large as a batch of messages under an id that no log accepts, or reads a log that
// does not exist. (The embedded broker keeps an empty log of it.) It ends within trialWithin.
func (b *core) try(ctx context.Context, w work) error {
	ctx, cancel := context.WithTimeout(ctx, trialWithin)
	defer cancel()
	key := b.keys.tagged(cmp.Or(w.tag, mainTag), "trial")
	if w.what == reading {
		return b.rdb.XRevRangeN(ctx, key, "+", "-", 1).Err()
	}
	err := b.rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: "0-0", Values: []any{"m", padding}}).Err()
	if err != nil && isReply(err) && strings.Contains(err.Error(), notTaken) {
		return nil
	}
	return err
}

// reason returns the newest failure that makes the node not ready; nil if there is none.
func (r *refusals) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest work
	var last failure
	for w, f := range r.last {
		if time.Since(f.at) >= refusedFor {
			delete(r.last, w)
		} else if f.counts() && f.at.After(last.at) {
			newest, last = w, f
		}
	}
	if last.err == nil {
		return nil
	}
	where := newest.what
	if newest.tag != "" {
		where += " of partition " + newest.tag
	}
	return fmt.Errorf("%s: %w", where, explain(last.err))
}
