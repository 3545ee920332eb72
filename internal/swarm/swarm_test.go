package swarm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorder is an engine that keeps what is written.
type recorder struct {
	frames [][]byte
	err    error
}

func (r *recorder) add(*conn) error { return nil }
func (r *recorder) wait(int64)      {}
func (r *recorder) drop(*conn)      {}
func (r *recorder) wake()           {}
func (r *recorder) close()          {}
func (r *recorder) write(_ *conn, frame []byte) error {
	r.frames = append(r.frames, slices.Clone(frame))
	return r.err
}

// stage returns a swarm of n clients in one room without a network.
func stage(n int) (*Swarm, *recorder) {
	e := new(recorder)
	s := &Swarm{cfg: Config{Dialect: Chat{}, Rooms: []string{"r"}}, text: "x", engine: e, members: []int{n}}
	for i := range n {
		s.conns = append(s.conns, &conn{index: i})
	}
	return s, e
}

// answer returns a node's frame.
func answer(text string, number int) []byte {
	payload := fmt.Sprintf(text, AppendMark(nil, number))
	return append([]byte{0x81, byte(len(payload))}, payload...)
}

const (
	messageText = `{"type":"message","id":"1-1","room":"r","key":"%s","text":"x"}`
	sentText    = `{"type":"sent","room":"r","key":"%s","id":"1-1"}`
)

// TestLatencyCountsFromWhenAMessageWasDue stalls the clients for a second: what was due
// meanwhile is sent at once, and its latency contains the stall.
func TestLatencyCountsFromWhenAMessageWasDue(t *testing.T) {
	t.Parallel()
	s, e := stage(2)
	r := s.newRun()
	s.load = r
	r.base = time.Now().Add(-time.Second).UnixNano()
	r.every, r.total = float64(100*time.Millisecond), 10
	if next := s.tick(r.base); next != r.base+int64(100*time.Millisecond) || len(e.frames) != 1 {
		t.Errorf("at first: next after %s, %d frames", time.Duration(next-r.base), len(e.frames))
	}
	if next := s.tick(r.base + int64(time.Second)); next != 0 || len(e.frames) != 10 {
		t.Fatalf("after the stall: next %d, %d frames", next, len(e.frames))
	}
	if late := r.Late.At(50); late < 300*time.Millisecond {
		t.Errorf("half were at most %s late", late)
	}
	at := r.base + int64(1100*time.Millisecond)
	for number := range 10 {
		for _, c := range s.conns {
			s.input(c, answer(messageText, number), at)
		}
		s.input(s.conns[number%2], answer(sentText, number), at)
	}
	near := func(got, want time.Duration) bool { return got > want-want/100 && got < want+want/100 }
	if !near(r.Deliveries.Max(), 1100*time.Millisecond) || !near(r.Deliveries.At(50), 600*time.Millisecond) || !near(r.Acks.At(10), 200*time.Millisecond) {
		t.Errorf("deliveries: p50 %s, longest %s; acknowledgements: p10 %s", r.Deliveries.At(50), r.Deliveries.Max(), r.Acks.At(10))
	}
	select {
	case <-r.done:
	default:
		t.Error("it does not end when everything has arrived")
	}
	if r.sum(); r.Sent != 10 || r.Delivered != 20 || r.Acknowledged != 10 || r.Missing+r.Doubled > 0 || r.Bottleneck() == "" {
		t.Errorf("%+v", r.Result)
	}
}

// TestWhatIsMissingOrDoubledIsCounted gives one message twice to one client and not to
// the other, and refuses one.
func TestWhatIsMissingOrDoubledIsCounted(t *testing.T) {
	t.Parallel()
	s, _ := stage(2)
	r := s.newRun()
	s.load = r
	r.base, r.every, r.total = time.Now().UnixNano(), 1, 2
	s.tick(r.base + 100)
	for range 3 {
		s.input(s.conns[0], answer(messageText, 0), r.base)
	}
	s.input(s.conns[0], answer(messageText, 77), r.base) // of nobody
	s.input(s.conns[1], answer(`{"type":"error","code":"internal","key":"%s"}`, 1), r.base)
	r.sum()
	// Two copies of the first message count as those of both clients.
	if r.Delivered != 2 || r.Doubled != 1 || r.Missing != 2 || r.Refused != 1 {
		t.Errorf("%+v", r.Result)
	}
}

// TestATrimmedMessageIsNotLeft answers two of three deletions with errors, one of which
// means that the message is not in the log.
func TestATrimmedMessageIsNotLeft(t *testing.T) {
	t.Parallel()
	s, e := stage(1)
	s.remover = Chat{}
	r := s.newRun()
	s.load = r
	for range 3 {
		r.said = append(r.said, said{s.conns[0], "1-1"})
	}
	r.base, r.every, r.total = time.Now().UnixNano(), 1, len(r.said)
	s.tick(r.base + 100)
	if len(e.frames) != 3 {
		t.Fatalf("%d deletions", len(e.frames))
	}
	s.input(s.conns[0], answer(sentText, 0), r.base)
	s.input(s.conns[0], answer(`{"type":"error","code":"not_found","key":"%s"}`, 1), r.base)
	s.input(s.conns[0], answer(`{"type":"error","code":"internal","key":"%s"}`, 2), r.base)
	if r.sum(); r.Acknowledged != 2 || r.Refused != 1 {
		t.Errorf("%+v", r.Result)
	}
}

// TestAClosedLoopSendsWhenItsOwnCopyArrives checks each client's next message.
func TestAClosedLoopSendsWhenItsOwnCopyArrives(t *testing.T) {
	t.Parallel()
	s, e := stage(2)
	r := s.newRun()
	s.load = r
	r.base = time.Now().UnixNano()
	r.until = r.base + int64(time.Hour)
	r.send(s.conns[0], r.base)
	s.input(s.conns[1], answer(messageText, 0), r.base)
	if len(e.frames) != 1 {
		t.Fatalf("%d frames after the copy of another client", len(e.frames))
	}
	s.input(s.conns[0], answer(messageText, 0), r.base)
	if len(e.frames) != 2 {
		t.Fatalf("%d frames after its own copy", len(e.frames))
	}
	r.until = r.base // the time is over
	for _, c := range s.conns {
		s.input(c, answer(messageText, 1), r.base+1)
	}
	s.input(s.conns[0], answer(sentText, 0), r.base+1)
	s.input(s.conns[0], answer(sentText, 1), r.base+1)
	if !r.over || len(e.frames) != 2 || r.Delivered != 4 {
		t.Errorf("over %t, %d frames, %+v", r.over, len(e.frames), r.Result)
	}
}

// TestFramesArriveInAnyPieces gives all bytes in pieces of each length.
func TestFramesArriveInAnyPieces(t *testing.T) {
	t.Parallel()
	var stream []byte
	stream = append(stream, 0x89, 3, 'a', 'b', 'c') // a ping
	long := strings.Repeat("y", 70000)
	payload := fmt.Sprintf(messageText, AppendMark(nil, 0)) + "\n" + fmt.Sprintf(sentText, AppendMark(nil, 0))
	stream = append(append(stream, 0x81, 126, byte(len(payload)>>8), byte(len(payload))), payload...)
	stream = append(append(stream, 0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70), long...)
	stream = append(stream, 0x88, 0) // the end
	for _, size := range []int{1, 2, 3, 7, 100, 4096, len(stream)} {
		s, e := stage(1)
		r := s.newRun()
		s.load = r
		r.base, r.every, r.total = time.Now().UnixNano(), 1, 1
		s.tick(r.base)
		for piece := range slices.Chunk(stream, size) {
			s.input(s.conns[0], piece, r.base)
		}
		if r.Delivered != 1 || r.Acknowledged != 1 || !s.conns[0].dead || s.lost != 1 || s.members[0] != 0 {
			t.Errorf("pieces of %d: %+v, lost %d", size, r.Result, s.lost)
		}
		if len(e.frames) != 2 || string(e.frames[1]) != "\x8a\x83\x00\x00\x00\x00abc" {
			t.Errorf("pieces of %d: answers %q", size, e.frames[1:])
		}
	}
}

// TestAClientThatCantBeWrittenToIsLost also checks that a load ends when nobody is left.
func TestAClientThatCantBeWrittenToIsLost(t *testing.T) {
	t.Parallel()
	s, e := stage(1)
	e.err = errors.New("broken")
	r := s.newRun()
	s.load = r
	r.base, r.every, r.total = time.Now().UnixNano(), 1, 5
	s.tick(r.base + 100)
	r.finish(r.base + 100)
	if r.sum(); r.Lost != 1 || r.Sent != 1 || r.Missing != 1 {
		t.Errorf("%+v", r.Result)
	}
}

// TestMarksAreFoundAgain checks numbers and what is no mark.
func TestMarksAreFoundAgain(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 42, 9_999_999_999} {
		if got := Mark(AppendMark([]byte("text "), n)); got != n {
			t.Errorf("%d is read as %d", n, got)
		}
	}
	for _, text := range []string{"", "@@", "@@12", "@@00000000x1", "no mark"} {
		if got := Mark([]byte(text)); got != -1 {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}
