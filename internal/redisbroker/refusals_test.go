package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// replyError is an error that Redis answered (redis.Error).
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

// A refusal that affects every room makes the node not ready, although its lease is
// renewed and its probe arrives: its user may not use XADD, one shard of a Redis Cluster
// is full, or has no replica to confirm.
func TestWhatRedisRefusesOfRoomsIsNotReady(t *testing.T) {
	for _, c := range []struct {
		err   error
		holds bool
	}{
		{replyError("OOM command not allowed when used memory > 'maxmemory'. script: x, on @user_script:1."), true},
		{replyError("ERR The user executing the script can't run this command or subcommand script: x, on @user_script:1."), true},
		{replyError("ERR ACL failure in script: User chat has no permissions to run the 'xadd' command script: on @user_script:1."), true},
		{replyError("NOPERM User chat has no permissions to run the 'xrevrange' command"), true},
		{replyError("READONLY You can't write against a read only replica."), true},
		{fmt.Errorf("%w: 0 of 1 within 1s", errReplicas), true},
		{replyError("WRONGTYPE Operation against a key holding the wrong kind of value"), false},
		{replyError("ERR The ID specified in XADD is equal or smaller than the target stream top item"), false},
		{replyError("TRYAGAIN Multiple keys request during rehashing of slot"), false},
		{errors.New("connection refused"), false}, // the heartbeat shows that
	} {
		synctest.Test(t, func(t *testing.T) {
			var r refusals
			bad, good := work{"appending to logs", "7"}, work{"appending to logs", "8"}
			r.note(bad, c.err)
			r.note(good, nil)
			err := r.reason()
			if (err != nil) != c.holds {
				t.Fatalf("%v: %v", c.err, err)
			}
			if !c.holds {
				return
			}
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), "appending to logs of partition 7: ") {
				t.Errorf("the reason of %v is %v", c.err, err)
			}
			time.Sleep(refusedFor - time.Millisecond)
			if r.reason() == nil {
				t.Errorf("%v is forgotten before its time", c.err)
			}
			time.Sleep(time.Millisecond)
			if err := r.reason(); err != nil {
				t.Errorf("%v still holds: %v", c.err, err)
			}
			r.note(bad, c.err)
			r.note(bad, nil)
			if err := r.reason(); err != nil {
				t.Errorf("%v holds although it went well since: %v", c.err, err)
			}
		})
	}
}

// A node that can't append is not ready, whatever the reason: an unknown text of a later
// Redis, a slot that stays half moved, lost packets.
func TestWhatPersistsIsNotReady(t *testing.T) {
	for _, err := range []error{
		replyError("ERR a text of tomorrow"), replyError("CROSSSLOT Keys in request don't hash to the same slot"),
		context.DeadlineExceeded, errors.New("connection refused"), errReply,
	} {
		synctest.Test(t, func(t *testing.T) {
			var r refusals
			w := work{what: "appending to logs"}
			r.note(w, err)
			time.Sleep(persistsAfter - time.Millisecond)
			r.note(w, err)
			if got := r.reason(); got != nil {
				t.Fatalf("%v counts before it persists: %v", err, got)
			}
			time.Sleep(time.Millisecond)
			r.note(w, err)
			if got := r.reason(); !errors.Is(got, err) {
				t.Fatalf("%v persists, and the reason is %v", err, got)
			}
			r.note(work{what: reading}, nil) // another kind of call
			if r.reason() == nil {
				t.Errorf("%v is forgotten when something else succeeds", err)
			}
			r.note(w, nil)
			r.note(w, err)
			if got := r.reason(); got != nil {
				t.Errorf("%v counts after one success and one failure: %v", err, got)
			}
			// Two failures with a long time between them are no lasting failure.
			time.Sleep(refusedFor)
			r.note(w, err)
			if got := r.reason(); got != nil {
				t.Errorf("%v counts after a long silence: %v", err, got)
			}
		})
	}
	// A slot that is being moved may take longer.
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		w := work{"appending to logs", "7"}
		for began := time.Now(); time.Since(began) < passesWithin; time.Sleep(time.Second) {
			r.note(w, replyError("TRYAGAIN Multiple keys request during rehashing of slot"))
			if err := r.reason(); err != nil {
				t.Fatalf("after %s: %v", time.Since(began), err)
			}
		}
		r.note(w, replyError("TRYAGAIN Multiple keys request during rehashing of slot"))
		if r.reason() == nil {
			t.Error("a slot that stays half moved does not count")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		for range 5 {
			r.note(work{what: "appending to logs"}, replyError("WRONGTYPE Operation against a key holding the wrong kind of value"))
			r.note(work{what: reading}, fmt.Errorf("read: %w", context.Canceled))
			time.Sleep(time.Second)
		}
		if got := r.reason(); got != nil {
			t.Errorf("one room's own trouble, or a caller that gave up, counts: %v", got)
		}
	})
}
