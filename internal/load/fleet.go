package load

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/redisbroker"
)

// Fleet is many clients with one history.
type Fleet struct {
	Clients []*Client
	History *check.History

	rooms map[string]bool
}

// NewFleet begins a fleet without clients.
func NewFleet() *Fleet {
	return &Fleet{History: check.NewHistory(), rooms: make(map[string]bool)}
}

// Add starts another client of the fleet, with the fleet's history.
func (f *Fleet) Add(cfg Config) *Client {
	cfg.History = f.History
	for _, name := range cfg.Rooms {
		f.rooms[name] = true
	}
	c := Start(cfg)
	f.Clients = append(f.Clients, c)
	return c
}

// settleEvery is how often Finish looks.
const settleEvery = 20 * time.Millisecond

// Finish lets the clients say nothing new, waits until each is content with
// what the logs hold, or ctx is done, adds the logs to the history, and returns
// it. A client that is not content by then is shown by the check.
func (f *Fleet) Finish(ctx context.Context, rdb redis.UniversalClient, namespace string) ([]check.Record, error) {
	logs, err := f.settle(ctx, func(ctx context.Context) ([]check.Record, map[string]string, error) {
		return ReadLogs(ctx, rdb, namespace, f.rooms)
	})
	if err != nil {
		return nil, err
	}
	for _, c := range f.Clients {
		c.End()
	}
	f.History.Add(logs...)
	return f.History.Records(), nil
}

// settle lets the clients say nothing new, and waits until each is content with
// what the logs hold, or ctx is done. read reads them, and the id of the newest
// entry of each room.
func (f *Fleet) settle(ctx context.Context, read func(context.Context) ([]check.Record, map[string]string, error)) (logs []check.Record, err error) {
	for _, c := range f.Clients {
		c.Hush()
	}
	for settled := false; ; {
		list, heads, err := read(context.WithoutCancel(ctx))
		if err == nil {
			logs = list
		}
		// What was acknowledged while the log was read may be in no view yet:
		// so all must be content with what is read once they were.
		if err == nil && f.content(heads) {
			if settled {
				return logs, nil
			}
			settled = true
			continue
		}
		settled = false
		if ctx.Err() != nil {
			return logs, err
		}
		pause(ctx, settleEvery)
	}
}

func (f *Fleet) content(heads map[string]string) bool {
	for _, c := range f.Clients {
		if !c.Content(heads) {
			return false
		}
	}
	return true
}

// Close ends all clients.
func (f *Fleet) Close() {
	for _, c := range f.Clients {
		c.quit()
	}
	for _, c := range f.Clients {
		c.Close()
	}
}

// ReadLogs reads rooms' logs from Redis itself, past all nodes, and the id of
// the newest entry of each. What is not one of the chat's entries is left out.
func ReadLogs(ctx context.Context, rdb redis.UniversalClient, namespace string, rooms map[string]bool) (list []check.Record, heads map[string]string, err error) {
	heads = make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		// One transaction, so that the two fit together.
		pipe := rdb.TxPipeline()
		streams := []*redis.XMessageSliceCmd{
			pipe.XRange(ctx, redisbroker.LogKey(namespace, name), "-", "+"), pipe.XRange(ctx, redisbroker.ChangesKey(namespace, name), "-", "+"),
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, nil, fmt.Errorf("read the log of %q: %w", name, err)
		}
		entries := logRecords(streams)
		if len(entries) > 0 {
			heads[name] = entries[len(entries)-1].ID
		}
		list = append(list, entries...)
	}
	return list, heads, nil
}

// logRecords makes records of what streams hold, in the order of their entries.
func logRecords(streams []*redis.XMessageSliceCmd) (list []check.Record) {
	for _, stream := range streams {
		for _, x := range stream.Val() {
			raw, _ := x.Values["m"].(string)
			var m client.Entry
			if json.Unmarshal([]byte(raw), &m) != nil || m.ID != x.ID {
				continue
			}
			list = append(list, LogRecord(m))
		}
	}
	slices.SortFunc(list, func(a, b check.Record) int { return cmp.Compare(seqOf(a.ID), seqOf(b.ID)) })
	return list
}

// Dialer connects to nodes at real addresses. urls gives those that may be
// there now; each try goes to another one, the first at random.
func Dialer(random *rand.Rand, urls func() []string, timing client.Timing) func(context.Context, string, int) (Wire, error) {
	start := 0
	return func(ctx context.Context, token string, try int) (Wire, error) {
		list := urls()
		if len(list) == 0 {
			return nil, context.DeadlineExceeded
		}
		if try == 0 {
			start = random.IntN(len(list))
		}
		c, err := client.Dial(ctx, client.Options{URL: list[(start+try)%len(list)], Token: token, Timing: timing})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}
