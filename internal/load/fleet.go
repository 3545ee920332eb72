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

// Fleet is a number of clients with one history. Only one goroutine at a time may use
// it.
type Fleet struct {
	Clients []*Client
	History *check.History

	rooms map[string]bool
}

// NewFleet returns a fleet without clients.
func NewFleet() *Fleet {
	return &Fleet{History: check.NewHistory(), rooms: make(map[string]bool)}
}

// Add starts another client of the fleet.
func (f *Fleet) Add(cfg Config) *Client {
	cfg.History = f.History
	for _, name := range cfg.Rooms {
		f.rooms[name] = true
	}
	c := Start(cfg)
	f.Clients = append(f.Clients, c)
	return c
}

// settleEvery is the interval at which settle and clean check the clients.
const settleEvery = 20 * time.Millisecond

// Finish stops new messages, waits until each client has received all that the logs
// hold, or until ctx is done, adds the logs to the history, and returns it. The check
// finds clients that did not receive all.
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

// settle stops new messages, and waits until each client has received all that the logs
// hold, or until ctx is done. read returns the logs, and the id of the newest entry of
// each room.
func (f *Fleet) settle(ctx context.Context, read func(context.Context) ([]check.Record, map[string]string, error)) (logs []check.Record, err error) {
	for _, c := range f.Clients {
		c.Hush()
	}
	for settled := false; ; {
		list, heads, err := read(context.WithoutCancel(ctx))
		if err == nil {
			logs = list
		}
		// An entry that was acknowledged during the read may be missing in it, so the
		// clients must be complete by a read that began after they were.
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

// content reports whether all clients have received everything (Client.Content).
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

// ReadLogs reads the logs of rooms directly from Redis, and the id of the newest entry
// of each. Entries that chat did not write are left out.
func ReadLogs(ctx context.Context, rdb redis.UniversalClient, namespace string, rooms map[string]bool) (list []check.Record, heads map[string]string, err error) {
	heads = make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		// One transaction, so that both streams are of the same moment.
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

// logRecords converts entries of streams to records, in the order of the log.
func logRecords(streams []*redis.XMessageSliceCmd) (list []check.Record) {
	for _, stream := range streams {
		for _, x := range stream.Val() {
			var m client.Entry
			e, ok := redisbroker.DecodeEntry(x)
			if !ok || json.Unmarshal(e.Raw, &m) != nil || m.ID != x.ID {
				continue
			}
			list = append(list, LogRecord(m))
		}
	}
	slices.SortFunc(list, func(a, b check.Record) int { return cmp.Compare(seqOf(a.ID), seqOf(b.ID)) })
	return list
}

// Dialer returns a function that connects to nodes. urls returns those that may be
// there; each try goes to the next one, beginning at a random one.
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
