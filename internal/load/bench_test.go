package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

func TestWhatTookHowLong(t *testing.T) {
	t.Parallel()
	ms := func(n int64) int64 { return n * int64(time.Millisecond) }
	var r Result
	r.judge([]check.Record{
		{At: ms(0), Op: check.OpJoined, Client: "a", Conn: 1, Room: "r"},
		{At: ms(0), Op: check.OpJoined, Client: "b", Conn: 1, Room: "r"},
		{At: ms(10), Op: check.OpSend, Client: "a", Conn: 1, Room: "r", User: "u", Key: "1", Text: "x"},
		{At: ms(12), Op: check.OpMessage, Client: "a", Conn: 1, Room: "r", ID: "5-1", User: "u", Key: "1", Text: "x"},
		{At: ms(13), Op: check.OpRefused, Client: "a", Conn: 1, Room: "r", User: "u", Key: "1", Code: "unavailable"},
		{At: ms(20), Op: check.OpSend, Client: "a", Conn: 1, Room: "r", User: "u", Key: "1", Text: "x"},
		{At: ms(24), Op: check.OpSent, Client: "a", Conn: 1, Room: "r", User: "u", Key: "1", ID: "5-1", Duplicate: true},
		{At: ms(30), Op: check.OpLost, Client: "b", Conn: 1},
		// The entries of a joined were sent while b was not connected: they do not count as
		// delivered.
		{At: ms(90), Op: check.OpJoined, Client: "b", Conn: 2, Room: "r", Head: "5-1", Count: 1},
		{At: ms(90), Op: check.OpShown, Client: "b", Conn: 2, Room: "r", ID: "5-1", User: "u", Key: "1", Text: "x"},
		{At: ms(100), Op: check.OpSend, Client: "b", Conn: 2, Room: "r", User: "v", Key: "1", Text: "y"},
		{At: ms(101), Op: check.OpMessage, Client: "b", Conn: 2, Room: "r", ID: "9-2", User: "v", Key: "1", Text: "y"},
		{At: ms(105), Op: check.OpMessage, Client: "a", Conn: 1, Room: "r", ID: "9-2", User: "v", Key: "1", Text: "y"},
		{At: ms(110), Op: check.OpSent, Client: "b", Conn: 2, Room: "r", User: "v", Key: "1", ID: "9-2"},
		{At: ms(200), Op: check.OpEnd, Client: "a", Conn: 1, Room: "r"},
		{At: ms(200), Op: check.OpEnd, Client: "b", Conn: 2, Room: "r"},
		{At: ms(201), Op: check.OpLog, Room: "r", ID: "5-1", User: "u", Key: "1", Text: "x"},
		{At: ms(201), Op: check.OpLog, Room: "r", ID: "9-2", User: "v", Key: "1", Text: "y"},
	})
	if !r.Report.OK() {
		t.Errorf("violations: %v", r.Report.Violations)
	}
	if want := (Times{2, 14 * time.Millisecond, 14 * time.Millisecond, 14 * time.Millisecond}); r.Acknowledged != want {
		t.Errorf("acknowledged: %+v", r.Acknowledged)
	}
	if want := (Times{3, 2 * time.Millisecond, 5 * time.Millisecond, 5 * time.Millisecond}); r.Delivered != want {
		t.Errorf("delivered: %+v", r.Delivered)
	}
	if r.Opened != 3 || r.Refused != 1 || r.Took != 100*time.Millisecond {
		t.Errorf("%d opened, %d refused, took %s", r.Opened, r.Refused, r.Took)
	}
}

// logNode serves the log of a room with the entries 1 to n; with endless it reports that
// there are older ones, whatever the page.
type logNode struct {
	n       int
	endless bool
	asked   atomic.Int64
}

func (l *logNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.asked.Add(1)
	end := l.n
	if before := r.URL.Query().Get("before"); before != "" {
		_, _ = fmt.Sscanf(before, "7-%d", &end)
		end--
	}
	from := max(1, end-protocol.MaxHistory+1)
	if l.endless {
		from, end = 1, l.n
	}
	var list []string
	for i := from; i <= end; i++ {
		list = append(list, fmt.Sprintf(`{"id":"7-%d","room":"r","key":"k%d","user":{"id":"u","name":"U"},"text":"x"}`, i, i))
	}
	fmt.Fprintf(w, `{"room":"r","messages":[%s],"more":%t}`, strings.Join(list, ","), from > 1 || l.endless)
}

func TestLogsAreReadPageByPageFromAllNodes(t *testing.T) {
	t.Parallel()
	first, second := &logNode{n: 501}, &logNode{n: 501}
	s1, s2 := httptest.NewServer(first), httptest.NewServer(second)
	defer s1.Close()
	defer s2.Close()
	nodes := newNodeList(s1.URL, nil)
	nodes.learn([]protocol.Node{{URL: s1.URL}, {URL: s2.URL}, {URL: "http://127.0.0.1:1/"}, {URL: "not a URL"}, {URL: s1.URL}})
	if len(nodes.urls()) != 3 {
		t.Errorf("learned %v", nodes.urls())
	}
	list, heads, err := nodes.readLogs(t.Context(), map[string]bool{"r": true}, 501)
	if err != nil || heads["r"] != "7-501" || len(list) != 501 {
		t.Fatalf("%v: %d entries, heads %v", err, len(list), heads)
	}
	for i, r := range list {
		if r.ID != fmt.Sprintf("7-%d", i+1) || r.Op != check.OpLog || r.User != "u" {
			t.Fatalf("entry %d is %+v", i, r)
		}
	}
	if first.asked.Load() == 0 || second.asked.Load() == 0 {
		t.Errorf("%d and %d requests", first.asked.Load(), second.asked.Load())
	}
}

func TestALogThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	endless := &logNode{n: 10, endless: true}
	s := httptest.NewServer(endless)
	defer s.Close()
	nodes := newNodeList(s.URL, nil)
	if _, _, err := nodes.readLogs(t.Context(), map[string]bool{"r": true}, 1000); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("%v", err)
	}
	if endless.asked.Load() > 101 {
		t.Errorf("%d requests", endless.asked.Load())
	}
}
