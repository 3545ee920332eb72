package room_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/chat/internal/chattest/faultbroker"
)

// Each later join and history holds what this node has acknowledged, although the live
// post comes late.
func TestWhatIsAcknowledgedIsSeenByWhoComesAfter(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		r.inject(faultbroker.Faults{Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
			time.Sleep(5 * time.Millisecond)
			deliver(p)
		}})
		r.verifySeen(t, m)
	})
}

// verifySeen sends messages, and checks that joins and history hold each once it is
// acknowledged.
func (r *rig) verifySeen(t *testing.T, m *fakeMember) {
	t.Helper()
	for i := range 20 {
		rec, err := r.say(m)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if j, body := r.joinedWith(fmt.Sprint("new-", i), newcomer); len(j.Messages) == 0 || j.Messages[len(j.Messages)-1].ID != rec.ID.String() {
				t.Errorf("joined without %v: %s", rec.ID, body)
			}
		} else if list, _ := r.history(cursor(newcomer), 5); len(list) == 0 || list[len(list)-1].ID != rec.ID {
			t.Errorf("the history lacks %v", rec.ID)
		}
	}
}
