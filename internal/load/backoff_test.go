package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// refuser is a Wire to a node that refuses each message.
type refuser struct {
	answers chan client.Event
	done    chan struct{}
	once    sync.Once
}

func (r *refuser) Welcome() protocol.WelcomeEvent {
	return protocol.WelcomeEvent{User: protocol.User{ID: "u"}}
}
func (r *refuser) Close() { r.once.Do(func() { close(r.done) }) }

func (r *refuser) WriteRef(cmd protocol.ClientCommand, _ string) error {
	room, key := cmd.Subject()
	answer := protocol.Joined(room, protocol.ID{}, false, nil, false, nil, 0, nil)
	if cmd.Type() == protocol.Send {
		answer = protocol.ErrorEvent{Code: protocol.CodeUnavailable, Message: "Redis is full", Room: room, Key: key}.Event()
	}
	r.answers <- client.Event{Type: answer.Name, Raw: answer.AppendFrame(nil)}
	return nil
}

func (r *refuser) Read() (client.Event, error) {
	select {
	case e := <-r.answers:
		return e, nil
	case <-r.done:
		return client.Event{}, errors.New("closed")
	}
}

// While Redis is full, each client repeats its message with growing waits. The first
// tries follow quickly.
func TestARefusedMessageIsRepeatedLessAndLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		history := check.NewHistory()
		c := Start(Config{
			Name: "a", Rooms: []string{"r"}, History: history, Random: rand.New(rand.NewPCG(1, 2)), Every: time.Millisecond,
			Dial: func(context.Context, string, int) (Wire, error) {
				return &refuser{answers: make(chan client.Event, 100), done: make(chan struct{})}, nil
			},
		})
		time.Sleep(time.Minute) // virtual
		c.Close()
		var sends []time.Duration
		for _, r := range history.Records() {
			if r.Op == check.OpSend {
				sends = append(sends, time.Duration(r.At))
			}
		}
		if len(sends) < quickRetries+15 || len(sends) > quickRetries+80 {
			t.Fatalf("sent %d times in a minute", len(sends))
		}
		if quick := sends[quickRetries-1] - sends[0]; quick > quickRetries*retryAfter {
			t.Errorf("the first %d tries took %s", quickRetries, quick)
		}
		for i := range sends[1:] {
			if wait := sends[i+1] - sends[i]; wait > retryMost+time.Second {
				t.Errorf("%s between two tries", wait)
			}
		}
	})
}
