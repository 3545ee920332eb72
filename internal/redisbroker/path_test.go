package redisbroker_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
)

// A node is not ready if no large packet reaches Redis, or arrives from it. Heartbeats and
// most probes are small, and do not show that.
func TestAPathThatSwallowsLargePacketsIsNotReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ to, from, talk bool }{
		"to Redis":                   {to: true},
		"from Redis":                 {from: true},
		"to Redis, while users talk": {to: true, talk: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			path := redistest.NewPath(t, server)
			own := at(server)
			own.client = func(t *testing.T) redis.UniversalClient { return newSingle(t, "redis://"+path.Addr, nil) }
			b := open(t, own, "n1", 10)
			chattest.Eventually(t, "to be ready", func() bool { return b.Ready() == nil })
			path.Narrow(c.to, c.from)
			text := strings.Repeat("x", 2000)
			talking := make(chan struct{})
			if c.talk {
				go func() { // ends when the node is found unready
					defer close(talking)
					for b.Ready() == nil {
						_, _ = b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", text)})
					}
				}()
			} else {
				close(talking)
			}
			b.Has(t, "to be told that redis is away", func() bool { return !b.Up })
			<-talking
			if err := b.Ready(); err == nil {
				t.Error("it is ready again")
			}
			path.Narrow(false, false)
			chattest.Eventually(t, "to be ready again", func() bool { return b.Ready() == nil })
			b.Has(t, "to be told so", func() bool { return b.Up })
			if _, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "2", text)}); err != nil {
				t.Error(err)
			}
		})
	}
}
