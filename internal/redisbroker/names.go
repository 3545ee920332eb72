package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// Bounds of the users who are offline and whose name is kept, because their token has an
// older one.
const (
	namesKeptFor = 7 * 24 * time.Hour
	namesKept    = 100_000
)

// ErrBusy means that too many calls wait for Redis.
var ErrBusy = errors.New("too much is waiting for redis")

// nameOp is one operation of scripts/names.lua.
type nameOp struct {
	what, user, name, extra string
	shared                  bool
}

// nameResult is its result.
type nameResult struct {
	done bool
	name string
	err  error // of this operation alone
}

type nameBatcher = batcher[nameOp, nameResult]

// namesTimeout bounds one batch of operations.
const namesTimeout = 3 * time.Second

// Names gives display names to users (room.Names).
type Names struct {
	*core
	batches *nameBatcher
}

func newNames(c *core) *Names {
	b := &Names{core: c}
	b.batches = &nameBatcher{maxBatch: 128, maxQueue: 20_000, call: func(ops []nameOp) ([]nameResult, error) {
		ctx, cancel := context.WithTimeout(context.Background(), namesTimeout)
		defer cancel()
		results, err := b.nameCall(ctx, b.Instance(), ops)
		b.health.refusals.note(work{what: "claiming names"}, err)
		if err == nil || kinds[kind(err)].name != "oom" {
			return results, err
		}
		return b.releasesOf(ctx, ops, err)
	}}
	return b
}

// releasesOf executes the releases of a batch that a full Redis refused as a whole. The
// other operations fail with the given error.
func (b *Names) releasesOf(ctx context.Context, ops []nameOp, refused error) ([]nameResult, error) {
	releases := slices.DeleteFunc(slices.Clone(ops), func(op nameOp) bool { return op.what != "release" })
	if len(releases) == 0 || len(releases) == len(ops) {
		return nil, refused
	}
	released, err := b.nameCall(ctx, b.Instance(), releases)
	if err != nil {
		return nil, refused
	}
	results := make([]nameResult, len(ops))
	for i, op := range ops {
		if op.what == "release" {
			results[i], released = released[0], released[1:]
		} else {
			results[i].err = refused
		}
	}
	return results, nil
}

// nameCall executes operations for an instance, in their order.
func (b *Names) nameCall(ctx context.Context, instance string, ops []nameOp) ([]nameResult, error) {
	args := make([]any, 0, 5+6*len(ops))
	args = append(args, instance, b.keys.news(), b.publishCommand(), namesKeptFor.Milliseconds(), namesKept)
	for _, op := range ops {
		shared := ""
		if op.shared {
			shared = "shared"
		}
		args = append(args, op.what, op.user, protocol.FoldName(op.name), op.name, op.extra, shared)
	}
	keys := []string{
		b.keys.cluster("nodes"), b.keys.cluster("names"), b.keys.cluster("users"),
		b.keys.cluster("held:" + instance), b.keys.cluster("kept"), b.keys.cluster("info"),
		b.keys.nothing(mainTag),
	}
	reply, err := b.run(ctx, namesScript, keys, args...).Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) != 2*len(ops)+1 {
		return nil, errReply
	}
	if own := b.instance.Load(); own.id == instance {
		own.counted(reply[2*len(ops)])
	}
	results := make([]nameResult, len(ops))
	for i := range ops {
		done, ok1 := reply[2*i].(int64)
		name, ok2 := reply[2*i+1].(string)
		if !ok1 || !ok2 {
			return nil, errReply
		}
		results[i] = nameResult{done: done == 1, name: name}
	}
	return results, nil
}

// Claim records that the user is online at this node, under the name. It fails with
// protocol.ErrNameTaken if another user who is online has the name, unless it is shared. It
// returns the name that the user has now.
func (b *Names) Claim(ctx context.Context, c protocol.NameClaim) (string, error) {
	op := nameOp{what: "claim", user: c.User, name: c.Name, shared: c.Shared}
	if c.Keep {
		op.extra = "keep"
	}
	return b.nameDo(ctx, op)
}

// Rename gives a user of this node another name, and publishes it to the cluster with mark,
// which must not contain a newline. Otherwise it is like Claim.
func (b *Names) Rename(ctx context.Context, c protocol.NameClaim, mark string) (string, error) {
	return b.nameDo(ctx, nameOp{what: "rename", user: c.User, name: c.Name, extra: mark, shared: c.Shared})
}

// Release records that the user has no connection to this node any more. With keep, the
// user's name is remembered for a week, since the token has another one. done is called with
// the result; Release never waits.
func (b *Names) Release(user string, keep bool, done func(error)) {
	op := nameOp{what: "release", user: user}
	if keep {
		op.extra = "keep"
	}
	if !b.batches.do(op, func(_ nameResult, err error) { done(err) }) {
		done(ErrBusy)
	}
}

// nameDo executes one operation in the next batch.
func (b *Names) nameDo(ctx context.Context, op nameOp) (string, error) {
	type outcome struct {
		nameResult
		err error
	}
	answer := make(chan outcome, 1)
	if !b.batches.do(op, func(r nameResult, err error) { answer <- outcome{r, cmp.Or(err, r.err)} }) {
		return "", ErrBusy
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case o := <-answer:
		if o.err != nil {
			return "", o.err
		}
		if !o.done {
			return "", protocol.ErrNameTaken
		}
		return o.name, nil
	}
}
