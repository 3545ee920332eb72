package redisbroker_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"
	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// frozen is a hook of a client that calls a function before it sends a command with a
// certain key. It refuses commands with that key and another one, as a Redis Cluster does
// whose slots these are.
type frozen struct {
	key, other string // other may be ""
	what       atomic.Pointer[func()]
}

// crossSlot is the answer of a Redis Cluster to keys of two slots.
type crossSlot struct{}

func (crossSlot) Error() string { return "CROSSSLOT Keys in request don't hash to the same slot" }
func (crossSlot) RedisError()   {}

func (f *frozen) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *frozen) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.Contains(cmd.String(), f.key) {
			if f.other != "" && strings.Contains(cmd.String(), f.other) {
				cmd.SetErr(crossSlot{})
				return crossSlot{}
			}
			if what := f.what.Swap(nil); what != nil {
				(*what)()
			}
		}
		return next(ctx, cmd)
	}
}

func (f *frozen) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A node that was frozen between listing a room and writing its presence there lists the
// room again. Meanwhile others treated it as dead and removed its list, so otherwise
// nobody would remove the presence of its old instance, and the user would be in the room
// for ever.
func TestWhatAFrozenNodeWritesLateIsFound(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]*frozen{
		"in one step":                   {key: ":here:lobby"},
		"in two steps, as in a Cluster": {key: ":here:lobby", other: ":rooms:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writesLate(t, hook)
		})
	}
}

func writesLate(t *testing.T, hook *frozen) {
	t.Helper()
	server, err := embed.StartBroker(embed.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := single(server.URL(), nil)
	at := &site{client: client, outside: client}
	slow := &site{outside: client, client: func(t *testing.T) redis.UniversalClient {
		c := client(t)
		c.AddHook(hook)
		return c
	}}
	other := open(t, at, "n2", 10)
	b := open(t, slow, "n1", 10)
	instance := b.Instance()
	thawed := func() {
		if err := other.Vacate(t.Context(), instance, "lobby"); err != nil {
			t.Error(err)
		}
		began := time.Now()
		chattest.Eventually(t, "some time", func() bool { return time.Since(began) > 100*time.Millisecond })
	}
	hook.what.Store(&thawed)
	if _, err := b.Here(t.Context(), instance, "lobby", []protocol.Change{{User: protocol.User{ID: "a", Name: "Ann"}, Here: true}}); err != nil {
		t.Fatal(err)
	}
	b.stop() // as after a crash
	chattest.Eventually(t, "the room to be empty", func() bool {
		users, err := other.Present(t.Context(), "lobby")
		return err == nil && len(users) == 0
	})
}
