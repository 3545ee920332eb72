package swarm_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/nodetest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/swarm"
)

// TestEachMemberGetsEachMessage runs both kinds of load on two nodes, with epoll and
// with readers.
func TestEachMemberGetsEachMessage(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	urls := []string{nodetest.Start(t, b.URL(), "--rate=0").URL, nodetest.Start(t, b.URL(), "--rate=0").URL}
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprintf("portable %t", portable), func(t *testing.T) {
			const clients, members = 12, 4
			s, err := swarm.Connect(t.Context(), swarm.Config{
				Dialect: swarm.Chat{}, URLs: urls, Clients: clients, Portable: portable, Drain: chattest.Patience,
				Rooms: []string{fmt.Sprintf("a-%t", portable), fmt.Sprintf("b-%t", portable), fmt.Sprintf("c-%t", portable)},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if took, refused := s.Logins(); took.Count() != clients || refused != 0 || took.Max() == 0 {
				t.Errorf("%d logins, %d refused, longest %s", took.Count(), refused, took.Max())
			}
			open := s.Open(t.Context(), 50, time.Second)
			if open.Sent != 50 {
				t.Errorf("open loop: sent %d", open.Sent)
			}
			closed := s.Closed(t.Context(), 2, time.Second/2)
			if closed.Sent < 6 {
				t.Errorf("closed loop: sent %d", closed.Sent)
			}
			for name, r := range map[string]*swarm.Result{"open": open, "closed": closed} {
				if r.Delivered != r.Sent*members || r.Acknowledged != r.Sent || r.Missing+r.Doubled+r.Refused+r.Lost > 0 {
					t.Errorf("%s loop: %+v", name, r)
				}
				if r.Deliveries.Count() != r.Delivered || r.Acks.Count() != r.Sent || r.Deliveries.At(50) <= 0 || r.Deliveries.At(99) > r.Deliveries.Max() {
					t.Errorf("%s loop: %d deliveries, p50 %s, p99 %s, longest %s", name,
						r.Deliveries.Count(), r.Deliveries.At(50), r.Deliveries.At(99), r.Deliveries.Max())
				}
				if r.Took <= 0 || r.Busy <= 0 || r.Busy >= 1 {
					t.Errorf("%s loop: took %s, busy %.3f", name, r.Took, r.Busy)
				}
			}
		})
	}
}

// TestConnectExplainsWhyAClientCantGetIn checks the error.
func TestConnectExplainsWhyAClientCantGetIn(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, redistest.Embedded(t).URL())
	for _, rooms := range [][]string{{"..."}, nil} {
		s, err := swarm.Connect(t.Context(), swarm.Config{Dialect: swarm.Chat{}, URLs: []string{n.URL}, Clients: 3, Rooms: rooms})
		if err == nil {
			s.Close()
			t.Errorf("rooms %q: no error", rooms)
		}
	}
}
