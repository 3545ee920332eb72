package conn

import (
	"testing"
	"time"
)

// Who said something gets its own message at once, and the answer to it just
// after: that one must not wait for what else may come to be joined with it.
func TestAnAnswerGoesAtOnce(t *testing.T) {
	t.Parallel()
	const join = 5 * time.Second
	s := serve(t, Config{JoinEvery: join})
	r := s.raw(t)
	c := <-s.conns
	began := time.Now()
	for _, send := range []struct {
		text string
		by   func(Frame)
	}{{"message", c.Send}, {"answer", c.Answer}} {
		send.by(Text([]byte(send.text)))
		if _, payload, err := r.frame(); err != nil || string(payload) != send.text {
			t.Fatalf("%s %v", payload, err)
		}
		if took := time.Since(began); took > join/2 {
			t.Errorf("%q came after %s", send.text, took)
		}
	}
}
