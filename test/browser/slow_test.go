package browser

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowLine stands before a node like a bad mobile network: bytes trickle through it,
// and each takes its time.
type slowLine struct {
	URL     string
	sockets atomic.Int32 // WebSockets that were opened through it
	away    atomic.Bool  // takes no connection

	mu    sync.Mutex // guards the fields below
	free  time.Time  // when the line has sent what was given to it
	conns []net.Conn
}

const (
	lineRate  = 20_000 // bytes a second, towards the browser
	lineDelay = 200 * time.Millisecond
)

func newSlowLine(t *testing.T, node string) *slowLine {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	line := &slowLine{URL: "http://" + l.Addr().String()}
	t.Cleanup(func() {
		l.Close()
		line.cut()
	})
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if line.away.Load() {
				c.Close()
				continue
			}
			to, err := net.Dial("tcp", "127.0.0.1:"+port(t, node))
			if err != nil {
				c.Close()
				continue
			}
			line.mu.Lock()
			line.conns = append(line.conns, c, to)
			line.mu.Unlock()
			go line.carry(to, c, false)
			go line.carry(c, to, true)
		}
	}()
	return line
}

// carry moves bytes until either side ends.
func (l *slowLine) carry(to, from net.Conn, slow bool) {
	defer to.Close()
	type piece struct {
		data []byte
		at   time.Time
	}
	pieces := make(chan piece, 16)
	go func() {
		defer close(pieces)
		for {
			data := make([]byte, 1000)
			n, err := from.Read(data)
			if bytes.HasPrefix(data, []byte("GET /ws")) {
				l.sockets.Add(1)
			}
			at := time.Now()
			if slow {
				at = l.turn(n)
			}
			pieces <- piece{data[:n], at.Add(lineDelay)}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.data); err != nil {
			from.Close()
			_, _ = io.Copy(io.Discard, from)
		}
	}
}

// turn waits until the line is free for n more bytes, and returns when it has sent
// them.
func (l *slowLine) turn(n int) time.Time {
	l.mu.Lock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / lineRate)
	at := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(at))
	return at
}

// cut ends all connections through the line.
func (l *slowLine) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// A backlog that takes longer than a node may be silent comes in, over one
// connection, and what came is not asked for again after another loss.
func TestASlowLineBringsABacklogAndThePageSaysSo(t *testing.T) {
	t.Parallel()
	node := start(t, "--rate=0").url(1)
	bob := open(t, node)
	bob.online()
	talk := func(from, to, size int) {
		bob.run(fmt.Sprintf(`(async () => {
			const { connect } = await import("/client.js");
			globalThis.chat ??= await connect({room: "lobby", storage: "test."});
			const said = new Promise((done) => chat.on("outbox", () => chat.pending().length === 0 && done()));
			for (let i = %d; i < %d; i++) chat.say(i + " " + "word ".repeat(%d));
			await said;
		})()`, from, to, size/5))
	}
	talk(0, 40, 3900)
	line := newSlowLine(t, node)
	ann := newTab(t)
	ann.size(1440, 900)
	ann.goTo(line.URL + "/r/lobby")
	ann.online()
	ann.bar("Loading what you missed…")
	const newest = `[...document.querySelectorAll("#log .message .text")].at(-1)?.textContent`
	ann.within(40*time.Second, "the newest message", newest+`?.startsWith("39 ")`)
	ann.until("the bar to say so no more", `document.querySelector("#bar").hidden || !document.querySelector("#bar").textContent.includes("Loading")`)
	if n := line.sockets.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}

	line.away.Store(true)
	line.cut()
	talk(40, 190, 1500)
	line.away.Store(false)
	ann.bar("Loading what you missed…")
	ann.within(40*time.Second, "some of what was missed", newest+`?.match(/^(8\d|9\d|1\d\d) /)`)
	line.cut()
	ann.within(60*time.Second, "all that was missed", newest+`?.startsWith("189 ")`)
	// Of the second half only what had not come was sent again: else it would not be here by now.
	if n := line.sockets.Load(); n != 3 {
		t.Errorf("it took %d connections, want one for each time that the line was there", n)
	}
	ann.says("All is here")
	bob.gets("All is here")
	ann.sound()
}
