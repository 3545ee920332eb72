package redisbroker

import "sync"

// batcher joins operations into calls: those that arrive during a call are in the next
// one. So load makes batches by itself, and without load there is no delay. There is a
// goroutine only while there is work.
type batcher[Op, Res any] struct {
	maxBatch int // operations in one call at most
	maxQueue int // operations waiting at most
	call     func([]Op) ([]Res, error)

	mu      sync.Mutex // guards the fields below
	waiting []pending[Op, Res]
	busy    bool
}

type pending[Op, Res any] struct {
	op   Op
	done func(Res, error)
}

// do queues op behind all earlier ones. done is called once, by the batcher's goroutine;
// do itself never waits. It returns false, and never calls done, if maxQueue operations
// wait already.
func (b *batcher[Op, Res]) do(op Op, done func(Res, error)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= b.maxQueue {
		return false
	}
	b.waiting = append(b.waiting, pending[Op, Res]{op, done})
	if !b.busy {
		b.busy = true
		go b.work() // ends when nothing waits; nobody waits for it
	}
	return true
}

func (b *batcher[Op, Res]) work() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), b.maxBatch)
		if n == 0 {
			b.waiting, b.busy = nil, false
			b.mu.Unlock()
			return
		}
		batch := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		b.mu.Unlock()
		ops := make([]Op, n)
		for i, p := range batch {
			ops[i] = p.op
		}
		results, err := b.call(ops)
		for i, p := range batch {
			var res Res
			if err == nil {
				res = results[i]
			}
			p.done(res, err)
		}
	}
}
