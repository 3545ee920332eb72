package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// The users whose name is kept although they are gone, because their token
// tells an older one.
const (
	namesKeptFor = 7 * 24 * time.Hour
	namesKept    = 100_000
)

// ErrBusy is answered when too many calls wait for Redis already.
var ErrBusy = errors.New("too much is waiting for redis")

type nameOp struct {
	what, user, name, extra string
	shared                  bool
}

type nameResult struct {
	done bool
	name string
	err  error // of this operation alone
}

type nameBatcher = batcher[nameOp, nameResult]

// namesTimeout bounds one batch of claims.
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

// releasesOf carries out the releases of a batch that a full Redis refused as a
// whole. The other operations have failed with the given error.
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

// Claim makes the user one of this node's, under the name, which nobody else who is
// online may hold unless it is shared: else protocol.ErrNameTaken. It returns the
// name that the user has now.
func (b *Names) Claim(ctx context.Context, c protocol.NameClaim) (string, error) {
	op := nameOp{what: "claim", user: c.User, name: c.Name, shared: c.Shared}
	if c.Keep {
		op.extra = "keep"
	}
	return b.nameDo(ctx, op)
}

// Rename gives a user of this node another name, and tells the cluster in its
// news, with mark, which must not hold a newline. Else as Claim.
func (b *Names) Rename(ctx context.Context, c protocol.NameClaim, mark string) (string, error) {
	return b.nameDo(ctx, nameOp{what: "rename", user: c.User, name: c.Name, extra: mark, shared: c.Shared})
}

// Release tells that this node has the user no more. With keep, the user's name
// is remembered for a week, for the token tells another. done is called with
// the outcome; Release never waits.
func (b *Names) Release(user string, keep bool, done func(error)) {
	op := nameOp{what: "release", user: user}
	if keep {
		op.extra = "keep"
	}
	if !b.batches.do(op, func(_ nameResult, err error) { done(err) }) {
		done(ErrBusy)
	}
}

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
