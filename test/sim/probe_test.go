package sim

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"example.com/chat/internal/protocol"
)

// foundWithin is how long a dead subscription may stay undetected.
const foundWithin = 3 * time.Second

// oneNode runs a test with a chat of one node, in virtual time.
func oneNode(t *testing.T, seed uint64, test func(n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		random := rand.New(rand.NewPCG(seed, 0))
		server := startRedis()
		defer server.mini.Close()
		n := &node{id: "n1", net: server.from(random.Uint64(), usual), seed: random.Uint64(), random: random}
		if err := n.start(context.Background(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			n.kill()
			server.each(nil, func(k *link) { server.drop(k, true) })
			sleep(context.Background(), 10*time.Second)
		}()
		for !n.life.sessions.Hub.Up() {
			sleep(context.Background(), 10*time.Millisecond)
		}
		test(n)
	})
}

// The subscription is dead and its connection open: neither posts nor errors arrive. The
// probe detects that, and a new subscription replaces it.
func TestTheProbeFindsADeafSubscription(t *testing.T) {
	for seed := range uint64(20) {
		oneNode(t, seed, func(n *node) {
			sleep(context.Background(), time.Duration(n.random.Int64N(int64(2*time.Second))))
			began := time.Now()
			n.net.deafen(true) // new connections are not
			for n.life.broker.Ready() == nil && time.Since(began) < time.Minute {
				sleep(context.Background(), 10*time.Millisecond)
			}
			if took := time.Since(began); took > foundWithin+100*time.Millisecond {
				t.Errorf("seed %d: it was detected after %s", seed, took)
			}
			for n.life.broker.Ready() != nil && time.Since(began) < time.Minute {
				sleep(context.Background(), 10*time.Millisecond)
			}
			if took := time.Since(began); took > foundWithin+time.Second {
				t.Errorf("seed %d: it was replaced after %s", seed, took)
			}
		})
	}
}

// Redis's pushes are lost for so short a time that the probe does not detect it, and with
// them the confirmation of a channel. The room is joined all the same; without a defence
// the join waited forever. Met by seed 10258.
func TestALostConfirmationIsNoticed(t *testing.T) {
	for seed := range uint64(20) {
		oneNode(t, seed, func(n *node) {
			sleep(context.Background(), time.Duration(n.random.Int64N(int64(2*time.Second))))
			w, err := n.connect(context.Background(), n.random, "ann", "")
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			n.net.deafen(true)
			began := time.Now()
			go func() { // ends with the sleep
				sleep(context.Background(), 1500*time.Millisecond)
				n.net.deafen(false)
			}()
			joined := func(name string) bool {
				_ = w.Write(protocol.JoinCommand{Room: name})
				for {
					e, err := w.Read()
					if err != nil || e.Type == "error" {
						return false
					}
					if e.Type == "joined" {
						return true
					}
				}
			}
			for !joined("lobby") && time.Since(began) < time.Minute {
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("seed %d: the room was joined after %s", seed, took)
			}
		})
	}
}
