package fakenode

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// Command is a command of a client.
type Command struct {
	Type, Room, After, Before, Name, Token, Auth, Text, Key string
	Limit                                                   int
	Join                                                    map[string]string
	Ref                                                     json.RawMessage
}

// Fault replaces what a node does with one command.
type Fault struct {
	// Code answers the command with this error, with RetryAfter in ms.
	Code       string
	RetryAfter int
	// Close closes the connection with this code; if Obey is set, after the command was
	// executed. Cut ends it without a close frame.
	Close int
	Cut   bool
	Obey  bool
	// Raw is a frame that is sent in reply to the command.
	Raw string
	// Silent suppresses the reply.
	Silent bool
}

// Node is one node of a Cluster. The cluster's lock guards its fields.
type Node struct {
	ID, URL string

	cluster *Cluster
	server  *httptest.Server
	peers   map[*peer]bool
	dead    bool
	frozen  bool
	thaw    chan struct{} // closed when the node is thawed
	faulty  func(Command) *Fault
	heard   []Command
	later   []string
}

// peer is one connection.
type peer struct {
	ws    *websocket.Conn
	out   chan []byte
	rooms map[string]bool
	user  protocol.User
	gone  chan struct{}
	rest  []entry // the rest of a joined that was the newest reply
}

func (n *Node) listen(t *testing.T) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", n.serve)
	n.server = httptest.NewServer(mux)
	n.URL = n.server.URL
	t.Cleanup(func() { n.Kill(); n.server.Close() })
}

// Faulty sets a function that decides about each command; nil removes it. One call of f
// is made at a time.
func (n *Node) Faulty(f func(Command) *Fault) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.faulty = f
}

// Heard returns the commands of a type that have arrived so far.
func (n *Node) Heard(kind string) []Command {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	var list []Command
	for _, c := range n.heard {
		if c.Type == kind {
			list = append(list, c)
		}
	}
	return list
}

// Peers returns the number of connections.
func (n *Node) Peers() int {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return len(n.peers)
}

// Kill ends the node as the end of its process would.
func (n *Node) Kill() {
	n.cluster.mu.Lock()
	n.dead = true
	n.thawLocked()
	var all []*peer
	for p := range n.peers {
		all = append(all, p)
	}
	n.cluster.mu.Unlock()
	_ = n.server.Listener.Close()
	for _, p := range all {
		_ = p.ws.UnderlyingConn().Close()
	}
}

// Freeze stops the node as SIGSTOP would: its connections stay open, and it neither reads
// nor sends.
func (n *Node) Freeze() {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.frozen = true
}

func (n *Node) thawLocked() {
	if n.frozen {
		n.frozen = false
		close(n.thaw)
	}
}

// ice blocks while the node is frozen.
func (n *Node) ice() {
	n.cluster.mu.Lock()
	frozen := n.frozen
	n.cluster.mu.Unlock()
	if frozen {
		<-n.thaw
	}
}

// Close closes all connections with a code. The node goes on.
func (n *Node) Close(code int, reason string) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	for p := range n.peers {
		p.close(code, reason)
	}
}

// Cut ends all connections without a close frame. The node goes on.
func (n *Node) Cut() {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	for p := range n.peers {
		_ = p.ws.UnderlyingConn().Close()
	}
}

// Push sends a frame to all connections.
func (n *Node) Push(frame string) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	for p := range n.peers {
		p.push([]byte(frame))
	}
}

// PushLater sends a frame to all connections after the reply to the command about which
// the function given to Faulty is deciding.
func (n *Node) PushLater(frame string) { n.later = append(n.later, frame) }

func (p *peer) push(frame []byte) {
	select {
	case p.out <- frame:
	default: // no test lets so much wait
	}
}

func (p *peer) close(code int, reason string) {
	_ = p.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
	_ = p.ws.UnderlyingConn().Close()
}

func (n *Node) serve(w http.ResponseWriter, r *http.Request) {
	n.ice()
	var up websocket.Upgrader
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	p := &peer{ws: ws, out: make(chan []byte, 10_000), rooms: make(map[string]bool), gone: make(chan struct{})}
	n.cluster.mu.Lock()
	dead := n.dead
	n.peers[p] = true
	n.cluster.mu.Unlock()
	if dead {
		_ = ws.Close()
	}
	go n.write(p) // ends with gone, which serve closes
	n.read(p)
	n.cluster.mu.Lock()
	delete(n.peers, p)
	n.cluster.mu.Unlock()
	close(p.gone)
	_ = ws.Close()
}

func (n *Node) write(p *peer) {
	for {
		select {
		case frame := <-p.out:
			n.ice()
			if p.ws.WriteMessage(websocket.TextMessage, frame) != nil {
				return
			}
		case <-p.gone:
			return
		}
	}
}

func (n *Node) read(p *peer) {
	for {
		_, data, err := p.ws.ReadMessage()
		if err != nil {
			return
		}
		n.ice()
		var c Command
		if json.Unmarshal(data, &c) != nil {
			p.push([]byte(`{"type":"error","code":"bad_json","message":"send JSON"}`))
			continue
		}
		n.cluster.mu.Lock()
		ok := n.commandLocked(p, c)
		n.cluster.mu.Unlock()
		if !ok {
			return
		}
	}
}

// commandLocked executes a command, or the fault for it. It returns false to end the
// connection.
func (n *Node) commandLocked(p *peer, c Command) bool {
	n.heard = append(n.heard, c)
	defer func() {
		for _, frame := range n.later {
			p.push([]byte(frame))
		}
		n.later = nil
	}()
	var f *Fault
	if n.faulty != nil {
		f = n.faulty(c)
	}
	if f == nil {
		n.reply(p, c, n.obeyLocked(p, c))
		n.restLocked(p)
		for _, room := range slices.Sorted(maps.Keys(c.Join)) {
			// Faults apply to it as to a command of its own.
			if p.user.ID != "" && !n.commandLocked(p, Command{Type: "join", Room: room, After: c.Join[room]}) {
				return false
			}
		}
		return true
	}
	if f.Obey {
		n.obeyLocked(p, c)
	}
	switch {
	case f.Cut:
		_ = p.ws.UnderlyingConn().Close()
		return false
	case f.Close != 0:
		p.close(f.Close, "told to")
		return false
	case f.Raw != "":
		p.push([]byte(f.Raw))
	case !f.Silent:
		n.reply(p, c, refusal(f.Code, c, f.RetryAfter))
	}
	return true
}

// restLocked sends the entries that a joined left out.
func (n *Node) restLocked(p *peer) {
	for _, e := range p.rest {
		if !n.cluster.withheld {
			p.push(e.frame())
		}
	}
	p.rest = nil
}

func (n *Node) reply(p *peer, c Command, e protocol.Event) {
	p.push(e.WithRef(jsontext.Value(c.Ref)).AppendFrame(nil))
}

func refusal(code string, c Command, retryAfter int) protocol.Event {
	return protocol.ErrorEvent{
		Code: protocol.Code(code), Message: "refused: " + code, Room: c.Room, Key: c.Key, RetryAfter: int64(retryAfter),
	}.Event()
}

func (n *Node) obeyLocked(p *peer, c Command) protocol.Event {
	l := n.cluster.logLocked(c.Room)
	if c.Type != "hello" && p.user.ID == "" {
		return refusal("hello_first", c, 0)
	}
	switch c.Type {
	case "hello":
		return n.helloLocked(p, c)
	case "ping":
		return protocol.Pong()
	case "join":
		p.rooms[c.Room] = true
		reply, rest := l.joined(c.Room, c.After, n.cluster.piece)
		p.rest = rest
		return reply
	case "leave":
		delete(p.rooms, c.Room)
		return protocol.Left(c.Room)
	case "history":
		return l.history(c.Room, c.Before, c.Limit)
	case "send":
		return n.sendLocked(p, c, l)
	}
	return refusal("unknown_type", c, 0)
}

func (n *Node) helloLocked(p *peer, c Command) protocol.Event {
	token := c.Token
	u, known := n.cluster.users[token]
	switch {
	case token != "" && !known && !n.cluster.renew:
		return refusal("unauthorized", c, 0)
	case !known:
		n.cluster.made++
		id := strconv.Itoa(n.cluster.made)
		u = protocol.User{ID: "u" + id, Name: "guest-" + id}
		token = fmt.Sprintf("token.%s.%d", id, n.cluster.clock)
	}
	if c.Name != "" {
		u.Name = c.Name
	}
	n.cluster.users[token] = u
	p.user = u
	nodes := n.cluster.nodesLocked(n)
	return protocol.WelcomeEvent{
		User: u, Token: token, Node: nodes[0], Nodes: nodes, Version: protocol.Version, Renewed: c.Token != "" && !known,
		Limits: protocol.Limits{Text: n.cluster.Text, Rooms: 100, Rate: n.cluster.Rate, Burst: n.cluster.Burst},
	}.Event()
}

func (n *Node) sendLocked(p *peer, c Command, l *log) protocol.Event {
	switch {
	case !p.rooms[c.Room]:
		return refusal("not_joined", c, 0)
	case len(c.Text) > n.cluster.Text:
		return refusal("too_long", c, 0)
	case slices.Contains([]string{c.Key, c.Text}, ""):
		return refusal("bad_field", c, 0)
	}
	e, duplicate := l.keys[p.user.ID+" "+c.Key]
	if !duplicate {
		e = n.cluster.appendLocked(l, c.Room, p.user, c.Key, c.Text, n.ID)
	}
	return protocol.Sent(c.Room, c.Key, protocol.ID{MS: e.time, Seq: e.seq}, e.time, duplicate)
}
