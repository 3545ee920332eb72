//go:build unix

package faults

import (
	"bufio"
	"bytes"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"
)

// proxy is between a node and Redis, and delays, cuts and drops data.
type proxy struct {
	target   string
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	lines   map[*line]bool
	closed  bool
	cut     bool          // new connections end at once
	late    time.Duration // of all data
	gate    chan struct{} // closed while data passes
	swallow func(channel, payload []byte) bool
	most    int // lines at one time
}

// line is one connection of the node to Redis.
type line struct {
	node, redis net.Conn

	mu    sync.Mutex // guards the fields below
	heard bool       // it is a subscription
	muted bool       // published messages are dropped
	halve bool       // the next reply is cut in the middle, and the line ends
}

// waiting bounds the pieces in transit on one line.
const waiting = 4096

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: l, lines: make(map[*line]bool), gate: make(chan struct{})}
	close(p.gate)
	p.all.Go(p.accept) // ends with the listener; the cleanup waits
	t.Cleanup(p.end)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.freeze(false)
	p.reset()
	p.all.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(c) }) // ends with the connection; the proxy's end waits
	}
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	redis, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer redis.Close()
	l := &line{node: c, redis: redis}
	p.mu.Lock()
	if p.closed || p.cut {
		p.mu.Unlock()
		return
	}
	p.lines[l] = true
	p.most = max(p.most, len(p.lines))
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.lines, l)
	}()
	var copiers sync.WaitGroup
	fromNode, fromRedis := bufio.NewReader(c), bufio.NewReader(redis)
	copiers.Go(func() { // ends with the line, as the next
		p.pass(l, redis, func() (piece, error) { return l.command(fromNode) })
	})
	copiers.Go(func() {
		p.pass(l, c, func() (piece, error) { return l.reply(p, fromRedis) })
	})
	copiers.Wait()
}

// piece is some data, and when it arrives.
type piece struct {
	data []byte
	due  time.Time
	last bool // the line ends after it
}

// pass forwards what next returns, with the delay, while data passes.
func (p *proxy) pass(l *line, to net.Conn, next func() (piece, error)) {
	defer l.end()
	pieces := make(chan piece, waiting)
	var writer sync.WaitGroup
	writer.Go(func() { // ends with pieces; waited for below
		for one := range pieces {
			time.Sleep(time.Until(one.due))
			<-p.open()
			if _, err := to.Write(one.data); err != nil || one.last {
				l.end()
			}
		}
	})
	defer writer.Wait()
	defer close(pieces)
	for {
		one, err := next()
		if err != nil {
			return
		}
		if one.data == nil {
			continue
		}
		p.mu.Lock()
		one.due = time.Now().Add(p.late)
		p.mu.Unlock()
		pieces <- one
	}
}

// subscribing matches the start of a SUBSCRIBE.
var subscribing = regexp.MustCompile(`^\*\d+\r\n\$9\r\n(?i:subscribe)\r\n`)

// command reads data of the node.
func (l *line) command(in *bufio.Reader) (piece, error) {
	if _, err := in.Peek(1); err != nil {
		return piece{}, err
	}
	data, _ := in.Peek(in.Buffered())
	data = bytes.Clone(data)
	_, _ = in.Discard(len(data))
	if subscribing.Match(data) {
		l.mu.Lock()
		l.heard = true
		l.mu.Unlock()
	}
	return piece{data: data}, nil
}

// reply reads one value from Redis.
func (l *line) reply(p *proxy, in *bufio.Reader) (piece, error) {
	v, err := readValue(in)
	if err != nil {
		return piece{}, err
	}
	l.mu.Lock()
	heard, muted, halve := l.heard, l.muted, l.halve
	l.mu.Unlock()
	if halve && len(v.raw) > 1 {
		return piece{data: v.raw[:len(v.raw)/2], last: true}, nil
	}
	if channel, payload, ok := v.published(); ok && heard && (muted || p.swallows(channel, payload)) {
		return piece{}, nil
	}
	return piece{data: v.raw}, nil
}

func (p *proxy) swallows(channel, payload []byte) bool {
	p.mu.Lock()
	f := p.swallow
	p.mu.Unlock()
	return f != nil && f(channel, payload)
}

// setSwallow drops the published messages for which f returns true; nil drops none.
// Several goroutines call f.
func (p *proxy) setSwallow(f func(channel, payload []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallow = f
}

func (l *line) end() {
	_ = l.node.Close()
	_ = l.redis.Close()
}

func (p *proxy) open() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate
}

// freeze stops all data, or lets it pass again, and ends no connection.
func (p *proxy) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
		if on {
			p.gate = make(chan struct{})
		}
	default:
		if !on {
			close(p.gate)
		}
	}
}

// delay sets the delay of all data.
func (p *proxy) delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = d
}

// setCut ends all connections, and new ones at once, or accepts new ones again.
func (p *proxy) setCut(on bool) {
	p.mu.Lock()
	p.cut = on
	p.mu.Unlock()
	if on {
		p.reset()
	}
}

func (p *proxy) each(f func(*line)) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		f(l)
	}
	return len(p.lines)
}

// reset ends all connections with a TCP reset, and returns their number.
func (p *proxy) reset() int {
	return p.each(func(l *line) {
		for _, c := range []net.Conn{l.node, l.redis} {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		l.end()
	})
}

// halve cuts the next reply of each connection in the middle, and returns their number.
func (p *proxy) halve() int {
	return p.each(func(l *line) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.halve = true
	})
}

// mute drops the messages that are published to the present subscriptions, and returns
// their number.
func (p *proxy) mute() (n int) {
	p.each(func(l *line) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.heard {
			l.muted = true
			n++
		}
	})
	return n
}
