package engineio

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// The answer to one poll is bounded: on a slow link, a client knows nothing until an answer
// is complete. The rest of the queue goes to the next polls.
func TestThePollsOfASlowClientAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	var want []string
	for i := range 20 {
		m := Text(fmt.Appendf(nil, "%d ", i), bytes.Repeat([]byte{'x'}, 10_000))
		want = append(want, string(m.polled()))
		session.Send(m)
	}
	big := Text(bytes.Repeat([]byte{'y'}, 2*maxPolled)) // in an answer of its own
	session.Answer(big)
	want = append(want, string(big.polled()))
	session.Close(4003, "kicked") // the close packet comes last
	want = append(want, "1")
	var got []string
	for polls := 0; len(got) < len(want); polls++ {
		if polls > len(want) {
			t.Fatalf("%d packets after %d polls", len(got), polls)
		}
		status, body := s.do("GET", url, "")
		if status != 200 {
			t.Fatalf("the poll after %d packets: %d %s", len(got), status, body)
		}
		packets := strings.Split(body, "\x1e")
		if len(body) > maxPolled && len(packets) > 1 && packets[1] != "1" {
			t.Errorf("a poll got %d bytes in %d packets", len(body), len(packets))
		}
		got = append(got, packets...)
		if left := session.Pending(); len(got) < len(want) && left != len(strings.Join(want[len(got):len(want)-1], "")) {
			t.Errorf("%d bytes are pending after %d packets", left, len(got))
		}
	}
	if strings.Join(got, "\x1e") != strings.Join(want, "\x1e") {
		t.Error("the packets differ from those that were sent")
	}
	s.wants("GET", url, "", 400, unknownSession)
}
