package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/node"
	"example.com/chat/internal/protocol"
)

func TestReadyzWhileDraining(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	var answer struct {
		Ready bool
		Error struct{ Code, Message string }
	}
	if status := chattest.GetJSON(t, n.url+"/readyz", &answer); status != 200 || !answer.Ready {
		t.Errorf("/readyz: %d %v", status, answer)
	}
	if status := chattest.GetJSON(t, n.url+"/healthz", &answer); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	n.SetDraining()
	if status := chattest.GetJSON(t, n.url+"/readyz", &answer); status != 503 || !strings.Contains(answer.Error.Message, "draining") {
		t.Errorf("/readyz: %d %v", status, answer)
	}
}

// TestADrainEndsWithTheLastConnection drains a node with an hour's limit. The clients
// answer the close, so the drain must end without it.
func TestADrainEndsWithTheLastConnection(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	clients := []*chattest.Client{chattest.Enter(t, n.url, "ann", "lobby"), chattest.Enter(t, n.url, "ben", "lobby"), chattest.Dial(t, n.url)}
	clients[2].Hello()
	drained := make(chan struct{})
	go func() { // ends with the drain, which the test waits for
		defer close(drained)
		n.Drain(time.Hour)
	}()
	for i, c := range clients {
		for range c.Frames { // until the end of the connection
		}
		if c.Closed == nil || c.Closed.Code != protocol.CloseDraining {
			t.Errorf("client %d: closed with %v, want %d", i, c.Closed, protocol.CloseDraining)
		}
	}
	select {
	case <-drained:
	case <-time.After(chattest.Patience):
		t.Fatal("the drain goes on without a connection")
	}
}

// TestUsersAreSentAwayAtEvenIntervals checks the times of the calls in virtual time.
func TestUsersAreSentAwayAtEvenIntervals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ends time.Duration // of the context
		want []time.Duration
	}{
		"to the end":           {time.Hour, []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}},
		"all have left":        {300 * time.Millisecond, []time.Duration{0, 250 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond}},
		"before the beginning": {0, []time.Duration{0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.ends)
				defer cancel()
				began := time.Now()
				var got []time.Duration
				call := func() { got = append(got, time.Since(began)) }
				node.SpreadOver(ctx, time.Second, []func(){call, call, call, call})
				if !slices.Equal(got, c.want) {
					t.Errorf("calls at %v, want %v", got, c.want)
				}
			})
		})
	}
}
