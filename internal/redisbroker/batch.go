package redisbroker

import "sync"

// batcher joins calls: what arrives while a call is under way goes in the next
// one. So load makes batches by itself, and a quiet time pays no delay. There
// is a goroutine only while there is work.
type batcher[Op, Res any] struct {
	most int // operations in one call
	bear int // operations waiting, at most
	call func([]Op) ([]Res, error)

	mu      sync.Mutex // guards the fields below
	waiting []pending[Op, Res]
	busy    bool
}

type pending[Op, Res any] struct {
	op   Op
	done func(Res, error)
}

// do has op carried out after all that came before it. done is called once, by
// the batcher's goroutine; do itself never waits. It is false, and done never
// called, when too much is waiting already.
func (b *batcher[Op, Res]) do(op Op, done func(Res, error)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= b.bear {
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
		n := min(len(b.waiting), b.most)
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
